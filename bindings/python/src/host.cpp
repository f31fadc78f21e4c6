#include "host.hpp"

#include "records.hpp"

#include <functional>
#include <utility>
#include <variant>

namespace travelchat::python {

// How many questions are at the bell or with Python.
class PythonHost::Calls : public std::enable_shared_from_this<Calls> {
 public:
  explicit Calls(std::size_t max) : max_(max) {}

  // One of them, until it is destroyed. Empty: there are too many.
  std::shared_ptr<void> admit() {
    if (open_.fetch_add(1) >= max_) {
      --open_;
      return nullptr;
    }
    return {this, [self = shared_from_this()](void*) { --self->open_; }};
  }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> open_{0};
};

namespace {

// Answers once: with what Python says, or, when Python drops it, as closed.
template <class T>
class CountedReply {
 public:
  CountedReply(Reply<T> reply, std::shared_ptr<void> call) : reply_(std::move(reply)), call_(std::move(call)) {}
  CountedReply(CountedReply&&) noexcept = default;
  CountedReply& operator=(CountedReply&&) = delete;
  ~CountedReply() {
    if (call_) reply_(errc::closed);
  }
  void operator()(result<T> value) {
    call_.reset();
    reply_(std::move(value));
  }

 private:
  Reply<T> reply_;
  std::shared_ptr<void> call_;
};

// std::function wants to copy what it holds.
template <class T>
Reply<T> counted(Reply<T> reply, std::shared_ptr<void> call) {
  auto shared = std::make_shared<CountedReply<T>>(std::move(reply), std::move(call));
  return [shared](result<T> value) { (*shared)(std::move(value)); };
}

// What Python calls with the outcome of one question: reply(value) or reply.fail(exception).
class HostReply {
 public:
  using Convert = std::function<void(const py::object& value)>;
  HostReply(Convert succeed, std::function<void(errc)> fail) : succeed_(std::move(succeed)), fail_(std::move(fail)) {}

  template <class T, class Read>
  static HostReply make(Reply<T> reply, Read read) {
    return {[reply, read](const py::object& value) { reply(result<T>(read(value))); },
            [reply](errc code) { reply(code); }};
  }

  // TypeError and ValueError: `value` is not what the question asks for; then it still waits for an answer.
  void succeed(const py::object& value) {
    if (succeed_) std::exchange(succeed_, nullptr)(value);
    fail_ = nullptr;
  }
  void fail(const py::object& exception) {
    succeed_ = nullptr;
    if (fail_) std::exchange(fail_, nullptr)(to_errc(exception).value_or(errc::internal));
  }

 private:
  Convert succeed_;
  std::function<void(errc)> fail_;
};

}  // namespace

PythonHost::PythonHost(std::shared_ptr<Doorbell> bell, std::uint64_t token, std::size_t max_calls)
    : bell_(std::move(bell)), token_(token), calls_(std::make_shared<Calls>(max_calls)) {}

PythonHost::~PythonHost() = default;

void PythonHost::authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) {
  auto call = calls_->admit();
  if (!call) return reply(errc::overloaded);
  bell_->put({token_, HostCall(AuthenticateCall{std::move(credentials), counted(std::move(reply), std::move(call))})});
}

void PythonHost::find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) {
  auto call = calls_->admit();
  if (!call) return reply(errc::overloaded);
  bell_->put({token_, HostCall(FindTripCall{std::move(trip_id), counted(std::move(reply), std::move(call))})});
}

void PythonHost::find_clients(std::string org_id, std::vector<std::string> client_ids,
                              Reply<std::vector<ClientCard>> reply) {
  auto call = calls_->admit();
  if (!call) return reply(errc::overloaded);
  bell_->put({token_, HostCall(FindClientsCall{std::move(org_id), std::move(client_ids),
                                               counted(std::move(reply), std::move(call))})});
}

void PythonHost::search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) {
  auto call = calls_->admit();
  if (!call) return reply(errc::overloaded);
  bell_->put({token_, HostCall(SearchClientsCall{std::move(org_id), std::move(text),
                                                 counted(std::move(reply), std::move(call))})});
}

void PythonHost::notify(PushNotification notification) {
  auto call = calls_->admit();
  if (!call) return;
  bell_->put({token_, HostCall(NotifyCall{std::move(notification), std::move(call)})});
}

py::object to_python(HostCall& call) {
  struct Convert {
    py::object operator()(AuthenticateCall& c) const {
      return py::make_tuple("authenticate", py::make_tuple(to_python(c.credentials)),
                            HostReply::make(std::move(c.reply), &to_optional_advisor));
    }
    py::object operator()(FindTripCall& c) const {
      return py::make_tuple("find_trip", py::make_tuple(to_python(c.trip_id)),
                            HostReply::make(std::move(c.reply), &to_optional_trip));
    }
    py::object operator()(FindClientsCall& c) const {
      return py::make_tuple("find_clients", py::make_tuple(to_python(c.org_id), py::cast(c.client_ids)),
                            HostReply::make(std::move(c.reply), &to_client_cards));
    }
    py::object operator()(SearchClientsCall& c) const {
      return py::make_tuple(
          "search_clients", py::make_tuple(to_python(c.org_id), to_python(c.text)),
          HostReply::make(std::move(c.reply), [](py::handle value) { return to_texts(value, "client ids"); }));
    }
    py::object operator()(NotifyCall& c) const {
      // Nobody waits; the reply only keeps it counted.
      return py::make_tuple("notify", py::make_tuple(to_python(c.notification)),
                            HostReply([counted = c.call](const py::object&) {}, [](errc) {}));
    }
  };
  return std::visit(Convert{}, call);
}

}  // namespace travelchat::python
