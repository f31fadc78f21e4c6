// The conformance suite of the storages as an addon, with a storage written in JavaScript as its only backend:
//
//   run(arguments, make, done)
//
// `make()` gives what the package gives the engine for a new, empty ChatStorage: call(method, json, answer). The suite
// runs on a thread of its own, as an engine would; `done(status)` is called with Catch2's exit status.
#include "backends.hpp"

#include "js_storage.hpp"
#include "loop.hpp"
#include "run_catch.hpp"

#include <napi.h>

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using travelchat::node::JsStorageWithUpkeep;
using travelchat::node::Listening;
using travelchat::node::Loop;

// While `run` runs.
struct Run {
  std::shared_ptr<Loop> loop;
  Listening make;
  std::thread thread;
};
std::optional<Run> running;

class JsInstance final : public travelchat::conformance::Instance {
 public:
  JsInstance() {
    std::promise<std::unique_ptr<JsStorageWithUpkeep>> promise;
    auto future = promise.get_future();
    running->loop->post([&promise](Loop& loop, Napi::Env) {
      try {
        const Napi::Value call = running->make.function()->Call({});
        promise.set_value(std::make_unique<JsStorageWithUpkeep>(loop.shared_from_this(), call.As<Napi::Function>()));
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    });
    storage_ = future.get();
  }
  travelchat::Storage& storage() override { return *storage_; }
  bool reopen() override { return false; }

 private:
  std::unique_ptr<JsStorageWithUpkeep> storage_;
};

void run(const Napi::CallbackInfo& info) {
  if (running) throw Napi::Error::New(info.Env(), "it runs already");
  std::vector<std::string> words{"conformance"};
  const auto arguments = info[0].As<Napi::Array>();
  for (std::uint32_t i = 0; i < arguments.Length(); ++i) {
    words.push_back(Napi::Value(arguments.Get(i)).As<Napi::String>());
  }
  const auto loop = Loop::of(info.Env());
  const std::uint64_t done = loop->keep(info[2].As<Napi::Function>());
  running.emplace(Run{loop, Listening(loop, info[1].As<Napi::Function>()), {}});
  running->thread = std::thread([loop, done, words = std::move(words)] {
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    const int status = travelchat::test::run_catch(static_cast<int>(argv.size()), argv.data());
    loop->post([done, status](Loop& here, Napi::Env env) {
      running->thread.join();
      running.reset();
      here.take(done).Call({Napi::Number::New(env, status)});
    });
  });
}

}  // namespace

namespace travelchat::conformance {

std::vector<const Backend*> backends() {
  static const Backend javascript{"javascript", [] { return std::make_unique<JsInstance>(); }};
  return {&javascript};
}

}  // namespace travelchat::conformance

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("run", Napi::Function::New(env, run));
  return exports;
}
NODE_API_MODULE(travelchat_conformance, initialize)
