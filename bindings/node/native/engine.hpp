// The native objects behind the package's `ChatEngine` and `Subscription`.
#pragma once

#include "loop.hpp"

#include <travelchat/engine.hpp>

#include <napi.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace travelchat {
class BeastServer;
struct HttpRequest;
}  // namespace travelchat

namespace travelchat::node {

class JsHost;

// What an engine is made of.
struct StorageAndBackplane {
  std::unique_ptr<Storage> storage;
  std::unique_ptr<Backplane> backplane;  // null: nobody else writes to the storage
};

// Owns the engine and the server on it, if there is one, and shuts them down. Shared by the JavaScript objects and the
// loop.
class EngineState final : public Ending, public std::enable_shared_from_this<EngineState> {
 public:
  EngineState(std::shared_ptr<Loop> loop, StorageAndBackplane parts, const EngineOptions& options);
  ~EngineState() override;

  Loop& loop() const noexcept { return *loop_; }
  // Until it is closed.
  ChatEngine& engine() noexcept { return *engine_; }
  bool has_other_writers() const noexcept { return has_other_writers_; }
  // Null: none. JavaScript's thread, as everything below.
  BeastServer* server() const noexcept { return server_.get(); }
  void serve(std::unique_ptr<JsHost> host, std::unique_ptr<BeastServer> server);
  // Null: nothing was served yet.
  JsHost* host() const noexcept { return host_.get(); }

  // Tasks for the engine's threads, which `flush` posts together: one wake-up for all of them.
  void defer(std::function<void()> task) { deferred_.push_back(std::move(task)); }
  void flush();

  bool is_closed() const noexcept { return closing_ || loop_->has_ended(); }

  // Stops the server and closes the engine on a thread of its own, since pending operations may need JavaScript's
  // thread to complete; then calls the kept function `done`, if there is one.
  void close(std::chrono::milliseconds grace, std::uint64_t done);
  void end() noexcept override;

 private:
  // The server first, which uses the engine. The storage is closed with the engine, so that another engine can open it.
  void shut_down(std::chrono::milliseconds grace) noexcept;

  std::shared_ptr<Loop> loop_;
  const bool has_other_writers_;
  std::unique_ptr<ChatEngine> engine_;
  std::unique_ptr<JsHost> host_;
  std::unique_ptr<BeastServer> server_;
  std::vector<std::function<void()>> deferred_;
  std::thread closer_;
  bool closing_ = false;
};

class Engine final : public Napi::ObjectWrap<Engine> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Engine(const Napi::CallbackInfo& info);
  ~Engine() override;

 private:
  void invoke(const Napi::CallbackInfo& info);
  void subscribe(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  void refresh(const Napi::CallbackInfo& info);
  void end_session(const Napi::CallbackInfo& info);

  void serve(const Napi::CallbackInfo& info);
  Napi::Value metrics(const Napi::CallbackInfo& info);
  void handle(const Napi::CallbackInfo& info);
  void answer(const Napi::CallbackInfo& info);
  void flush(const Napi::CallbackInfo& info);
  Napi::Value adopt(const Napi::CallbackInfo& info);
  Napi::Value bridge(const Napi::CallbackInfo& info);

  void require_open(const Napi::CallbackInfo& info) const;
  BeastServer& server(const Napi::CallbackInfo& info) const;
  HttpRequest to_upgrade(const Napi::CallbackInfo& info, std::size_t at) const;

  std::shared_ptr<EngineState> state_;
  // Set while there is a server.
  std::optional<Listening> respond_;
  std::optional<Listening> forget_;
};

// Calls `done(errorName, json)`, a kept function, on JavaScript's thread. Any thread.
void settle(Loop& loop, std::uint64_t done, const error_code& error, std::string json);

}  // namespace travelchat::node
