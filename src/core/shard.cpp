#include "core/shard.hpp"

#include "core/clock.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <future>
#include <utility>

namespace travelchat::detail {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// How long to wait for a missing event before it is read: hints of nodes that write to one conversation at the same
// time often arrive in another order than that of their revisions.
constexpr auto missing_event_wait = 10ms;
constexpr std::size_t max_reads_under_way = 16;  // of what was missed, so that requests find readers, too
constexpr std::size_t poll_slice = 500;          // conversations in one read
constexpr unsigned rounds_per_list = 6;          // a list is compared in every sixth round: it is read as a whole
constexpr std::size_t check_slice = 500;         // tokens in one read
constexpr std::size_t max_ended = 10'000;        // credentials that are remembered as ended
// A handshake takes no longer: whoever was admitted before the credential ended has joined by then.
constexpr auto ended_memory = 60s;
constexpr std::size_t max_doubtful = 10'000;  // further ones are not remembered; the next event reveals their gap

thread_local Shard* running_shard = nullptr;

}  // namespace

Shard::Shard(const EventEncoder* encoder, Options options, Backplane* backplane)
    : work_(asio::make_work_guard(context_)),
      encoder_(encoder),
      options_(options),
      backplane_(backplane),
      typing_timer_(context_),
      credential_timer_(context_),
      await_timer_(context_),
      poll_timer_(context_) {}

Shard::~Shard() {
  stop();
}

Shard* Shard::running_here() noexcept {
  return running_shard;
}

void Shard::start(std::unique_ptr<ShardReads> reads) {
  reads_ = std::move(reads);
  // The thread waits until its handle is in place: `on_own_thread` reads it.
  std::promise<void> ready;
  thread_ = std::thread([this, go = ready.get_future()]() mutable {
    go.wait();
    running_shard = this;
    context_.run();
  });
  ready.set_value();
  if (backplane_ != nullptr) asio::post(context_, [this] { arm_poll_timer(false); });
}

void Shard::end_listening() {
  if (!thread_.joinable()) return;
  std::promise<void> done;
  asio::post(context_, [this, &done] {
    is_stopping_ = true;
    typing_timer_.cancel();
    credential_timer_.cancel();
    await_timer_.cancel();
    poll_timer_.cancel();
    auto rooms = std::exchange(rooms_, {});
    typing_rooms_.clear();
    credentials_.clear();
    credential_of_.clear();
    room_count_ = 0;
    listeners_ = 0;
    inbox_listeners_ = 0;
    for (auto& [id, entry] : rooms) {
      entry.room.close(errc::closed);
      tell_typing(id, entry);
    }
    done.set_value();
  });
  done.get_future().wait();
}

void Shard::stop() {
  if (!thread_.joinable()) return;
  end_listening();
  asio::post(context_, [this] { context_.stop(); });
  thread_.join();
  work_.reset();
}

Shard::RoomEntry* Shard::find(const Uuid& room) {
  const auto at = rooms_.find(room);
  return at == rooms_.end() ? nullptr : &at->second;
}

// ---- Listeners ----

std::optional<Conversation> Shard::owner_of(const Uuid& room) const {
  const auto at = rooms_.find(room);
  if (at == rooms_.end()) return std::nullopt;
  Conversation conversation;
  conversation.id = room;
  conversation.org_id = at->second.org_id;
  conversation.client_id = at->second.client_id;
  return conversation;
}

std::optional<std::uint64_t> Shard::join(Joining joining) {
  const bool rests_on_one = joining.credential.kind != Credential::Kind::none;
  if (rests_on_one && ended_.contains(joining.credential.digest)) return std::nullopt;
  const std::uint64_t key = next_key_++;
  const bool is_inbox = !joining.inbox_of.empty();
  const auto [at, is_new] =
      rooms_.try_emplace(joining.room, key, encoder_, options_.max_replay_backlog, is_inbox, backplane_ != nullptr);
  RoomEntry& entry = at->second;
  entry.room.join(key, joining.role, std::move(joining.participant_id), std::move(joining.subscriber),
                  joining.replaying);
  room_count_ = rooms_.size();
  // Sequentially consistent: a commit that finds no listener here was durable before this listener's history is read.
  ++listeners_;
  if (is_inbox) ++inbox_listeners_;
  if (rests_on_one) hold(joining.credential, joining.room, key);
  if (is_new) {
    entry.inbox_of = std::move(joining.inbox_of);
    entry.org_id = std::move(joining.org_id);
    entry.client_id = std::move(joining.client_id);
  }
  if (is_new && backplane_ != nullptr) {
    if (is_inbox) {
      entry.room.compare(std::move(joining.known_list));
    } else {
      entry.room.order().start_at(joining.known_rev);
    }
    backplane_->join(joining.room);
  }
  if (!is_inbox) entry.room.greet(key);
  return key;
}

void Shard::leave(const Uuid& id, std::uint64_t key) {
  RoomEntry* entry = find(id);
  if (entry == nullptr) return;
  const std::size_t before = entry->room.size();
  entry->room.leave(key);
  let_go(key);
  settle_departures(id, *entry, before);
}

void Shard::settle_departures(const Uuid& id, RoomEntry& entry, std::size_t before) {
  const std::size_t gone = before - entry.room.size();
  listeners_ -= gone;
  if (entry.room.is_inbox()) inbox_listeners_ -= gone;
  tell_typing(id, entry);
  if (!entry.room.empty()) return;
  if (backplane_ != nullptr) backplane_->leave(id);
  rooms_.erase(id);
  typing_rooms_.erase(id);
  room_count_ = rooms_.size();
}

void Shard::finish_replay(const Uuid& id, std::uint64_t key, result<ChangeList> changes) {
  RoomEntry* entry = find(id);
  if (entry == nullptr) return;
  if (changes) {
    // A revision of another epoch does not compare with what the room was told.
    const std::uint64_t reached = entry->is_outdated ? 0 : changes->current_rev;
    entry->room.finish_replay(key, std::move(*changes));
    entry->room.order().expect(reached);
    await_missing(id, *entry);
    return;
  }
  const std::size_t before = entry->room.size();
  entry->room.fail_replay(key, describe(changes.error()).code);
  let_go(key);
  settle_departures(id, *entry, before);
}

void Shard::publish(Publication publication) {
  RoomEntry* entry = find(publication.room);
  if (entry == nullptr) return;
  count_delivered(entry->room.publish(std::move(publication.events)));
  entry->room.order().expect(publication.rev);
  await_missing(publication.room, *entry);
  tell_typing(publication.room, *entry);
  if (!entry->room.anybody_typing()) typing_rooms_.erase(publication.room);
}

// ---- Typing ----

void Shard::set_typing(const Uuid& id, std::uint64_t key, bool is_typing) {
  RoomEntry* entry = find(id);
  if (entry == nullptr) return;
  const SteadyTime until = std::chrono::steady_clock::now() + options_.typing_timeout;
  entry->room.set_typing(key, is_typing, until);
  tell_typing(id, *entry);
  if (entry->room.anybody_typing()) {
    watch_typing(id, until);
  } else {
    typing_rooms_.erase(id);
  }
}

void Shard::watch_typing(const Uuid& id, SteadyTime until) {
  typing_rooms_.insert(id);
  if (typing_timer_at_ && *typing_timer_at_ <= until) return;
  typing_timer_at_ = until;
  typing_timer_.expires_at(until);
  typing_timer_.async_wait([this](const error_code& error) {
    if (!error) expire_typing();
  });
}

void Shard::expire_typing() {
  typing_timer_at_.reset();
  const SteadyTime now = std::chrono::steady_clock::now();
  std::vector<std::pair<Uuid, SteadyTime>> left;
  for (const Uuid& id : std::exchange(typing_rooms_, {})) {
    RoomEntry* entry = find(id);
    if (entry == nullptr) continue;
    if (const std::optional<SteadyTime> next = entry->room.expire_typing(now)) left.emplace_back(id, *next);
    tell_typing(id, *entry);
  }
  for (const auto& [id, until] : left) watch_typing(id, until);
}

void Shard::tell_typing(const Uuid& id, RoomEntry& entry) {
  if (backplane_ == nullptr || entry.room.is_inbox()) return;
  const TypingChanged typing = entry.room.local_typing();
  if (typing == TypingChanged{} && entry.told_typing == typing) return;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (typing == entry.told_typing && now - entry.told_typing_at < options_.typing_timeout / 3) return;
  entry.told_typing = typing;
  entry.told_typing_at = now;
  publish_hint(*backplane_, id, NodeTyping{options_.node, typing, options_.typing_timeout});
}

// ---- Credentials ----

void Shard::hold(const Credential& credential, const Uuid& room, std::uint64_t key) {
  Holders& holders = credentials_[credential.digest];
  holders.credential = credential;
  holders.members.emplace_back(room, key);
  credential_of_.emplace(key, credential.digest);
  if (!credential_timer_armed_) arm_credential_timer(options_.credential_check_interval);
}

void Shard::let_go(std::uint64_t key) {
  const auto rested_on = credential_of_.find(key);
  if (rested_on == credential_of_.end()) return;
  if (const auto held = credentials_.find(rested_on->second); held != credentials_.end()) {
    std::erase_if(held->second.members, [key](const auto& member) { return member.second == key; });
    if (held->second.members.empty()) credentials_.erase(held);
  }
  credential_of_.erase(rested_on);
}

void Shard::end_credentials(const std::vector<Sha256Digest>& digests) {
  const SteadyTime now = std::chrono::steady_clock::now();
  for (const Sha256Digest& digest : digests) {
    if (ended_.insert(digest).second) ended_at_.emplace_back(now, digest);
    const auto held = credentials_.find(digest);
    if (held == credentials_.end()) continue;
    const std::vector<std::pair<Uuid, std::uint64_t>> members = held->second.members;
    for (const auto& [id, key] : members) {
      let_go(key);
      RoomEntry* entry = find(id);
      if (entry == nullptr) continue;
      const std::size_t before = entry->room.size();
      entry->room.dismiss(key, errc::unauthenticated);
      settle_departures(id, *entry, before);
    }
  }
  while (!ended_at_.empty() && (ended_at_.size() > max_ended || now - ended_at_.front().first > ended_memory)) {
    ended_.erase(ended_at_.front().second);
    ended_at_.pop_front();
  }
}

void Shard::check_credentials() {
  if (is_checking_)
    check_again_ = true;
  else if (!credentials_.empty())
    arm_credential_timer(0ms);
}

void Shard::arm_credential_timer(std::chrono::milliseconds pause) {
  credential_timer_armed_ = true;
  credential_timer_.expires_after(pause);
  credential_timer_.async_wait([this](const error_code& error) {
    if (!error) look_at_credentials();
  });
}

void Shard::look_at_credentials() {
  credential_timer_armed_ = false;
  if (is_checking_) return;
  const TimePoint now = utc_now();
  std::vector<Sha256Digest> expired;
  tokens_to_check_.clear();
  for (const auto& [digest, holders] : credentials_) {
    const Credential& credential = holders.credential;
    if (credential.expires_at <= now) {
      expired.push_back(digest);
    } else if (backplane_ != nullptr && credential.kind == Credential::Kind::chat_token) {
      // Without other writers only this engine ends tokens, and it calls `end_credentials`.
      tokens_to_check_.push_back(digest);
    }
  }
  end_credentials(expired);
  is_checking_ = true;
  check_tokens_left();
}

void Shard::check_tokens_left() {
  if (tokens_to_check_.empty()) {
    is_checking_ = false;
    const bool again = std::exchange(check_again_, false);
    if (!credentials_.empty()) arm_credential_timer(again ? 0ms : options_.credential_check_interval);
    return;
  }
  const std::size_t count = std::min(check_slice, tokens_to_check_.size());
  const auto first = tokens_to_check_.end() - static_cast<std::ptrdiff_t>(count);
  std::vector<Sha256Digest> slice(first, tokens_to_check_.end());
  tokens_to_check_.erase(first, tokens_to_check_.end());
  reads_->read_live_tokens(slice, [this, slice](const result<std::vector<Sha256Digest>>& live) {
    if (live) {
      const std::unordered_set<Sha256Digest, DigestHash> found(live->begin(), live->end());
      std::vector<Sha256Digest> gone;
      for (const Sha256Digest& digest : slice) {
        if (!found.contains(digest)) gone.push_back(digest);
      }
      end_credentials(gone);
    } else {
      // A storage that fails ends no credential; the next round asks again.
      tokens_to_check_.clear();
    }
    check_tokens_left();
  });
}

// ---- The backplane ----

void Shard::take_hint(const Uuid& id, Hint hint) {
  RoomEntry* entry = find(id);
  if (entry == nullptr) return;
  if (auto* progress = std::get_if<Progress>(&hint)) {
    publish({id, std::move(progress->events), progress->rev});
  } else if (auto* row = std::get_if<InboxRow>(&hint)) {
    publish({id, {Event(ConversationUpdated{std::move(row->summary)})}, 0});
  } else if (const auto* typing = std::get_if<NodeTyping>(&hint)) {
    const SteadyTime until = std::chrono::steady_clock::now() + typing->lifetime;
    entry->room.set_node_typing(typing->node, typing->typing, until);
    if (entry->room.anybody_typing()) watch_typing(id, until);
  } else if (std::holds_alternative<WhoTypes>(hint)) {
    entry->told_typing_at = std::chrono::steady_clock::now() - options_.typing_timeout;
    tell_typing(id, *entry);
  } else {
    catch_up(id, *entry);
  }
}

void Shard::joined(const Uuid& id) {
  RoomEntry* entry = find(id);
  if (entry == nullptr) return;
  if (!entry->room.is_inbox()) publish_hint(*backplane_, id, WhoTypes{});
  catch_up(id, *entry);
}

void Shard::missed() {
  check_credentials();
  poll_round_ = 0;
  arm_poll_timer(true);
}

// ---- What was missed ----

void Shard::await_missing(const Uuid& id, RoomEntry& entry) {
  if (!entry.room.order().is_behind() || entry.is_awaited || entry.is_reading || entry.is_queued) return;
  entry.is_awaited = true;
  awaited_.push_back(id);
  if (awaited_.size() > 1) return;
  await_timer_.expires_after(missing_event_wait);
  await_timer_.async_wait([this](const error_code& error) {
    if (!error) stop_awaiting();
  });
}

void Shard::stop_awaiting() {
  for (const Uuid& id : std::exchange(awaited_, {})) {
    RoomEntry* entry = find(id);
    if (entry == nullptr) continue;
    entry->is_awaited = false;
    if (entry->room.order().is_behind()) catch_up(id, *entry);
  }
}

void Shard::catch_up(const Uuid& id, RoomEntry& entry) {
  if (entry.is_reading) {
    entry.read_again = true;
    return;
  }
  if (entry.is_queued) return;
  entry.is_queued = true;
  lagging_.push_back(id);
  read_lagging();
}

void Shard::read_lagging() {
  while (reads_under_way_ < max_reads_under_way && !lagging_.empty()) {
    const Uuid id = lagging_.front();
    lagging_.pop_front();
    if (RoomEntry* entry = find(id); entry != nullptr && entry->is_queued) read_missed(id, *entry);
  }
}

void Shard::read_missed(const Uuid& id, RoomEntry& entry) {
  entry.is_queued = false;
  entry.is_reading = true;
  ++reads_under_way_;
  const std::uint64_t number = entry.number;
  if (entry.room.is_inbox()) {
    reads_->read_inbox(entry.inbox_of, [this, id, number](result<std::vector<ConversationSummary>> list) {
      finish_reading(id, number, [&](RoomEntry& read) {
        // This list may have been read before the new epoch; it is read once more.
        if (list && read.is_outdated && read.read_again) return std::size_t{0};
        if (list && std::exchange(read.is_outdated, false)) return read.room.begin_epoch(std::move(*list));
        if (list) return read.room.compare(std::move(*list));
        read.list_mark = 0;  // for the next round
        if (read.is_outdated) arm_poll_timer(false);
        return std::size_t{0};
      });
    });
  } else {
    reads_->read_changes(id, entry.room.order().begin_fill(), [this, id, number](result<ChangeList> changes) {
      // When the conversation is gone there is nothing to tell; after any other failure the next round tries again.
      finish_reading(id, number, [&](RoomEntry& read) {
        if (!changes || read.is_outdated) return std::size_t{0};
        if (read.epoch && changes->epoch != read.epoch) return std::size_t{0};
        return read.room.fill(std::move(*changes));
      });
    });
  }
}

template <class Take>
void Shard::finish_reading(const Uuid& id, std::uint64_t number, Take take) {
  --reads_under_way_;
  if (RoomEntry* entry = find(id); entry != nullptr && entry->number == number) {
    entry->is_reading = false;
    const std::size_t events = take(*entry);
    count_delivered(events);
    if (events > 0) catch_ups_.fetch_add(1, std::memory_order_relaxed);
    tell_typing(id, *entry);
    if (std::exchange(entry->read_again, false)) {
      catch_up(id, *entry);
    } else {
      await_missing(id, *entry);
    }
  }
  read_lagging();
}

void Shard::doubt(const Uuid& id) {
  if (doubtful_.size() >= max_doubtful) return;
  doubtful_.insert(id);
  if (RoomEntry* entry = find(id); entry != nullptr && !entry->room.order().has_started()) entry->is_doubtful = true;
  arm_poll_timer(true);
}

void Shard::begin_epoch() {
  if (rooms_.empty()) return;
  for (auto& [id, entry] : rooms_) entry.is_outdated = true;
  arm_poll_timer(true);
}

// ---- Polling ----

void Shard::arm_poll_timer(bool at_once) {
  if (is_polling_) {
    poll_again_ = poll_again_ || at_once;
    return;
  }
  // While the storage is away every write fails, and must not make the shard poll more often.
  const bool now = at_once && !poll_failed_;
  poll_due_ = std::chrono::steady_clock::now() + (now ? 0ms : options_.poll_interval);
  await_poll(now ? 0ms : options_.poll_interval_down);
}

// The backplane does not tell when it goes down, so the timer runs at the shorter interval.
void Shard::await_poll(std::chrono::milliseconds pause) {
  poll_timer_.expires_at(std::min<SteadyTime>(std::chrono::steady_clock::now() + pause, poll_due_));
  poll_timer_.async_wait([this](const error_code& error) {
    if (error) return;
    const bool in_a_hurry = poll_failed_ || backplane_ == nullptr || !backplane_->is_up();
    if (in_a_hurry || std::chrono::steady_clock::now() >= poll_due_) {
      begin_poll();
    } else {
      await_poll(options_.poll_interval_down);
    }
  });
}

void Shard::begin_poll() {
  is_polling_ = true;
  to_poll_.assign(doubtful_.begin(), doubtful_.end());
  const bool with_lists = poll_round_ % rounds_per_list == 0;
  for (const auto& [id, entry] : rooms_) {
    const bool is_due = backplane_ != nullptr && (with_lists || !entry.room.is_inbox());
    if ((is_due || entry.is_outdated) && !doubtful_.contains(id)) to_poll_.push_back(id);
  }
  ++poll_round_;
  poll_next();
}

void Shard::poll_next() {
  if (to_poll_.empty()) {
    is_polling_ = false;
    poll_failed_ = false;
    const bool again = std::exchange(poll_again_, false);
    if (again || backplane_ != nullptr || !doubtful_.empty()) arm_poll_timer(again);
    return;
  }
  const std::size_t count = std::min(poll_slice, to_poll_.size());
  std::vector<Uuid> slice(to_poll_.end() - static_cast<std::ptrdiff_t>(count), to_poll_.end());
  to_poll_.resize(to_poll_.size() - count);
  RevisionQuery query;
  std::vector<Uuid> inboxes;
  for (const Uuid& id : slice) {
    const RoomEntry* entry = find(id);
    if (entry != nullptr && entry->room.is_inbox()) {
      query.org_ids.push_back(entry->inbox_of);
      inboxes.push_back(id);
    } else {
      query.conversation_ids.push_back(id);
    }
  }
  std::vector<Uuid> conversations = query.conversation_ids;
  reads_->read_revisions(std::move(query), [this, conversations = std::move(conversations),
                                            inboxes = std::move(inboxes)](const result<Revisions>& revisions) {
    if (revisions) {
      take_revisions(conversations, inboxes, *revisions);
      poll_next();
      return;
    }
    is_polling_ = false;
    poll_failed_ = true;
    poll_again_ = false;
    poll_round_ = 0;  // the lists, too
    to_poll_.clear();
    arm_poll_timer(false);
  });
}

void Shard::take_revisions(const std::vector<Uuid>& conversations, const std::vector<Uuid>& inboxes,
                           const Revisions& revisions) {
  for (std::size_t i = 0; i < conversations.size() && i < revisions.conversations.size(); ++i) {
    const Uuid& id = conversations[i];
    const std::uint64_t rev = revisions.conversations[i];
    if (RoomEntry* entry = find(id)) {
      const bool is_doubtful = std::exchange(entry->is_doubtful, false);
      if (std::exchange(entry->is_outdated, false)) {
        entry->epoch = revisions.epoch;
        count_delivered(entry->room.begin_epoch(rev, revisions.epoch));
        // What was committed meanwhile was taken for an old revision.
        catch_up(id, *entry);
      } else if (is_doubtful) {
        count_delivered(entry->room.resync(std::max(rev, entry->room.order().told()), revisions.epoch));
      }
      entry->room.order().expect(rev);
      await_missing(id, *entry);
    }
    if (doubtful_.erase(id) > 0 && rev > 0) to_tell_.push_back(id);
  }
  tell_of_doubtful();
  for (std::size_t i = 0; i < inboxes.size() && i < revisions.organizations.size(); ++i) {
    RoomEntry* entry = find(inboxes[i]);
    if (entry == nullptr) continue;
    const bool has_changed = std::exchange(entry->list_mark, revisions.organizations[i]) != revisions.organizations[i];
    if (!has_changed && !entry->is_outdated) continue;
    catch_up(inboxes[i], *entry);
  }
}

void Shard::tell_of_doubtful() {
  while (rows_under_way_ < max_reads_under_way && !to_tell_.empty()) {
    const Uuid id = to_tell_.front();
    to_tell_.pop_front();
    ++rows_under_way_;
    reads_->read_row(id, [this, id](result<ConversationSummary> row) {
      --rows_under_way_;
      if (row) {
        if (backplane_ != nullptr) publish_hint(*backplane_, id, Progress{row->conversation.rev, {}});
        publish({id, {}, row->conversation.rev});
        reads_->publish_row(std::move(*row));
      } else if (row.error() != make_error_code(errc::not_found)) {
        // A conversation that was deleted meanwhile is no longer in doubt; this one is.
        if (doubtful_.size() < max_doubtful) doubtful_.insert(id);
        arm_poll_timer(false);
      }
      tell_of_doubtful();
    });
  }
}

}  // namespace travelchat::detail
