#include "arrival_queue.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace travelchat::python {

namespace {

std::atomic<unsigned> forks{0};

}  // namespace

unsigned fork_count() noexcept {
  static const int watching = ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
  static_cast<void>(watching);
  return forks.load();
}

ArrivalQueue::ArrivalQueue() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "travelchat needs a descriptor");
}

ArrivalQueue::~ArrivalQueue() {
  ::close(descriptor_);
  if (!since_fork_.same_process()) abandon(std::move(arrivals_));
}

void ArrivalQueue::put(Arrival arrival) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(std::move(arrival));
    if (arrivals_.size() > 1) return;
  }
  const std::uint64_t one = 1;
  // The write cannot fail: take() resets the counter, so it is far from its maximum.
  [[maybe_unused]] const auto written = ::write(descriptor_, &one, sizeof one);
}

std::vector<Arrival> ArrivalQueue::take() {
  since_fork_.check("thread's way to the engine");
  std::uint64_t count = 0;
  // The descriptor is reset first: what is put after this is either taken below or signalled again.
  [[maybe_unused]] const auto read = ::read(descriptor_, &count, sizeof count);
  const std::lock_guard lock(mutex_);
  return std::exchange(arrivals_, {});
}

void ArrivalQueue::wait() const {
  since_fork_.check("thread's way to the engine");
  // A signal that comes just before poll, or to another thread, does not interrupt it: so poll returns often enough to
  // look.
  constexpr int milliseconds_to_notice_it = 100;
  int error = 0;
  const int ready = without_gil([&] {
    pollfd waiting{descriptor_, POLLIN, 0};
    const int outcome = ::poll(&waiting, 1, milliseconds_to_notice_it);
    error = errno;
    return outcome;
  });
  if (ready > 0) return;
  if (ready < 0 && error != EINTR) {
    throw std::system_error(error, std::generic_category(), "cannot wait for the engine");
  }
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

}  // namespace travelchat::python
