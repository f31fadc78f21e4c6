#include "storage/sqlite/wal_vfs.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace travelchat::sqlite {

namespace {

// More than this is written at once in any case: a transaction may be as large as a host makes it.
constexpr std::size_t max_gathered_bytes = std::size_t{1} << 20;

// SQLite's unix VFS looks only at the lower 17 bits of a size that it hands to the system.
constexpr std::size_t max_write_bytes = std::size_t{1} << 16;

// The WAL as SQLite sees it, with the system's own file behind it in the same allocation.
struct WalFile {
  sqlite3_file base{};
  std::unique_ptr<std::vector<char>> gathered;
  sqlite3_int64 begin = 0;  // where the gathered bytes belong

  sqlite3_file* inner() noexcept;
};

constexpr std::size_t inner_offset =
    (sizeof(WalFile) + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);

sqlite3_file* WalFile::inner() noexcept {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(this) + inner_offset);
}

WalFile& wal(sqlite3_file* file) noexcept {
  return *reinterpret_cast<WalFile*>(file);
}

// What cannot be written is dropped: it belongs to a transaction that SQLite now rolls back.
int write_out(WalFile& file) noexcept {
  if (file.gathered->empty()) return SQLITE_OK;
  sqlite3_file* const inner = file.inner();
  int code = SQLITE_OK;
  for (std::size_t at = 0; at < file.gathered->size() && code == SQLITE_OK; at += max_write_bytes) {
    const std::size_t size = std::min(file.gathered->size() - at, max_write_bytes);
    code = inner->pMethods->xWrite(inner, file.gathered->data() + at, static_cast<int>(size),
                                   file.begin + static_cast<sqlite3_int64>(at));
  }
  file.gathered->clear();
  return code;
}

int close_wal(sqlite3_file* base) {
  WalFile& file = wal(base);
  const int written = write_out(file);
  sqlite3_file* const inner = file.inner();
  const int closed = inner->pMethods->xClose(inner);
  file.~WalFile();
  return written != SQLITE_OK ? written : closed;
}

int read_wal(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
  WalFile& file = wal(base);
  if (const int code = write_out(file); code != SQLITE_OK) return code;
  return file.inner()->pMethods->xRead(file.inner(), out, size, offset);
}

int write_wal(sqlite3_file* base, const void* data, int size, sqlite3_int64 offset) {
  WalFile& file = wal(base);
  std::vector<char>& gathered = *file.gathered;
  const bool follows = offset == file.begin + static_cast<sqlite3_int64>(gathered.size());
  if (!gathered.empty() && (!follows || gathered.size() + static_cast<std::size_t>(size) > max_gathered_bytes)) {
    if (const int code = write_out(file); code != SQLITE_OK) return code;
  }
  if (gathered.empty()) file.begin = offset;
  try {
    const char* const bytes = static_cast<const char*>(data);
    gathered.insert(gathered.end(), bytes, bytes + size);
    return SQLITE_OK;
  } catch (const std::bad_alloc&) {
    gathered.clear();
    return SQLITE_IOERR_NOMEM;
  }
}

int truncate_wal(sqlite3_file* base, sqlite3_int64 size) {
  WalFile& file = wal(base);
  if (const int code = write_out(file); code != SQLITE_OK) return code;
  return file.inner()->pMethods->xTruncate(file.inner(), size);
}

int sync_wal(sqlite3_file* base, int flags) {
  WalFile& file = wal(base);
  if (const int code = write_out(file); code != SQLITE_OK) return code;
  return file.inner()->pMethods->xSync(file.inner(), flags);
}

int size_of_wal(sqlite3_file* base, sqlite3_int64* size) {
  WalFile& file = wal(base);
  if (const int code = write_out(file); code != SQLITE_OK) return code;
  return file.inner()->pMethods->xFileSize(file.inner(), size);
}

int lock_wal(sqlite3_file* base, int level) {
  return wal(base).inner()->pMethods->xLock(wal(base).inner(), level);
}
int unlock_wal(sqlite3_file* base, int level) {
  return wal(base).inner()->pMethods->xUnlock(wal(base).inner(), level);
}
int check_lock(sqlite3_file* base, int* reserved) {
  return wal(base).inner()->pMethods->xCheckReservedLock(wal(base).inner(), reserved);
}
int control_wal(sqlite3_file* base, int operation, void* argument) {
  return wal(base).inner()->pMethods->xFileControl(wal(base).inner(), operation, argument);
}
int sector_size(sqlite3_file* base) {
  return wal(base).inner()->pMethods->xSectorSize(wal(base).inner());
}
int characteristics(sqlite3_file* base) {
  return wal(base).inner()->pMethods->xDeviceCharacteristics(wal(base).inner());
}

// Version 1: a WAL is neither shared memory nor mapped.
constexpr sqlite3_io_methods wal_methods = {1,           close_wal,   read_wal,        write_wal,  truncate_wal,
                                            sync_wal,    size_of_wal, lock_wal,        unlock_wal, check_lock,
                                            control_wal, sector_size, characteristics, nullptr,    nullptr,
                                            nullptr,     nullptr,     nullptr,         nullptr};

sqlite3_vfs* system_vfs = nullptr;

// Every other file is the system's own.
int open_file(sqlite3_vfs*, const char* name, sqlite3_file* base, int flags, int* out_flags) {
  if ((flags & SQLITE_OPEN_WAL) == 0) return system_vfs->xOpen(system_vfs, name, base, flags, out_flags);
  base->pMethods = nullptr;  // tells SQLite not to close it when this fails
  auto gathered = std::unique_ptr<std::vector<char>>(new (std::nothrow) std::vector<char>());
  if (!gathered) return SQLITE_NOMEM;
  WalFile* const file = new (base) WalFile{};
  file->gathered = std::move(gathered);
  const int code = system_vfs->xOpen(system_vfs, name, file->inner(), flags, out_flags);
  if (code != SQLITE_OK) {
    if (file->inner()->pMethods != nullptr) file->inner()->pMethods->xClose(file->inner());
    file->~WalFile();
    base->pMethods = nullptr;
    return code;
  }
  file->base.pMethods = &wal_methods;
  return SQLITE_OK;
}

}  // namespace

const char* gathering_wal_vfs() noexcept {
  // The copy shares the system VFS's data, so that its other functions work on it unchanged.
  static const char* const name = []() noexcept -> const char* {
    system_vfs = sqlite3_vfs_find(nullptr);
    if (system_vfs == nullptr) return nullptr;
    static sqlite3_vfs gathering;
    gathering = *system_vfs;
    gathering.zName = "travelchat-gathering-wal";
    gathering.pNext = nullptr;
    gathering.szOsFile = static_cast<int>(inner_offset) + system_vfs->szOsFile;
    gathering.xOpen = open_file;
    return sqlite3_vfs_register(&gathering, 0) == SQLITE_OK ? gathering.zName : nullptr;
  }();
  return name;
}

}  // namespace travelchat::sqlite
