#include "node.hpp"

#include "catch.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace travelchat::backplane_test {

Uuid new_topic() {
  return make_uuid(std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()));
}

Node::Node(std::unique_ptr<Backplane> backplane) : backplane_(std::move(backplane)) {
  backplane_->start(*this);
}

Node::~Node() {
  release();
  backplane_.reset();
  CHECK_FALSE(overlapped_);
}

void Node::hear(const Uuid& topic) {
  const std::size_t before = joined_count(topic);
  backplane_->join(topic);
  wait_for_joined(topic, before + 1);
}

void Node::wait_until_up() {
  hear(new_topic());
}

// Of this there is no event.
void Node::wait_until_down() {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (backplane_->is_up() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  REQUIRE_FALSE(backplane_->is_up());
}

void Node::wait_for_joined(const Uuid& topic, std::size_t times) {
  wait("joined", [&] { return joined_[topic] >= times; });
}

void Node::wait_for_missed(std::size_t times) {
  wait("missed", [&] { return missed_ >= times; });
}

std::vector<std::string> Node::wait_for(const Uuid& topic, const std::string& payload) {
  INFO("waiting for " << payload);
  REQUIRE(hears(topic, payload, patience));
  return heard(topic);
}

std::vector<std::string> Node::wait_for_count(const Uuid& topic, std::size_t count) {
  wait("messages", [&] { return heard_[topic].size() >= count; });
  return heard(topic);
}

bool Node::hears(const Uuid& topic, const std::string& payload, std::chrono::milliseconds within) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, within, [&] {
    const auto& all = heard_[topic];
    return std::find(all.rbegin(), all.rend(), payload) != all.rend();
  });
}

std::vector<std::string> Node::heard(const Uuid& topic) {
  const std::lock_guard lock(mutex_);
  return heard_[topic];
}

std::size_t Node::joined_count(const Uuid& topic) {
  const std::lock_guard lock(mutex_);
  return joined_[topic];
}

std::size_t Node::missed_count() {
  const std::lock_guard lock(mutex_);
  return missed_;
}

std::size_t Node::calls() {
  const std::lock_guard lock(mutex_);
  return calls_;
}

void Node::hold() {
  const std::lock_guard lock(mutex_);
  hold_ = true;
}

void Node::wait_until_held() {
  wait("a call to hold", [&] { return held_ > 0; });
}

void Node::release() {
  const std::lock_guard lock(mutex_);
  hold_ = false;
  changed_.notify_all();
}

void Node::received(const Uuid& topic, std::string_view payload) noexcept {
  note(&topic, [&] { heard_[topic].emplace_back(payload); });
}

void Node::joined(const Uuid& topic) noexcept {
  note(&topic, [&] { ++joined_[topic]; });
}

void Node::missed() noexcept {
  note(nullptr, [&] { ++missed_; });
}

void Node::note(const Uuid* topic, const std::function<void()>& change) {
  std::unique_lock lock(mutex_);
  if (topic != nullptr && !busy_.insert(*topic).second) overlapped_ = true;
  ++calls_;
  ++held_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !hold_; });
  --held_;
  change();
  if (topic != nullptr) busy_.erase(*topic);
  changed_.notify_all();
}

template <class Condition>
void Node::wait(const char* what, Condition condition) {
  std::unique_lock lock(mutex_);
  const bool came = changed_.wait_for(lock, patience, condition);
  lock.unlock();
  INFO("waiting for " << what);
  REQUIRE(came);
}

}  // namespace travelchat::backplane_test
