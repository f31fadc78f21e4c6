// The members of Engine that hand over what Node's HTTP server has received.
#include "engine.hpp"
#include "host.hpp"
#include "values.hpp"

#include <travelchat/beast_server.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>

namespace travelchat::node {
namespace {

Napi::Value name_of(Napi::Env env, const error_code& error) {
  if (!error) return env.Null();
  return Napi::String::New(env, std::string(describe(error).name));
}

// A string with one byte in each character.
Napi::Value to_text(Napi::Env env, const std::string& bytes) {
  napi_value text = nullptr;
  if (napi_create_string_latin1(env, bytes.data(), bytes.size(), &text) != napi_ok) {
    throw Napi::Error::New(env, "an answer is longer than a string can be");
  }
  return {env, text};
}

}  // namespace

BeastServer& Engine::server(const Napi::CallbackInfo& info) const {
  require_open(info);
  if (state_->server() == nullptr) throw Napi::Error::New(info.Env(), "this engine serves nothing yet");
  return *state_->server();
}

// serve(options, ask, respond, forget): respond(request, status, headers, body), the headers as `to_request` has them
// and the body as bytes in characters; forget(request), for one that was handed over with `adopt` or `bridge`.
void Engine::serve(const Napi::CallbackInfo& info) {
  require_open(info);
  const auto loop = state_->loop().shared_from_this();
  BeastServerOptions options = to_server_options(info[0]);
  auto host = std::make_unique<JsHost>(*state_, info[1].As<Napi::Function>(), options.host_timeout);
  // Reading the options may have run JavaScript that closed the engine or served it.
  require_open(info);
  if (state_->server() != nullptr) throw Napi::Error::New(info.Env(), "this engine is served already");
  std::unique_ptr<BeastServer> made;
  try {
    made = std::make_unique<BeastServer>(state_->engine(), *host, std::move(options));
  } catch (const OptionError& refused) {
    throw Napi::TypeError::New(info.Env(), to_sentence(refused));
  } catch (const boost::system::system_error& error) {
    throw Napi::TypeError::New(info.Env(), error.what());
  }
  // It listens to nothing, so nothing can fail.
  (void)made->start();
  state_->serve(std::move(host), std::move(made));
  respond_.emplace(loop, info[2].As<Napi::Function>());
  forget_.emplace(loop, info[3].As<Napi::Function>());
}

Napi::Value Engine::metrics(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), server(info).metrics());
}

// handle(number, method, ...): see `to_request`; begins with the next `flush`. Then `respond` is called with the
// number.
void Engine::handle(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  const auto number = static_cast<std::uint64_t>(info[0].As<Napi::Number>().Int64Value());
  HttpRequest request = to_request(info, 1);
  request.context = to_context(number);
  const auto loop = state_->loop().shared_from_this();
  loop->hold();
  auto respond = [loop, listener = *respond_, number](HttpResponse response) {
    loop->post([listener, number, response = std::move(response)](Loop& here, Napi::Env env) {
      here.release();
      const Napi::FunctionReference* function = listener.function();
      if (function == nullptr) return;
      std::string lines;
      for (const auto& [name, value] : response.headers) {
        if (!lines.empty()) lines += '\n';
        lines.append(name).append(1, '\n').append(value);
      }
      const std::string& body = response.shared_body ? *response.shared_body : response.body;
      function->Call({Napi::Number::New(env, static_cast<double>(number)), Napi::Number::New(env, response.status),
                      to_text(env, lines), to_text(env, body)});
    });
  };
  state_->defer([&to, request = std::move(request), respond = std::move(respond)]() mutable {
    to.handle(std::move(request), std::move(respond));
  });
}

void Engine::answer(const Napi::CallbackInfo& info) {
  if (state_->host() != nullptr) state_->host()->answer(info);
}

void Engine::flush(const Napi::CallbackInfo&) {
  state_->flush();
}

// adopt(descriptor, number, method, ...): see `to_request`, where the body is what was read behind the request. Gives
// the name of an error, or null. The descriptor is duplicated and stays the caller's.
Napi::Value Engine::adopt(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  HttpRequest request = to_upgrade(info, 1);
  const int copy = ::fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return name_of(info.Env(), make_error_code(errc::overloaded));
  std::string head = std::exchange(request.body, {});
  return name_of(info.Env(), to.adopt(copy, std::move(request), std::move(head)));
}

// bridge(number, method, ...): as adopt, on one end of a new pair of sockets; gives the other end, or the name of an
// error.
Napi::Value Engine::bridge(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  HttpRequest request = to_upgrade(info, 0);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return name_of(info.Env(), make_error_code(errc::overloaded));
  }
  std::string head = std::exchange(request.body, {});
  if (const error_code error = to.adopt(ends[0], std::move(request), std::move(head))) {
    ::close(ends[1]);
    return name_of(info.Env(), error);
  }
  return Napi::Number::New(info.Env(), ends[1]);
}

HttpRequest Engine::to_upgrade(const Napi::CallbackInfo& info, std::size_t at) const {
  HttpRequest request = to_request(info, at + 1);
  request.context = to_context(static_cast<std::uint64_t>(info[at].As<Napi::Number>().Int64Value()),
                               state_->loop().shared_from_this(), *forget_);
  return request;
}

}  // namespace travelchat::node
