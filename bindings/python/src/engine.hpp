// A ChatEngine that Python owns, and what it gives out.
//
// Everything here is called under the GIL. It is released while the engine works or waits: opening, closing. Calls that
// only pass a command on keep it: they take less time than a release would.
#pragma once

#include "arrival_queue.hpp"
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

// A backplane, until an engine takes it.
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
  // Throws RuntimeError in a forked child and `errc::closed` after `close`. Valid until the GIL is released or Python
  // code runs, either of which may close the engine: so a call reads its arguments first (their iterators and
  // properties are the caller's code) and takes the engine last.
  ChatEngine& running() const;
  // Shared ownership, for objects that keep using the engine: it lives on after `close` until the last share is
  // dropped. Release the GIL to drop one, since that may join the engine's threads.
  std::shared_ptr<ChatEngine> share() const;

 private:
  SinceFork since_fork_;
  std::shared_ptr<ChatEngine> engine_;
};

void bind_engine(py::module_& module);

}  // namespace travelchat::python
