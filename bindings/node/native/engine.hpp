// What JavaScript holds of an engine: `Engine` and `Subscription`, thin objects under those of the package.
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

// What an engine stands on.
struct Floor {
  std::unique_ptr<Storage> storage;
  std::unique_ptr<Backplane> backplane;  // null: nobody else writes to the storage
};

// The engine, the server on it if there is one, and their end. Shared by the JavaScript objects and the loop.
class EngineState final : public Ending, public std::enable_shared_from_this<EngineState> {
 public:
  EngineState(std::shared_ptr<Loop> loop, Floor floor, const EngineOptions& options);
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

  // What is to be done on the engine's threads gathers until `flush`, and costs them one wake-up together.
  void defer(std::function<void()> task) { deferred_.push_back(std::move(task)); }
  void flush();

  bool is_closed() const noexcept { return closing_ || loop_->has_ended(); }

  // Stops the server and closes the engine on a thread of its own, since what is carried out to the end may need
  // JavaScript's; then the kept function `done` is called, if there is one.
  void close(std::chrono::milliseconds grace, std::uint64_t done);
  void end() noexcept override;

 private:
  // In the order of who uses whom. With the engine goes its storage, which others may be waiting for.
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
  // With the server.
  std::optional<Listening> respond_;
  std::optional<Listening> forget_;
};

// Calls `done(errorName, json)`, a kept function, on JavaScript's thread. Any thread.
void settle(Loop& loop, std::uint64_t done, const error_code& error, std::string json);

}  // namespace travelchat::node
