#include "core/engine_core.hpp"

#include "core/clock.hpp"
#include "core/decision.hpp"
#include "core/digest.hpp"
#include "core/options.hpp"
#include "core/rules.hpp"

#include <travelchat/local_backplane.hpp>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/system_executor.hpp>

#include <algorithm>
#include <thread>

namespace travelchat::detail {

namespace asio = boost::asio;

namespace {

constexpr std::size_t max_queued_hints = 65'536;
// Between two steps of pruning, so that it takes a small share of the storage's time.
constexpr std::chrono::milliseconds prune_pause{20};

const EngineOptions& checked(const EngineOptions& o, const Storage* storage) {
  using namespace options;
  if (storage == nullptr) refuse("storage", "must not be null");
  require_at_most("shards", o.shards, max_workers);
  require_at_most("readers", o.readers, max_workers);
  require_some("max_queued_writes", o.max_queued_writes);
  require_some("max_queued_reads", o.max_queued_reads);
  require_time("typing_timeout", o.typing_timeout);
  require_time("token_lifetime", o.token_lifetime, true);
  require_some("max_live_tokens", o.max_live_tokens);
  require_time("token_cache_lifetime", o.token_cache_lifetime, true);
  require_time("sweep_interval", o.sweep_interval, true);
  // Clamped, because larger numbers of hours would overflow as seconds. Those that are clamped are refused all the
  // same.
  require_time(
      "max_change_age",
      std::chrono::seconds(std::clamp(o.max_change_age, std::chrono::hours{-1}, std::chrono::hours{1'000'000})), true);
  require_time("credential_check_interval", o.credential_check_interval);
  require_time("poll_interval", o.poll_interval);
  require_time("poll_interval_down", o.poll_interval_down);
  return o;
}

std::size_t default_shards(std::size_t wanted) {
  return wanted != 0 ? wanted : std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
}

// The events that a write brought, for the conversation's room and for the organization's inbox.
struct Consequences {
  std::optional<Event> event;
  std::optional<ConversationUpdated> update;
};

Consequences consequences_of(const Write& write, const Written& written, bool has_listeners, bool has_inbox) {
  Consequences out;
  if (!written.changed) return out;
  if (std::holds_alternative<OpenConversation>(write)) {
    if (has_inbox) out.update = ConversationUpdated{{written.conversation, written.last_message}};
  } else if (std::holds_alternative<AppendMessage>(write)) {
    if (has_listeners) out.event = MessageCreated{*written.message, written.message->rev};
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
struct ShardBatch {
  std::vector<Publication> publications;
  std::unordered_map<Uuid, std::size_t> by_room;
  struct Answer {
    std::unique_ptr<EngineJob> job;
    asio::any_io_executor executor;
    result<Written> written;
  };
  std::vector<Answer> answers;
  std::vector<Uuid> doubtful;
  std::shared_ptr<const std::vector<Sha256Digest>> ended;  // credentials; null: none

  Publication& publication(const Uuid& room) {
    const auto [at, is_new] = by_room.try_emplace(room, publications.size());
    if (is_new) publications.push_back(Publication{room, {}, 0});
    return publications[at->second];
  }
  bool empty() const noexcept {
    return publications.empty() && answers.empty() && doubtful.empty() && ended == nullptr;
  }
};

}  // namespace

Uuid inbox_room(std::string_view org_id) noexcept {
  const Sha256Digest digest = sha256(org_id);
  Uuid room;
  std::copy_n(digest.begin(), room.bytes.size(), room.bytes.begin());
  return room;
}

namespace {

// The topic of hints that are for all nodes and about no single conversation.
const Uuid& topic_of_all() {
  static const Uuid topic = inbox_room("travelchat: all nodes");  // no organization is called so: its ids have no space
  return topic;
}

constexpr std::size_t digests_in_hint = 500;

// Only with a backplane do shards compare what they have told with the storage: where others write to it, an engine
// that was given none gets one without other nodes.
std::unique_ptr<Backplane> backplane_for(const Storage* storage, std::unique_ptr<Backplane> given) {
  if (given || storage == nullptr || !storage->has_other_writers()) return given;
  return make_local_backplane(make_local_bus());
}

}  // namespace

EngineCore::EngineCore(std::unique_ptr<Storage> storage, EngineOptions options, std::unique_ptr<Backplane> backplane)
    : storage_(std::move(storage)),
      upkeep_(dynamic_cast<StorageUpkeep*>(storage_.get())),
      has_other_nodes_(backplane != nullptr),
      backplane_(backplane_for(storage_.get(), std::move(backplane))),
      options_(checked(options, storage_.get())),
      logger_(options_.log),
      tokens_(options.token_cache_entries, options.token_cache_lifetime),
      readers_(std::max<std::size_t>(options.readers, 1), options.max_queued_reads),
      lookups_(1, options.max_queued_reads) {
  const std::size_t count = default_shards(options_.shards);
  rounds_ = std::vector<Round>(count);
  const Shard::Options shard_options{options_.max_replay_backlog,        options_.typing_timeout,
                                     options_.credential_check_interval, options_.poll_interval,
                                     options_.poll_interval_down,        make_uuid(utc_now())};
  for (std::size_t i = 0; i < count; ++i) {
    shards_.push_back(std::make_unique<Shard>(&encoder_, shard_options, backplane_.get()));
  }
}

EngineCore::~EngineCore() = default;

class EngineCore::ReadsOfShard final : public ShardReads {
 public:
  ReadsOfShard(EngineCore& core, std::size_t shard) noexcept : core_(core), shard_(shard) {}

  void read_changes(const Uuid& conversation, std::uint64_t since, Done<ChangeList> done) override {
    core_.read_for_shard<ChangeList>(
        shard_,
        [conversation, since, limit = core_.options_.max_replay](Storage& storage) {
          return storage.list_changes(conversation, since, limit);
        },
        std::move(done));
  }
  void read_inbox(const std::string& org_id, Done<std::vector<ConversationSummary>> done) override {
    core_.read_for_shard<std::vector<ConversationSummary>>(
        shard_,
        [org_id](Storage& storage) {
          return storage.list_conversations({org_id, std::nullopt, {}});
        },
        std::move(done));
  }
  void read_revisions(RevisionQuery query, Done<Revisions> done) override {
    core_.read_for_shard<Revisions>(
        shard_, [query = std::move(query)](Storage& storage) { return storage.list_revisions(query); },
        std::move(done));
  }
  void read_live_tokens(std::vector<Sha256Digest> digests, Done<std::vector<Sha256Digest>> done) override {
    core_.read_for_shard<std::vector<Sha256Digest>>(
        shard_,
        [digests = std::move(digests), tokens = &core_.tokens_](Storage& storage) {
          result<std::vector<Sha256Digest>> live = storage.list_live_tokens(digests, utc_now());
          if (live && live->size() < digests.size()) {
            // So that requests with these tokens are refused, too.
            for (const Sha256Digest& digest : digests) {
              if (std::find(live->begin(), live->end(), digest) == live->end()) tokens->erase(digest);
            }
          }
          return live;
        },
        std::move(done));
  }
  void read_row(const Uuid& conversation, Done<ConversationSummary> done) override {
    core_.read_for_shard<ConversationSummary>(
        shard_,
        [conversation](Storage& storage) -> result<ConversationSummary> {
          // The message is read first. A row that is newer than its message does no harm: it is published again with
          // the next one.
          MessageQuery newest;
          newest.conversation_id = conversation;
          newest.limit = 1;
          result<MessagePage> page = storage.list_messages(newest);
          if (!page) return page.error();
          result<std::optional<Conversation>> found = storage.find_conversation(conversation);
          if (!found) return found.error();
          if (!*found) return errc::not_found;
          ConversationSummary row{std::move(**found), std::nullopt};
          if (!page->messages.empty()) {
            row.last_message = std::move(page->messages.front());
            row.last_message->reactions.clear();
          }
          return row;
        },
        std::move(done));
  }
  void publish_row(ConversationSummary row) override { core_.publish_row(std::move(row)); }

 private:
  EngineCore& core_;
  const std::size_t shard_;
};

void EngineCore::start() {
  for (std::size_t i = 0; i < shards_.size(); ++i) shards_[i]->start(std::make_unique<ReadsOfShard>(*this, i));
  if (backplane_) {
    backplane_->start(*this);
    backplane_->join(topic_of_all());
  }
  committer_ = std::make_unique<Committer>(
      *storage_, options_.max_queued_writes, options_.max_batch,
      [this](auto jobs, error_code failed, auto& results) { settle(std::move(jobs), failed, results); }, logger_);
  // Learns the storage's epoch: a later read with another one shows that a backup was restored.
  if (upkeep_ != nullptr) {
    read<Revisions>({[](const result<Revisions>&) {}, {}}, [](Storage& storage) { return storage.list_revisions({}); });
  }
  if (options_.sweep_interval.count() > 0) {
    prune_timer_.emplace(shards_.front()->context());
    sweep_timer_.emplace(shards_.front()->context());
    asio::post(shards_.front()->context(), [this] { schedule_sweep(); });
  }
}

void EngineCore::close() {
  const std::lock_guard lock(closing_);
  if (active_calls_.ended()) return;
  // From here on only the engine's own threads post to the shards and pools that end below.
  active_calls_.end();
  // Accepted operations are still carried out and answered: the shards, which run the handlers, end last.
  for (std::size_t i = 0; i < shards_.size(); ++i) hand_over(i);
  committer_->stop();
  readers_.pool.join();
  lookups_.pool.join();
  for (auto& shard : shards_) shard->end_listening();
  for (auto& shard : shards_) shard->stop();
  if (backplane_) backplane_->stop();
  sweep_timer_.reset();
  prune_timer_.reset();
}

void EngineCore::dismantle() {
  // A handler that is destroyed with its context may hold a subscription, whose destructor calls this object.
  std::vector<std::unique_ptr<Shard>> gone = std::move(shards_);
  shards_.clear();
  gone.clear();
  committer_.reset();
  backplane_.reset();
  storage_.reset();
}

asio::any_io_executor EngineCore::executor_or_own(const asio::any_io_executor& wanted,
                                                  const ActiveCalls::Call& call) const {
  if (wanted) return wanted;
  if (!call) {
    Shard* const here = Shard::running_here();
    if (here != nullptr && !here->is_stopping()) return here->context().get_executor();
    return asio::system_executor();
  }
  return shards_.front()->context().get_executor();
}

void EngineCore::enqueue(std::unique_ptr<Job> job) {
  Shard* const here = Shard::running_here();
  const auto own =
      std::find_if(shards_.begin(), shards_.end(), [here](const auto& shard) { return shard.get() == here; });
  if (own == shards_.end() || here->is_stopping()) {
    if (const error_code refused = committer_->push(job)) refuse(std::move(job), refused);
    return;
  }
  const auto index = static_cast<std::size_t>(own - shards_.begin());
  Round& round = rounds_[index];
  bool is_first = false;
  {
    const std::lock_guard lock(round.mutex);
    round.writes.push_back(std::move(job));
    is_first = round.writes.size() == 1;
  }
  if (is_first) asio::post(here->context(), [this, index] { hand_over(index); });
}

void EngineCore::hand_over(std::size_t shard) {
  Round& round = rounds_[shard];
  std::vector<std::unique_ptr<Job>> refused;
  error_code reason;
  {
    const std::lock_guard lock(round.mutex);
    if (round.writes.empty()) return;
    reason = committer_->push(round.writes);
    if (reason) refused.swap(round.writes);
  }
  for (auto& job : refused) refuse(std::move(job), reason);
}

void EngineCore::refuse(std::unique_ptr<Job> job, error_code reason) {
  std::unique_ptr<EngineJob> refused(static_cast<EngineJob*>(job.release()));
  const ActiveCalls::Call call(active_calls_);
  const asio::any_io_executor executor = executor_or_own(refused->executor(), call);
  asio::post(executor,
             [refused = std::move(refused), reason]() mutable { refused->complete(result<Written>(reason)); });
}

void EngineCore::settle(std::vector<std::unique_ptr<Job>> jobs, error_code failed,
                        std::vector<result<Written>>& results) {
  failed ? ++failed_commits_ : ++commits_;
  writes_ += jobs.size();
  std::vector<ShardBatch> batches(shards_.size());
  std::vector<Sha256Digest> ended;
  std::vector<ShardBatch::Answer> elsewhere;  // whose executor belongs to no shard
  const bool others_listen = has_other_nodes_;
  const bool has_inbox = others_listen || std::any_of(shards_.begin(), shards_.end(),
                                                      [](const auto& shard) { return shard->inbox_listeners() > 0; });
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::unique_ptr<EngineJob> job(static_cast<EngineJob*>(jobs[i].release()));
    result<Written> written = failed ? result<Written>(failed) : std::move(results[i]);
    if (written) {
      if (written->changed && std::holds_alternative<AppendMessage>(job->write)) ++messages_;
      // Also when it was not found: another node may have deleted it.
      if (const auto* gone = std::get_if<DeleteToken>(&job->write)) ended.push_back(gone->digest);
      ended.insert(ended.end(), written->evicted.begin(), written->evicted.end());

      const Uuid& room = written->conversation.id;
      const std::size_t home = shard_of(room);
      const bool has_listeners = others_listen || shards_[home]->listeners() > 0;
      Consequences brought = consequences_of(job->write, *written, has_listeners, has_inbox);
      if (brought.event) {
        Publication& publication = batches[home].publication(room);
        publication.events.push_back(std::move(*brought.event));
        publication.rev = written->conversation.rev;
      } else if (!written->changed && has_listeners && std::holds_alternative<AppendMessage>(job->write)) {
        // A repeat: the node that stored the first request may have crashed before it told the listeners.
        Publication& publication = batches[home].publication(room);
        publication.rev = std::max(publication.rev, written->conversation.rev);
      }
      if (brought.update) {
        const Uuid inbox = inbox_room(written->conversation.org_id);
        batches[shard_of(inbox)].publication(inbox).events.emplace_back(std::move(*brought.update));
      }
    } else if (written.error() == make_error_code(errc::storage_failed)) {
      if (const auto conversation = conversation_of(job->write)) {
        batches[shard_of(*conversation)].doubtful.push_back(*conversation);
      }
    }
    // Answers that belong to a shard's thread travel with its events: one wake-up for all of a transaction.
    const asio::any_io_executor executor =
        job->executor() ? job->executor() : shards_.front()->context().get_executor();
    const auto* const context = &asio::query(executor, asio::execution::context);
    const auto answering =
        std::find_if(shards_.begin(), shards_.end(), [&](const auto& shard) { return &shard->context() == context; });
    if (answering != shards_.end()) {
      ShardBatch& batch = batches[static_cast<std::size_t>(answering - shards_.begin())];
      batch.answers.push_back({std::move(job), executor, std::move(written)});
    } else {
      elsewhere.push_back({std::move(job), executor, std::move(written)});
    }
  }
  // Before any answer: whoever gets one may rely on the ended tokens being refused, here and on other nodes.
  if (!ended.empty()) {
    for (const Sha256Digest& digest : ended) tokens_.erase(digest);
    tell_others_ended(ended);
    const auto shared = std::make_shared<const std::vector<Sha256Digest>>(std::move(ended));
    for (ShardBatch& batch : batches) batch.ended = shared;
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    Shard* const shard = shards_[i].get();
    if (others_listen) {
      // Before the answers: whoever gets one may rely on the other nodes' having been told.
      for (Publication& publication : batches[i].publications) publish_to_others(publication);
      if (shard->listeners() == 0) batches[i].publications.clear();
    }
    if (batches[i].empty()) continue;
    asio::post(shard->context(), [shard, batch = std::move(batches[i])]() mutable {
      if (batch.ended) shard->end_credentials(*batch.ended);
      for (const Uuid& conversation : batch.doubtful) shard->doubt(conversation);
      for (Publication& publication : batch.publications) shard->publish(std::move(publication));
      for (auto& [job, executor, written] : batch.answers) {
        asio::dispatch(executor, [answered = std::move(job), value = std::move(written)]() mutable {
          answered->complete(std::move(value));
        });
      }
    });
  }
  for (auto& [job, executor, written] : elsewhere) {
    asio::post(executor, [answered = std::move(job), value = std::move(written)]() mutable {
      answered->complete(std::move(value));
    });
  }
}

template <class T, class Read, class Done>
void EngineCore::read_for_shard(std::size_t index, Read read, Done done) {
  auto answer = [this, index, done = std::move(done)](result<T> value) mutable {
    asio::post(shard(index).context(),
               [done = std::move(done), value = std::move(value)]() mutable { done(std::move(value)); });
  };
  const ActiveCalls::Call call(active_calls_);
  if (!call) return answer(error<T>(errc::closed));
  if (!readers_.reserve()) return answer(error<T>(errc::overloaded));
  asio::post(readers_.pool, [this, read = std::move(read), answer = std::move(answer)]() mutable {
    result<T> value = guarded<T>("read", [&] { return read(*storage_); });
    note_epoch_of(value);
    readers_.release();
    answer(std::move(value));
  });
}

void EngineCore::subscribe(Completion<Subscription> completion, Listening listening) {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return finish<Subscription>(std::move(completion), errc::closed);
  const std::size_t index = shard_of(listening.room);
  asio::dispatch(shard(index).context(), [this, self = shared_from_this(), completion = std::move(completion),
                                          listening = std::move(listening), index]() mutable {
    // Held until the reads below are queued: `close` then waits until they are answered.
    const ActiveCalls::Call still(active_calls_);
    if (!still || shard(index).is_stopping()) return finish<Subscription>(std::move(completion), errc::closed);
    const Uuid id = listening.room;
    const std::string org_id = listening.inbox_of;
    // The reads come before the room is made, which tells what is committed from then on.
    if (!org_id.empty()) {
      if (!backplane_ || listening.known_list || shard(index).has_room(id)) {
        return join(std::move(completion), std::move(listening), index);
      }
      read_for_shard<std::vector<ConversationSummary>>(
          index,
          [org_id](Storage& storage) {
            return storage.list_conversations({org_id, std::nullopt, {}});
          },
          [this, self = std::move(self), completion = std::move(completion), listening = std::move(listening),
           index](result<std::vector<ConversationSummary>> list) mutable {
            if (!list) return finish<Subscription>(std::move(completion), error<Subscription>(list.error()));
            listening.known_list = std::move(*list);
            join(std::move(completion), std::move(listening), index);
          });
      return;
    }
    if (std::optional<Conversation> known = listening.known ? listening.known : shard(index).owner_of(id)) {
      return join_conversation(std::move(completion), std::move(listening), index, *known);
    }
    read_for_shard<std::optional<Conversation>>(
        index, [id](Storage& storage) { return storage.find_conversation(id); },
        [this, self = std::move(self), completion = std::move(completion), listening = std::move(listening),
         index](result<std::optional<Conversation>> found) mutable {
          if (!found) return finish<Subscription>(std::move(completion), error<Subscription>(found.error()));
          if (!*found) return finish<Subscription>(std::move(completion), errc::not_found);
          join_conversation(std::move(completion), std::move(listening), index, **found);
        });
  });
}

void EngineCore::join_conversation(Completion<Subscription> completion, Listening listening, std::size_t index,
                                   const Conversation& conversation) {
  if (conversation.id != listening.room) return finish<Subscription>(std::move(completion), errc::not_found);
  if (may_access(listening.listener, conversation, false)) {
    listening.known = conversation;
    return join(std::move(completion), std::move(listening), index);
  }
  Participant listener = listening.listener;  // before `listening` is moved from, in whichever order that happens
  read_for_shard<Conversation>(
      index,
      [listener = std::move(listener), conversation](Storage& storage) -> result<Conversation> {
        if (const error_code refused = check_access(storage, listener, conversation)) return refused;
        // Read anew: its room, which said whose it is, may be gone by now, and a new one begins to tell at this
        // revision.
        auto found = storage.find_conversation(conversation.id);
        if (!found) return found.error();
        if (!*found) return errc::not_found;
        return std::move(**found);
      },
      [this, self = shared_from_this(), completion = std::move(completion), listening = std::move(listening),
       index](result<Conversation> allowed) mutable {
        if (!allowed) return finish<Subscription>(std::move(completion), error<Subscription>(allowed.error()));
        listening.known = std::move(*allowed);
        join(std::move(completion), std::move(listening), index);
      });
}

void EngineCore::join(Completion<Subscription> completion, Listening listening, std::size_t index) {
  const Uuid room = listening.room;
  const std::optional<std::uint64_t> since = listening.since_rev;
  Conversation known = std::move(listening.known).value_or(Conversation());
  const std::optional<std::uint64_t> key = shard(index).join(
      {room, std::move(listening.inbox_of), std::move(known.org_id), std::move(known.client_id),
       listening.listener.role, std::move(listening.listener.id), std::move(listening.subscriber), listening.credential,
       since.has_value(), known.rev, std::move(listening.known_list).value_or(std::vector<ConversationSummary>())});
  if (!key) return finish<Subscription>(std::move(completion), errc::unauthenticated);
  if (since) {
    read_for_shard<ChangeList>(
        index,
        [room, since = *since, limit = options_.max_replay](Storage& storage) {
          return storage.list_changes(room, since, limit);
        },
        [this, index, room, key = *key, epoch = listening.epoch](result<ChangeList> changes) {
          if (changes && epoch && changes->epoch != epoch) {
            changes->too_many = true;
            changes->changes.clear();
          }
          shard(index).finish_replay(room, key, std::move(changes));
        });
  }
  finish_accepted<Subscription>(std::move(completion), Subscription(shared_from_this(), index, room, *key),
                                shard(index));
}

// ---- Other nodes ----

void EngineCore::publish_to_others(Publication& publication) {
  if (!has_other_nodes_) return;
  if (publication.rev > 0) {
    Hint hint = Progress{publication.rev, std::move(publication.events)};
    publish_hint(*backplane_, publication.room, hint);
    publication.events = std::move(std::get<Progress>(hint).events);
    return;
  }
  for (Event& event : publication.events) {
    auto& row = std::get<ConversationUpdated>(event).summary;
    Hint hint = InboxRow{std::move(row)};
    publish_hint(*backplane_, publication.room, hint);
    row = std::move(std::get<InboxRow>(hint).summary);
  }
}

void EngineCore::publish_row(ConversationSummary row) {
  Publication publication{inbox_room(row.conversation.org_id), {}, 0};
  publication.events.emplace_back(ConversationUpdated{std::move(row)});
  publish_to_others(publication);
  Shard* const home = shards_[shard_of(publication.room)].get();
  asio::post(home->context(),
             [home, publication = std::move(publication)]() mutable { home->publish(std::move(publication)); });
}

// A shard that falls behind the other nodes drops what they say and asks the storage instead: its queue stays bounded.
void EngineCore::received(const Uuid& topic, std::string_view payload) noexcept {
  if (topic == topic_of_all()) {
    const Hint hint = decode_hint(payload);
    if (const auto* ended = std::get_if<CredentialsEnded>(&hint)) return end_credentials_here(ended->digests);
    return joined(topic);  // another hint, or one that could not be read
  }
  if (queued_hints_.fetch_add(1) >= max_queued_hints) {
    --queued_hints_;
    if (!hints_dropped_.exchange(true)) missed();
    return;
  }
  Shard* const home = shards_[shard_of(topic)].get();
  asio::post(home->context(), [this, home, topic, hint = decode_hint(payload)]() mutable {
    --queued_hints_;
    home->take_hint(topic, std::move(hint));
  });
}

void EngineCore::joined(const Uuid& topic) noexcept {
  if (topic == topic_of_all()) {
    for (const auto& shard : shards_) {
      asio::post(shard->context(), [home = shard.get()] { home->check_credentials(); });
    }
    return;
  }
  Shard* const home = shards_[shard_of(topic)].get();
  asio::post(home->context(), [home, topic] { home->joined(topic); });
}

void EngineCore::missed() noexcept {
  for (const auto& shard : shards_) {
    asio::post(shard->context(), [this, home = shard.get()] {
      hints_dropped_ = false;
      home->missed();
    });
  }
}

void EngineCore::end_credentials(const std::vector<Sha256Digest>& digests) {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return;
  tell_others_ended(digests);
  end_credentials_here(digests);
}

void EngineCore::end_credentials_here(const std::vector<Sha256Digest>& digests) {
  const auto shared = std::make_shared<const std::vector<Sha256Digest>>(digests);
  for (const Sha256Digest& digest : digests) tokens_.erase(digest);
  for (const auto& shard : shards_) {
    asio::post(shard->context(), [home = shard.get(), shared] { home->end_credentials(*shared); });
  }
}

void EngineCore::tell_others_ended(const std::vector<Sha256Digest>& digests) {
  if (!has_other_nodes_) return;
  for (auto next = digests.begin(); next != digests.end();) {
    const auto last = next + std::min<std::ptrdiff_t>(digests.end() - next, digests_in_hint);
    publish_hint(*backplane_, topic_of_all(), CredentialsEnded{{next, last}});
    next = last;
  }
}

void EngineCore::refresh(const Uuid& conversation) {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return;
  const std::size_t index = shard_of(conversation);
  asio::post(shard(index).context(), [this, index, conversation] { shard(index).doubt(conversation); });
}

void EngineCore::leave(std::size_t index, const Uuid& room, std::uint64_t key) noexcept {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return;
  // Posted, never run at once: a listener may leave while its room iterates over the members.
  asio::post(shard(index).context(), [this, index, room, key] { shard(index).leave(room, key); });
}

void EngineCore::set_typing(std::size_t index, const Uuid& room, std::uint64_t key, bool is_typing) {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return;
  asio::dispatch(shard(index).context(),
                 [this, index, room, key, is_typing] { shard(index).set_typing(room, key, is_typing); });
}

void EngineCore::schedule_sweep() {
  sweep_timer_->expires_after(options_.sweep_interval);
  sweep_timer_->async_wait([this](const error_code& error) {
    if (error || closed()) return;
    write<std::uint64_t>({[](result<std::uint64_t>) {}, {}}, SweepTokens{utc_now()},
                         [](const Written& written) { return written.count; });
    prune_in_background(Uuid());
    schedule_sweep();
  });
}

// ---- Upkeep ----

void EngineCore::note_epoch(const std::optional<Uuid>& epoch) {
  if (!epoch) return;
  {
    const std::lock_guard lock(epoch_mutex_);
    if (epoch_ == epoch) return;
    const bool is_first = !epoch_;
    epoch_ = epoch;
    if (is_first) return;
  }
  for (const auto& shard : shards_) {
    asio::post(shard->context(), [home = shard.get()] { home->begin_epoch(); });
  }
}

result<Pruned> EngineCore::prune_step(const Uuid& after) {
  PruneChanges step;
  step.after = after;
  step.keep_revisions = options_.max_kept_changes;
  if (options_.max_change_age.count() > 0) step.older_than = utc_now() - options_.max_change_age;
  return guarded<Pruned>("prune_changes", [&] {
    const std::lock_guard turn(upkeep_turn_);
    return upkeep_->prune_changes(step);
  });
}

void EngineCore::prune(Completion<std::uint64_t> completion) {
  const ActiveCalls::Call call(active_calls_);
  if (!call) return finish<std::uint64_t>(std::move(completion), error<std::uint64_t>(errc::closed));
  if (upkeep_ == nullptr) return finish<std::uint64_t>(std::move(completion), result<std::uint64_t>(0));
  prune_after(std::move(completion), Uuid(), 0);
}

void EngineCore::prune_after(Completion<std::uint64_t> completion, Uuid after, std::uint64_t count) {
  asio::post(readers_.pool, [this, completion = std::move(completion), after, count]() mutable {
    const auto answer = [&](result<std::uint64_t> value) {
      finish_accepted<std::uint64_t>(std::move(completion), std::move(value), *shards_.front());
    };
    if (closed()) return answer(error<std::uint64_t>(errc::closed));
    const result<Pruned> step = prune_step(after);
    note_epoch_of(step);
    if (!step) return answer(error<std::uint64_t>(step.error()));
    if (!step->next) return answer(result<std::uint64_t>(count + step->count));
    prune_after(std::move(completion), *step->next, count + step->count);
  });
}

// What a step finds out comes back to the timer's thread. The next sweep makes up for a step that failed.
void EngineCore::prune_in_background(const Uuid& after) {
  const bool has_bounds = options_.max_kept_changes > 0 || options_.max_change_age.count() > 0;
  if (upkeep_ == nullptr || !has_bounds) return;
  const ActiveCalls::Call call(active_calls_);
  if (!call || !readers_.reserve()) return;
  asio::post(readers_.pool, [this, after] {
    result<Pruned> step = closed() ? error<Pruned>(errc::closed) : prune_step(after);
    note_epoch_of(step);
    readers_.release();
    if (!step || !step->next) return;
    asio::post(shards_.front()->context(), [this, next = *step->next] {
      if (closed()) return;
      prune_timer_->expires_after(prune_pause);
      prune_timer_->async_wait([this, next](const error_code& cancelled) {
        if (!cancelled && !closed()) prune_in_background(next);
      });
    });
  });
}

void EngineCore::begin_epoch(Completion<Uuid> completion) {
  read<Uuid>(std::move(completion), [this](Storage& storage) -> result<Uuid> {
    if (upkeep_ == nullptr) return errc::not_found;
    const Uuid epoch = make_uuid(utc_now());
    {
      const std::lock_guard turn(upkeep_turn_);
      if (const error_code failed = upkeep_->begin_epoch(epoch)) return failed;
    }
    if (const auto revisions = storage.list_revisions({})) note_epoch(revisions->epoch);
    return epoch;
  });
}

BackplaneState EngineCore::backplane_state() const noexcept {
  if (!has_other_nodes_) return BackplaneState::none;
  return backplane_->is_up() ? BackplaneState::up : BackplaneState::down;
}

EngineStats EngineCore::stats() const noexcept {
  EngineStats out;
  out.messages = messages_;
  out.commits = commits_;
  out.writes = writes_;
  out.failed_commits = failed_commits_;
  out.queued_writes = committer_ ? committer_->queued() : 0;
  for (const auto& shard : shards_) {
    out.catch_ups += shard->catch_ups();
    out.deliveries += shard->deliveries();
    out.subscribers += shard->listeners();
    out.rooms += shard->rooms();
  }
  return out;
}

}  // namespace travelchat::detail
