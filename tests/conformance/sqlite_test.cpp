// What only the SQLite storage promises: its file, its owner, its connections.

#include "fixture.hpp"
#include "later_version.hpp"

#include <travelchat/sqlite_storage.hpp>

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace travelchat::conformance {
namespace {

struct SqliteFixture {
  TemporaryFolder folder;
  SqliteStorageOptions options;

  SqliteFixture() { options.path = folder.path() / "chat.db"; }

  result<std::unique_ptr<SqliteStorage>> open() const { return SqliteStorage::open(options); }
  std::unique_ptr<SqliteStorage> must_open() const {
    auto storage = open();
    REQUIRE(storage);
    return std::move(*storage);
  }
  std::uintmax_t wal_bytes() const {
    auto wal = options.path;
    wal += "-wal";
    std::error_code absent;
    const auto size = std::filesystem::file_size(wal, absent);
    return absent ? 0 : size;
  }

  // Runs SQL on the file from outside, as another program would.
  void run_sql(const std::string& sql) const {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(options.path.c_str(), &database) == SQLITE_OK);
    const int code = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
    sqlite3_close(database);
    REQUIRE(code == SQLITE_OK);
  }
};

// The first column of the first row.
std::string query(sqlite3* database, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) return "error";
  std::string value;
  if (sqlite3_step(statement) == SQLITE_ROW) {
    if (const auto* text = sqlite3_column_text(statement, 0)) value = reinterpret_cast<const char*>(text);
  }
  sqlite3_finalize(statement);
  return value;
}

// The permissions of a file as a number, as in 0600; 0 when there is none.
unsigned mode_of(std::filesystem::path path, const char* suffix = "") {
  struct stat status {};
  path += suffix;
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;
  ~Umask() { ::umask(before_); }

 private:
  const mode_t before_;
};

bool execute(sqlite3* database, const std::string& sql) {
  return sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::string query_reader(SqliteStorage& storage, const std::string& sql) {
  std::string value;
  REQUIRE_FALSE(storage.read([&](sqlite3* database) { value = query(database, sql); }));
  return value;
}

std::string query_writer(SqliteStorage& storage, const std::string& sql) {
  std::string value;
  REQUIRE_FALSE(storage.write([&](sqlite3* database) {
    value = query(database, sql);
    return false;
  }));
  return value;
}

const TimePoint start{milliseconds{1'764'000'000'000}};

Uuid open_conversation(Storage& storage) {
  std::vector<result<Written>> results;
  REQUIRE_FALSE(
      storage.commit(std::vector<Write>{OpenConversation{make_uuid(start), "org-1", "client-1", start}}, results));
  return results.front()->conversation.id;
}

std::vector<Write> drafts(const Uuid& conversation_id, std::size_t count, std::size_t content_bytes = 100) {
  std::vector<Write> writes;
  for (std::size_t i = 0; i < count; ++i) {
    AppendMessage draft;
    draft.message_id = make_uuid(start);
    draft.conversation_id = conversation_id;
    draft.sender = client();
    draft.content = std::string(content_bytes, 'x');
    draft.now = start;
    writes.emplace_back(std::move(draft));
  }
  return writes;
}

}  // namespace

TEST_CASE("sqlite: an option that is not valid is refused by its name") {
  SqliteFixture fixture;
  const auto refused = [&](auto set) {
    SqliteStorageOptions options = fixture.options;
    set(options);
    try {
      static_cast<void>(SqliteStorage::open(options));
    } catch (const OptionError& error) {
      CHECK_FALSE(std::filesystem::exists(fixture.options.path));
      return std::string(error.what());
    }
    return std::string("none");
  };
  using Options = SqliteStorageOptions;
  CHECK(refused([](Options& o) { o.path.clear(); }) == "path must not be empty");
  CHECK(refused([](Options& o) { o.path += std::string("\0x", 2); }) == "path must not hold a NUL");
  CHECK(refused([](Options& o) { o.max_readers = 1'025; }) == "max_readers must be at most 1024");
  CHECK(refused([](Options& o) { o.checkpoint_bytes = 0; }) == "checkpoint_bytes must be at least 1");
  CHECK(refused([](Options& o) { o.checkpoint_bytes = std::size_t(-1); }) ==
        "checkpoint_bytes must be at most 1099511627776");
  CHECK(refused([](Options&) {}) == "none");
}

TEST_CASE("files that the storage makes are their owner's alone, whatever the umask") {
  const Umask everybody_may_read(022);
  const SqliteFixture file;
  const auto link = file.folder.path() / "link.db";
  std::filesystem::create_symlink("behind-the-link.db", link);
  for (const auto& path : {file.options.path, link}) {
    const auto storage = SqliteStorage::open({.path = path});
    REQUIRE(storage);
    REQUIRE_FALSE((*storage)->write([](sqlite3* database) { return execute(database, "CREATE TABLE mine (x)"); }));
    CHECK(query_reader(**storage, "SELECT count(*) FROM mine") == "0");
    for (const auto* suffix : {"", "-wal", "-shm"}) {
      INFO(path.string() << suffix);
      CHECK(mode_of(std::filesystem::weakly_canonical(path), suffix) == 0600);
    }
    CHECK(mode_of(std::filesystem::weakly_canonical(path), "-lock") == 0600);
  }
}

TEST_CASE("a file that is there keeps its mode, and gives it to those beside it") {
  const Umask everybody_may_read(022);
  const SqliteFixture file;
  file.must_open();
  for (const unsigned mode : {0640U, 0600U}) {
    REQUIRE(::chmod(file.options.path.c_str(), mode) == 0);
    const auto storage = file.must_open();
    REQUIRE_FALSE(storage->write([](sqlite3* database) {
      return execute(database, "CREATE TABLE IF NOT EXISTS mine (x)") &&
             execute(database, "INSERT INTO mine VALUES (1)");
    }));
    CHECK(mode_of(file.options.path) == mode);
    CHECK(mode_of(file.options.path, "-wal") == mode);
  }
}

TEST_CASE("sqlite: everything is there after a reopen, and the file is intact") {
  Chat chat(backend("sqlite").make());
  const auto conversation = chat.open();
  const auto message = chat.send(conversation.id, advisor(), "hello", "c-1");
  chat.send(conversation.id, client(), "hi");
  REQUIRE(chat.react(message, client(), Emoji::joy));
  REQUIRE(chat.mark(conversation.id, advisor()));
  REQUIRE(chat.mark(conversation.id, client()));
  const auto row = chat.conversation(conversation.id);
  const auto messages = chat.messages(conversation.id);
  REQUIRE(chat.reopen());
  CHECK(chat.conversation(conversation.id) == row);
  CHECK(chat.messages(conversation.id) == messages);
  CHECK(chat.changes(conversation.id, 0).changes.size() == 5);
  CHECK(query_reader(dynamic_cast<SqliteStorage&>(chat.storage()), "PRAGMA integrity_check") == "ok");
  CHECK(query_reader(dynamic_cast<SqliteStorage&>(chat.storage()), "PRAGMA foreign_key_check").empty());
}

TEST_CASE("sqlite: a second storage of the same process is refused until the first is gone") {
  SqliteFixture fixture;
  auto first = fixture.must_open();
  CHECK(failed_with(fixture.open(), errc::storage_locked));
  const Uuid id = open_conversation(*first);
  CHECK(failed_with(fixture.open(), errc::storage_locked));
  first.reset();
  auto second = fixture.must_open();
  CHECK(second->find_conversation(id)->has_value());
}

TEST_CASE("sqlite: another name of the same file is the same file") {
  SqliteFixture fixture;
  const auto first = fixture.must_open();
  auto other = fixture.options;
  other.path = fixture.folder.path() / "alias.db";
  std::filesystem::create_symlink(fixture.options.path, other.path);
  CHECK(failed_with(SqliteStorage::open(other), errc::storage_locked));
  other.path = fixture.folder.path() / "." / "chat.db";
  CHECK(failed_with(SqliteStorage::open(other), errc::storage_locked));
}

TEST_CASE("sqlite: a second process is refused") {
  SqliteFixture fixture;
  const auto first = fixture.must_open();
  // The child inherits nothing that owns the file but the open descriptor, which counts for the parent.
  const pid_t child = ::fork();
  if (child == 0) {
    const auto second = SqliteStorage::open(fixture.options);
    ::_exit(failed_with(second, errc::storage_locked) ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("sqlite: a file from before there were epochs gets one") {
  SqliteFixture fixture;
  fixture.must_open().reset();
  fixture.run_sql(
      "DROP TABLE travelchat_epoch; ALTER TABLE travelchat_conversations DROP COLUMN pruned_rev;"
      "DROP TABLE travelchat_members; ALTER TABLE travelchat_messages DROP COLUMN content_rev;"
      "DELETE FROM travelchat_schema WHERE version > 1");
  const auto first = fixture.must_open()->list_revisions({});
  REQUIRE(first);
  REQUIRE(first->epoch);
  const auto again = fixture.must_open()->list_revisions({});
  REQUIRE(again);
  CHECK(again->epoch == first->epoch);
}

TEST_CASE("sqlite: a file that a newer version made is refused and left as it is") {
  SqliteFixture fixture;
  fixture.must_open().reset();
  fixture.run_sql("INSERT INTO travelchat_schema (version) VALUES (1000)");
  CHECK(failed_with(fixture.open(), errc::storage_incompatible));
  // The refusal gave the file up again.
  fixture.run_sql("DELETE FROM travelchat_schema WHERE version = 1000");
  CHECK(fixture.open());
}

TEST_CASE("sqlite: a file that is no database is refused and left as it is") {
  SqliteFixture fixture;
  const std::string text(5000, 'x');
  std::ofstream(fixture.options.path) << text;
  CHECK(failed_with(fixture.open(), errc::storage_incompatible));
  std::ifstream in(fixture.options.path);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == text);
}

TEST_CASE("sqlite: a path that cannot be opened fails") {
  SqliteFixture fixture;
  fixture.options.path = fixture.folder.path() / "absent" / "chat.db";
  CHECK(failed_with(fixture.open(), errc::storage_failed));
  fixture.options.path = fixture.folder.path();
  CHECK(failed_with(fixture.open(), errc::storage_failed));
}

TEST_CASE("sqlite: the log is told why a file cannot be had") {
  SqliteFixture fixture;
  std::vector<std::string> told;
  fixture.options.log = [&](std::string_view line) { told.emplace_back(line); };
  const auto file = std::filesystem::canonical(fixture.folder.path()) / "chat.db";
  auto first = fixture.must_open();
  CHECK(told.empty());
  CHECK(failed_with(fixture.open(), errc::storage_locked));
  first.reset();
  fixture.run_sql("INSERT INTO travelchat_schema (version) VALUES (1000)");
  CHECK(failed_with(fixture.open(), errc::storage_incompatible));
  std::ofstream(fixture.options.path) << std::string(5000, 'x');
  CHECK(failed_with(fixture.open(), errc::storage_incompatible));
  fixture.options.path = fixture.folder.path();
  CHECK(failed_with(fixture.open(), errc::storage_failed));
  fixture.options.path = fixture.folder.path() / "absent" / "chat.db";
  CHECK(failed_with(fixture.open(), errc::storage_failed));
  REQUIRE(told.size() == 5);
  CHECK(told[0] == file.string() +
                       " is in use by another process, or by another storage of this one: one at a time may have it. "
                       "Processes that run side by side share a PostgreSQL database instead.");
  CHECK(told[1] == file.string() + " was made by a newer version");
  CHECK(told[2] == file.string() + " is no SQLite database");
  CHECK(told[3].starts_with(file.parent_path().string() + " cannot be opened: unable to open database file"));
  CHECK(told[4] ==
        (file.parent_path() / "absent" / "chat.db").string() + " cannot be opened: its folder does not exist");
}

TEST_CASE("sqlite: the log is told why a transaction and a read failed") {
  SqliteFixture fixture;
  std::vector<std::string> told;
  std::mutex mutex;
  fixture.options.log = [&](std::string_view line) {
    const std::scoped_lock lock(mutex);
    told.emplace_back(line);
  };
  auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  REQUIRE_FALSE(storage->write([](sqlite3* database) {
    return sqlite3_exec(database, "DROP TABLE travelchat_messages", nullptr, nullptr, nullptr) == SQLITE_OK;
  }));
  std::vector<result<Written>> results;
  CHECK(storage->commit(drafts(id, 1), results) == errc::storage_failed);
  CHECK(failed_with(storage->list_messages({.conversation_id = id}), errc::storage_failed));
  REQUIRE(told.size() == 2);
  CHECK(told[0] == "a transaction failed: no such table: travelchat_messages");
  CHECK(told[1] == "a read failed: no such table: travelchat_messages");
}

TEST_CASE("sqlite: a host's database is adopted with its tables and its user_version") {
  SqliteFixture fixture;
  fixture.run_sql("PRAGMA user_version = 77; CREATE TABLE trips (id TEXT); INSERT INTO trips VALUES ('t-1')");
  auto storage = fixture.must_open();
  open_conversation(*storage);
  CHECK(query_reader(*storage, "SELECT id FROM trips") == "t-1");
  CHECK(query_reader(*storage, "PRAGMA user_version") == "77");
  storage.reset();
  CHECK(query_reader(*fixture.must_open(), "SELECT count(*) FROM travelchat_conversations") == "1");
}

TEST_CASE("sqlite: a host's write commits when it returns true and not otherwise") {
  SqliteFixture fixture;
  const auto storage = fixture.must_open();
  REQUIRE_FALSE(storage->write([](sqlite3* db) { return execute(db, "CREATE TABLE host (n INTEGER)"); }));
  REQUIRE_FALSE(storage->write([](sqlite3* db) { return execute(db, "INSERT INTO host VALUES (1)"); }));
  REQUIRE_FALSE(storage->write([](sqlite3* db) {
    execute(db, "INSERT INTO host VALUES (2)");
    return false;
  }));
  CHECK_THROWS_AS(storage->write([](sqlite3* db) -> bool {
    execute(db, "INSERT INTO host VALUES (3)");
    throw std::runtime_error("host");
  }),
                  std::runtime_error);
  CHECK(query_reader(*storage, "SELECT group_concat(n) FROM host") == "1");
  // Neither left a transaction open.
  open_conversation(*storage);
  CHECK(storage->count_unread("org-1").value() == 0);
}

TEST_CASE("sqlite: a host's read is one snapshot, and an exception of it goes through") {
  SqliteFixture fixture;
  const auto storage = fixture.must_open();
  REQUIRE_FALSE(storage->write([](sqlite3* db) { return execute(db, "CREATE TABLE host (n INTEGER)"); }));
  REQUIRE_FALSE(storage->read([&](sqlite3* reader) {
    CHECK(query(reader, "SELECT count(*) FROM host") == "0");
    REQUIRE_FALSE(storage->write([](sqlite3* db) { return execute(db, "INSERT INTO host VALUES (1)"); }));
    CHECK(query(reader, "SELECT count(*) FROM host") == "0");
  }));
  CHECK(query_reader(*storage, "SELECT count(*) FROM host") == "1");
  CHECK_THROWS_AS(storage->read([](sqlite3*) { throw std::runtime_error("host"); }), std::runtime_error);
  CHECK_FALSE(storage->ping());
}

TEST_CASE("sqlite: one connection writes and checkpoints, and the readers never do") {
  SqliteFixture fixture;
  fixture.options.max_readers = 3;
  const auto storage = fixture.must_open();
  CHECK(query_writer(*storage, "PRAGMA journal_mode") == "wal");
  CHECK(query_writer(*storage, "PRAGMA synchronous") == "2");
  CHECK(query_writer(*storage, "PRAGMA foreign_keys") == "1");
  CHECK(query_writer(*storage, "PRAGMA wal_autocheckpoint") == "0");

  // All three at once, so that each is another connection.
  std::latch all_in(3);
  std::atomic<int> rule_kept{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      const auto failed = storage->read([&](sqlite3* reader) {
        all_in.arrive_and_wait();
        if (query(reader, "PRAGMA wal_autocheckpoint") == "0" && query(reader, "PRAGMA query_only") == "1" &&
            sqlite3_db_readonly(reader, "main") == 1 && !execute(reader, "DELETE FROM travelchat_messages") &&
            sqlite3_wal_checkpoint_v2(reader, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK) {
          ++rule_kept;
        }
      });
      if (failed) rule_kept = -100;
    });
  }
  threads.clear();
  CHECK(rule_kept == 3);
}

TEST_CASE("sqlite: no commit checkpoints by itself below the threshold") {
  SqliteFixture fixture;
  const auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  std::vector<result<Written>> results;
  // Over the 1,000 pages at which SQLite would checkpoint on its own, under the 16 MiB of the default.
  for (int i = 0; i < 12; ++i) REQUIRE_FALSE(storage->commit(drafts(id, 64, 8'000), results));
  CHECK(fixture.wal_bytes() > 1'000 * 4096);
  CHECK(std::filesystem::file_size(fixture.options.path) < 1'000 * 4096);
}

TEST_CASE("sqlite: the WAL stays bounded under a load that never pauses, also with readers") {
  SqliteFixture fixture;
  fixture.options.checkpoint_bytes = 256 << 10;
  const auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  std::atomic<bool> done{false};
  std::atomic<int> failures{0};
  std::jthread reader([&] {
    while (!done) {
      if (!storage->list_messages({id, std::nullopt, std::nullopt, 200})) ++failures;
    }
  });
  std::vector<result<Written>> results;
  std::uintmax_t largest = 0;
  for (int i = 0; i < 300; ++i) {
    const auto failed = storage->commit(drafts(id, 16, 1'000), results);
    if (failed) ++failures;
    largest = std::max(largest, fixture.wal_bytes());
  }
  done = true;
  reader.join();
  CHECK(failures == 0);
  // Four times the threshold until a checkpoint waits for readers, what one more round may add, and as much again for
  // a reader that the machine did not let run within its grace. Without a bound it would be over 18 times: 4.8 MB.
  CHECK(largest < 12 * fixture.options.checkpoint_bytes);
  CHECK(query_reader(*storage, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("sqlite: a reader of an old snapshot delays commits no longer than its grace") {
  SqliteFixture fixture;
  fixture.options.checkpoint_bytes = 64 << 10;
  const auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage->read([&](sqlite3* reader) {
    CHECK(query(reader, "SELECT count(*) FROM travelchat_messages") == "0");
    for (int i = 0; i < 20; ++i) REQUIRE_FALSE(storage->commit(drafts(id, 16, 1'000), results));
    CHECK(query(reader, "SELECT count(*) FROM travelchat_messages") == "0");
    CHECK(fixture.wal_bytes() > 4 * fixture.options.checkpoint_bytes);
  }));
  // With the reader gone the WAL starts over, and is cut back to size.
  for (int i = 0; i < 20; ++i) REQUIRE_FALSE(storage->commit(drafts(id, 16, 1'000), results));
  CHECK(fixture.wal_bytes() < 5 * fixture.options.checkpoint_bytes);
  CHECK(storage->find_conversation(id)->value().last_seq == 640);
}

TEST_CASE("sqlite: what a later version has written is taken as far as this one knows it") {
  SqliteFixture fixture;
  auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage->commit(drafts(id, 2, 10), results));
  storage.reset();
  fixture.run_sql(
      // 3: of no message; 4: of a message, in a way that has no name here; 5: a mark.
      "INSERT INTO travelchat_changes VALUES (1, 3, 9, 0, 0, 0), (1, 4, 7, 2, 2, 0), (1, 5, 2, 1, 2, 1764000000000);"
      "UPDATE travelchat_messages SET content = 'edited', rev = 4, content_rev = 4 WHERE seq = 2;"
      "UPDATE travelchat_conversations SET rev = 5;"
      "INSERT INTO travelchat_members VALUES (1, 1, 'client-2', 'Dora', 0, 0)");
  storage = fixture.must_open();
  check_later_changes(*storage, id);
  // A further client is a member like the first.
  const std::vector<Write> writes{MarkConversation{id, client("client-2"), TimePoint{}}};
  REQUIRE_FALSE(storage->commit(writes, results));
  CHECK(results[0]);
  check_later_member(*storage, id, 2);
}

TEST_CASE("sqlite: more reads at once than readers wait for each other") {
  SqliteFixture fixture;
  fixture.options.max_readers = 0;  // taken as 1
  const auto storage = fixture.must_open();
  const Uuid id = open_conversation(*storage);
  std::atomic<int> found{0};
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        const auto row = storage->find_conversation(id);
        if (row && *row) ++found;
      }
    });
  }
  threads.clear();
  CHECK(found == 200);
}

}  // namespace travelchat::conformance
