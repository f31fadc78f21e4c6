// The directory as it is now. Where other processes write to the database too, it is read again when they changed it.
//
// Owner: main. What `current` returns stays as it is for whoever holds it.
#pragma once

#include "directory.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace travel_lab {

class LiveDirectory {
 public:
  // How long a change by another process may stay unnoticed.
  static constexpr std::chrono::milliseconds check_interval = std::chrono::seconds{1};

  // Reads it; may block. Throws std::runtime_error when that fails. Of a shared database it checks the version by
  // itself from now on, on a thread of its own.
  LiveDirectory(Database& database, DemoAccounts demo_accounts);
  LiveDirectory(const LiveDirectory&) = delete;
  LiveDirectory& operator=(const LiveDirectory&) = delete;
  ~LiveDirectory();  // stop()

  // Any thread.
  std::shared_ptr<const Directory> current() const;
  // When it returns, `current` is at least as new as the call. Returns at once where nobody else writes; otherwise it
  // may block: any thread but an I/O thread. After an error `current` is as it was.
  travelchat::error_code refresh();
  // Ends the checks. Idempotent.
  void stop();

 private:
  void keep_checking(const std::stop_token& stop);

  Database& database_;
  const DemoAccounts demo_accounts_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Directory> current_;
  std::mutex refreshing_;  // so that one thread reads for all that wait
  std::mutex waiting_;
  std::condition_variable_any wake_;
  std::jthread checks_;
};

}  // namespace travel_lab
