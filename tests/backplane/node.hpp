// A node with nothing but a backplane: it remembers what it heard, and tests wait for that.
#pragma once

#include <travelchat/backplane.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::backplane_test {

// Only ends a test that has failed already.
constexpr std::chrono::seconds patience{60};

Uuid new_topic();

class Node final : public BackplaneListener {
 public:
  // Started.
  explicit Node(std::unique_ptr<Backplane> backplane);
  ~Node() override;

  Backplane* operator->() const noexcept { return backplane_.get(); }

  // Joins, and returns once the node hears.
  void hear(const Uuid& topic);

  // Each fails the test when it takes too long.
  void wait_until_up();
  void wait_until_down();
  void wait_for_joined(const Uuid& topic, std::size_t times = 1);
  void wait_for_missed(std::size_t times = 1);
  // Until it heard this payload on this topic; then all that it heard on it, in order.
  std::vector<std::string> wait_for(const Uuid& topic, const std::string& payload);
  std::vector<std::string> wait_for_count(const Uuid& topic, std::size_t count);

  // Whether it has heard that, or does within this time.
  bool hears(const Uuid& topic, const std::string& payload, std::chrono::milliseconds within);
  std::vector<std::string> heard(const Uuid& topic);
  std::size_t joined_count(const Uuid& topic);
  std::size_t missed_count();
  // How often it was called at all.
  std::size_t calls();

  // From now on the listener's calls do not return, until `release`.
  void hold();
  void wait_until_held();
  void release();

 private:
  void received(const Uuid& topic, std::string_view payload) noexcept override;
  void joined(const Uuid& topic) noexcept override;
  void missed() noexcept override;
  // Runs `note` and tells whoever waits; holds the caller while that is asked for. Two calls for one topic at once fail
  // the test.
  void note(const Uuid* topic, const std::function<void()>& change);
  template <class Condition>
  void wait(const char* what, Condition condition);

  std::unique_ptr<Backplane> backplane_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Uuid, std::vector<std::string>> heard_;
  std::map<Uuid, std::size_t> joined_;
  std::set<Uuid> busy_;
  bool overlapped_ = false;
  bool hold_ = false;
  std::size_t held_ = 0;
  std::size_t missed_ = 0;
  std::size_t calls_ = 0;
};

}  // namespace travelchat::backplane_test
