// A full disk, and an end without warning.

#include "fixture.hpp"

#include <travelchat/sqlite_storage.hpp>

#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <random>

namespace travelchat::conformance {
namespace {

const TimePoint start{milliseconds{1'764'000'000'000}};

AppendMessage draft(const Uuid& conversation_id, std::string content) {
  AppendMessage write;
  write.message_id = make_uuid(start);
  write.conversation_id = conversation_id;
  write.sender = client();
  write.client_message_id = to_string(write.message_id);
  write.content = std::move(content);
  write.now = start;
  return write;
}

Uuid open_conversation(Storage& storage) {
  std::vector<result<Written>> results;
  const std::vector<Write> writes{OpenConversation{make_uuid(start), "org-1", "client-1", start}};
  if (storage.commit(writes, results)) return {};
  return results.front()->conversation.id;
}

std::string integrity(SqliteStorage& storage) {
  std::string answer;
  const auto failed = storage.read([&](sqlite3* database) {
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, nullptr);
    if (sqlite3_step(statement) == SQLITE_ROW) {
      answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
  });
  return failed ? "failed" : answer;
}

std::vector<Message> all_messages(Storage& storage, const Uuid& id) {
  std::vector<Message> all;
  MessageQuery query{id, std::nullopt, std::nullopt, 200};
  for (;;) {
    const auto page = storage.list_messages(query);
    REQUIRE(page);
    all.insert(all.begin(), page->messages.begin(), page->messages.end());
    if (!page->has_more) return all;
    query.before_seq = page->messages.front().seq;
  }
}

// A file system of 8 MiB in memory, gone with its owner.
class SmallDisk {
 public:
  SmallDisk() : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=8m") == 0) {
    if (!mounted_) reason_ = std::strerror(errno);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool is_mounted() const { return mounted_; }
  const std::string& reason() const { return reason_; }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  bool mounted_;
  std::string reason_;
};

}  // namespace

TEST_CASE("sqlite: a full disk fails the batch as a whole, reads go on, and room brings commits back") {
  const SmallDisk disk;
  if (!disk.is_mounted()) {
    WARN("skipped: an 8 MiB tmpfs cannot be mounted here: " << disk.reason());
    return;
  }
  SqliteStorageOptions options;
  options.path = disk.path() / "chat.db";
  // Above the size of the disk: only the full disk itself brings a checkpoint. Below it: checkpoints meet the full
  // disk.
  options.checkpoint_bytes = GENERATE(std::size_t{16} << 20, std::size_t{256} << 10);
  auto opened = SqliteStorage::open(options);
  REQUIRE(opened);
  auto storage = std::move(*opened);
  const Uuid id = open_conversation(*storage);

  const auto ballast = disk.path() / "ballast";
  std::ofstream(ballast) << std::string(2 << 20, 'b');

  std::vector<Uuid> answered;
  std::vector<result<Written>> results;
  const auto commit = [&] {
    std::vector<Write> batch;
    for (int i = 0; i < 8; ++i) batch.emplace_back(draft(id, std::string(4'000, 'x')));
    const auto failed = storage->commit(batch, results);
    if (failed) return failed;
    for (const auto& written : results) {
      REQUIRE(written);
      answered.push_back(written->message->id);
    }
    return failed;
  };
  const auto check_all_there = [&] {
    const auto messages = all_messages(*storage, id);
    REQUIRE(messages.size() == answered.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      REQUIRE(messages[i].seq == i + 1);
      REQUIRE(messages[i].rev == i + 1);
      REQUIRE(messages[i].id == answered[i]);
    }
    const auto row = storage->find_conversation(id);
    REQUIRE(row);
    CHECK((*row)->last_seq == answered.size());
    CHECK((*row)->unread_count == answered.size());
  };

  // A checkpoint may make room in the WAL after a failure: full is when nothing goes any more.
  int in_a_row = 0;
  for (int i = 0; i < 5'000 && in_a_row < 20; ++i) {
    const auto failed = commit();
    in_a_row = failed ? in_a_row + 1 : 0;
    if (failed) REQUIRE(failed == errc::storage_full);
    if (failed) REQUIRE(results.empty());
  }
  REQUIRE(in_a_row == 20);
  REQUIRE(answered.size() > 100);
  check_all_there();
  CHECK_FALSE(storage->ping());
  CHECK(integrity(*storage) == "ok");

  SECTION("room comes back while the storage is open") {
    std::filesystem::remove(ballast);
    for (int i = 0; i < 10; ++i) REQUIRE_FALSE(commit());
    check_all_there();
  }
  SECTION("the storage is opened again, first on the full disk and then with room") {
    storage.reset();
    auto full = SqliteStorage::open(options);
    if (full) {
      storage = std::move(*full);
      check_all_there();
      storage.reset();
    } else {
      CHECK(full.error() == errc::storage_full);
    }
    std::filesystem::remove(ballast);
    auto again = SqliteStorage::open(options);
    REQUIRE(again);
    storage = std::move(*again);
    check_all_there();
    for (int i = 0; i < 10; ++i) REQUIRE_FALSE(commit());
    check_all_there();
  }
  CHECK(integrity(*storage) == "ok");
}

TEST_CASE("sqlite: what was answered before a kill -9 is there, once, and the seqs are dense") {
  TemporaryFolder folder;
  SqliteStorageOptions options;
  options.path = folder.path() / "chat.db";
  options.checkpoint_bytes = 128 << 10;  // so that kills also meet checkpoints
  Uuid id;
  {
    auto storage = SqliteStorage::open(options);
    REQUIRE(storage);
    id = open_conversation(**storage);
  }

  std::mt19937 random(7);
  std::vector<Uuid> answered;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipe_ends[0]);
      // The kernel freed the lock with the process before: no wait is needed.
      auto storage = SqliteStorage::open(options);
      if (!storage) ::_exit(2);
      std::vector<result<Written>> results;
      for (;;) {
        std::vector<Write> batch;
        for (int i = 0; i < 8; ++i) batch.emplace_back(draft(id, std::string(500, 'x')));
        if ((*storage)->commit(batch, results)) ::_exit(3);
        for (const auto& written : results) {
          if (!written) ::_exit(4);
          if (::write(pipe_ends[1], written->message->id.bytes.data(), 16) != 16) ::_exit(5);
        }
      }
    }
    REQUIRE(child > 0);
    ::close(pipe_ends[1]);
    // Killed after so many answers, at whatever the child does just then.
    std::size_t left = 1 + random() % 800;
    Uuid reported;
    const auto next_report = [&] {
      std::size_t have = 0;
      while (have < 16) {
        const auto got = ::read(pipe_ends[0], reported.bytes.data() + have, 16 - have);
        if (got <= 0) return false;
        have += static_cast<std::size_t>(got);
      }
      return true;
    };
    while (left > 0 && next_report()) {
      answered.push_back(reported);
      --left;
    }
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(left == 0);
    while (next_report()) answered.push_back(reported);
    ::close(pipe_ends[0]);

    auto opened = SqliteStorage::open(options);
    REQUIRE(opened);
    auto& storage = **opened;
    const auto messages = all_messages(storage, id);
    std::vector<Uuid> kept;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      REQUIRE(messages[i].seq == i + 1);
      kept.push_back(messages[i].id);
    }
    // Beyond the answered ones, a batch that was committed but not answered may follow in each round.
    std::size_t at = 0;
    for (const Uuid& wanted : answered) {
      while (at < kept.size() && kept[at] != wanted) ++at;
      REQUIRE(at < kept.size());
      ++at;
    }
    REQUIRE(kept.size() <= answered.size() + 8 * (static_cast<std::size_t>(round) + 1));
    const auto row = storage.find_conversation(id);
    REQUIRE(row);
    CHECK((*row)->last_seq == kept.size());
    CHECK((*row)->rev == kept.size());
    CHECK((*row)->unread_count == kept.size());
    CHECK(integrity(storage) == "ok");

    // A sender that got no answer sends again, and the message is there once.
    const Message& repeated = messages[random() % messages.size()];
    AppendMessage retry = draft(id, repeated.content);
    retry.client_message_id = repeated.client_message_id;
    std::vector<result<Written>> results;
    REQUIRE_FALSE(storage.commit(std::vector<Write>{retry}, results));
    REQUIRE(results.front());
    CHECK_FALSE(results.front()->changed);
    CHECK(results.front()->message->id == repeated.id);
  }
}

}  // namespace travelchat::conformance
