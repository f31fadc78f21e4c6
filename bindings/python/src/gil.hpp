// Taking and leaving the interpreter's lock.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace travelchat::python {

namespace py = pybind11;

// Runs `work` without the GIL. The GIL is not taken back in a destructor: before 3.14 an ending Python unwinds daemon
// threads that ask for it, and unwinding through a noexcept frame would abort the process.
template <class Work>
auto without_gil(Work work) {
  using Value = decltype(work());
  PyThreadState* const state = PyEval_SaveThread();
  if constexpr (std::is_void_v<Value>) {
    try {
      work();
    } catch (...) {
      PyEval_RestoreThread(state);
      throw;
    }
    PyEval_RestoreThread(state);
  } else {
    Value value = [&] {
      try {
        return work();
      } catch (...) {
        PyEval_RestoreThread(state);
        throw;
      }
    }();
    PyEval_RestoreThread(state);
    return value;
  }
}

// The GIL for one of the engine's threads. Throws when the interpreter is ending; `travelchat` has closed every engine
// before that.
class GilGuard {
 public:
  GilGuard() {
    if (!Py_IsInitialized() || is_finalizing()) throw std::runtime_error("the interpreter is ending");
    state_ = PyGILState_Ensure();
  }
  GilGuard(const GilGuard&) = delete;
  GilGuard& operator=(const GilGuard&) = delete;
  ~GilGuard() { PyGILState_Release(state_); }

 private:
  static bool is_finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
  }

  PyGILState_STATE state_{};
};

// Raised by one in every forked child. Threads do not exist in the child: what was made before the fork cannot be used
// there, and must not even be destroyed, since its locks may be held by such threads.
unsigned fork_count() noexcept;

class SinceFork {
 public:
  bool same_process() const noexcept { return at_ == fork_count(); }
  // RuntimeError.
  void check(const char* what) const {
    if (!same_process()) {
      throw std::runtime_error(
          std::string("this ") + what +
          " was made before a fork, and its threads are not in the child: make one in each process");
    }
  }

 private:
  unsigned at_ = fork_count();
};

// Forgets a value without destroying it.
template <class T>
void abandon(T&& value) {
  new std::decay_t<T>(std::forward<T>(value));
}

}  // namespace travelchat::python
