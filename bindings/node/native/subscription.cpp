#include "subscription.hpp"

#include "wire/wire.hpp"

#include <utility>

namespace travelchat::node {

// ---- EventQueue ----

void EventQueue::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  const std::scoped_lock lock(mutex_);
  if (ended_) return;
  if (queued_ + batch->events().size() > max_queued_) {
    ended_ = errc::too_slow;
  } else {
    for (const Event& event : batch->events()) {
      if (!events_.empty()) events_ += ',';
      wire::append(event, events_);
    }
    queued_ += batch->events().size();
  }
  wake_up();
}

void EventQueue::close(errc reason) noexcept {
  const std::scoped_lock lock(mutex_);
  if (ended_) return;
  ended_ = reason;
  wake_up();
}

void EventQueue::wake_up() {
  if (!std::exchange(sleeps_, false)) return;
  loop_->post([wake = wake_](Loop& loop, Napi::Env) {
    if (const auto* function = loop.listener(wake)) function->Call({});
  });
}

std::string EventQueue::take() {
  const std::scoped_lock lock(mutex_);
  if (events_.empty()) {
    sleeps_ = !ended_;
    return {};
  }
  std::string all = "[";
  all += events_;
  all += ']';
  events_.clear();
  queued_ = 0;
  return all;
}

std::optional<errc> EventQueue::ended() const {
  const std::scoped_lock lock(mutex_);
  return events_.empty() ? ended_ : std::nullopt;
}

// ---- Listener ----

Napi::Function Listener::define(Napi::Env env) {
  return DefineClass(env, "Listener",
                     {InstanceMethod("take", &Listener::take), InstanceMethod("setTyping", &Listener::set_typing),
                      InstanceMethod("close", &Listener::close)});
}

Listener::Listener(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Listener>(info) {}

Listener::~Listener() {
  if (loop_) loop_->unlisten(wake_);
}

void Listener::begin(std::shared_ptr<Loop> loop, std::uint64_t wake, std::shared_ptr<EventQueue> queue,
                     Subscription subscription) {
  loop_ = std::move(loop);
  wake_ = wake;
  queue_ = std::move(queue);
  subscription_ = std::move(subscription);
}

// take(): text, null when nothing is there, or the name of the error that ended it behind a "!".
Napi::Value Listener::take(const Napi::CallbackInfo& info) {
  if (!queue_) return Napi::String::New(info.Env(), "!closed");
  const std::string events = queue_->take();
  if (!events.empty()) return Napi::String::New(info.Env(), events);
  const auto ended = queue_->ended();
  if (!ended) return info.Env().Null();
  return Napi::String::New(info.Env(), "!" + std::string(describe(*ended).name));
}

void Listener::set_typing(const Napi::CallbackInfo& info) {
  subscription_.set_typing(info[0].ToBoolean());
}

void Listener::close(const Napi::CallbackInfo&) {
  subscription_.reset();
  if (loop_) loop_->unlisten(wake_);
  loop_.reset();
  queue_.reset();
}

void start_subscription(const std::shared_ptr<EngineState>& state, const Arguments& args, Napi::Function wake,
                        Napi::Function done) {
  const auto loop = state->loop().shared_from_this();
  const auto max_queued = static_cast<std::size_t>(args.number("maxQueued"));
  const auto org_id = args.optional_string("orgId");
  Participant listener;
  Uuid conversation_id;
  SubscribeOptions options;
  if (!org_id) {
    listener = args.participant("participant");
    options.since_rev = args.optional_number("since");
    conversation_id = args.uuid("conversationId");
  }
  const std::uint64_t wake_id = loop->listen(wake);
  const std::uint64_t done_id = loop->keep(done);
  auto queue = std::make_shared<EventQueue>(loop, wake_id, max_queued);
  const auto opened = [loop, wake_id, done_id, queue](result<Subscription> outcome) {
    auto box = std::make_shared<result<Subscription>>(std::move(outcome));
    loop->post([box, wake_id, done_id, queue](Loop& here, Napi::Env env) {
      const Napi::FunctionReference function = here.take(done_id);
      if (function.IsEmpty()) return;
      if (!*box) {
        here.unlisten(wake_id);
        function.Call({Napi::String::New(env, std::string(describe(box->error()).name)), env.Undefined()});
        return;
      }
      const Napi::Object object = here.listener_class.New({});
      Listener::Unwrap(object)->begin(here.shared_from_this(), wake_id, queue, std::move(**box));
      function.Call({env.Null(), object});
    });
  };
  if (org_id)
    state->engine().async_subscribe_inbox(*org_id, queue, opened);
  else
    state->engine().async_subscribe(std::move(listener), conversation_id, queue, options, opened);
}

}  // namespace travelchat::node
