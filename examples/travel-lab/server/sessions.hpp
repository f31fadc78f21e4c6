// Advisors' browser sessions: a cookie with 32 random bytes, of which only the SHA-256 is kept.
//
// The table is authoritative. Its rows are cached in memory, so that a request with a cookie costs a hash and a
// look-up. Where this process owns the database, all of them are in memory, and no request waits for the database.
// Where other nodes open and end sessions, too, the database is asked about sessions that are not in memory, or were
// read longer ago than `trust`. Memory is bounded by `max_per_advisor`. `recall` from any thread; what reads or writes
// the database may block.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace travel_lab {

class Database;

struct Session {
  std::string advisor_id;
  travelchat::TimePoint expires_at;
  std::string id = {};      // see `Sessions::id_of`
  bool is_use_due = false;  // that it is in use should be written down now, see `Sessions::note_use`
};

struct OpenedSession {
  std::string token;  // 64 hexadecimal characters
  travelchat::TimePoint expires_at;
};

class Sessions {
 public:
  // A further one ends the oldest.
  static constexpr std::size_t max_per_advisor = 100;

  // Where several nodes share the database: what one has ended is refused by the others after this time at most.
  static constexpr std::chrono::seconds trust{5};

  // A session ends `lifetime` after it was opened, and when it was not used for `idle_timeout`. Each `recall` that
  // finds it is a use.
  Sessions(Database& database, std::chrono::milliseconds lifetime, std::chrono::milliseconds idle_timeout);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // Reads the live sessions; once, before anything else.
  travelchat::error_code load(travelchat::TimePoint now);

  // Durable once it returns.
  travelchat::result<OpenedSession> open(const std::string& advisor_id, travelchat::TimePoint now);
  // Looks in memory only. nullopt: malformed, unknown, closed, expired or idle for too long, or `reread` is needed.
  std::optional<Session> recall(std::string_view token, travelchat::TimePoint now) const;
  // Reads this session from the database again; without effect where this process owns the database.
  travelchat::error_code reread(std::string_view token, travelchat::TimePoint now);
  // Writes down that it was used at `now`, for other nodes and for after a restart. Asked for by `recall` once in a
  // while, so that a use costs no commit: what is written is at most an eighth of the idle time-out old.
  travelchat::error_code note_use(std::string_view token, travelchat::TimePoint now);
  // Ends it at once. After an error its row may still be there, and a restart, or a read from a shared database, brings
  // it back. Unknown tokens are no error.
  travelchat::error_code close(std::string_view token);

  // What names the session of this token to the chat: its digest in hexadecimal.
  static std::string id_of(std::string_view token);
  // Those of `ids` that have not ended, by the database where others end sessions, too. Does not count as a use.
  travelchat::result<std::vector<std::string>> find_live(const std::vector<std::string>& ids,
                                                         travelchat::TimePoint now) const;
  // Before anything else: called with the id of each session that this process ends, on the thread that ends it.
  void when_ended(std::function<void(const std::string& id)> call) { ended_ = std::move(call); }

 private:
  struct Remembered {
    Session session;
    travelchat::TimePoint read_at;
    // Milliseconds since 1970. Under the lock for reading they are changed too, by std::atomic_ref.
    mutable std::int64_t used_at;
    mutable std::int64_t noted_at;  // the row's value, or the one that is being written to it
  };
  // Takes over the values of a row; a later use that is in memory is kept.
  void remember(const travelchat::Sha256Digest& digest, Session session, std::optional<std::int64_t> noted_at,
                travelchat::TimePoint now);
  bool is_over(const Remembered& remembered, travelchat::TimePoint now) const noexcept;
  struct DigestHash {
    std::size_t operator()(const travelchat::Sha256Digest& digest) const noexcept {
      std::size_t first = 0;
      std::memcpy(&first, digest.data(), sizeof first);
      return first;
    }
  };

  Database& database_;
  const std::chrono::milliseconds lifetime_;
  const std::chrono::milliseconds idle_timeout_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<travelchat::Sha256Digest, Remembered, DigestHash> live_;
  std::function<void(const std::string& id)> ended_ = [](const std::string&) {};
  std::uint64_t closed_ = 0;  // `close` calls; one may have deleted a row that was read before
};

}  // namespace travel_lab
