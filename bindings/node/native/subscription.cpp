#include "subscription.hpp"

#include <travelchat/wire.hpp>

#include <utility>
#include <variant>

namespace travelchat::node {

// ---- EventQueue ----

void EventQueue::deliver(const std::shared_ptr<const EventBatch>& batch) noexcept {
  const std::scoped_lock lock(mutex_);
  if (ended_) return;
  for (const Event& event : batch->events()) newest_.note(event);
  if (queued_ + batch->events().size() > max_queued_) {
    events_.clear();
    queued_ = 0;
    for (const Event& event : newest_.events()) append(event);
  } else {
    for (const Event& event : batch->events()) append(event);
  }
  wake_up();
}

void EventQueue::append(const Event& event) {
  if (!events_.empty()) events_ += ',';
  if (const auto* updated = std::get_if<ConversationUpdated>(&event)) {
    // As `listConversations` gives it: the wire's row has further members, which only a host can fill in.
    JsonObject object(events_);
    object.add("type", "conversation_update");
    append_summary(updated->summary, object.key("conversation"));
  } else {
    wire::append(event, events_);
  }
  ++queued_;
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

void start_subscription(const std::shared_ptr<EngineState>& state, const Arguments& args, bool is_inbox,
                        Napi::Function wake, Napi::Function done) {
  const auto loop = state->loop().shared_from_this();
  const auto max_queued = static_cast<std::size_t>(args.number("maxQueued"));
  std::optional<std::string> org_id;
  std::optional<Participant> listener;  // empty: a program that reads everything
  Uuid conversation_id;
  SubscribeOptions options;
  if (is_inbox) {
    org_id = args.string("orgId");
  } else {
    if (args.has("as")) listener = args.participant("as");
    options.since_rev = args.optional_number("since");
    options.epoch = args.optional_epoch("epoch");
    conversation_id = args.uuid("conversationId");
    if (listener) args.require_none(find_problem(*listener), "as");
  }
  // Reading the arguments may have run JavaScript that closed the engine.
  if (state->is_closed()) throw Refused{errc::closed, "the engine is closed"};
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
  ChatEngine& engine = state->engine();
  if (org_id) return engine.async_subscribe_inbox(*org_id, queue, opened);
  if (listener) return engine.async_subscribe(std::move(*listener), conversation_id, queue, options, opened);
  engine.async_find_conversation(conversation_id,
                                 [&engine, queue, options, opened](result<Conversation> found) mutable {
                                   if (!found) return opened(found.error());
                                   Participant program{found->org_id, Role::advisor, "-", {}};
                                   const Uuid id = found->id;
                                   options.known = &*found;
                                   engine.async_subscribe(std::move(program), id, queue, std::move(options), opened);
                                 });
}

}  // namespace travelchat::node
