#include "sessions.hpp"

#include "database.hpp"
#include "secrets.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace travel_lab {
namespace {

using travelchat::error_code;
using travelchat::Sha256Digest;
using travelchat::TimePoint;

std::int64_t milliseconds(TimePoint time) {
  return time.time_since_epoch().count();
}

Sha256Digest digest_of(std::span<const std::uint8_t> bytes) {
  Sha256Digest digest{};
  std::copy_n(bytes.begin(), std::min(bytes.size(), digest.size()), digest.begin());
  return digest;
}

}  // namespace

Sessions::Sessions(Database& database, std::chrono::milliseconds lifetime) : database_(database), lifetime_(lifetime) {}

error_code Sessions::load(TimePoint now) {
  return database_.read([&](Connection& connection) {
    Statement rows(connection, "SELECT digest, advisor_id, expires_at FROM sessions WHERE expires_at > ?");
    rows.run(milliseconds(now));
    const std::lock_guard lock(mutex_);
    while (rows.next()) {
      live_.insert_or_assign(digest_of(rows.bytes(0)),
                             Remembered{{rows.text(1), TimePoint{std::chrono::milliseconds{rows.integer(2)}}}, now});
    }
  });
}

travelchat::result<OpenedSession> Sessions::open(const std::string& advisor_id, TimePoint now) {
  const std::string token = random_hex(32);
  const Sha256Digest digest = sha256(token);
  const TimePoint expires_at = now + lifetime_;
  std::vector<Sha256Digest> ended;
  const error_code ec = database_.write([&](Connection& connection) {
    Statement(connection, "DELETE FROM sessions WHERE expires_at <= ?").execute(milliseconds(now));
    Statement insert(connection, "INSERT INTO sessions (digest, advisor_id, expires_at) VALUES (?, ?, ?)");
    insert.execute(digest, advisor_id, milliseconds(expires_at));
    Statement trim(
        connection,
        "DELETE FROM sessions WHERE digest IN (SELECT digest FROM (SELECT digest, row_number() OVER (ORDER BY "
        "expires_at DESC) AS place FROM sessions WHERE advisor_id = ? AND digest <> ?) AS others WHERE place "
        "> ?) RETURNING digest");
    for (trim.run(advisor_id, digest, std::int64_t{max_per_advisor} - 1); trim.next();) {
      ended.push_back(digest_of(trim.bytes(0)));
    }
  });
  if (ec) return ec;

  const std::lock_guard lock(mutex_);
  for (const Sha256Digest& old : ended) live_.erase(old);
  std::erase_if(live_, [now](const auto& each) { return each.second.session.expires_at <= now; });
  live_.insert_or_assign(digest, Remembered{{advisor_id, expires_at}, now});
  return OpenedSession{token, expires_at};
}

std::optional<Session> Sessions::recall(std::string_view token, TimePoint now) const {
  // Looked up by its digest, so that the time of a look-up tells nothing about the tokens that exist.
  const Sha256Digest digest = sha256(token);
  const std::shared_lock lock(mutex_);
  const auto found = live_.find(digest);
  if (found == live_.end() || found->second.session.expires_at <= now) return std::nullopt;
  // It may have been read since `now` was. A clock that was set back makes it old, too.
  const bool is_fresh = found->second.read_at < now + trust && now < found->second.read_at + trust;
  if (database_.is_shared() && !is_fresh) return std::nullopt;
  return found->second.session;
}

error_code Sessions::reread(std::string_view token, TimePoint now) {
  if (!database_.is_shared()) return {};
  const Sha256Digest digest = sha256(token);
  std::uint64_t closed_before = 0;
  {
    const std::shared_lock lock(mutex_);
    closed_before = closed_;
  }
  std::optional<Session> stored;
  const error_code ec = database_.read([&](Connection& connection) {
    Statement rows(connection, "SELECT advisor_id, expires_at FROM sessions WHERE digest = ? AND expires_at > ?");
    if (rows.run(digest, milliseconds(now)).next()) {
      stored = Session{rows.text(0), TimePoint{std::chrono::milliseconds{rows.integer(1)}}};
    }
  });
  if (ec) return ec;
  const std::lock_guard lock(mutex_);
  if (stored && closed_ == closed_before) {
    live_.insert_or_assign(digest, Remembered{*std::move(stored), now});
  } else {
    live_.erase(digest);
  }
  return {};
}

error_code Sessions::close(std::string_view token) {
  const Sha256Digest digest = sha256(token);
  {
    const std::lock_guard lock(mutex_);
    if (live_.erase(digest) == 0 && !database_.is_shared()) return {};
  }
  const error_code ec = database_.write(
      [&](Connection& connection) { Statement(connection, "DELETE FROM sessions WHERE digest = ?").execute(digest); });
  // Once more, and with a mark: a `reread` may have found the row before it went.
  const std::lock_guard lock(mutex_);
  ++closed_;
  live_.erase(digest);
  return ec;
}

}  // namespace travel_lab
