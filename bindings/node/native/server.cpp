// The members of Engine that hand over what Node's HTTP server has received.
#include "engine.hpp"
#include "host.hpp"

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

std::string bytes_of(const Napi::Value& value) {
  if (!value.IsBuffer()) return {};
  const auto bytes = value.As<Napi::Buffer<char>>();
  return {bytes.Data(), bytes.Length()};
}

}  // namespace

BeastServer& Engine::server(const Napi::CallbackInfo& info) const {
  require_open(info);
  if (state_->server() == nullptr) throw Napi::Error::New(info.Env(), "this engine serves nothing yet");
  return *state_->server();
}

// serve(options, ask)
void Engine::serve(const Napi::CallbackInfo& info) {
  require_open(info);
  if (state_->server() != nullptr) throw Napi::Error::New(info.Env(), "this engine is served already");
  auto host = std::make_unique<JsHost>(state_->loop().shared_from_this(), info[1].As<Napi::Function>());
  auto made = std::make_unique<BeastServer>(state_->engine(), *host, to_server_options(info[0]));
  // It listens to nothing, so nothing can fail.
  (void)made->start();
  state_->serve(std::move(host), std::move(made));
}

Napi::Value Engine::metrics(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), server(info).metrics());
}

// handle(request, respond): respond(status, [name, value, ...], body)
void Engine::handle(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  const auto loop = state_->loop().shared_from_this();
  HttpRequest request = to_request(loop, info[0]);
  const std::uint64_t respond = loop->keep(info[1].As<Napi::Function>());
  to.handle(std::move(request), [loop, respond](HttpResponse response) {
    loop->post([respond, response = std::move(response)](Loop& here, Napi::Env env) {
      const Napi::FunctionReference function = here.take(respond);
      if (function.IsEmpty()) return;
      const auto headers = Napi::Array::New(env, 2 * response.headers.size());
      std::uint32_t i = 0;
      for (const auto& [name, value] : response.headers) {
        headers.Set(i++, Napi::String::New(env, name));
        headers.Set(i++, Napi::String::New(env, value));
      }
      const std::string& body = response.shared_body ? *response.shared_body : response.body;
      function.Call(
          {Napi::Number::New(env, response.status), headers, Napi::Buffer<char>::Copy(env, body.data(), body.size())});
    });
  });
}

// adopt(descriptor, request, head): the name of an error, or null. The descriptor is duplicated and stays the caller's.
Napi::Value Engine::adopt(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  HttpRequest request = to_request(state_->loop().shared_from_this(), info[1]);
  const int copy = ::fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return name_of(info.Env(), make_error_code(errc::overloaded));
  return name_of(info.Env(), to.adopt(copy, std::move(request), bytes_of(info[2])));
}

// bridge(request, head): as adopt, on one end of a new pair of sockets; gives the other end, or the name of an error.
Napi::Value Engine::bridge(const Napi::CallbackInfo& info) {
  BeastServer& to = server(info);
  HttpRequest request = to_request(state_->loop().shared_from_this(), info[0]);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return name_of(info.Env(), make_error_code(errc::overloaded));
  }
  if (const error_code error = to.adopt(ends[0], std::move(request), bytes_of(info[1]))) {
    ::close(ends[1]);
    return name_of(info.Env(), error);
  }
  return Napi::Number::New(info.Env(), ends[1]);
}

}  // namespace travelchat::node
