#include "core/engine_core.hpp"

#include "core/clock.hpp"
#include "core/digest.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/system_executor.hpp>

#include <algorithm>
#include <thread>

namespace travelchat::detail {

namespace asio = boost::asio;

namespace {

std::size_t default_shards(std::size_t wanted) {
  return wanted != 0 ? wanted : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
}

// The events that a write brought, for the conversation's room and for the organization's inbox.
struct Consequences {
  std::optional<Event> event;
  std::optional<ConversationUpdated> update;
  std::optional<std::pair<Role, std::string>> sender;
};

Consequences consequences_of(const Write& write, const Written& written, bool has_listeners, bool has_inbox) {
  Consequences out;
  if (!written.changed) return out;
  if (std::holds_alternative<OpenConversation>(write)) {
    if (has_inbox) out.update = ConversationUpdated{{written.conversation, written.last_message}};
  } else if (const auto* append = std::get_if<AppendMessage>(&write)) {
    if (has_listeners) {
      out.event = MessageCreated{*written.message, written.message->rev};
      out.sender.emplace(append->sender.role, append->sender.id);
    }
    if (has_inbox) out.update = ConversationUpdated{{written.conversation, written.message}};
  } else if (const auto* put = std::get_if<PutReaction>(&write)) {
    if (has_listeners) out.event = ReactionsChanged{put->message_id, written.reactions, written.conversation.rev};
  } else if (const auto* mark = std::get_if<MarkConversation>(&write)) {
    if (mark->viewer.role == Role::client) {
      if (has_listeners) out.event = MessagesSeen{mark->now, written.conversation.rev};
    } else {
      if (has_listeners) out.event = MessagesRead{mark->now, written.conversation.rev};
      if (has_inbox) out.update = ConversationUpdated{{written.conversation, written.last_message}};
    }
  }
  return out;
}

// What one shard gets of one transaction: its events, by conversation, and the answers that belong to its context.
struct Parcel {
  std::vector<Publication> publications;
  std::unordered_map<Uuid, std::size_t> by_room;
  struct Answer {
    std::unique_ptr<EngineJob> job;
    asio::any_io_executor executor;
    result<Written> written;
  };
  std::vector<Answer> answers;

  Publication& publication(const Uuid& room) {
    const auto [at, is_new] = by_room.try_emplace(room, publications.size());
    if (is_new) publications.push_back(Publication{room, {}, {}});
    return publications[at->second];
  }
  bool empty() const noexcept { return publications.empty() && answers.empty(); }
};

}  // namespace

Uuid inbox_room(std::string_view org_id) noexcept {
  const Sha256Digest digest = sha256(org_id);
  Uuid room;
  std::copy_n(digest.begin(), room.bytes.size(), room.bytes.begin());
  return room;
}

EngineCore::EngineCore(std::unique_ptr<Storage> storage, EngineOptions options)
    : storage_(std::move(storage)),
      options_(options),
      tokens_(options.token_cache_entries, options.token_cache_lifetime),
      readers_(std::max<std::size_t>(options.readers, 1)) {
  const std::size_t count = default_shards(options_.shards);
  for (std::size_t i = 0; i < count; ++i) {
    shards_.push_back(
        std::make_unique<Shard>(&encoder_, Shard::Limits{options_.max_replay_backlog, options_.typing_timeout}));
  }
}

EngineCore::~EngineCore() = default;

void EngineCore::start() {
  for (auto& shard : shards_) shard->start();
  committer_ = std::make_unique<Committer>(
      *storage_, options_.max_queued_writes, options_.max_batch,
      [this](auto jobs, error_code failed, auto& results) { settle(std::move(jobs), failed, results); });
  if (options_.sweep_interval.count() > 0) {
    sweep_timer_.emplace(shards_.front()->context());
    asio::post(shards_.front()->context(), [this] { schedule_sweep(); });
  }
}

void EngineCore::close() {
  const std::lock_guard lock(closing_);
  if (closed_.exchange(true)) return;
  // Whoever was accepted is answered: the shards, which carry the answers, end last.
  committer_->stop();
  readers_.join();
  for (auto& shard : shards_) shard->stop();
  sweep_timer_.reset();
}

void EngineCore::dismantle() {
  // A handler that goes with its context may hold a subscription, which comes back here.
  std::vector<std::unique_ptr<Shard>> gone = std::move(shards_);
  shards_.clear();
  gone.clear();
  committer_.reset();
  storage_.reset();
}

asio::any_io_executor EngineCore::executor_or_own(const asio::any_io_executor& wanted) const {
  if (wanted) return wanted;
  if (closed_) return asio::system_executor();
  return shards_.front()->context().get_executor();
}

bool EngineCore::reserve_read() noexcept {
  if (queued_reads_.fetch_add(1) < options_.max_queued_reads) return true;
  --queued_reads_;
  return false;
}

void EngineCore::settle(std::vector<std::unique_ptr<Job>> jobs, error_code failed,
                        std::vector<result<Written>>& results) {
  failed ? ++failed_commits_ : ++commits_;
  writes_ += jobs.size();
  std::vector<Parcel> parcels(shards_.size());
  const bool has_inbox =
      std::any_of(shards_.begin(), shards_.end(), [](const auto& shard) { return shard->inbox_listeners() > 0; });
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::unique_ptr<EngineJob> job(static_cast<EngineJob*>(jobs[i].release()));
    result<Written> written = failed ? result<Written>(failed) : std::move(results[i]);
    if (written) {
      if (written->changed && std::holds_alternative<AppendMessage>(job->write)) ++messages_;
      if (const auto* gone = std::get_if<DeleteToken>(&job->write)) tokens_.erase(gone->digest);
      for (const Sha256Digest& digest : written->evicted) tokens_.erase(digest);

      const Uuid& room = written->conversation.id;
      const std::size_t home = shard_of(room);
      Consequences brought = consequences_of(job->write, *written, shards_[home]->listeners() > 0, has_inbox);
      if (brought.event) {
        Publication& publication = parcels[home].publication(room);
        publication.events.push_back(std::move(*brought.event));
        if (brought.sender) publication.senders.push_back(std::move(*brought.sender));
      }
      if (brought.update) {
        const Uuid inbox = inbox_room(written->conversation.org_id);
        parcels[shard_of(inbox)].publication(inbox).events.emplace_back(std::move(*brought.update));
      }
    }
    // Answers that belong to a shard's thread travel with its events: one wake-up for all of a transaction.
    const asio::any_io_executor executor = executor_or_own(job->executor());
    const auto* const context = &asio::query(executor, asio::execution::context);
    const auto answering =
        std::find_if(shards_.begin(), shards_.end(), [&](const auto& shard) { return &shard->context() == context; });
    if (answering != shards_.end()) {
      Parcel& parcel = parcels[static_cast<std::size_t>(answering - shards_.begin())];
      parcel.answers.push_back({std::move(job), executor, std::move(written)});
      continue;
    }
    asio::post(executor, [answered = std::move(job), value = std::move(written)]() mutable {
      answered->complete(std::move(value));
    });
  }
  for (std::size_t i = 0; i < parcels.size(); ++i) {
    if (parcels[i].empty()) continue;
    Shard* const shard = shards_[i].get();
    asio::post(shard->context(), [shard, parcel = std::move(parcels[i])]() mutable {
      for (Publication& publication : parcel.publications) shard->publish(std::move(publication));
      for (auto& [job, executor, written] : parcel.answers) {
        asio::dispatch(executor, [answered = std::move(job), value = std::move(written)]() mutable {
          answered->complete(std::move(value));
        });
      }
    });
  }
}

void EngineCore::subscribe(Completion<Subscription> completion, const Uuid& room, bool is_inbox, Role role,
                           std::string id, std::shared_ptr<Subscriber> subscriber, std::optional<std::uint64_t> since) {
  if (closed()) return finish<Subscription>(std::move(completion), errc::closed);
  const std::size_t index = shard_of(room);
  asio::dispatch(shard(index).context(),
                 [this, self = shared_from_this(), completion = std::move(completion), room, is_inbox, role,
                  id = std::move(id), subscriber = std::move(subscriber), since, index]() mutable {
                   const std::uint64_t key =
                       shard(index).join(room, role, std::move(id), std::move(subscriber), is_inbox, since.has_value());
                   if (since) read_history(index, room, key, *since);
                   finish<Subscription>(std::move(completion), Subscription(std::move(self), index, room, key));
                 });
}

void EngineCore::read_history(std::size_t index, const Uuid& room, std::uint64_t key, std::uint64_t since) {
  const auto deliver = [this, index, room, key](result<ChangeList> changes) {
    asio::post(shard(index).context(), [this, index, room, key, changes = std::move(changes)] {
      shard(index).finish_replay(room, key, changes);
    });
  };
  if (closed() || !reserve_read()) return deliver(errc::overloaded);
  asio::post(readers_, [this, room, since, deliver] {
    result<ChangeList> changes =
        guarded<ChangeList>([&] { return storage_->list_changes(room, since, options_.max_replay); });
    release_read();
    deliver(std::move(changes));
  });
}

void EngineCore::leave(std::size_t index, const Uuid& room, std::uint64_t key) noexcept {
  if (closed()) return;
  // Always later: a listener may go while its room walks over its members.
  asio::post(shard(index).context(), [this, index, room, key] { shard(index).leave(room, key); });
}

void EngineCore::set_typing(std::size_t index, const Uuid& room, std::uint64_t key, bool is_typing) {
  if (closed()) return;
  asio::dispatch(shard(index).context(),
                 [this, index, room, key, is_typing] { shard(index).set_typing(room, key, is_typing); });
}

void EngineCore::schedule_sweep() {
  sweep_timer_->expires_after(options_.sweep_interval);
  sweep_timer_->async_wait([this](const error_code& error) {
    if (error || closed()) return;
    write<std::uint64_t>({[](result<std::uint64_t>) {}, {}}, SweepTokens{utc_now()},
                         [](const Written& written) { return written.count; });
    schedule_sweep();
  });
}

EngineStats EngineCore::stats() const noexcept {
  EngineStats out;
  out.messages = messages_;
  out.commits = commits_;
  out.writes = writes_;
  out.failed_commits = failed_commits_;
  out.queued_writes = committer_ ? committer_->queued() : 0;
  for (const auto& shard : shards_) {
    out.deliveries += shard->deliveries();
    out.subscribers += shard->listeners();
    out.rooms += shard->rooms();
  }
  return out;
}

}  // namespace travelchat::detail
