// Coroutines of the transport: they start at once, belong to nobody, and run on one shard's thread from end to end.
//
// Asio's own awaitables would do, at the price of an executor hop and several allocations for each request.
#pragma once

#include "transport/server.hpp"
#include "transport/shard.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/error.hpp>
#include <travelchat/host.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace travelchat::transport {

// An exception ends the coroutine; whatever it held (an unanswered request, a socket) says so itself when destroyed.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept {}
  };
};

// `co_await ask_engine<T>(shard, [&](auto handler) { engine.async_...(..., std::move(handler)); })`
template <class T, class Start>
class AskEngine {
 public:
  AskEngine(Shard& shard, Start start) : shard_(shard), start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }

  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    starting_ = true;
    try {
      start_(boost::asio::bind_executor(shard_.executor(), Resume(this)));
    } catch (...) {
      value_.emplace(errc::internal);
    }
    starting_ = false;
    return !value_;
  }

  result<T> await_resume() { return std::move(*value_); }

 private:
  // Owns the waiting coroutine: when it is dropped uncalled, the coroutine goes with it.
  class Resume {
   public:
    explicit Resume(AskEngine* await) noexcept : await_(await) {}
    Resume(Resume&& other) noexcept : await_(std::exchange(other.await_, nullptr)) {}
    Resume& operator=(Resume&& other) noexcept {
      std::swap(await_, other.await_);
      return *this;
    }
    ~Resume() {
      if (await_ == nullptr) return;
      if (await_->starting_)
        await_->value_.emplace(errc::internal);
      else
        await_->waiting_.destroy();
    }

    void operator()(result<T> value) {
      AskEngine& await = *std::exchange(await_, nullptr);
      await.value_.emplace(std::move(value));
      if (!await.starting_) await.waiting_.resume();
    }

   private:
    AskEngine* await_;
  };

  Shard& shard_;
  Start start_;
  std::coroutine_handle<> waiting_;
  std::optional<result<T>> value_;
  bool starting_ = false;
};

template <class T, class Start>
AskEngine<T, Start> ask_engine(Shard& shard, Start start) {
  return {shard, std::move(start)};
}

// One call to the host. The coroutine belongs to the shard's list until the answer is there, so that a stopping server
// can end it although the host still holds the reply.
template <class T>
class HostCall final : public PendingCall, public std::enable_shared_from_this<HostCall<T>> {
 public:
  HostCall(Shard& shard, std::coroutine_handle<> waiting, std::optional<result<T>>& value)
      : shard_(shard),
        gate_(shard.server().gate()),
        thread_(std::this_thread::get_id()),
        waiting_(waiting),
        value_(&value) {
    shard_.add(*this);
  }

  // Any thread; the first counts.
  void reply(result<T> value) {
    if (replied_.exchange(true)) return;
    if (std::this_thread::get_id() == thread_) {
      finish(std::move(value));
      return;
    }
    gate_->if_open([&] {
      boost::asio::post(shard_.context(), [self = this->shared_from_this(), value = std::move(value)]() mutable {
        self->finish(std::move(value));
      });
    });
  }

  void started() noexcept { starting_ = false; }

  void abandon() override {
    const auto waiting = std::exchange(waiting_, nullptr);
    shard_.remove(*this);
    waiting.destroy();
  }

 private:
  void finish(result<T> value) {
    if (!waiting_) return;
    const auto waiting = std::exchange(waiting_, nullptr);
    shard_.remove(*this);
    value_->emplace(std::move(value));
    if (!starting_) waiting.resume();
  }

  Shard& shard_;
  std::shared_ptr<Gate> gate_;
  std::thread::id thread_;
  std::coroutine_handle<> waiting_;
  std::optional<result<T>>* value_;
  std::atomic<bool> replied_{false};
  bool starting_ = true;
};

// `co_await ask_host<T>(shard, [&](Host& host, Reply<T> reply) { host.find_...(..., std::move(reply)); })`
template <class T, class Start>
class AskHost {
 public:
  AskHost(Shard& shard, Start start) : shard_(shard), start_(std::move(start)) {}

  bool await_ready() {
    if (!shard_.was_cut()) return false;
    value_.emplace(errc::closed);
    return true;
  }

  bool await_suspend(std::coroutine_handle<> waiting) {
    const auto call = std::make_shared<HostCall<T>>(shard_, waiting, value_);
    try {
      // A reply that the host drops uncalled is an answer too.
      start_(shard_.server().host(), Reply<T>([ticket = std::make_shared<Ticket>(call)](result<T> value) {
               ticket->call->reply(std::move(value));
             }));
    } catch (...) {
      call->reply(errc::internal);
    }
    call->started();
    return !value_;
  }

  result<T> await_resume() { return std::move(*value_); }

 private:
  struct Ticket {
    explicit Ticket(std::shared_ptr<HostCall<T>> of) : call(std::move(of)) {}
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket() { call->reply(errc::internal); }
    std::shared_ptr<HostCall<T>> call;
  };

  Shard& shard_;
  Start start_;
  std::optional<result<T>> value_;
};

template <class T, class Start>
AskHost<T, Start> ask_host(Shard& shard, Start start) {
  return {shard, std::move(start)};
}

}  // namespace travelchat::transport
