// One listener in JavaScript: the shard queues events as text, and JavaScript takes all that wait at once.
#pragma once

#include "engine.hpp"
#include "loop.hpp"
#include "values.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/subscriber.hpp>

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace travelchat::node {

// Filled by the shard and emptied by JavaScript. Bounded by `max_queued` events: at one more, all that wait are
// replaced by a Resync up to the newest revision (and the last typing state, which is not sent again by itself); what
// comes later follows as usual.
class EventQueue final : public Subscriber {
 public:
  EventQueue(std::shared_ptr<Loop> loop, std::uint64_t wake, std::size_t max_queued) noexcept
      : loop_(std::move(loop)), wake_(wake), max_queued_(max_queued) {}

  void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override;
  void close(errc reason) noexcept override;

  // The JSON array of everything that waits. Empty when there is nothing: then the listener is woken when the next
  // event comes.
  std::string take();
  // The error that ended it; nullopt while events still wait or may come.
  std::optional<errc> ended() const;

 private:
  void append(const Event& event);
  void wake_up();

  std::shared_ptr<Loop> loop_;
  std::uint64_t wake_;
  std::size_t max_queued_;
  mutable std::mutex mutex_;
  std::string events_;  // with commas between them
  std::size_t queued_ = 0;
  ResyncPoint newest_;
  std::optional<errc> ended_;
  bool sleeps_ = true;
};

class Listener final : public Napi::ObjectWrap<Listener> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit Listener(const Napi::CallbackInfo& info);
  ~Listener() override;

  void begin(std::shared_ptr<Loop> loop, std::uint64_t wake, std::shared_ptr<EventQueue> queue,
             Subscription subscription);

 private:
  Napi::Value take(const Napi::CallbackInfo& info);
  void set_typing(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<Loop> loop_;
  std::uint64_t wake_ = 0;
  std::shared_ptr<EventQueue> queue_;
  Subscription subscription_;
};

void start_subscription(const std::shared_ptr<EngineState>& state, const Arguments& args, bool is_inbox,
                        Napi::Function wake, Napi::Function done);

}  // namespace travelchat::node
