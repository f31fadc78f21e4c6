#include <travelchat/local_backplane.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat {

namespace {

constexpr std::size_t max_queued = 65'536;
constexpr std::size_t max_payload_bytes = std::size_t{1} << 20;

// What waits for a node's thread, which calls the listener.
struct Received {
  Uuid topic;
  std::shared_ptr<const std::string> payload;
};
struct Joined {
  Uuid topic;
};
struct Missed {};
using News = std::variant<Received, Joined, Missed>;

}  // namespace

class LocalNode;

class LocalBus {
 public:
  std::mutex mutex;
  std::unordered_map<Uuid, std::vector<LocalNode*>> topics;
};

class LocalNode final : public Backplane {
 public:
  explicit LocalNode(std::shared_ptr<LocalBus> bus) : bus_(std::move(bus)) {}
  ~LocalNode() override { stop(); }

  void start(BackplaneListener& listener) override {
    listener_ = &listener;
    up_ = true;
    thread_ = std::thread([this] { run(); });
  }

  void stop() noexcept override {
    up_ = false;
    {
      const std::lock_guard lock(bus_->mutex);
      for (auto at = bus_->topics.begin(); at != bus_->topics.end();) {
        std::erase(at->second, this);
        at = at->second.empty() ? bus_->topics.erase(at) : std::next(at);
      }
    }
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void join(const Uuid& topic) noexcept override {
    {
      const std::lock_guard lock(bus_->mutex);
      std::vector<LocalNode*>& nodes = bus_->topics[topic];
      if (std::find(nodes.begin(), nodes.end(), this) == nodes.end()) nodes.push_back(this);
    }
    push(Joined{topic});
  }

  void leave(const Uuid& topic) noexcept override {
    const std::lock_guard lock(bus_->mutex);
    const auto at = bus_->topics.find(topic);
    if (at == bus_->topics.end()) return;
    std::erase(at->second, this);
    if (at->second.empty()) bus_->topics.erase(at);
  }

  void publish(const Uuid& topic, std::string_view payload) noexcept override {
    if (payload.size() > max_payload_bytes) return;
    const std::lock_guard lock(bus_->mutex);
    const auto at = bus_->topics.find(topic);
    if (at == bus_->topics.end()) return;
    std::shared_ptr<const std::string> shared;
    for (LocalNode* node : at->second) {
      if (node == this) continue;
      if (!shared) shared = std::make_shared<const std::string>(payload);
      node->push(Received{topic, shared});
    }
  }

  bool is_up() const noexcept override { return up_; }
  std::size_t max_payload() const noexcept override { return max_payload_bytes; }

 private:
  void push(News news) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (queue_.size() >= max_queued && std::holds_alternative<Received>(news)) {
        if (std::exchange(full_, true)) return;
        news = Missed{};
      }
      queue_.push_back(std::move(news));
    }
    wake_.notify_one();
  }

  void run() {
    for (;;) {
      std::deque<News> taken;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        taken.swap(queue_);
        full_ = false;
      }
      for (const News& news : taken) {
        if (const auto* received = std::get_if<Received>(&news)) {
          listener_->received(received->topic, *received->payload);
        } else if (const auto* joined = std::get_if<Joined>(&news)) {
          listener_->joined(joined->topic);
        } else {
          listener_->missed();
        }
      }
    }
  }

  const std::shared_ptr<LocalBus> bus_;
  BackplaneListener* listener_ = nullptr;
  std::atomic<bool> up_{false};
  std::mutex mutex_;  // taken after the bus's
  std::condition_variable wake_;
  std::deque<News> queue_;
  bool full_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

std::shared_ptr<LocalBus> make_local_bus() {
  return std::make_shared<LocalBus>();
}

std::unique_ptr<Backplane> make_local_backplane(std::shared_ptr<LocalBus> bus) {
  return std::make_unique<LocalNode>(std::move(bus));
}

}  // namespace travelchat
