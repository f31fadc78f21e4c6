// What the addon exports; the package in src/ is its only user.
#include "engine.hpp"
#include "loop.hpp"
#include "subscription.hpp"
#include "values.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/error.hpp>
#include <travelchat/text_search.hpp>

#include <napi.h>

#include <string>

namespace travelchat::node {
namespace {

// [{code, status, closeCode, message}, ...]
Napi::Value errors(const Napi::CallbackInfo& info) {
  const auto table = Napi::Array::New(info.Env());
  for (const ErrorInfo& error : error_table()) {
    auto row = Napi::Object::New(info.Env());
    row.Set("code", std::string(error.name));
    row.Set("status", error.http_status);
    row.Set("closeCode", error.close_code);
    row.Set("message", std::string(error.message));
    table.Set(table.Length(), row);
  }
  return table;
}

// Whether a request target is the chat's.
Napi::Value serves(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), BeastServer::serves(std::string(info[0].As<Napi::String>()),
                                                            std::string(info[1].As<Napi::String>())));
}

Napi::Value fold(const Napi::CallbackInfo& info) {
  const auto text = to_text(info[0].As<Napi::String>());
  if (!text) throw Napi::TypeError::New(info.Env(), std::string("text must be ") + well_formed);
  return Napi::String::New(info.Env(), fold_text(*text));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  const auto loop = Loop::of(env);
  loop->listener_class = Napi::Persistent(Listener::define(env));
  exports.Set("Engine", Engine::define(env));
  exports.Set("errors", Napi::Function::New(env, errors));
  exports.Set("defaultMaxBodyBytes", Napi::Number::New(env, static_cast<double>(default_max_body_bytes)));
  exports.Set("serves", Napi::Function::New(env, serves));
  exports.Set("foldText", Napi::Function::New(env, fold));
  exports.Set("hold", Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Loop::of(info.Env())->hold(); }));
  exports.Set("release",
              Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Loop::of(info.Env())->release(); }));
  // Called when the process exits: the threads must end before static C++ objects are destroyed.
  exports.Set("end", Napi::Function::New(env, [](const Napi::CallbackInfo& info) { Loop::of(info.Env())->end(); }));
  return exports;
}

}  // namespace
}  // namespace travelchat::node

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  return travelchat::node::init(env, exports);
}
NODE_API_MODULE(travelchat, initialize)
