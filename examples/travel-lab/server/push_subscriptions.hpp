// The browsers that advisors want to be notified on: rows of the host's table `push_subscriptions`.
//
// Owner: main. Every function reads or writes the database and may block; any thread but an I/O thread. Each message of
// a client needs those of its organization, so they are cached where no other process writes the table.
#pragma once

#include "web_push_message.hpp"

#include <travelchat/error.hpp>
#include <travelchat/types.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace travel_lab {

class Database;

struct PushSubscription {
  std::string endpoint;  // whoever knows it can send; never logged
  PushKeys keys;
};

class PushSubscriptions {
 public:
  // A further one ends the oldest.
  static constexpr std::size_t max_per_advisor = 20;

  explicit PushSubscriptions(Database& database) noexcept : database_(database) {}

  // Stores it, or moves it to this advisor: a browser has one subscription, which belongs to the advisor who signed in
  // there last. Only a browser knows both its endpoint and its keys, so with other keys another advisor's stays,
  // `errc::forbidden`.
  travelchat::error_code add(const std::string& advisor_id, const PushSubscription& subscription,
                             travelchat::TimePoint now);
  // An endpoint that is unknown, or another advisor's, is no error and stays.
  travelchat::error_code remove(const std::string& advisor_id, const std::string& endpoint);
  // The push service no longer knows it. What was subscribed anew since, with other keys, stays.
  travelchat::error_code forget(const PushSubscription& subscription);

  // Those of all advisors of the organization.
  travelchat::result<std::vector<PushSubscription>> of_organization(const std::string& org_id) const;

 private:
  using List = std::vector<PushSubscription>;

  travelchat::result<List> read(const std::string& org_id) const;
  // After each attempt to write: an error does not tell that nothing was stored.
  travelchat::error_code written(const travelchat::error_code& outcome);

  Database& database_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, List> known_;  // by organization; empty where others write the table, too
  mutable std::uint64_t generation_ = 0;                 // of the table
};

}  // namespace travel_lab
