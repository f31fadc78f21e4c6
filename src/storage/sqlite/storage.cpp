// Ownership of the file, the one writer with its checkpoints, and the pool of readers.

#include <travelchat/sqlite_storage.hpp>

#include "core/options.hpp"
#include "storage/reading_storage.hpp"
#include "storage/sqlite/file_lock.hpp"
#include "storage/sqlite/reads.hpp"
#include "storage/sqlite/schema.hpp"
#include "storage/sqlite/statement.hpp"
#include "storage/sqlite/writes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
// From this many times `checkpoint_bytes` on, a checkpoint waits for readers until it can empty the WAL.
constexpr std::size_t thresholds_before_waiting = 4;

// After a repeat, this many commits look for repeats before they write. Repeats come in groups, when many clients have
// lost their connection, and one that was not looked for costs a second transaction.
constexpr std::size_t checked_commits_after_a_repeat = 64;

void configure_for_writing(Database& database, std::size_t checkpoint_bytes) {
  {
    Statement use_wal(database, "PRAGMA journal_mode = WAL");
    auto row = use_wal.run();
    // For example on a file system without shared memory.
    if (!row.next() || row.text(0) != "wal") throw Failure{SQLITE_CANTOPEN, 0, "no write-ahead log is possible here"};
  }
  database.execute(
      "PRAGMA synchronous = FULL;"
      "PRAGMA foreign_keys = OFF;"
      "PRAGMA wal_autocheckpoint = 0;"
      "PRAGMA temp_store = MEMORY;"
      "PRAGMA cache_size = -32768");
  // A WAL that once had to grow is cut back when it starts over.
  const std::string limit = "PRAGMA journal_size_limit = " + std::to_string(2 * std::int64_t(checkpoint_bytes));
  database.execute(limit.c_str());
  sqlite3_busy_timeout(database.handle(), static_cast<int>(reader_grace_step.count()));
}

// Has SQLite check foreign keys while a host writes. The storage's own writes refer to rows that it has read in the
// same transaction, so checks would only cost time: a look-up for each row, and a copy of each page for undoing a
// statement of many rows. To be made outside of a transaction.
class ForeignKeys {
 public:
  explicit ForeignKeys(Database& database) : database_(database) { check(true); }
  ForeignKeys(const ForeignKeys&) = delete;
  ForeignKeys& operator=(const ForeignKeys&) = delete;
  ~ForeignKeys() { check(false); }

 private:
  void check(bool on) noexcept {
    sqlite3_db_config(database_.handle(), SQLITE_DBCONFIG_ENABLE_FKEY, on ? 1 : 0, nullptr);
  }

  Database& database_;
};

using Log = std::function<void(std::string_view)>;

void tell(const Log& log, const std::string& line) noexcept {
  if (!log) return;
  try {
    log(line);
  } catch (...) {
    // A log that throws is ignored: there is nobody to report it to, and the operation returns its own error.
  }
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
        log_(options.log),
        checkpoint_bytes_(options.checkpoint_bytes),
        readers_(path, options.max_readers),
        lookups_(path, 1),
        page_size_(read_page_size(*database_)) {
    checkpoint_at_ = checkpoint_bytes_;
    sqlite3_wal_hook(database_->handle(), &OwnedFile::on_wal_growth, this);
    checkpointer_ = std::jthread([this](std::stop_token stop) { run_checkpoints(stop); });
  }

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    results.clear();
    if (writes.empty()) return {};
    using Mode = Writer::Mode;
    auto mode = checked_commits_ > 0 ? Mode::together : Mode::expecting_no_repeat;
    if (checked_commits_ > 0) --checked_commits_;
    for (bool done = false;;) {
      const error_code failed = transact([&] { return done = writer_.apply(writes, mode, results); });
      if (failed) results.clear();
      if (failed || done) return failed;
      checked_commits_ = checked_commits_after_a_repeat;
      mode = mode == Mode::expecting_no_repeat ? Mode::together : Mode::one_by_one;
    }
  }

  error_code write(const std::function<bool(sqlite3*)>& work) override {
    const WriterLock lock(*this);
    const ForeignKeys checked(*database_);
    return transact_locked([&] {
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

  result<Pruned> prune_changes(const PruneChanges& step) override {
    Pruned pruned;
    const error_code failed = transact([&] {
      pruned = writer_.prune_changes(step);
      return true;
    });
    if (failed) return failed;
    return pruned;
  }

  error_code begin_epoch(const Uuid& epoch) override {
    return transact([&] {
      writer_.begin_epoch(epoch);
      return true;
    });
  }

  error_code ping() override {
    return guarded([&] { lookups_.take()->ping(); });
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
    if (wal_bytes_ < thresholds_before_waiting * checkpoint_bytes_) {
      run(SQLITE_CHECKPOINT_PASSIVE);
      return;
    }
    // In steps: SQLite waits for the reader slots that were in use when a try began. New readers take the same slots,
    // with snapshots that would not be in the way of a new try.
    const auto deadline = std::chrono::steady_clock::now() + reader_grace;
    while (run(SQLITE_CHECKPOINT_RESTART) == SQLITE_BUSY && std::chrono::steady_clock::now() < deadline) {
    }
  }

  // Runs `work` in a transaction of the writing connection, which commits when it returns true.
  template <class Work>
  error_code transact(Work work) {
    const WriterLock lock(*this);
    return transact_locked(std::move(work));
  }
  template <class Work>
  error_code transact_locked(Work work) {
    // Forgets the writer's cached rows whenever the transaction is not committed, also after a host's exception.
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
      tell(log_, "a transaction failed: " + to_text(failure));
      // After a checkpoint the WAL is written from its start again, and so needs no further disk space.
      if (error == errc::storage_full) checkpoint_due_ = true;
      return error;
    }
  }

  error_code read_failed(const Failure& failure) const {
    tell(log_, "a read failed: " + to_text(failure));
    return to_error(failure);
  }

  template <class Work>
  error_code guarded(Work work) const {
    try {
      work();
      return {};
    } catch (const Failure& failure) {
      return read_failed(failure);
    }
  }

  template <class Work>
  auto reading(Work work) -> result<decltype(work(std::declval<Reader&>()))> {
    return reading_with(readers_, work);
  }
  template <class Work>
  auto looking_up(Work work) -> result<decltype(work(std::declval<Reader&>()))> {
    return reading_with(lookups_, work);
  }
  template <class Work>
  auto reading_with(ReaderPool& pool, Work& work) const -> result<decltype(work(std::declval<Reader&>()))> {
    try {
      const auto reader = pool.take();
      return work(*reader.operator->());
    } catch (const Failure& failure) {
      return read_failed(failure);
    }
  }

  // In this order, so that the readers close first, the writer's closing checkpoint comes next and the lock goes last.
  storage::FileLock lock_;
  std::unique_ptr<Database> database_;
  Writer writer_;
  const Log log_;

  // Of the thread that commits: how many commits look for repeats before they write.
  std::size_t checked_commits_ = 0;

  // Guarded by `writer_mutex_`, as is all use of the writing connection.
  std::mutex writer_mutex_;
  std::condition_variable_any checkpoint_wanted_;
  std::condition_variable checkpoint_done_;
  bool checkpoint_due_ = false;
  std::size_t wal_bytes_ = 0;
  std::size_t checkpoint_at_ = 0;
  const std::size_t checkpoint_bytes_;

  ReaderPool readers_;
  ReaderPool lookups_;  // for short look-ups that others wait for, so that they do not queue behind long reads
  const std::size_t page_size_;
  std::jthread checkpointer_;
};

// Logs why the lock beside the file could not be taken, and gives the error to answer.
error_code refuse_lock(const error_code& ec, const std::filesystem::path& path, const Log& log) {
  const auto is = [&](int number) { return ec.value() == number; };
  if (is(EWOULDBLOCK)) {
    tell(log, path.string() +
                  " is in use by another process, or by another storage of this one: one at a time may have "
                  "it. Processes that run side by side share a PostgreSQL database instead.");
    return errc::storage_locked;
  }
  tell(log, path.string() + " cannot be opened: " + (is(ENOENT) ? "its folder does not exist" : ec.message()));
  return is(ENOSPC) || is(EDQUOT) ? errc::storage_full : errc::storage_failed;
}

// The same for a failure of SQLite.
error_code refuse_file(const Failure& failure, const std::filesystem::path& path, const Log& log) {
  switch (failure.code & 0xff) {
    case SQLITE_BUSY:
      tell(log, path.string() + " is locked by a program that is not of travelchat's");
      return errc::storage_locked;
    case SQLITE_NOTADB:
      tell(log, path.string() + " is no SQLite database");
      return errc::storage_incompatible;
    default:
      tell(log, path.string() + " cannot be opened: " + to_text(failure));
      return to_error(failure);
  }
}

// Creates the file as 0600. SQLite would create it with the mode that the umask leaves, and the usual 022 lets
// everybody read the messages. SQLite takes an empty file for a new database. A file that exists is not opened: closing
// any descriptor of it would drop the POSIX locks that other connections of this process have on it, and its mode is
// its owner's decision. An error here is ignored, because SQLite meets and reports it as well.
void make_private_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return;
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor >= 0) ::close(descriptor);
}

}  // namespace

result<std::unique_ptr<SqliteStorage>> SqliteStorage::open(SqliteStorageOptions options) {
  using namespace travelchat::options;
  if (options.path.empty()) refuse("path", "must not be empty");
  // SQLite itself would take such a name for a database of its own kind, in memory or with parameters.
  if (options.path.native().find('\0') != std::string::npos) refuse("path", "must not hold a NUL");
  require_at_most("max_readers", options.max_readers, max_workers);
  require_some("checkpoint_bytes", options.checkpoint_bytes);
  require_at_most("checkpoint_bytes", options.checkpoint_bytes, std::size_t{1} << 40);
  // Before the canonical name is taken: a link has none while its target does not exist.
  make_private_file(options.path);
  // The canonical name, so that all names of one file lead to one lock.
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(options.path, ignored);
  if (path.empty()) path = options.path;
  std::filesystem::path lock_path = path;
  lock_path += "-lock";
  auto lock = storage::FileLock::acquire(lock_path);
  if (!lock) return refuse_lock(lock.error(), path, options.log);
  try {
    auto database = std::make_unique<Database>(path, Database::Access::read_write);
    if (const error_code incompatible = sqlite::check_schema(*database)) {
      tell(options.log, path.string() + " was made by a newer version");
      return incompatible;
    }
    configure_for_writing(*database, options.checkpoint_bytes);
    sqlite::migrate(*database);
    return std::unique_ptr<SqliteStorage>(
        std::make_unique<OwnedFile>(std::move(*lock), std::move(database), options, path));
  } catch (const Failure& failure) {
    return refuse_file(failure, path, options.log);
  }
}

}  // namespace travelchat
