// A queue of values from the engine's threads to one Python thread, with a descriptor (eventfd) that is readable while
// something waits.
//
// The engine's threads never touch Python: they put values here, and the Python thread (an event loop's, or one that
// waits) turns all that has come into Python objects at once. The descriptor is written to only when the queue was
// empty.
#pragma once

#include "gil.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/engine.hpp>
#include <travelchat/host.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat::python {

// A listener has something to take; see Feed.
struct FeedReady {};

// A question to the host, and where its answer goes.
struct AuthenticateCall {
  RequestCredentials credentials;
  Reply<std::optional<Advisor>> reply;
};
struct FindTripCall {
  std::string trip_id;
  Reply<std::optional<SharedTrip>> reply;
};
struct FindClientsCall {
  std::string org_id;
  std::vector<std::string> client_ids;
  Reply<std::vector<ClientCard>> reply;
};
struct SearchClientsCall {
  std::string org_id;
  std::string text;
  Reply<std::vector<std::string>> reply;
};
struct CheckSessionsCall {
  std::vector<std::string> session_ids;
  Reply<std::vector<std::string>> reply;
};
struct NotifyCall {
  PushNotification notification;
  std::shared_ptr<void> call;  // counts it as long as it lives
};
using HostCall =
    std::variant<AuthenticateCall, FindTripCall, FindClientsCall, SearchClientsCall, CheckSessionsCall, NotifyCall>;

// A request to what is not the chat's, and where the response goes.
struct HttpCall {
  HttpRequest request;
  HttpRespond respond;
};

struct Arrival {
  std::uint64_t token = 0;  // chosen by Python: which call this answers, which feed or host this is for
  std::variant<errc, bool, std::uint64_t, Uuid, Conversation, std::vector<ConversationSummary>, Sent, MessagePage,
               std::vector<Reaction>, Marked, IssuedToken, TokenClaims, Subscription, FeedReady, HostCall, HttpCall,
               HttpResponse>
      content;
};

class ArrivalQueue {
 public:
  // Throws std::system_error when the process has no descriptor left.
  ArrivalQueue();
  ArrivalQueue(const ArrivalQueue&) = delete;
  ArrivalQueue& operator=(const ArrivalQueue&) = delete;
  ~ArrivalQueue();

  int descriptor() const noexcept { return descriptor_; }
  // Any thread. Bounded by the senders: there is one arrival for each call under way (the engine bounds those) and one
  // for each feed; PythonHost bounds its calls.
  void put(Arrival arrival);
  // Takes everything that waits. For the Python thread. RuntimeError in a forked child, whose parent reads the same
  // descriptor.
  std::vector<Arrival> take();
  // Until something comes, or a signal's handler may have run; raises what that raises. It also returns when nothing
  // has come: the handler may itself have taken what came. Needs the GIL and gives it away; RuntimeError in a forked
  // child.
  void wait() const;

 private:
  int descriptor_;
  SinceFork since_fork_;
  std::mutex mutex_;
  std::vector<Arrival> arrivals_;
};

// The completion handler of an `async_*`: puts the one answer of a call. Destroyed uncalled, as by an engine that
// closes, it answers `errc::closed`, so nobody waits for ever.
class Answer {
 public:
  Answer(std::shared_ptr<ArrivalQueue> queue, std::uint64_t token) : queue_(std::move(queue)), token_(token) {}
  Answer(Answer&&) noexcept = default;
  Answer& operator=(Answer&&) = delete;
  ~Answer() {
    if (queue_) fail(errc::closed);
  }

  template <class T>
  void operator()(result<T> outcome) {
    if (!outcome) return fail(describe(outcome.error()).code);
    std::exchange(queue_, nullptr)
        ->put({token_, decltype(Arrival::content)(std::in_place_type<T>, *std::move(outcome))});
  }
  void fail(errc code) { std::exchange(queue_, nullptr)->put({token_, code}); }

 private:
  std::shared_ptr<ArrivalQueue> queue_;
  std::uint64_t token_;
};

}  // namespace travelchat::python
