// Runs tasks of any thread in one JavaScript environment (the main thread's, or a worker's).
//
// What is posted gathers under a lock, and the event loop is woken once for all of it. Other threads never hold a
// JavaScript value: functions are kept here under a number, and a thread says the number.
//
// One for each environment; shared by everything that posts to it. When the environment ends, whatever is registered as
// `Ending` is ended on its thread, and from then on `post` drops what it is given.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace travelchat::node {

// An object with threads, which must not outlive its environment.
class Ending {
 public:
  virtual ~Ending() = default;
  // Ends the threads and waits for them. JavaScript's thread; nothing that was posted runs any more.
  virtual void end() noexcept = 0;
};

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  using Task = std::function<void(Loop& loop, Napi::Env env)>;

  // Made at the first call in an environment. JavaScript's thread.
  static std::shared_ptr<Loop> of(Napi::Env env);

  ~Loop();

  // Has JavaScript's thread run `task`, in the order of the calls. False: the environment has ended, and `task` is
  // gone. Any thread. A task must not throw anything but Napi::Error, which becomes an uncaught exception.
  bool post(Task task);

  // ---- JavaScript's thread ----

  // Keeps a function that is called once (`take`), and the event loop alive until then.
  std::uint64_t keep(Napi::Function function);
  // Undefined for one that is gone.
  Napi::FunctionReference take(std::uint64_t id);
  // Keeps one that may be called any number of times, and not the event loop.
  std::uint64_t listen(Napi::Function function);
  void unlisten(std::uint64_t id) noexcept;
  // Null when it is gone.
  const Napi::FunctionReference* listener(std::uint64_t id) const;

  // A thread waits for an answer from JavaScript: keeps the event loop alive until `met`. When the environment ends
  // first, `give_up` is called, before anything else ends.
  std::uint64_t expect(std::function<void()> give_up);
  void met(std::uint64_t id) noexcept;

  // Keeps the event loop alive; counted.
  void hold();
  void release();

  // Until `remove`, or the end.
  void add(std::shared_ptr<Ending> ending) { endings_.push_back(std::move(ending)); }
  void remove(const Ending& ending) noexcept;
  bool has_ended() const noexcept { return ended_; }
  // The environment is about to end, or the process.
  void end() noexcept;

  // The class of the native `Listener`.
  Napi::FunctionReference listener_class;

 private:
  explicit Loop(Napi::Env env);
  void drain(Napi::Env env);

  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  std::unordered_map<std::uint64_t, Napi::FunctionReference> kept_;
  std::unordered_map<std::uint64_t, Napi::FunctionReference> listeners_;
  std::unordered_map<std::uint64_t, std::function<void()>> expected_;
  std::vector<std::shared_ptr<Ending>> endings_;
  std::uint64_t next_id_ = 0;
  std::size_t holds_ = 0;
  bool ended_ = false;

  std::mutex mutex_;
  std::vector<Task> tasks_;
  bool woken_ = false;
  bool closed_ = false;
};

// Keeps a JavaScript function callable while a copy of this exists. Made on JavaScript's thread, copied and destroyed
// on any.
class Listening {
 public:
  Listening(std::shared_ptr<Loop> loop, Napi::Function function);
  // Null when it is gone. JavaScript's thread.
  const Napi::FunctionReference* function() const;

 private:
  struct Entry;
  std::shared_ptr<Entry> entry_;
};

}  // namespace travelchat::node
