// What sockets and requests rest on and only the host can tell about: the share links behind chat tokens, and advisors'
// sessions.
//
// The host is asked again while they are in use. Its clear "no" ends what rests on it; an error or silence ends
// nothing, but lets in nobody for whom it has never said "yes". One for each loop, on whose thread everything is.
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

// A chat token, as far as the host can tell about it.
struct LinkClaim {
  ChatToken token;
  std::string org_id;
  std::string client_id;
  std::string trip_id;
};

// Of an open socket.
struct SocketClaim {
  std::string session_id;         // an advisor's; empty: none that the host can tell about
  std::optional<LinkClaim> link;  // a client's
};

// What chat tokens say by themselves (see ChatToken). That takes a few hashes, so it is remembered of those that were
// asked about lately.
class TokenBases {
 public:
  bool rests_on_link(const ChatToken& token) { return find(token).basis != ChatToken::Basis::application; }
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

  // Whether the token's link holds, by what the host says now or has said lately. At once or later. An error: the host
  // could not say, and has not said "yes" before.
  void ask(LinkClaim claim, Done done);
  // What the host has said of a trip, here or to whoever else has asked it on this loop, at `asked_at`. All loops
  // know it before anybody is answered by it: whom one has refused, no other lets in a moment later.
  void learn(const std::string& trip_id, const std::optional<SharedTrip>& answer, SteadyTime asked_at);
  // Looks at the open sockets when it is time.
  void tick(const http::Now& now);
  // Drops whoever waits. The loop was cut.
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
  std::optional<result<bool>> verdict(const Trip& trip, const LinkClaim& claim, SteadyTime now);
  void question(const std::string& trip_id, SteadyTime now);
  void answered(const std::string& trip_id, SteadyTime asked_at, result<std::optional<SharedTrip>> answer);
  // False: it was known.
  bool note(const std::string& trip_id, const std::optional<SharedTrip>& answer, SteadyTime asked_at);
  void tell(Trip& trip);

  void look_at_links(SteadyTime now);
  void look_further();
  void check_sessions(SteadyTime now);

  ChatLoop& loop_;
  TokenBases tokens_;
  std::unordered_map<std::string, Trip> trips_;  // by id; bounded
  SteadyTime next_look_{};
  std::deque<std::weak_ptr<SubscriberSocket>> to_look_at_;
  std::size_t looks_under_way_ = 0;
  bool is_looking_ = false;

  SteadyTime next_session_check_{};
  std::optional<SteadyTime> sessions_asked_at_;
};

}  // namespace travelchat::server
