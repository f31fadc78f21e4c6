// Ownership of the file, the one writer with its checkpoints, and the pool of readers.

#include <travelchat/sqlite_storage.hpp>

#include "storage/file_lock.hpp"
#include "storage/reading_storage.hpp"
#include "storage/sqlite_reads.hpp"
#include "storage/sqlite_schema.hpp"
#include "storage/sqlite_statement.hpp"
#include "storage/sqlite_writes.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace travelchat {

namespace {

using sqlite::Database;
using sqlite::Failure;
using sqlite::Reader;
using sqlite::Statement;
using sqlite::Transaction;
using sqlite::Writer;

// How long a checkpoint that must empty the WAL waits for readers of old snapshots, while no commit can run.
constexpr std::chrono::milliseconds reader_grace{100};
constexpr std::chrono::milliseconds reader_grace_step{10};
// The WAL's size, in checkpoint thresholds, from which a checkpoint waits for readers rather than leaving them be.
constexpr std::size_t patience = 4;

void configure_for_writing(Database& database, std::size_t checkpoint_bytes) {
  {
    Statement use_wal(database, "PRAGMA journal_mode = WAL");
    auto row = use_wal.run();
    // The file system cannot share memory between connections, for instance.
    if (!row.next() || row.text(0) != "wal") throw Failure{SQLITE_CANTOPEN, 0};
  }
  database.execute(
      "PRAGMA synchronous = FULL;"
      "PRAGMA foreign_keys = ON;"
      "PRAGMA wal_autocheckpoint = 0;"
      "PRAGMA temp_store = MEMORY;"
      "PRAGMA cache_size = -32768");
  // A WAL that once had to grow is cut back when it starts over.
  const std::string limit = "PRAGMA journal_size_limit = " + std::to_string(2 * std::int64_t(checkpoint_bytes));
  database.execute(limit.c_str());
  sqlite3_busy_timeout(database.handle(), static_cast<int>(reader_grace_step.count()));
}

// Bounded by `max_readers`; a read waits while all of them are in use.
class ReaderPool {
 public:
  ReaderPool(std::filesystem::path path, std::size_t max_readers)
      : path_(std::move(path)), max_readers_(std::max<std::size_t>(max_readers, 1)) {
    idle_.reserve(max_readers_);
  }

  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Reader> reader) : pool_(pool), reader_(std::move(reader)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(reader_)); }
    Reader* operator->() const noexcept { return reader_.get(); }

   private:
    ReaderPool& pool_;
    std::unique_ptr<Reader> reader_;
  };

  Lease take() {
    {
      std::unique_lock lock(mutex_);
      returned_.wait(lock, [this] { return !idle_.empty() || open_ < max_readers_; });
      if (!idle_.empty()) {
        auto reader = std::move(idle_.back());
        idle_.pop_back();
        return {*this, std::move(reader)};
      }
      ++open_;
    }
    try {
      return {*this, std::make_unique<Reader>(path_)};
    } catch (...) {
      const std::lock_guard lock(mutex_);
      --open_;
      returned_.notify_one();
      throw;
    }
  }

 private:
  void give_back(std::unique_ptr<Reader> reader) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(reader));
    returned_.notify_one();
  }

  const std::filesystem::path path_;
  const std::size_t max_readers_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Reader>> idle_;
  std::size_t open_ = 0;
};

class OwnedFile final : public storage::ReadingStorage<SqliteStorage, OwnedFile> {
 public:
  // Throws Failure.
  OwnedFile(storage::FileLock lock, std::unique_ptr<Database> database, const SqliteStorageOptions& options,
            const std::filesystem::path& path)
      : lock_(std::move(lock)),
        database_(std::move(database)),
        writer_(*database_),
        checkpoint_bytes_(options.checkpoint_bytes),
        readers_(path, options.max_readers),
        page_size_(read_page_size(*database_)) {
    checkpoint_at_ = checkpoint_bytes_;
    sqlite3_wal_hook(database_->handle(), &OwnedFile::on_wal_growth, this);
    checkpointer_ = std::jthread([this](std::stop_token stop) { run_checkpoints(stop); });
  }

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    results.clear();
    results.reserve(writes.size());
    if (writes.empty()) return {};
    const error_code failed = transact([&] {
      for (const Write& write : writes) results.push_back(writer_.apply(write));
      return true;
    });
    if (failed) results.clear();
    return failed;
  }

  error_code write(const std::function<bool(sqlite3*)>& work) override {
    return transact([&] {
      const bool keep = work(database_->handle());
      writer_.forget();
      return keep;
    });
  }

  error_code read(const std::function<void(sqlite3*)>& work) override {
    return guarded([&] {
      const auto reader = readers_.take();
      const Transaction snapshot(reader->database(), reader->begin());
      work(reader->database().handle());
    });
  }

  error_code ping() override {
    return guarded([&] { readers_.take()->ping(); });
  }

 private:
  friend ReadingStorage;

  // The writing connection, after any checkpoint that is due: a commit that overtook it would let the WAL grow without
  // bound under a load that never pauses. On release it says whether a checkpoint has become due, so that one runs
  // while the committer sends its answers.
  class WriterLock {
   public:
    explicit WriterLock(OwnedFile& file) : file_(file), lock_(file.writer_mutex_) {
      file_.checkpoint_done_.wait(lock_, [this] { return !file_.checkpoint_due_; });
    }
    WriterLock(const WriterLock&) = delete;
    WriterLock& operator=(const WriterLock&) = delete;
    ~WriterLock() {
      if (!file_.checkpoint_due_) return;
      lock_.unlock();
      file_.checkpoint_wanted_.notify_one();
    }

   private:
    OwnedFile& file_;
    std::unique_lock<std::mutex> lock_;
  };

  static std::size_t read_page_size(Database& database) {
    Statement page_size(database, "PRAGMA page_size");
    auto row = page_size.run();
    return row.next() ? static_cast<std::size_t>(row.count(0)) : 4096;
  }

  // SQLite calls it after each commit, on the committing thread, with the number of pages in the WAL.
  static int on_wal_growth(void* self, sqlite3*, const char*, int pages) {
    auto& file = *static_cast<OwnedFile*>(self);
    const std::size_t bytes = static_cast<std::size_t>(pages) * file.page_size_;
    if (bytes < file.wal_bytes_) file.checkpoint_at_ = file.checkpoint_bytes_;  // the WAL has started over
    file.wal_bytes_ = bytes;
    if (bytes >= file.checkpoint_at_) file.checkpoint_due_ = true;
    return SQLITE_OK;
  }

  void run_checkpoints(const std::stop_token& stop) {
    std::unique_lock lock(writer_mutex_);
    while (checkpoint_wanted_.wait(lock, stop, [this] { return checkpoint_due_; })) {
      checkpoint();
      checkpoint_at_ = wal_bytes_ + checkpoint_bytes_;
      checkpoint_due_ = false;
      checkpoint_done_.notify_all();
    }
  }

  // No commit runs meanwhile, so this moves all of the WAL that no reader's snapshot needs. What it leaves because of
  // one, or because the disk is full, the next one moves.
  void checkpoint() {
    const auto run = [this](int mode) {
      return sqlite3_wal_checkpoint_v2(database_->handle(), nullptr, mode, nullptr, nullptr);
    };
    if (wal_bytes_ < patience * checkpoint_bytes_) {
      run(SQLITE_CHECKPOINT_PASSIVE);
      return;
    }
    // Tried in steps: it waits for the slots that were in use when it began, and readers that come and go at once take
    // the same slots again, though for a snapshot that would no longer be in its way.
    const auto deadline = std::chrono::steady_clock::now() + reader_grace;
    while (run(SQLITE_CHECKPOINT_RESTART) == SQLITE_BUSY && std::chrono::steady_clock::now() < deadline) {
    }
  }

  // Runs `work` in a transaction of the writing connection, which commits when it returns true.
  template <class Work>
  error_code transact(Work work) {
    const WriterLock lock(*this);
    // Whichever way it is left uncommitted, a host's exception included.
    struct ForgetUnlessCommitted {
      Writer& writer;
      bool committed = false;
      ~ForgetUnlessCommitted() {
        if (!committed) writer.forget();
      }
    } outcome{writer_};
    try {
      Transaction transaction(*database_, writer_.begin());
      if (work()) {
        transaction.commit(writer_.commit());
        outcome.committed = true;
      }
      return {};
    } catch (const Failure& failure) {
      const error_code error = to_error(failure);
      // Once it has been checkpointed, the WAL is written from its start again and needs no more room than it has.
      if (error == errc::storage_full) checkpoint_due_ = true;
      return error;
    }
  }

  template <class Work>
  static error_code guarded(Work work) {
    try {
      work();
      return {};
    } catch (const Failure& failure) {
      return to_error(failure);
    }
  }

  template <class Work>
  auto reading(Work work) -> result<decltype(work(std::declval<Reader&>()))> {
    try {
      const auto reader = readers_.take();
      return work(*reader.operator->());
    } catch (const Failure& failure) {
      return to_error(failure);
    }
  }

  // In this order, so that the readers close first, the writer's closing checkpoint comes next and the lock goes last.
  storage::FileLock lock_;
  std::unique_ptr<Database> database_;
  Writer writer_;

  // Guarded by `writer_mutex_`, as is all use of the writing connection.
  std::mutex writer_mutex_;
  std::condition_variable_any checkpoint_wanted_;
  std::condition_variable checkpoint_done_;
  bool checkpoint_due_ = false;
  std::size_t wal_bytes_ = 0;
  std::size_t checkpoint_at_ = 0;
  const std::size_t checkpoint_bytes_;

  ReaderPool readers_;
  const std::size_t page_size_;
  std::jthread checkpointer_;
};

}  // namespace

result<std::unique_ptr<SqliteStorage>> SqliteStorage::open(SqliteStorageOptions options) {
  // Two names of one file must meet at one lock.
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(options.path, ignored);
  if (path.empty()) path = options.path;
  std::filesystem::path lock_path = path;
  lock_path += "-lock";
  auto lock = storage::FileLock::acquire(lock_path);
  if (!lock) return lock.error();
  try {
    auto database = std::make_unique<Database>(path, Database::Access::read_write);
    if (const error_code incompatible = sqlite::check_schema(*database)) return incompatible;
    configure_for_writing(*database, options.checkpoint_bytes);
    sqlite::migrate(*database);
    return std::unique_ptr<SqliteStorage>(
        std::make_unique<OwnedFile>(std::move(*lock), std::move(database), options, path));
  } catch (const Failure& failure) {
    switch (failure.code & 0xff) {
      case SQLITE_BUSY:
        return errc::storage_locked;  // a program that does not know our lock
      case SQLITE_NOTADB:
        return errc::storage_incompatible;
      default:
        return to_error(failure);
    }
  }
}

}  // namespace travelchat
