#include "sessions.hpp"

#include "database.hpp"
#include "secrets.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
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

constexpr std::size_t ids_in_query = 50;

std::string id_of(const Sha256Digest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string id;
  for (const std::uint8_t byte : digest) {
    id += digits[byte >> 4];
    id += digits[byte & 15];
  }
  return id;
}

// nullopt: no id of ours.
std::optional<Sha256Digest> digest_of(std::string_view id) {
  Sha256Digest digest{};
  if (id.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const auto [end, error] = std::from_chars(id.data() + 2 * i, id.data() + 2 * i + 2, digest[i], 16);
    if (error != std::errc() || end != id.data() + 2 * i + 2) return std::nullopt;
  }
  return digest;
}

}  // namespace

Sessions::Sessions(Database& database, std::chrono::milliseconds lifetime, std::chrono::milliseconds idle_timeout)
    : database_(database), lifetime_(lifetime), idle_timeout_(idle_timeout) {}

bool Sessions::is_over(const Remembered& remembered, TimePoint now) const noexcept {
  const std::int64_t used_at = std::atomic_ref(remembered.used_at).load();
  return remembered.session.expires_at <= now || used_at + idle_timeout_.count() <= milliseconds(now);
}

void Sessions::remember(const Sha256Digest& digest, Session session, std::optional<std::int64_t> noted_at,
                        TimePoint now) {
  session.id = travel_lab::id_of(digest);
  // A row from before the idle time-out existed counts as used now.
  Remembered fresh{std::move(session), now, noted_at.value_or(milliseconds(now)), noted_at.value_or(0)};
  const auto found = live_.find(digest);
  if (found != live_.end()) {
    fresh.used_at = std::max(fresh.used_at, found->second.used_at);
    fresh.noted_at = std::max(fresh.noted_at, found->second.noted_at);
  }
  if (is_over(fresh, now)) {
    live_.erase(digest);
  } else {
    live_.insert_or_assign(digest, std::move(fresh));
  }
}

error_code Sessions::load(TimePoint now) {
  return database_.read([&](Connection& connection) {
    Statement rows(connection, "SELECT digest, advisor_id, expires_at, used_at FROM sessions WHERE expires_at > ?");
    rows.run(milliseconds(now));
    const std::lock_guard lock(mutex_);
    while (rows.next()) {
      remember(digest_of(rows.bytes(0)), {rows.text(1), TimePoint{std::chrono::milliseconds{rows.integer(2)}}},
               rows.optional_integer(3), now);
    }
  });
}

travelchat::result<OpenedSession> Sessions::open(const std::string& advisor_id, TimePoint now) {
  const std::string token = random_hex(32);
  const Sha256Digest digest = sha256(token);
  const TimePoint expires_at = now + lifetime_;
  std::vector<Sha256Digest> ended;
  const error_code ec = database_.write([&](Connection& connection) {
    Statement(connection, "DELETE FROM sessions WHERE expires_at <= ? OR used_at <= ?")
        .execute(milliseconds(now), milliseconds(now - idle_timeout_));
    Statement insert(connection, "INSERT INTO sessions (digest, advisor_id, expires_at, used_at) VALUES (?, ?, ?, ?)");
    insert.execute(digest, advisor_id, milliseconds(expires_at), milliseconds(now));
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

  for (const Sha256Digest& old : ended) ended_(travel_lab::id_of(old));
  const std::lock_guard lock(mutex_);
  for (const Sha256Digest& old : ended) live_.erase(old);
  std::erase_if(live_, [this, now](const auto& each) { return is_over(each.second, now); });
  remember(digest, {advisor_id, expires_at}, milliseconds(now), now);
  return OpenedSession{token, expires_at};
}

std::optional<Session> Sessions::recall(std::string_view token, TimePoint now) const {
  // Looked up by its digest, so that the time of a look-up tells nothing about the tokens that exist.
  const Sha256Digest digest = sha256(token);
  const std::shared_lock lock(mutex_);
  const auto found = live_.find(digest);
  if (found == live_.end() || is_over(found->second, now)) return std::nullopt;
  // It may have been read since `now` was. A clock that was set back makes it old, too.
  const bool is_fresh = found->second.read_at < now + trust && now < found->second.read_at + trust;
  if (database_.is_shared() && !is_fresh) return std::nullopt;
  Session session = found->second.session;
  const std::int64_t used_at = milliseconds(now);
  std::atomic_ref last_use(found->second.used_at);
  for (auto seen = last_use.load(); seen < used_at && !last_use.compare_exchange_weak(seen, used_at);) {
  }
  // Only one caller is told that it is due.
  std::atomic_ref noted(found->second.noted_at);
  auto noted_at = noted.load();
  session.is_use_due =
      noted_at + idle_timeout_.count() / 8 <= used_at && noted.compare_exchange_strong(noted_at, used_at);
  return session;
}

error_code Sessions::note_use(std::string_view token, TimePoint now) {
  return database_.write([&](Connection& connection) {
    Statement(connection, "UPDATE sessions SET used_at = ? WHERE digest = ? AND (used_at IS NULL OR used_at < ?)")
        .execute(milliseconds(now), sha256(token), milliseconds(now));
  });
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
  std::optional<std::int64_t> noted_at;
  const error_code ec = database_.read([&](Connection& connection) {
    Statement rows(connection,
                   "SELECT advisor_id, expires_at, used_at FROM sessions WHERE digest = ? AND expires_at > ?");
    if (rows.run(digest, milliseconds(now)).next()) {
      stored = Session{rows.text(0), TimePoint{std::chrono::milliseconds{rows.integer(1)}}};
      noted_at = rows.optional_integer(2);
    }
  });
  if (ec) return ec;
  const std::lock_guard lock(mutex_);
  if (stored && closed_ == closed_before) {
    remember(digest, *std::move(stored), noted_at, now);
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
  {
    // Erased again, and counted: a `reread` may have found the row before it was deleted.
    const std::lock_guard lock(mutex_);
    ++closed_;
    live_.erase(digest);
  }
  ended_(travel_lab::id_of(digest));
  return ec;
}

std::string Sessions::id_of(std::string_view token) {
  return travel_lab::id_of(sha256(token));
}

travelchat::result<std::vector<std::string>> Sessions::find_live(const std::vector<std::string>& ids,
                                                                 TimePoint now) const {
  std::vector<std::string> live;
  // This check is no use of the session: an open page that nobody looks at is closed when its session has been idle for
  // too long.
  const auto is_remembered = [&](const Sha256Digest& digest) {
    const auto found = live_.find(digest);
    return found != live_.end() && !is_over(found->second, now);
  };
  if (!database_.is_shared()) {
    const std::shared_lock lock(mutex_);
    for (const std::string& id : ids) {
      const auto digest = digest_of(id);
      if (digest && is_remembered(*digest)) live.push_back(id);
    }
    return live;
  }
  const error_code ec = database_.read([&](Connection& connection) {
    std::string sql = "SELECT digest, used_at FROM sessions WHERE expires_at > ? AND digest IN (?";
    for (std::size_t i = 1; i < ids_in_query; ++i) sql += ", ?";
    const auto rows = connection.prepare(sql + ")");
    for (std::size_t first = 0; first < ids.size(); first += ids_in_query) {
      // The last query is filled up with repeats of an id, so that one statement serves for any number.
      std::array<Sha256Digest, ids_in_query> digests{};
      std::array<Value, 1 + ids_in_query> parameters{milliseconds(now)};
      for (std::size_t i = 0; i < ids_in_query; ++i) {
        const std::string& id = ids[first + i < ids.size() ? first + i : first];
        digests[i] = digest_of(id).value_or(Sha256Digest{});
        parameters[1 + i] = std::span<const std::uint8_t>(digests[i]);
      }
      for (rows->run(parameters); rows->next();) {
        const Sha256Digest digest = digest_of(rows->bytes(0));
        // The row may be older than what this node knows; see note_use.
        const bool is_in_use = rows->is_null(1) || rows->integer(1) > milliseconds(now - idle_timeout_);
        const std::shared_lock lock(mutex_);
        if (is_in_use || is_remembered(digest)) live.push_back(travel_lab::id_of(digest));
      }
    }
  });
  if (ec) return ec;
  return live;
}

}  // namespace travel_lab
