// Advisors' browser sessions: a cookie with 32 random bytes, of which only the SHA-256 is kept.
//
// The table is the truth. Its rows are in memory too, so that a request with a cookie costs a hash and a look-up. Where
// this process owns the database, memory holds all of them and no request waits for it. Where other nodes open and end
// sessions too, memory is asked first, and the database about what memory does not hold or read longer ago than
// `trust`. Memory is bounded by `max_per_advisor`. `recall` from any thread; what reads or writes the database may
// block.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace travel_lab {

class Database;

struct Session {
  std::string advisor_id;
  travelchat::TimePoint expires_at;
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

  Sessions(Database& database, std::chrono::milliseconds lifetime);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // Reads the live sessions; once, before anything else.
  travelchat::error_code load(travelchat::TimePoint now);

  // Durable once it returns.
  travelchat::result<OpenedSession> open(const std::string& advisor_id, travelchat::TimePoint now);
  // What memory says. nullopt: malformed, unknown, closed or expired, or `reread` has to say.
  std::optional<Session> recall(std::string_view token, travelchat::TimePoint now) const;
  // Brings what memory says of this session up to date; without effect where memory is always right.
  travelchat::error_code reread(std::string_view token, travelchat::TimePoint now);
  // Ends it at once; the error says that a restart would bring it back. Unknown tokens are no error.
  travelchat::error_code close(std::string_view token);

 private:
  struct Remembered {
    Session session;
    travelchat::TimePoint read_at;
  };
  struct DigestHash {
    std::size_t operator()(const travelchat::Sha256Digest& digest) const noexcept {
      std::size_t first = 0;
      std::memcpy(&first, digest.data(), sizeof first);
      return first;
    }
  };

  Database& database_;
  const std::chrono::milliseconds lifetime_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<travelchat::Sha256Digest, Remembered, DigestHash> live_;
  std::uint64_t closed_ = 0;  // how many; what was read before one of them may be of that one
};

}  // namespace travel_lab
