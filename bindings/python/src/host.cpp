#include "host.hpp"

#include "records.hpp"

#include <pybind11/stl.h>

#include <functional>
#include <utility>
#include <variant>

namespace travelchat::python {

// Counts the questions that Python has not answered yet.
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

// Answers once: with Python's answer, or with `errc::closed` when Python drops it.
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

// Shared, because std::function needs a copyable target.
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
  HostReply(HostReply&&) noexcept = default;
  HostReply& operator=(HostReply&&) = delete;
  ~HostReply() {
    // In a forked child it must not answer: that would wake threads which do not exist there.
    if (since_fork_.same_process()) return;
    abandon(std::move(succeed_));
    abandon(std::move(fail_));
  }

  template <class T, class Read>
  static HostReply make(Reply<T> reply, Read read) {
    return {[reply, read](const py::object& value) { reply(result<T>(read(value))); },
            [reply](errc code) { reply(code); }};
  }

  // TypeError and ValueError: `value` is not what the question asks for; then it still waits for an answer.
  void succeed(const py::object& value) {
    since_fork_.check("question");
    if (succeed_) std::exchange(succeed_, nullptr)(value);
    fail_ = nullptr;
  }
  void fail(const py::object& exception) {
    since_fork_.check("question");
    const errc code = to_errc(exception).value_or(errc::internal);
    succeed_ = nullptr;
    if (fail_) std::exchange(fail_, nullptr)(code);
  }

 private:
  SinceFork since_fork_;
  Convert succeed_;
  std::function<void(errc)> fail_;
};

HttpResponse unavailable(errc code) {
  HttpResponse response;
  response.status = describe(code).http_status;
  return response;
}

// What Python calls with the application's response.
class HttpReply {
 public:
  explicit HttpReply(HttpRespond respond) : respond_(std::move(respond)) {}
  HttpReply(HttpReply&&) noexcept = default;
  HttpReply& operator=(HttpReply&&) = delete;
  ~HttpReply() {
    if (!since_fork_.same_process()) {
      abandon(std::move(respond_));
    } else if (respond_) {
      respond_(unavailable(errc::closed));
    }
  }

  void respond(int status, const std::vector<std::pair<std::string, std::string>>& headers, const py::bytes& body) {
    since_fork_.check("request");
    if (!respond_) return;
    HttpResponse response;
    response.status = status;
    response.headers = headers;
    response.body = std::string(body);
    std::exchange(respond_, nullptr)(std::move(response));
  }

 private:
  SinceFork since_fork_;
  HttpRespond respond_;
};

}  // namespace

PythonHost::PythonHost(std::size_t max_calls) : calls_(std::make_shared<Calls>(max_calls)) {}

PythonHost::~PythonHost() = default;

void PythonHost::answer_at(const std::shared_ptr<ArrivalQueue>& queue, std::uint64_t token, std::uint64_t http_token) {
  const std::lock_guard lock(mutex_);
  queue_ = queue;
  token_ = token;
  http_token_ = http_token;
}

template <class Content>
bool PythonHost::put(Content content) {
  std::shared_ptr<ArrivalQueue> queue;
  std::uint64_t token = 0;
  {
    const std::lock_guard lock(mutex_);
    queue = queue_.lock();
    token = std::is_same_v<Content, HttpCall> ? http_token_ : token_;
  }
  if (queue) queue->put({token, std::move(content)});
  return queue != nullptr;
}

template <class T, class Make>
void PythonHost::ask(Reply<T> reply, Make make) {
  auto call = calls_->admit();
  if (!call) return reply(errc::overloaded);
  // When no loop is there to take it, the dropped call answers itself.
  put(HostCall(make(counted(std::move(reply), std::move(call)))));
}

void PythonHost::authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) {
  ask(std::move(reply), [&](auto counted_reply) {
    return AuthenticateCall{std::move(credentials), std::move(counted_reply)};
  });
}

void PythonHost::find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) {
  ask(std::move(reply), [&](auto counted_reply) { return FindTripCall{std::move(trip_id), std::move(counted_reply)}; });
}

void PythonHost::find_clients(std::string org_id, std::vector<std::string> client_ids,
                              Reply<std::vector<ClientCard>> reply) {
  ask(std::move(reply), [&](auto counted_reply) {
    return FindClientsCall{std::move(org_id), std::move(client_ids), std::move(counted_reply)};
  });
}

void PythonHost::search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) {
  ask(std::move(reply), [&](auto counted_reply) {
    return SearchClientsCall{std::move(org_id), std::move(text), std::move(counted_reply)};
  });
}

void PythonHost::check_sessions(std::vector<std::string> session_ids, Reply<std::vector<std::string>> reply) {
  ask(std::move(reply), [&](auto counted_reply) {
    return CheckSessionsCall{std::move(session_ids), std::move(counted_reply)};
  });
}

void PythonHost::notify(PushNotification notification) {
  if (auto call = calls_->admit()) put(HostCall(NotifyCall{std::move(notification), std::move(call)}));
}

void PythonHost::http(HttpRequest request, HttpRespond respond) {
  auto call = calls_->admit();
  if (!call) return respond(unavailable(errc::overloaded));
  const bool taken = put(HttpCall{std::move(request), [respond, call](HttpResponse response) mutable {
                                    call.reset();
                                    respond(std::move(response));
                                  }});
  if (!taken) respond(unavailable(errc::closed));
}

py::object to_python(HostCall& call) {
  struct Convert {
    py::object operator()(AuthenticateCall& c) const {
      // The package finds what came with the request by this number; see server.cpp.
      const auto context = std::static_pointer_cast<std::uint64_t>(c.credentials.context);
      return py::make_tuple("authenticate",
                            py::make_tuple(to_python(c.credentials.cookie), to_python(c.credentials.authorization),
                                           context ? to_python(*context) : py::none()),
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
    py::object operator()(CheckSessionsCall& c) const {
      return py::make_tuple(
          "check_sessions", py::make_tuple(py::cast(c.session_ids)),
          HostReply::make(std::move(c.reply), [](py::handle value) { return to_texts(value, "session ids"); }));
    }
    py::object operator()(NotifyCall& c) const {
      // Nobody waits for an answer; the reply only keeps the call counted.
      return py::make_tuple("notify", py::make_tuple(to_python(c.notification)),
                            HostReply([counted = c.call](const py::object&) {}, [](errc) {}));
    }
  };
  return std::visit(Convert{}, call);
}

py::object to_python(HttpCall& call) {
  HttpRequest& asked = call.request;
  py::list headers;
  for (const auto& [name, value] : asked.headers) headers.append(py::make_tuple(py::bytes(name), py::bytes(value)));
  return py::make_tuple(asked.method, py::bytes(asked.target), std::move(headers), py::bytes(asked.body),
                        asked.remote_address, asked.is_secure, HttpReply(std::move(call.respond)));
}

void bind_host(py::module_& module) {
  py::class_<HostReply>(module, "HostReply", "Takes the host's answer to one question.")
      .def("succeed", &HostReply::succeed, py::arg("value"))
      .def("fail", &HostReply::fail, py::arg("exception"));
  py::class_<HttpReply>(module, "HttpReply", "Takes the application's response to one request.")
      .def("respond", &HttpReply::respond, py::arg("status"), py::arg("headers"), py::arg("body"));
}

}  // namespace travelchat::python
