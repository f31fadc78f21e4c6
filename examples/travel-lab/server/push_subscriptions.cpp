#include "push_subscriptions.hpp"

#include "database.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace travel_lab {
namespace {

using travelchat::errc;
using travelchat::error_code;

// nullopt: the row is invalid, and was not written by this class.
std::optional<PushKeys> keys_of(std::span<const std::uint8_t> p256dh, std::span<const std::uint8_t> auth) {
  PushKeys keys;
  if (p256dh.size() != keys.p256dh.size() || auth.size() != keys.auth.size()) return std::nullopt;
  std::ranges::copy(p256dh, keys.p256dh.begin());
  std::ranges::copy(auth, keys.auth.begin());
  return keys;
}

}  // namespace

error_code PushSubscriptions::add(const std::string& advisor_id, const PushSubscription& subscription,
                                  travelchat::TimePoint now) {
  bool is_stored = false;
  const error_code ec = database_.write([&](Connection& connection) {
    Statement insert(connection,
                     "INSERT INTO push_subscriptions (endpoint, advisor_id, p256dh, auth, created_at) "
                     "VALUES (?, ?, ?, ?, ?) ON CONFLICT (endpoint) DO UPDATE SET advisor_id = excluded.advisor_id, "
                     "p256dh = excluded.p256dh, auth = excluded.auth, created_at = excluded.created_at "
                     "WHERE push_subscriptions.advisor_id = excluded.advisor_id OR (push_subscriptions.p256dh = "
                     "excluded.p256dh AND push_subscriptions.auth = excluded.auth) "
                     "RETURNING 1");
    insert.run(subscription.endpoint, advisor_id, subscription.keys.p256dh, subscription.keys.auth,
               std::int64_t{now.time_since_epoch().count()});
    while (insert.next()) is_stored = true;
    Statement trim(
        connection,
        "DELETE FROM push_subscriptions WHERE endpoint IN (SELECT endpoint FROM (SELECT endpoint, row_number() "
        "OVER (ORDER BY created_at DESC) AS place FROM push_subscriptions WHERE advisor_id = ? AND endpoint "
        "<> ?) AS others WHERE place > ?)");
    trim.execute(advisor_id, subscription.endpoint, std::int64_t{max_per_advisor} - 1);
  });
  if (written(ec)) return ec;
  return is_stored ? error_code() : make_error_code(errc::forbidden);
}

error_code PushSubscriptions::remove(const std::string& advisor_id, const std::string& endpoint) {
  return written(database_.write([&](Connection& connection) {
    Statement(connection, "DELETE FROM push_subscriptions WHERE endpoint = ? AND advisor_id = ?")
        .execute(endpoint, advisor_id);
  }));
}

error_code PushSubscriptions::forget(const PushSubscription& subscription) {
  return written(database_.write([&](Connection& connection) {
    Statement(connection, "DELETE FROM push_subscriptions WHERE endpoint = ? AND p256dh = ? AND auth = ?")
        .execute(subscription.endpoint, subscription.keys.p256dh, subscription.keys.auth);
  }));
}

error_code PushSubscriptions::written(const error_code& outcome) {
  const std::lock_guard lock(mutex_);
  ++generation_;
  known_.clear();
  return outcome;
}

travelchat::result<std::vector<PushSubscription>> PushSubscriptions::of_organization(const std::string& org_id) const {
  if (database_.is_shared()) return read(org_id);
  std::uint64_t generation = 0;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(org_id); known != known_.end()) return known->second;
    generation = generation_;
  }
  auto found = read(org_id);
  const std::lock_guard lock(mutex_);
  // Not kept when something was written since the read.
  if (found && generation == generation_) known_.insert_or_assign(org_id, *found);
  return found;
}

travelchat::result<std::vector<PushSubscription>> PushSubscriptions::read(const std::string& org_id) const {
  List found;
  const error_code ec = database_.read([&](Connection& connection) {
    Statement rows(connection,
                   "SELECT endpoint, p256dh, auth FROM push_subscriptions WHERE advisor_id IN "
                   "(SELECT id FROM advisors WHERE org_id = ? AND disabled_at IS NULL)");
    for (rows.run(org_id); rows.next();) {
      if (const auto keys = keys_of(rows.bytes(1), rows.bytes(2))) found.push_back({rows.text(0), *keys});
    }
  });
  if (ec) return ec;
  return found;
}

}  // namespace travel_lab
