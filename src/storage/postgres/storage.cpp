// The lanes that commit, and the pools of the readers and of the host's connections.

#include <travelchat/postgres_storage.hpp>

#include "core/decision.hpp"
#include "core/options.hpp"
#include "core/rules.hpp"
#include "storage/postgres/connection.hpp"
#include "storage/postgres/lane.hpp"
#include "storage/postgres/reads.hpp"
#include "storage/postgres/schema.hpp"
#include "storage/reading_storage.hpp"

#include <poll.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

namespace travelchat {

namespace {

using postgres::Clock;
using postgres::Connection;
using postgres::Failure;
using postgres::Lane;
using postgres::LaneBatch;
using postgres::LaneWrite;
using postgres::Patience;
using postgres::Reader;
using postgres::Target;

// A further lane costs a batch two more round trips and a commit, which is worth it from about this many writes on.
constexpr std::size_t writes_per_lane = 32;

// How long one call may spend on finding out which conversations are locked by others.
constexpr std::chrono::milliseconds time_for_locks{250};
// A conversation that was found locked is tried without waiting. But at this interval one of them is waited for: a lock
// that others take in turns is never free at the moment of a try.
constexpr std::chrono::milliseconds queueing_interval{300};
// The pause between two tries in `commit`, whose caller waits for all of the writes.
constexpr std::chrono::milliseconds look_pause{10};

bool is_postponed(const result<Written>& answer) {
  return answer.has_error() && answer.error() == postponed();
}

// A bounded pool; taking an item waits while all are in use. A broken item is not returned, and is made anew.
template <class T>
class Pool {
 public:
  explicit Pool(std::size_t max) : max_(std::max<std::size_t>(max, 1)) {}

  class Lease {
   public:
    Lease(Pool& pool, std::unique_ptr<T> item) : pool_(pool), item_(std::move(item)) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(item_)); }
    // Null until the taker makes it.
    std::unique_ptr<T>& item() noexcept { return item_; }

   private:
    Pool& pool_;
    std::unique_ptr<T> item_;
  };

  Lease take() {
    std::unique_lock lock(mutex_);
    returned_.wait(lock, [this] { return in_use_ < max_; });
    ++in_use_;
    if (idle_.empty()) return {*this, nullptr};
    auto item = std::move(idle_.back());
    idle_.pop_back();
    return {*this, std::move(item)};
  }

 private:
  void give_back(std::unique_ptr<T> item) {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (item != nullptr) idle_.push_back(std::move(item));
    returned_.notify_one();
  }

  const std::size_t max_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<T>> idle_;
  std::size_t in_use_ = 0;
};

// The conversation whose rows a write needs; nullptr: not known yet, or none.
const Uuid* conversation_behind(const Write& write) {
  const auto* token = std::get_if<PutToken>(&write);
  return token != nullptr ? &token->claims.conversation_id : detail::conversation_of(write);
}

class SharedDatabase final : public storage::ReadingStorage<PostgresStorage, SharedDatabase> {
 public:
  // Throws Failure.
  explicit SharedDatabase(PostgresStorageOptions options)
      : options_(std::move(options)),
        target_(options_.url, options_.log),
        readers_(options_.max_readers),
        hosts_(options_.max_readers) {
    postgres::prepare_database(target_, Clock::now() + options_.connect_timeout);
    for (std::size_t i = 0; i < std::max<std::size_t>(options_.lanes, 1); ++i) lanes_.emplace_back(target_);
  }

  error_code commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    if (const error_code failed = try_commit(writes, results)) return failed;
    std::vector<Write> again;
    std::vector<std::size_t> places;
    std::vector<result<Written>> answers;
    for (;;) {
      again.clear();
      places.clear();
      for (std::size_t i = 0; i < writes.size(); ++i) {
        if (!is_postponed(results[i])) continue;
        again.push_back(writes[i]);
        places.push_back(i);
      }
      if (again.empty()) return failure_of_all(results);
      std::this_thread::sleep_for(look_pause);
      const error_code failed = try_commit(again, answers);
      for (std::size_t i = 0; i < places.size(); ++i) {
        results[places[i]] = failed ? result<Written>(failed) : std::move(answers[i]);
      }
    }
  }

  error_code try_commit(std::span<const Write> writes, std::vector<result<Written>>& results) override {
    results.assign(writes.size(), error_code(errc::storage_failed));
    Patience patience(options_.patience);
    Patience locks(time_for_locks);
    try {
      distribute(writes, results, patience, locks);
    } catch (const Failure& failure) {
      target_.log("a commit failed: " + failure.message);
      results.clear();
      return to_error(failure);
    }
    run_lanes();
    limit_postponing(writes, results);
    return failure_of_all(results);
  }

  error_code write(const std::function<bool(pg_conn*)>& work) override { return on_host_connection("BEGIN", work); }
  error_code read(const std::function<void(pg_conn*)>& work) override {
    return on_host_connection("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", [&](pg_conn* connection) {
      work(connection);
      return false;
    });
  }

  result<Pruned> prune_changes(const PruneChanges& step) override {
    return reading([&](Reader& reader) { return reader.prune_changes(step); });
  }
  error_code begin_epoch(const Uuid& epoch) override {
    const auto begun = reading([&](Reader& reader) {
      reader.begin_epoch(epoch);
      return std::uint64_t{0};
    });
    return begun ? error_code() : begun.error();
  }

  error_code ping() override {
    const auto probed = looking_up([](Reader& reader) {
      reader.ping();
      return std::uint64_t{0};
    });
    return probed ? error_code() : probed.error();
  }

 private:
  friend ReadingStorage;

  // The times of an order key (detail::order_key; mostly a conversation) with a postponed write.
  struct Postponed {
    Clock::time_point since;
    Clock::time_point seen;    // when a write of it was given last
    Clock::time_point queued;  // when it queued up for its lock last
  };

  // The error when all writes failed because the storage did: then the call can be answered as a whole. Otherwise no
  // error.
  static error_code failure_of_all(std::vector<result<Written>>& results) {
    const auto failed_as_a_whole = [](const result<Written>& answer) {
      return answer.has_error() && (answer.error() == errc::storage_failed || answer.error() == errc::storage_full);
    };
    if (results.empty() || !std::all_of(results.begin(), results.end(), failed_as_a_whole)) return {};
    const error_code error = results.front().error();
    results.clear();
    return error;
  }

  // Gives each lane its writes, all of one conversation to the same lane, and starts it. Postponed writes form batches
  // of their own, after those that are not known to be locked.
  void distribute(std::span<const Write> writes, std::vector<result<Written>>& results, Patience& patience,
                  Patience& locks) {
    LaneBatch waiting{{}, false};
    LaneBatch queueing{{}, true};
    std::vector<std::size_t> free;
    const std::string queue_for = postponed_.empty() ? std::string() : choose_to_queue();
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const std::string key = postponed_.empty() ? std::string() : detail::order_key(writes[i]);
      if (postponed_.empty() || !postponed_.contains(key)) {
        free.push_back(i);
      } else {
        (is_queueing_ && key == queue_for ? queueing : waiting).writes.push_back({&writes[i], &results[i]});
      }
    }
    // A token removal may concern any conversation, so all writes stay in one lane, in their order.
    const bool has_removals = std::any_of(writes.begin(), writes.end(), detail::is_token_removal);
    std::size_t lanes = has_removals ? 1 : std::clamp<std::size_t>(free.size() / writes_per_lane, 1, lanes_.size());
    std::map<const Write*, Uuid> opened;
    try {
      if (lanes > 1) opened = find_opened(writes, patience);
    } catch (const Failure& failure) {
      if (!postgres::is_lock_trouble(failure)) throw;
      lanes = 1;  // somebody has locked the table; a single lane waits for it
    }
    std::vector<std::vector<LaneBatch>> batches(lanes_.size());
    for (std::size_t i = 0; i < lanes; ++i) batches[i].emplace_back();
    for (const std::size_t i : free) {
      std::size_t lane = 0;
      if (lanes > 1) {
        const Uuid* id = conversation_behind(writes[i]);
        lane = std::hash<Uuid>{}(id != nullptr ? *id : opened.at(&writes[i])) % lanes;
      }
      batches[lane].front().writes.push_back({&writes[i], &results[i]});
    }
    if (!waiting.writes.empty()) batches.back().push_back(std::move(waiting));
    if (!queueing.writes.empty()) batches.back().push_back(std::move(queueing));
    for (std::size_t i = 0; i < batches.size(); ++i) {
      if (!batches[i].empty()) lanes_[i].start(std::move(batches[i]), patience, locks);
    }
  }

  // The postponed key whose lock is waited for in this call; sets `is_queueing_`.
  std::string choose_to_queue() {
    const auto now = Clock::now();
    is_queueing_ = now >= queue_at_;
    if (!is_queueing_) return {};
    queue_at_ = now + queueing_interval;
    const auto longest = std::min_element(postponed_.begin(), postponed_.end(), [](const auto& a, const auto& b) {
      return a.second.queued < b.second.queued;
    });
    longest->second.queued = now;
    return longest->first;
  }

  // Fails what has been postponed for as long as a commit may wait, and forgets what is not locked any more.
  void limit_postponing(std::span<const Write> writes, std::vector<result<Written>>& results) {
    if (postponed_.empty() && std::none_of(results.begin(), results.end(), is_postponed)) return;
    const auto now = Clock::now();
    std::set<std::string> given;
    std::set<std::string> locked;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      std::string key = detail::order_key(writes[i]);
      if (is_postponed(results[i])) locked.insert(key);
      given.insert(std::move(key));
    }
    std::set<std::string> failed;
    for (const std::string& key : locked) {
      const auto [known, is_new] = postponed_.try_emplace(key, Postponed{now, now, now});
      known->second.seen = now;
      if (is_new) target_.log("a row is locked by somebody else; what needs it waits: " + key);
      if (now - known->second.since < options_.patience) continue;
      target_.log("a row stayed locked; what needs it failed: " + key);
      failed.insert(key);
    }
    for (std::size_t i = 0; i < writes.size(); ++i) {
      if (is_postponed(results[i]) && failed.contains(detail::order_key(writes[i]))) results[i] = errc::storage_failed;
    }
    std::erase_if(postponed_, [&](const auto& entry) {
      return failed.contains(entry.first) || (given.contains(entry.first) && !locked.contains(entry.first)) ||
             now - entry.second.seen > options_.patience + std::chrono::seconds{1};
    });
  }

  // Which conversation each opening will find or make. Throws Failure.
  std::map<const Write*, Uuid> find_opened(std::span<const Write> writes, Patience& patience) {
    std::vector<const OpenConversation*> openings;
    std::vector<const Write*> owners;
    for (const Write& write : writes) {
      const auto* open = std::get_if<OpenConversation>(&write);
      if (open == nullptr) continue;
      openings.push_back(open);
      owners.push_back(&write);
    }
    std::map<const Write*, Uuid> opened;
    if (openings.empty()) return opened;
    const auto found = lanes_.front().find_conversations(openings, patience);
    std::map<std::pair<std::string_view, std::string_view>, Uuid> made;
    for (std::size_t i = 0; i < openings.size(); ++i) {
      const auto first = made.try_emplace({openings[i]->org_id, openings[i]->client_id}, openings[i]->conversation_id);
      opened.emplace(owners[i], found[i].value_or(first.first->second));
    }
    return opened;
  }

  void run_lanes() noexcept {
    std::vector<pollfd> sockets;
    std::vector<Lane*> busy;
    for (;;) {
      sockets.clear();
      busy.clear();
      auto due = Clock::time_point::max();
      for (Lane& lane : lanes_) {
        if (!lane.is_busy()) continue;
        busy.push_back(&lane);
        sockets.push_back({lane.socket(), static_cast<short>(lane.wants_to_write() ? POLLIN | POLLOUT : POLLIN), 0});
        due = std::min(due, lane.answer_due());
      }
      if (busy.empty()) return;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
      ::poll(sockets.data(), sockets.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
      const auto now = Clock::now();
      for (std::size_t i = 0; i < busy.size(); ++i) {
        if (sockets[i].revents != 0 || now >= busy[i]->answer_due()) busy[i]->proceed();
      }
    }
  }

  // Reads and upkeep may be repeated, so one that loses its connection is tried once more.
  template <class Work>
  auto reading(Work work) -> result<decltype(work(std::declval<Reader&>()))> {
    return reading_with(readers_, work);
  }
  template <class Work>
  auto looking_up(Work work) -> result<decltype(work(std::declval<Reader&>()))> {
    return reading_with(lookups_, work);
  }
  template <class Work>
  auto reading_with(Pool<Reader>& pool, Work& work) -> result<decltype(work(std::declval<Reader&>()))> {
    auto lease = pool.take();
    auto& reader = lease.item();
    for (bool is_retry = false;; is_retry = true) {
      try {
        if (reader == nullptr) reader = std::make_unique<Reader>(target_, Clock::now() + options_.patience);
        return work(*reader);
      } catch (const Failure& failure) {
        const bool had_connected = reader != nullptr;
        if (had_connected && (failure.lost || !reader->connection().is_alive())) reader.reset();
        if (had_connected && reader == nullptr && !is_retry) continue;
        target_.log("a read or upkeep failed: " + failure.message);
        return to_error(failure);
      }
    }
  }

  template <class Work>
  error_code on_host_connection(const char* begin, const Work& work) {
    auto lease = hosts_.take();
    auto& connection = lease.item();
    const auto run = [&](const char* command) {
      const postgres::Result result(PQexec(connection->handle(), command));
      if (const auto failure = result.failure()) throw *failure;
    };
    try {
      if (connection == nullptr || !connection->is_alive()) {
        connection.reset();
        connection = std::make_unique<Connection>(target_, postgres::Use::host, Clock::now() + options_.patience);
      }
      run(begin);
      const bool keep = work(connection->handle());
      // A transaction in which a statement failed would answer COMMIT by rolling back.
      if (keep && PQtransactionStatus(connection->handle()) != PQTRANS_INTRANS) {
        throw Failure{{}, "the transaction of a host's work had failed", false, false};
      }
      run(keep ? "COMMIT" : "ROLLBACK");
      return {};
    } catch (const Failure& failure) {
      connection.reset();
      target_.log("a host's transaction failed: " + failure.message);
      return to_error(failure);
    } catch (...) {
      connection.reset();  // and with it the transaction
      throw;
    }
  }

  const PostgresStorageOptions options_;
  Target target_;
  std::deque<Lane> lanes_;
  // Of the thread that commits.
  std::map<std::string, Postponed> postponed_;
  bool is_queueing_ = false;
  Clock::time_point queue_at_;
  Pool<Reader> readers_;
  Pool<Reader> lookups_{1};  // for short look-ups that others wait for, so that they do not queue behind long reads
  Pool<Connection> hosts_;
};

}  // namespace

std::unique_ptr<PostgresStorage> PostgresStorage::open(PostgresStorageOptions options) {
  using namespace travelchat::options;
  if (options.url.empty()) refuse("url", "must not be empty; \"postgres://\" takes all of it from the environment");
  if (options.url.find('\0') != std::string::npos) refuse("url", "must not hold a NUL");
  require_at_most("lanes", options.lanes, max_workers);
  require_at_most("max_readers", options.max_readers, max_workers);
  require_time("patience", options.patience);
  require_time("connect_timeout", options.connect_timeout);
  try {
    return std::make_unique<SharedDatabase>(std::move(options));
  } catch (const Failure& failure) {
    const error_code error = failure.sqlstate == "22023" ? error_code(errc::invalid_argument) : to_error(failure);
    throw std::system_error(std::error_code(error), failure.message);
  }
}

}  // namespace travelchat
