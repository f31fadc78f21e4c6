#include "loop.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace travelchat::node {
namespace {

// What the environment keeps for the addon.
struct Instance {
  std::shared_ptr<Loop> loop;
};

}  // namespace

std::shared_ptr<Loop> Loop::of(Napi::Env env) {
  auto* instance = env.GetInstanceData<Instance>();
  if (instance == nullptr) {
    instance = new Instance{std::shared_ptr<Loop>(new Loop(env))};
    env.SetInstanceData<Instance>(instance);
    // Hooks run in reverse order, so this one runs before the hook of the thread-safe function.
    napi_add_env_cleanup_hook(
        env, [](void* data) { static_cast<Loop*>(data)->end(); }, instance->loop.get());
  }
  return instance->loop;
}

Loop::Loop(Napi::Env env) : env_(env) {
  const auto name = Napi::String::New(env, "travelchat");
  const napi_status status = napi_create_threadsafe_function(
      env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
      [](napi_env with, napi_value, void* context, void*) {
        // Null: the environment ends, and `end` has run.
        if (with != nullptr) static_cast<Loop*>(context)->drain(with);
      },
      &wake_);
  if (status != napi_ok) throw Napi::Error::New(env, "travelchat: the event loop cannot be reached");
  napi_unref_threadsafe_function(env, wake_);
}

Loop::~Loop() = default;

bool Loop::post(Task task) {
  const std::scoped_lock lock(mutex_);
  if (closed_) return false;
  tasks_.push_back(std::move(task));
  if (!woken_) {
    woken_ = true;
    // Called under the lock, so that `end` cannot free `wake_` meanwhile; it only appends to a queue.
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }
  return true;
}

void Loop::drain(Napi::Env env) {
  std::vector<Task> tasks;
  {
    const std::scoped_lock lock(mutex_);
    tasks.swap(tasks_);
    woken_ = false;
  }
  const auto self = shared_from_this();
  for (Task& task : tasks) {
    if (ended_) return;
    const Napi::HandleScope scope(env);
    try {
      task(*this, env);
    } catch (const Napi::Error& error) {
      napi_fatal_exception(env, error.Value());
    } catch (const std::exception& error) {
      napi_fatal_exception(env, Napi::Error::New(env, error.what()).Value());
    }
  }
}

std::uint64_t Loop::keep(Napi::Function function) {
  const std::uint64_t id = ++next_id_;
  kept_.emplace(id, Napi::Persistent(function));
  hold();
  return id;
}

Napi::FunctionReference Loop::take(std::uint64_t id) {
  const auto it = kept_.find(id);
  if (it == kept_.end()) return {};
  Napi::FunctionReference function = std::move(it->second);
  kept_.erase(it);
  release();
  return function;
}

std::uint64_t Loop::listen(Napi::Function function) {
  const std::uint64_t id = ++next_id_;
  listeners_.emplace(id, Napi::Persistent(function));
  return id;
}

void Loop::unlisten(std::uint64_t id) noexcept {
  listeners_.erase(id);
}

const Napi::FunctionReference* Loop::listener(std::uint64_t id) const {
  const auto it = listeners_.find(id);
  return it == listeners_.end() ? nullptr : &it->second;
}

std::uint64_t Loop::expect(std::function<void()> give_up) {
  const std::uint64_t id = ++next_id_;
  expected_.emplace(id, std::move(give_up));
  hold();
  return id;
}

void Loop::met(std::uint64_t id) noexcept {
  if (expected_.erase(id) > 0) release();
}

void Loop::hold() {
  if (holds_++ == 0 && !ended_) napi_ref_threadsafe_function(env_, wake_);
}

void Loop::release() {
  if (--holds_ == 0 && !ended_) napi_unref_threadsafe_function(env_, wake_);
}

void Loop::remove(const Ending& ending) noexcept {
  std::erase_if(endings_, [&](const auto& one) { return one.get() == &ending; });
}

void Loop::end() noexcept {
  if (ended_) return;
  ended_ = true;
  std::vector<Task> dropped;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    dropped.swap(tasks_);
  }
  // Destroying the tasks tells whoever waits for them that they will not run.
  dropped.clear();
  for (const auto& [id, give_up] : std::exchange(expected_, {})) give_up();
  for (const auto& ending : std::exchange(endings_, {})) ending->end();
  kept_.clear();
  listeners_.clear();
  listener_class.Reset();
  napi_release_threadsafe_function(wake_, napi_tsfn_abort);
}

struct Listening::Entry {
  Entry(std::shared_ptr<Loop> on, Napi::Function function) : loop(std::move(on)), id(loop->listen(function)) {}
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    loop->post([number = id](Loop& here, Napi::Env) { here.unlisten(number); });
  }

  std::shared_ptr<Loop> loop;
  std::uint64_t id;
};

Listening::Listening(std::shared_ptr<Loop> loop, Napi::Function function)
    : entry_(std::make_shared<Entry>(std::move(loop), function)) {}

const Napi::FunctionReference* Listening::function() const {
  return entry_->loop->listener(entry_->id);
}

}  // namespace travelchat::node
