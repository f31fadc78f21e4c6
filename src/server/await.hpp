// Coroutines of the server: they start at once, own themselves, and run on one event loop's thread.
//
// Asio's own awaitables would do, at the price of an executor hop and several allocations for each request.
#pragma once

#include "server/chat_loop.hpp"
#include "server/chat_server.hpp"

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
#include <string>
#include <string_view>
#include <utility>

namespace travelchat::server {

// An exception ends the coroutine and is logged. The request or socket that it held is destroyed with it and so
// answered: a request with 500, a socket with its close code.
struct DetachedTask {
  class promise_type {
   public:
    // The parameters of the coroutine, of which one is a loop or has one.
    template <class... Parameters>
    explicit promise_type(Parameters&... parameters) noexcept {
      (look_at(parameters), ...);
    }
    DetachedTask get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept {
      if (server_ != nullptr) server_->logger().caught("handler_threw", "request");
    }

   private:
    void look_at(ChatLoop& loop) noexcept { server_ = &loop.server(); }
    template <class T>
    void look_at(T& parameter) noexcept {
      if constexpr (requires { look_at(parameter.loop()); }) look_at(parameter.loop());
      if constexpr (requires { look_at(parameter->loop()); }) look_at(parameter->loop());
    }

    ChatServer* server_ = nullptr;
  };
};

// `co_await ask_engine<T>(loop, [&](auto handler) { engine.async_...(..., std::move(handler)); })`
template <class T, class Start>
class EngineAwaiter {
 public:
  EngineAwaiter(ChatLoop& loop, Start start) : loop_(loop), start_(std::move(start)) {}

  bool await_ready() const noexcept { return false; }

  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    starting_ = true;
    try {
      start_(boost::asio::bind_executor(loop_.executor(), Resume(this)));
    } catch (...) {
      loop_.server().logger().caught("engine_threw", "call");
      value_.emplace(errc::internal);
    }
    starting_ = false;
    return !value_;
  }

  result<T> await_resume() { return std::move(*value_); }

 private:
  // Owns the waiting coroutine: a handler that is destroyed uncalled destroys the coroutine.
  class Resume {
   public:
    explicit Resume(EngineAwaiter* await) noexcept : await_(await) {}
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
      EngineAwaiter& await = *std::exchange(await_, nullptr);
      await.value_.emplace(std::move(value));
      if (!await.starting_) await.waiting_.resume();
    }

   private:
    EngineAwaiter* await_;
  };

  ChatLoop& loop_;
  Start start_;
  std::coroutine_handle<> waiting_;
  std::optional<result<T>> value_;
  bool starting_ = false;
};

template <class T, class Start>
EngineAwaiter<T, Start> ask_engine(ChatLoop& loop, Start start) {
  return {loop, std::move(start)};
}

// `co_await admit_token(loop, token)`: the claims of a chat token that is live, and whose share link holds.
// `errc::unauthenticated`; else what the storage or the host could not say.
inline auto admit_token(ChatLoop& loop, std::string token) {
  return ask_engine<TokenClaims>(loop, [&loop, token = std::move(token)](auto handler) {
    auto then_ask_host = [&loop, token, handler = std::move(handler)](result<TokenClaims> claims) mutable {
      const auto parsed = ChatToken::parse(token);
      if (!claims || !parsed) return handler(claims ? result<TokenClaims>(errc::unauthenticated) : std::move(claims));
      LinkClaim link{*parsed, claims->org_id, claims->client_id, claims->trip_id};
      const auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
      loop.credentials().check_link(std::move(link), [waiting, found = std::move(*claims)](const result<bool>& holds) {
        if (!holds)
          (*waiting)(result<TokenClaims>(holds.error()));
        else if (!*holds)
          (*waiting)(result<TokenClaims>(errc::unauthenticated));
        else
          (*waiting)(result<TokenClaims>(found));
      });
    };
    loop.server().engine().async_authenticate_token(
        token, boost::asio::bind_executor(loop.executor(), std::move(then_ask_host)));
  });
}

// One call to the host. The coroutine belongs to the loop's list until the answer is there, so that a stopping server
// can end it although the host still holds the reply.
template <class T>
class HostCall final : public PendingCall, public std::enable_shared_from_this<HostCall<T>> {
 public:
  // `subject` ends with the coroutine.
  HostCall(ChatLoop& loop, std::string_view subject, std::coroutine_handle<> waiting, std::optional<result<T>>& value)
      : loop_(loop),
        subject_(subject),
        run_state_(loop.server().run_state()),
        thread_(std::this_thread::get_id()),
        waiting_(waiting),
        value_(&value) {
    if (const auto timeout = loop_.server().chat_options().host_timeout; timeout.count() > 0) {
      deadline_ = std::chrono::steady_clock::now() + timeout;
    }
    loop_.add(*this);
  }

  // Any thread; only the first answer counts.
  void reply(result<T> value) { answer(std::move(value), false); }
  // The host has destroyed its reply without calling it.
  void drop() { answer(errc::internal, true); }

  void started() noexcept { starting_ = false; }

  void tick(http::SteadyTime now) override {
    if (now < deadline_) return;
    // Another thread may destroy the reply, and with it the last reference to this.
    const auto self = this->shared_from_this();
    if (replied_.exchange(true)) return;
    tell("host_silent");
    finish(errc::overloaded);
  }

  void abandon() override {
    const auto waiting = std::exchange(waiting_, nullptr);
    loop_.remove(*this);
    waiting.destroy();
  }

 private:
  void answer(result<T> value, bool is_dropped) {
    if (replied_.exchange(true)) return;
    auto finish_here = [self = this->shared_from_this(), value = std::move(value), is_dropped]() mutable {
      if (is_dropped) self->tell("host_dropped");
      self->finish(std::move(value));
    };
    if (std::this_thread::get_id() == thread_) {
      finish_here();
    } else {
      run_state_->if_running([&] { boost::asio::post(loop_.context(), std::move(finish_here)); });
    }
  }

  // Only while the coroutine waits.
  void tell(std::string_view event) const noexcept {
    if (waiting_) loop_.server().logger().write(LogLevel::error, event, subject_);
  }

  void finish(result<T> value) {
    if (!waiting_) return;
    const auto waiting = std::exchange(waiting_, nullptr);
    loop_.remove(*this);
    value_->emplace(std::move(value));
    if (!starting_) waiting.resume();
  }

  ChatLoop& loop_;
  std::string_view subject_;
  std::shared_ptr<http::RunState> run_state_;
  std::thread::id thread_;
  std::coroutine_handle<> waiting_;
  std::optional<result<T>>* value_;
  http::SteadyTime deadline_ = http::SteadyTime::max();
  std::atomic<bool> replied_{false};
  bool starting_ = true;
};

// `co_await ask_host<T>(loop, "find_...", [&](Host& host, Reply<T> reply) { host.find_...(..., std::move(reply)); })`
// `subject`, which outlives it, is what the log calls it.
// `errc::overloaded` when there is no answer within `BeastServerOptions::host_timeout`; a later one is dropped.
template <class T, class Start>
class HostAwaiter {
 public:
  HostAwaiter(ChatLoop& loop, std::string_view subject, Start start)
      : loop_(loop), subject_(subject), start_(std::move(start)) {}

  bool await_ready() {
    if (!loop_.was_aborted()) return false;
    value_.emplace(errc::closed);
    return true;
  }

  bool await_suspend(std::coroutine_handle<> waiting) {
    const auto call = std::make_shared<HostCall<T>>(loop_, subject_, waiting, value_);
    // A reply that is destroyed uncalled counts as an answer, unless `start_` throws: then the exception is the answer.
    auto notice = std::make_shared<DropNotice>(call);
    try {
      start_(loop_.server().host(), Reply<T>([notice](result<T> value) { notice->call->reply(std::move(value)); }));
    } catch (...) {
      loop_.server().logger().caught("host_threw", subject_);
      call->reply(errc::internal);
    }
    notice.reset();
    call->started();
    return !value_;
  }

  result<T> await_resume() { return std::move(*value_); }

 private:
  // Tells the call when the last copy of the reply is destroyed.
  struct DropNotice {
    explicit DropNotice(std::shared_ptr<HostCall<T>> of) : call(std::move(of)) {}
    DropNotice(const DropNotice&) = delete;
    DropNotice& operator=(const DropNotice&) = delete;
    ~DropNotice() { call->drop(); }
    std::shared_ptr<HostCall<T>> call;
  };

  ChatLoop& loop_;
  std::string_view subject_;
  Start start_;
  std::optional<result<T>> value_;
};

template <class T, class Start>
HostAwaiter<T, Start> ask_host(ChatLoop& loop, std::string_view subject, Start start) {
  return {loop, subject, std::move(start)};
}

}  // namespace travelchat::server
