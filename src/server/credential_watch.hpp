// Asks the host whether credentials in use are still valid: the share links that chat tokens were issued for, and
// advisors' sessions.
//
// The host is asked again while they are in use. A "no" closes the sockets with that credential. An error or a missing
// answer closes nothing, but a credential to which the host has never said "yes" admits nobody. One for each event
// loop; on its thread.
#pragma once

#include "core/chat_token.hpp"
#include "http/connection.hpp"

#include <travelchat/error.hpp>
#include <travelchat/host.hpp>
#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travelchat::server {

class ChatLoop;
class SubscriberSocket;

// A chat token, and what it was issued for.
struct LinkClaim {
  ChatToken token;
  std::string org_id;
  std::string client_id;
  std::string trip_id;
};

// The credential of an open socket, as far as the host is asked about it.
struct SocketClaim {
  std::string session_id;         // an advisor's; empty: none that the host can tell about
  std::optional<LinkClaim> link;  // a client's
};

// What can be read from chat tokens themselves (see ChatToken). That takes a few hashes, so the results are cached.
class TokenBases {
 public:
  bool ends_with_link(const ChatToken& token) { return find(token).basis != ChatToken::Basis::application; }
  bool may_be_of(const ChatToken& token, std::string_view share_token);

 private:
  struct Known {
    ChatToken::Basis basis;
    std::optional<std::string> share_token = std::nullopt;  // one that the token may be of
  };
  Known& find(const ChatToken& token);

  std::unordered_map<ChatToken, Known, ChatToken::Hash> known_;  // bounded
};

class CredentialWatch {
 public:
  using Done = std::function<void(result<bool>)>;
  using SteadyTime = http::SteadyTime;

  explicit CredentialWatch(ChatLoop& loop) noexcept : loop_(loop) {}
  ChatLoop& loop() const noexcept { return loop_; }

  // Whether the token's link is valid, by a recent or a new answer of the host. Calls `done` at once or later. An
  // error: the host failed, and has not said "yes" before.
  void check_link(LinkClaim claim, Done done);
  // Stores the host's answer about a trip to a question of `asked_at`, here and on all other loops, before anything is
  // decided by it: so no loop admits a token that another one has just refused.
  void learn(const std::string& trip_id, const std::optional<SharedTrip>& answer, SteadyTime asked_at);
  // Looks at the open sockets when it is time.
  void tick(const http::Now& now);
  // Drops those that wait for an answer. The loop was aborted.
  void clear() noexcept;

 private:
  struct Trip {
    std::optional<SharedTrip> answer;
    bool is_answered = false;
    SteadyTime answered_at{};  // when the question was asked
    error_code failure;        // of the newest question
    SteadyTime ask_again_at{};
    bool is_asked = false;  // a question is under way
    SteadyTime asked_at{};
    std::vector<std::pair<LinkClaim, Done>> waiting;
  };

  Trip& find(const std::string& trip_id, SteadyTime now);
  // Whether the trip, as it is, is shared by the link that the token was issued for.
  bool holds(const LinkClaim& claim, const std::optional<SharedTrip>& trip);
  // What can be said without asking; nullopt: ask.
  std::optional<result<bool>> known_answer(const Trip& trip, const LinkClaim& claim, SteadyTime now);
  void ask_host_about(const std::string& trip_id, SteadyTime now);
  void answered(const std::string& trip_id, SteadyTime asked_at, result<std::optional<SharedTrip>> answer);
  // False: it was known.
  bool store_answer(const std::string& trip_id, const std::optional<SharedTrip>& answer, SteadyTime asked_at);
  void answer_waiting(Trip& trip);

  void check_links(SteadyTime now);
  void continue_checks();
  void check_sessions(SteadyTime now);

  ChatLoop& loop_;
  TokenBases tokens_;
  std::unordered_map<std::string, Trip> trips_;  // by id; bounded
  SteadyTime next_check_{};
  std::deque<std::weak_ptr<SubscriberSocket>> to_check_;
  std::size_t checks_under_way_ = 0;
  bool is_checking_ = false;

  SteadyTime next_session_check_{};
  std::optional<SteadyTime> sessions_asked_at_;
};

}  // namespace travelchat::server
