// Exclusive ownership of a path, held through flock(2) on a file beside it.
//
// The kernel drops the lock with the process, however it ends. It belongs to the open file and not to the process, so a
// second owner inside the same process is refused as well.
#pragma once

#include <travelchat/error.hpp>

#include <filesystem>

namespace travelchat::storage {

class FileLock {
 public:
  // Creates the file when absent; it is never deleted, because another process could then lock the deleted one.
  // The system's error: EWOULDBLOCK, somebody has it.
  static result<FileLock> acquire(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) noexcept : descriptor_(descriptor) {}

  int descriptor_ = -1;
};

}  // namespace travelchat::storage
