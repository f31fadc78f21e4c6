#include "server.hpp"

#include "engine.hpp"
#include "external_connection.hpp"
#include "host.hpp"
#include "records.hpp"

#include <travelchat/beast_server.hpp>

#include <pybind11/chrono.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cerrno>
#include <functional>
#include <map>
#include <utility>

namespace travelchat::python {

namespace {

using Queue = std::shared_ptr<ArrivalQueue>;
using std::chrono::milliseconds;

// (count, window)
RateLimit to_rate_limit(py::handle value) {
  const auto [count, window] = value.cast<std::pair<std::size_t, milliseconds>>();
  return {count, window};
}

// Checked by the package.
MetricsAccess to_access(std::string_view name) {
  if (name == "loopback") return MetricsAccess::loopback;
  if (name == "token") return MetricsAccess::token;
  return name == "nobody" ? MetricsAccess::nobody : MetricsAccess::everyone;
}

BeastServerOptions to_options(const py::kwargs& given) {
  BeastServerOptions options;
  TlsOptions tls;
  const auto set = [](auto& member) {
    return [&member](py::handle value) { member = value.cast<std::decay_t<decltype(member)>>(); };
  };
  const auto limit = [](RateLimit& member) { return [&member](py::handle value) { member = to_rate_limit(value); }; };
  const std::map<std::string, std::function<void(py::handle)>> known = {
      {"address", set(options.address)},
      {"port", set(options.port)},
      {"base_path", set(options.base_path)},
      {"listens", set(options.listens)},
      {"tls_certificate", set(tls.certificate_chain)},
      {"tls_key", set(tls.private_key)},
      {"hsts_max_age", set(tls.hsts_max_age)},
      {"allowed_origins", set(options.allowed_origins)},
      {"trusted_proxies", set(options.trusted_proxies)},
      {"max_header_bytes", set(options.max_header_bytes)},
      {"max_body_bytes", set(options.max_body_bytes)},
      {"max_frame_bytes", set(options.max_frame_bytes)},
      {"max_fragments", set(options.max_fragments)},
      {"max_outbox_bytes", set(options.max_outbox_bytes)},
      {"max_connections", set(options.max_connections)},
      {"host_timeout", set(options.host_timeout)},
      {"handshake_timeout", set(options.handshake_timeout)},
      {"header_timeout", set(options.header_timeout)},
      {"body_timeout", set(options.body_timeout)},
      {"idle_timeout", set(options.idle_timeout)},
      {"write_timeout", set(options.write_timeout)},
      {"ping_interval", set(options.ping_interval)},
      {"silence_timeout", set(options.silence_timeout)},
      {"close_timeout", set(options.close_timeout)},
      {"session_check_interval", set(options.session_check_interval)},
      {"share_check_interval", set(options.share_check_interval)},
      {"metrics", [&](py::handle value) { options.metrics = to_access(value.cast<std::string>()); }},
      {"metrics_token", set(options.metrics_token)},
      {"messages", limit(options.rate_limits.messages)},
      {"typing_frames", limit(options.rate_limits.typing_frames)},
      {"sockets_per_participant", set(options.rate_limits.sockets_per_participant)},
      {"chat_tokens", limit(options.rate_limits.chat_tokens)},
      {"connections_per_address", set(options.rate_limits.connections_per_address)},
      {"reactions", limit(options.rate_limits.reactions)},
      {"marks", limit(options.rate_limits.marks)},
      {"pages", limit(options.rate_limits.pages)},
      {"openings", limit(options.rate_limits.openings)},
      {"unknown_tokens", limit(options.rate_limits.unknown_tokens)},
  };
  for (const auto& [key, value] : given) {
    const auto option = known.find(key.cast<std::string>());
    if (option == known.end()) throw py::type_error("the server has no option \"" + key.cast<std::string>() + "\"");
    try {
      option->second(value);
    } catch (const py::cast_error&) {
      throw py::type_error(option->first + " cannot be " + std::string(py::repr(value)));
    }
  }
  if (!tls.certificate_chain.empty()) options.tls = std::move(tls);
  return options;
}

using Headers = std::vector<std::pair<py::bytes, py::bytes>>;

HttpRequest to_request(std::string method, const py::bytes& target, const Headers& headers, std::string remote_address,
                       bool is_secure, std::uint64_t context) {
  HttpRequest request;
  request.method = std::move(method);
  request.target = std::string(target);
  for (const auto& [name, value] : headers) request.headers.emplace_back(std::string(name), std::string(value));
  request.remote_address = std::move(remote_address);
  request.is_secure = is_secure;
  request.context = std::make_shared<std::uint64_t>(context);
  return request;
}

class Server {
 public:
  // `calls_application`: what is not the chat's goes to Python; see PythonHost::http.
  Server(const Engine& engine, BeastServerOptions options, std::size_t max_host_calls, bool calls_application)
      : engine_(engine.share()),
        host_(std::make_shared<PythonHost>(max_host_calls)),
        base_path_(options.base_path),
        has_metrics_(options.metrics != MetricsAccess::nobody),
        server_(std::make_shared<BeastServer>(*engine_, *host_, std::move(options))) {
    if (!calls_application) return;
    server_->fallback([host = host_.get()](HttpRequest request,
                                           HttpRespond respond) { host->http(std::move(request), std::move(respond)); },
                      BeastServer::FallbackMethods::all);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (since_fork_.same_process()) {
      end(milliseconds{0});
    } else {
      abandon(std::move(server_));
      abandon(std::move(host_));
      abandon(std::move(engine_));
    }
  }

  void answer_at(const Queue& queue, std::uint64_t token, std::uint64_t http_token) {
    host_->answer_at(queue, token, http_token);
  }

  void start() {
    running();
    // Shared: another thread may end the server meanwhile.
    const error_code failed = without_gil([server = server_]() mutable {
      const error_code outcome = server->start();
      server.reset();
      return outcome;
    });
    if (!failed) return;
    // Started before, or ended.
    if (failed.category() == make_error_code(errc::closed).category()) {
      throw Failure{describe(failed).code, "the server was started before, or has ended"};
    }
    // The system's own words and number, as for any other server.
    errno = failed.value();
    PyErr_SetFromErrno(PyExc_OSError);
    throw py::error_already_set();
  }

  std::uint16_t port() const { return running().port(); }
  std::string metrics() const { return running().metrics(); }
  // Also after the server has ended: the paths of the chat and of the application stay the same.
  bool serves(const py::bytes& target) const {
    since_fork_.check("server");
    const std::string_view asked(target);
    return BeastServer::serves(asked, base_path_) &&
           (has_metrics_ || asked.substr(0, asked.find('?')) != base_path_ + "/metrics");
  }

  void handle(const Queue& queue, std::uint64_t token, std::string method, const py::bytes& target,
              const Headers& headers, const py::bytes& body, std::string remote_address, bool is_secure,
              std::uint64_t context) {
    HttpRequest request = to_request(std::move(method), target, headers, std::move(remote_address), is_secure, context);
    request.body = std::string(body);
    running().handle(std::move(request), [queue, token](HttpResponse response) {
      queue->put({token, std::move(response)});
    });
  }

  ExternalSocket open_socket(std::shared_ptr<PythonConnection> connection, const py::bytes& target,
                             const Headers& headers, std::string remote_address, bool is_secure,
                             std::uint64_t context) {
    HttpRequest request = to_request("GET", target, headers, std::move(remote_address), is_secure, context);
    return running().open_socket(std::move(request), std::move(connection));
  }

  // Stops the server and ends it; gives the GIL away meanwhile. Idempotent.
  void end(milliseconds grace) {
    since_fork_.check("server");
    std::shared_ptr<BeastServer> ending = std::exchange(server_, nullptr);
    std::shared_ptr<ChatEngine> engine = std::exchange(engine_, nullptr);
    if (!ending) return;
    without_gil([&] {
      ending->stop(grace);
      ending.reset();
      engine.reset();
    });
  }

 private:
  BeastServer& running() const {
    since_fork_.check("server");
    if (!server_) throw Failure{errc::closed, "the server has ended"};
    return *server_;
  }

  SinceFork since_fork_;
  // Kept until the server has ended, also when another thread closes the engine meanwhile.
  std::shared_ptr<ChatEngine> engine_;
  std::shared_ptr<PythonHost> host_;
  std::string base_path_;
  bool has_metrics_;
  std::shared_ptr<BeastServer> server_;
};

// A socket whose frames Python sends and receives; it ends with its owner.
class Socket {
 public:
  Socket(std::shared_ptr<PythonConnection> connection, ExternalSocket socket)
      : connection_(std::move(connection)), socket_(std::move(socket)) {}
  Socket(Socket&&) noexcept = default;
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (!since_fork_.same_process()) abandon(std::move(socket_));
  }
  ExternalSocket& peer() {
    since_fork_.check("socket");
    return socket_;
  }
  // Acknowledges so many batches, and gives what is to be done next; see PythonConnection.
  py::object take(std::size_t sent) {
    ExternalSocket& acknowledged = peer();
    if (sent > 0) acknowledged.acknowledge(sent);
    return connection_->take();
  }
  // Its peer has gone. Nothing in a forked child, where coroutines of the parent are only cleared away.
  void closed() {
    if (since_fork_.same_process()) socket_.closed();
  }

 private:
  SinceFork since_fork_;
  std::shared_ptr<PythonConnection> connection_;
  ExternalSocket socket_;
};

}  // namespace

void bind_server(py::module_& module) {
  module.attr("default_max_body_bytes") = default_max_body_bytes;
  py::class_<Socket>(module, "Socket", "A WebSocket whose frames Python has.")
      .def("take", &Socket::take, py::arg("sent"))
      .def(
          "receive_text", [](Socket& socket, py::handle text) { socket.peer().receive_text(to_text(text, "text")); },
          py::arg("text"))
      .def("receive_binary", [](Socket& socket) { socket.peer().receive_binary(); })
      .def("closed", &Socket::closed);
  py::class_<Server>(module, "Server", "The HTTP and WebSocket server on an engine.")
      .def(py::init(
               [](const Engine& engine, std::size_t max_host_calls, bool calls_application, const py::kwargs& options) {
                 return std::make_unique<Server>(engine, to_options(options), max_host_calls, calls_application);
               }),
           py::arg("engine"), py::arg("max_host_calls"), py::arg("calls_application"), py::keep_alive<1, 2>())
      .def("answer_at", &Server::answer_at, py::arg("queue"), py::arg("token"), py::arg("http_token"))
      .def("start", &Server::start)
      .def("port", &Server::port)
      .def("metrics", &Server::metrics)
      .def("serves", &Server::serves, py::arg("target"))
      .def("handle", &Server::handle)
      .def("open_socket",
           [](Server& self, const Queue& queue, std::uint64_t token, const py::bytes& target, const Headers& headers,
              std::string remote_address, bool is_secure, std::uint64_t context) {
             const auto connection = std::make_shared<PythonConnection>(queue, token);
             return Socket(connection, self.open_socket(connection, target, headers, std::move(remote_address),
                                                        is_secure, context));
           })
      .def("end", &Server::end, py::arg("grace"));
}

}  // namespace travelchat::python
