// Advisors' browser sessions: a cookie with 32 random bytes, of which only the SHA-256 is kept.
//
// The table is the truth across restarts; all live rows are in memory too, so that a request with a cookie costs a hash
// and a look-up and never waits for the database. Memory is bounded by `max_per_advisor`. `find` from any thread,
// `open` and `close` from any that may block.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
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

  Sessions(Database& database, std::chrono::milliseconds lifetime);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  // Reads the live sessions; once, before anything else.
  travelchat::error_code load(travelchat::TimePoint now);

  // Durable once it returns.
  travelchat::result<OpenedSession> open(const std::string& advisor_id, travelchat::TimePoint now);
  // nullopt: malformed, unknown, closed or expired.
  std::optional<Session> find(std::string_view token, travelchat::TimePoint now) const;
  // Ends it at once; the error says that a restart would bring it back. Unknown tokens are no error.
  travelchat::error_code close(std::string_view token);

 private:
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
  std::unordered_map<travelchat::Sha256Digest, Session, DigestHash> live_;
};

}  // namespace travel_lab
