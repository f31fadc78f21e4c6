// A ChatEngine that Python owns, and what it gives out.
//
// Everything here is called under the GIL. It is given away where the engine works or waits: opening, closing. What
// only hands a command over keeps it: that takes less time than giving it away would.
#pragma once

#include "doorbell.hpp"
#include "feed.hpp"

#include <travelchat/engine.hpp>

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace travelchat::python {

// A storage of the library's own until an engine takes it.
class NativeStorage {
 public:
  explicit NativeStorage(std::unique_ptr<Storage> storage) : storage_(std::move(storage)) {}
  NativeStorage(NativeStorage&&) noexcept = default;
  NativeStorage& operator=(NativeStorage&&) = delete;
  ~NativeStorage();

  // ValueError when it was taken before, RuntimeError in a forked child.
  void require() const;
  std::unique_ptr<Storage> take();

 private:
  SinceFork since_fork_;
  std::unique_ptr<Storage> storage_;
};

// What wakes the other nodes, until an engine takes it.
class NativeBackplane {
 public:
  explicit NativeBackplane(std::unique_ptr<Backplane> backplane) : backplane_(std::move(backplane)) {}
  NativeBackplane(NativeBackplane&&) noexcept = default;
  NativeBackplane& operator=(NativeBackplane&&) = delete;
  ~NativeBackplane();

  // ValueError when it was taken before, RuntimeError in a forked child.
  void require() const;
  std::unique_ptr<Backplane> take();

 private:
  SinceFork since_fork_;
  std::unique_ptr<Backplane> backplane_;
};

// A listener's place in a room, as long as Python keeps it.
class Listening {
 public:
  explicit Listening(Subscription subscription) : subscription_(std::move(subscription)) {}
  Listening(Listening&&) noexcept = default;
  Listening& operator=(Listening&&) = delete;
  ~Listening();

  void set_typing(bool is_typing);
  void end();

 private:
  SinceFork since_fork_;
  Subscription subscription_;
};

class Engine {
 public:
  // `storage`: a NativeStorage, or an object with the methods of travelchat.Storage. `backplane`: null for a node that
  // is alone.
  Engine(const py::object& storage, NativeBackplane* backplane, EngineOptions options);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // Ends the engine and its storage; gives the GIL away meanwhile. Idempotent.
  void close();
  // Throws RuntimeError in a forked child and `errc::closed` after `close`. Good until the GIL is given away or Python
  // code runs, either of which may close the engine: a call reads its arguments first (their iterators and properties
  // are the caller's code) and takes the engine last.
  ChatEngine& running() const;
  // The same for what stays on the engine: it lives on after `close` until the last share goes. Whoever drops one has
  // given the GIL away, since the engine's threads end with it.
  std::shared_ptr<ChatEngine> share() const;

 private:
  SinceFork since_fork_;
  std::shared_ptr<ChatEngine> engine_;
};

void bind_engine(py::module_& module);

}  // namespace travelchat::python
