#include "live_directory.hpp"

#include "database.hpp"

#include <cstdint>
#include <stdexcept>
#include <utility>

namespace travel_lab {

LiveDirectory::LiveDirectory(Database& database, DemoAccounts demo_accounts)
    : database_(database), demo_accounts_(demo_accounts) {
  auto loaded = Directory::load(database, demo_accounts);
  if (!loaded) throw std::runtime_error("cannot read the database");
  current_ = std::make_shared<const Directory>(*std::move(loaded));
  if (database.is_shared()) {
    checks_ = std::jthread([this](const std::stop_token& stop) { keep_checking(stop); });
  }
}

LiveDirectory::~LiveDirectory() {
  stop();
}

std::shared_ptr<const Directory> LiveDirectory::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

travelchat::error_code LiveDirectory::refresh() {
  if (!database_.is_shared()) return {};
  const std::lock_guard refreshing(refreshing_);
  std::int64_t version = 0;
  const auto ec = database_.read([&version](Connection& connection) { version = Directory::read_version(connection); });
  if (ec || version == current()->version()) return ec;
  auto loaded = Directory::load(database_, demo_accounts_);
  if (!loaded) return loaded.error();
  auto fresh = std::make_shared<const Directory>(*std::move(loaded));
  {
    const std::lock_guard lock(mutex_);
    std::swap(current_, fresh);
  }
  return {};  // the old directory may be destroyed here, outside of the lock
}

void LiveDirectory::stop() {
  checks_.request_stop();
  if (checks_.joinable()) checks_.join();
}

void LiveDirectory::keep_checking(const std::stop_token& stop) {
  std::unique_lock lock(waiting_);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, check_interval, [] { return false; });
    // An error leaves the directory as it is; the chat's own routes report a database that is gone.
    if (!stop.stop_requested()) refresh();
  }
}

}  // namespace travel_lab
