// The chat engine: every use case of a conversation, over any storage, for any number of listeners.
//
// Owner: the embedder, who destroys it after everything that uses it. Any thread may call any member, except that
// neither `close` nor the destructor may run on one of the engine's own threads.
//
// Threads of its own: `EngineOptions::shards` I/O threads (each runs one io_context; a conversation belongs to one of
// them), one committer (every durable write), `EngineOptions::readers` for reads, and one more for the reads that
// others wait for: chat tokens and `async_ping`.
//
// Asynchronous operations take an Asio completion token; the completion signature is `void(result<T>)`. The handler
// runs through its associated executor; a handler without one runs on a thread of the engine and must not block. Any
// number of operations may be under way. Cancellation signals are ignored: a write that has been accepted is carried
// out. After `close` every operation completes with `errc::closed`. Which argument an operation refuses with
// `errc::invalid_argument`, and why, says `find_problem` (travelchat/arguments.hpp).
#pragma once

#include <travelchat/asio_configuration.hpp>
#include <travelchat/backplane.hpp>
#include <travelchat/error.hpp>
#include <travelchat/event.hpp>
#include <travelchat/log.hpp>
#include <travelchat/storage.hpp>
#include <travelchat/subscriber.hpp>
#include <travelchat/types.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/system_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace travelchat {

// Sizes are at least 1 and times longer than 0 and at most 100 years, where nothing else is said.
struct EngineOptions {
  // I/O threads, at most 1,024. 0: one for each processor.
  std::size_t shards = 0;
  // Threads that read from the storage, at most 1,024; chat tokens and readiness have another one. 0 is taken as 1.
  std::size_t readers = 2;
  // Writes that may wait for the committer; one more gets `errc::overloaded`.
  std::size_t max_queued_writes = 65'536;
  // Reads that may wait for a reader thread; one more gets `errc::overloaded`.
  std::size_t max_queued_reads = 16'384;
  // Writes in one transaction. 0 is taken as 1.
  std::size_t max_batch = 512;
  // Changes that a resuming subscriber is sent; further behind it gets a Resync. 0: always, when there are any.
  std::size_t max_replay = 1'000;
  // Live events kept for a subscriber while its history is read; beyond it the subscriber gets a Resync. 0: none.
  std::size_t max_replay_backlog = 10'000;
  // A typing state that is not refreshed ends after this.
  std::chrono::milliseconds typing_timeout = std::chrono::seconds{6};
  // How long a chat token lives. 0: it has expired when it is issued.
  std::chrono::milliseconds token_lifetime = std::chrono::hours{24};
  // Live tokens of one client and trip; a further one replaces the oldest. A whole family may use one share link, and
  // each browser of each person has a token.
  std::size_t max_live_tokens = 100;
  // Authenticated tokens that are remembered, so that a message costs no read. 0: none.
  std::size_t token_cache_entries = 65'536;
  // How long one is remembered: a revocation by another process is noticed within this. One by this engine, at once.
  // 0: not at all.
  std::chrono::milliseconds token_cache_lifetime = std::chrono::seconds{30};
  // How often expired tokens, and changes beyond the two bounds below, are deleted. 0: never.
  std::chrono::seconds sweep_interval = std::chrono::minutes{10};
  // What is kept for resuming subscribers besides the messages: the changes of a conversation's newest revisions, this
  // many, so no less than `max_replay` is of use. 0: all of them.
  std::uint64_t max_kept_changes = 1'000;
  // How long these changes are kept. Who resumes from before gets a Resync. 0: for ever.
  std::chrono::hours max_change_age = std::chrono::hours{720};
  // How often the credentials of listeners are looked at: those that have expired end, and, where others write to
  // the storage, chat tokens that are no longer in it (500 in one query). At least 1 ms.
  std::chrono::milliseconds credential_check_interval = std::chrono::seconds{3};
  // With a backplane, and where the storage has other writers: how often what listeners were told is compared with the
  // storage, in case a hint was lost or another program wrote. A round reads the revisions of all conversations with a
  // listener on this node, 500 in one query.
  std::chrono::milliseconds poll_interval = std::chrono::seconds{5};
  // The same while the backplane is down; and without one how often a storage that failed is asked what became of the
  // writes in question.
  std::chrono::milliseconds poll_interval_down = std::chrono::seconds{1};
  // Told of what the storage throws and of its failures, and by a server on this engine of its own (see
  // `BeastServerOptions::log`). Empty: nobody.
  Log log = {};
};

struct Sent {
  Message message;
  bool created = true;  // false: an earlier request with this client_message_id stored it
};
BOOST_DESCRIBE_STRUCT(Sent, (), (message, created))

struct Marked {
  TimePoint at;
  std::uint64_t count = 0;  // how many messages it changed; 0: nothing was broadcast
  std::uint64_t rev = 0;    // the conversation's, afterwards
};
BOOST_DESCRIBE_STRUCT(Marked, (), (at, count, rev))

struct TokenGrant {
  TokenGrant() = default;
  TokenGrant(std::string for_org, std::string for_client, std::string for_trip, const Uuid& for_conversation,
             std::optional<std::string> by_share_token = std::nullopt)
      : org_id(std::move(for_org)),
        client_id(std::move(for_client)),
        trip_id(std::move(for_trip)),
        conversation_id(for_conversation),
        share_token(std::move(by_share_token)) {}

  std::string org_id;
  std::string client_id;
  std::string trip_id;
  Uuid conversation_id;
  // The share link's, when the token is issued to whoever has the link: the server then refuses the token once the trip
  // is no longer shared by this very link. Empty: the application's own, which ends by its time or by being revoked.
  std::optional<std::string> share_token;
};

// Which tokens of an organization. At least one of the two is given; with both, those that are of that client and that
// trip.
struct TokenFilter {
  TokenFilter() = default;
  TokenFilter(std::string of_org, std::optional<std::string> of_client = std::nullopt,
              std::optional<std::string> of_trip = std::nullopt)
      : org_id(std::move(of_org)), client_id(std::move(of_client)), trip_id(std::move(of_trip)) {}

  std::string org_id;
  std::optional<std::string> client_id;
  std::optional<std::string> trip_id;
};

struct IssuedToken {
  std::string token;  // 64 hexadecimal characters; only its SHA-256 is stored
  TimePoint expires_at;
};
BOOST_DESCRIBE_STRUCT(IssuedToken, (), (token, expires_at))

struct SubscribeOptions {
  // Replay what changed after this revision before anything live. Empty: live only.
  std::optional<std::uint64_t> since_rev = std::nullopt;
  // The conversation as the caller has just read it: spares the engine a read. Copied when the operation starts (with
  // `use_awaitable` and the like: when it is awaited). Null: not read.
  const Conversation* known = nullptr;
  // Ends the subscription when it ends.
  Credential credential = {};
  // The epoch that `since_rev` is of, as an event or a page has told it. Another one than the storage's: a Resync.
  // Empty: not known, so a restored backup may go unnoticed.
  std::optional<Uuid> epoch = std::nullopt;
};

struct InboxOptions {
  InboxOptions() = default;
  explicit InboxOptions(std::optional<std::vector<ConversationSummary>> list) : known_list(std::move(list)) {}

  // The organization's list as it was known before. With a backplane it spares the engine a read, and whatever has
  // changed since is told; without one it means nothing.
  std::optional<std::vector<ConversationSummary>> known_list = std::nullopt;
  // Ends the subscription when it ends.
  Credential credential = {};
};

// Whether this node is connected with others.
enum class BackplaneState : std::uint8_t { none, up, down };

// Running counts since the engine was made, and gauges of now.
struct EngineStats {
  std::uint64_t messages = 0;  // committed, without repeats
  std::uint64_t commits = 0;   // transactions
  std::uint64_t writes = 0;    // commands in them
  std::uint64_t failed_commits = 0;
  std::uint64_t deliveries = 0;     // events handed to subscribers
  std::uint64_t queued_writes = 0;  // gauge
  std::uint64_t subscribers = 0;    // gauge
  std::uint64_t rooms = 0;          // gauge: conversations with a subscriber
  std::uint64_t catch_ups = 0;      // times that a room was told from the storage what it had missed
};
BOOST_DESCRIBE_STRUCT(EngineStats, (),
                      (messages, commits, writes, failed_commits, deliveries, queued_writes, subscribers, rooms,
                       catch_ups))

namespace detail {

class EngineCore;

// A completion handler without its type, and the executor that it asked for.
template <class T>
struct Completion {
  boost::asio::any_completion_handler<void(result<T>)> handler;
  boost::asio::any_io_executor executor;  // empty: no wish

  template <class Handler>
  static Completion make(Handler&& handler) {
    using Executor = boost::asio::associated_executor_t<std::decay_t<Handler>>;
    boost::asio::any_io_executor executor;
    if constexpr (!std::is_same_v<Executor, boost::asio::system_executor>) {
      executor = boost::asio::get_associated_executor(handler);
    }
    return {std::forward<Handler>(handler), std::move(executor)};
  }
};

}  // namespace detail

// One listener's place in a conversation or an inbox. Movable; destroying it ends the subscription (its typing state
// too), after which the subscriber may still get what its shard was just delivering. Any thread.
class Subscription {
 public:
  Subscription() noexcept = default;
  Subscription(Subscription&& other) noexcept;
  Subscription& operator=(Subscription&& other) noexcept;
  ~Subscription();

  explicit operator bool() const noexcept { return core_ != nullptr; }
  // Says that this listener's participant types or has stopped. Repeat it while typing continues: it expires after
  // `EngineOptions::typing_timeout`. No effect on an inbox subscription.
  void set_typing(bool is_typing);
  void reset() noexcept;

 private:
  friend class detail::EngineCore;
  Subscription(std::shared_ptr<detail::EngineCore> core, std::size_t shard, const Uuid& room,
               std::uint64_t key) noexcept;

  std::shared_ptr<detail::EngineCore> core_;
  Uuid room_;  // the conversation, or what stands for the organization's inbox
  std::uint64_t key_ = 0;
  std::size_t shard_ = 0;
};

class ChatEngine {
 public:
  // Starts the threads. Throws OptionError for an option that is not valid, `storage` when that is null, and
  // std::system_error when the system has no thread to give. With a `backplane` this engine
  // is one of several nodes on one storage, which must be one that they can share (PostgreSQL); null: the only one.
  explicit ChatEngine(std::unique_ptr<Storage> storage, EngineOptions options = {},
                      std::unique_ptr<Backplane> backplane = nullptr);
  ChatEngine(const ChatEngine&) = delete;
  ChatEngine& operator=(const ChatEngine&) = delete;
  ~ChatEngine();

  // Stops taking work, carries out what was accepted, closes every subscriber with `errc::closed`, then joins the
  // threads. Idempotent.
  void close();

  // ---- Conversations ----

  // The conversation of this organization with this client, made when there is none. `errc::invalid_argument`: an id is
  // malformed. Signature: void(result<Conversation>).
  template <class Token>
  auto async_open_conversation(std::string org_id, std::string client_id, Token&& token) {
    return start<Conversation>(&ChatEngine::open_conversation, std::forward<Token>(token), std::move(org_id),
                               std::move(client_id));
  }

  // `errc::not_found`. For a caller that checks itself who may see it. Signature: void(result<Conversation>).
  template <class Token>
  auto async_find_conversation(Uuid id, Token&& token) {
    return start<Conversation>(&ChatEngine::find_conversation, std::forward<Token>(token), id);
  }

  // Newest activity first. Signature: void(result<std::vector<ConversationSummary>>).
  template <class Token>
  auto async_list_conversations(ConversationQuery query, Token&& token) {
    return start<std::vector<ConversationSummary>>(&ChatEngine::list_conversations, std::forward<Token>(token),
                                                   std::move(query));
  }

  // The client's messages in the organization that no advisor has read. Signature: void(result<std::uint64_t>).
  template <class Token>
  auto async_count_unread(std::string org_id, Token&& token) {
    return start<std::uint64_t>(&ChatEngine::count_unread, std::forward<Token>(token), std::move(org_id));
  }

  // ---- Messages ----

  // Stores and broadcasts a message; completes once it is durable. `errc::invalid_content`, `errc::invalid_argument`
  // (an id, an attachment), `errc::invalid_client_message_id`, `errc::not_found`, `errc::idempotency_conflict`,
  // `errc::overloaded`, `errc::storage_full`, `errc::storage_failed`. Signature: void(result<Sent>).
  template <class Token>
  auto async_send(Participant sender, Draft draft, Token&& token) {
    return start<Sent>(&ChatEngine::send, std::forward<Token>(token), std::move(sender), std::move(draft));
  }
  template <class Token>
  auto async_send(Participant sender, DraftView draft, Token&& token) {
    return async_send(std::move(sender), Draft(draft), std::forward<Token>(token));
  }

  // A page of messages by `seq`. `errc::not_found`; `errc::invalid_argument`: limit outside 1 to 200, `before_seq` of
  // 0, or both `before_seq` and `since_rev`; `errc::epoch_changed`: `epoch` is not the storage's (any more), so a page
  // does not fit what the caller has; `errc::too_many_changes`: a page by `since_rev` would have more than
  // `max_changed_messages` (see MessagePage), so the caller loads the newest ones instead, as after a Resync.
  // Signature: void(result<MessagePage>).
  template <class Token>
  auto async_list_messages(Participant reader, MessageQuery query, Token&& token) {
    return start<MessagePage>(&ChatEngine::list_messages, std::forward<Token>(token), std::move(reader), query);
  }

  // Sets the reactor's one reaction to a message. Completes with all reactions of the message, oldest first.
  // `errc::not_found`. Signature: void(result<std::vector<Reaction>>).
  template <class Token>
  auto async_react(Participant reactor, Uuid conversation_id, Uuid message_id, Emoji emoji, Token&& token) {
    return start<std::vector<Reaction>>(&ChatEngine::react, std::forward<Token>(token), std::move(reactor),
                                        conversation_id, message_id, std::optional<Emoji>(emoji));
  }

  // Removes it. Signature: void(result<std::vector<Reaction>>).
  template <class Token>
  auto async_unreact(Participant reactor, Uuid conversation_id, Uuid message_id, Token&& token) {
    return start<std::vector<Reaction>>(&ChatEngine::react, std::forward<Token>(token), std::move(reactor),
                                        conversation_id, message_id, std::optional<Emoji>());
  }

  // By a client: the advisor's messages are seen. By an advisor: the client's messages are read. `errc::not_found`.
  // Signature: void(result<Marked>).
  template <class Token>
  auto async_mark(Participant viewer, Uuid conversation_id, Token&& token) {
    return start<Marked>(&ChatEngine::mark, std::forward<Token>(token), std::move(viewer), conversation_id);
  }

  // ---- Chat tokens ----

  // Signature: void(result<IssuedToken>).
  template <class Token>
  auto async_issue_token(TokenGrant grant, Token&& token) {
    return start<IssuedToken>(&ChatEngine::issue_token, std::forward<Token>(token), std::move(grant));
  }

  // `errc::unauthenticated`: malformed, unknown, revoked or expired. Signature: void(result<TokenClaims>).
  template <class Token>
  auto async_authenticate_token(std::string chat_token, Token&& token) {
    return start<TokenClaims>(&ChatEngine::authenticate_token, std::forward<Token>(token), std::move(chat_token));
  }

  // Ends a token, and with it whoever listens by it, on every node. Completes with whether it was there. Signature:
  // void(result<bool>).
  template <class Token>
  auto async_revoke_token(std::string chat_token, Token&& token) {
    return start<bool>(&ChatEngine::revoke_token, std::forward<Token>(token), std::move(chat_token));
  }

  // The same for all tokens of a client, of a trip, or of a client for a trip; completes with how many there were.
  // `errc::invalid_argument`: neither was given, or an id is malformed. Signature: void(result<std::uint64_t>).
  template <class Token>
  auto async_revoke_tokens(TokenFilter filter, Token&& token) {
    return start<std::uint64_t>(&ChatEngine::revoke_tokens, std::forward<Token>(token), std::move(filter));
  }

  // Deletes expired tokens now; completes with how many. Signature: void(result<std::uint64_t>).
  template <class Token>
  auto async_sweep_tokens(Token&& token) {
    return start<std::uint64_t>(&ChatEngine::sweep_tokens, std::forward<Token>(token));
  }

  // Whether `async_authenticate_token` knows this token without a read.
  bool remembers_token(std::string_view chat_token) const;

  // ---- Upkeep ----

  // Deletes the changes beyond `EngineOptions::max_kept_changes` and `max_change_age` now; completes with how many, 0
  // for a storage without StorageUpkeep. Signature: void(result<std::uint64_t>).
  template <class Token>
  auto async_prune_changes(Token&& token) {
    return start<std::uint64_t>(&ChatEngine::prune_changes, std::forward<Token>(token));
  }

  // To be called once after the storage was restored from a backup: whoever listens or resumes, on every node, gets a
  // Resync. Completes with the new epoch; `errc::not_found`: the storage keeps none.
  // Signature: void(result<Uuid>).
  template <class Token>
  auto async_begin_epoch(Token&& token) {
    return start<Uuid>(&ChatEngine::begin_epoch, std::forward<Token>(token));
  }

  // ---- Listening ----

  // Joins a conversation: first the typing state, then (with `since_rev`) the replay and CaughtUp or Resync, then
  // everything live, without a gap and nothing twice. `listener` says whose typing it reports. `errc::not_found`: no
  // such conversation, or not the listener's; `errc::unauthenticated`: the credential has ended. The typing state may
  // be delivered before the completion. Call it on the conversation's shard, with the conversation as it is `known`, to
  // have it done before the call returns. Signature: void(result<Subscription>).
  template <class Token>
  auto async_subscribe(Participant listener, Uuid conversation_id, std::shared_ptr<Subscriber> subscriber,
                       SubscribeOptions options, Token&& token) {
    return start<Subscription>(&ChatEngine::subscribe, std::forward<Token>(token), std::move(listener), conversation_id,
                               std::move(subscriber), options);
  }

  // Listens to every change of an organization's conversation list. The same rules, but that the caller has checked
  // that the listener may.
  // Signature: void(result<Subscription>).
  template <class Token>
  auto async_subscribe_inbox(std::string org_id, std::shared_ptr<Subscriber> subscriber, InboxOptions options,
                             Token&& token) {
    return start<Subscription>(&ChatEngine::subscribe_inbox, std::forward<Token>(token), std::move(org_id),
                               std::move(subscriber), std::move(options));
  }
  template <class Token>
  auto async_subscribe_inbox(std::string org_id, std::shared_ptr<Subscriber> subscriber, Token&& token) {
    return async_subscribe_inbox(std::move(org_id), std::move(subscriber), InboxOptions{}, std::forward<Token>(token));
  }

  // Says that a session of the host's has ended (see `Advisor::session_id`): whoever listens by it is closed, here at
  // once and on other nodes as soon as they hear of it. Returns at once; no effect when nobody does.
  void end_session(std::string_view session_id);

  // Says that a conversation may have been changed without the engine, in the database itself. Listeners on every node
  // get what they have not been told. Returns at once; no effect on a conversation that does not exist.
  void refresh(const Uuid& conversation_id);

  // ---- For servers on the engine ----

  // How `EventBatch::encoded` makes bytes. Set once, before the first subscribe.
  void use_encoder(EventEncoder encoder);
  std::size_t shard_count() const noexcept;
  // The shard that a conversation (or an organization's inbox) belongs to: 0 to shard_count() - 1.
  std::size_t shard_of(const Uuid& conversation_id) const noexcept;
  std::size_t shard_of_inbox(std::string_view org_id) const noexcept;
  // Run by one thread until `close`.
  boost::asio::io_context& shard_context(std::size_t shard) noexcept;
  // A cheap read from the storage. Signature: void(result<bool>).
  template <class Token>
  auto async_ping(Token&& token) {
    return start<bool>(&ChatEngine::ping, std::forward<Token>(token));
  }
  EngineStats stats() const noexcept;
  BackplaneState backplane_state() const noexcept;
  // Whether others write to the storage as well: further nodes, or other programs (`Storage::has_other_writers`). Then
  // `SubscribeOptions::known` must have the revision that the storage has. Constant.
  bool has_other_writers() const noexcept;
  const Log& log() const noexcept;

 private:
  template <class T>
  using Handler = detail::Completion<T>;

  template <class T, class Token, class... Params, class... Args>
  auto start(void (ChatEngine::*body)(Handler<T>, Params...), Token&& token, Args&&... args) {
    // Otherwise g++ 12 destroys the argument's members twice in `co_await engine.async_x({...}, use_awaitable)`.
    static_assert(((!std::is_aggregate_v<Params> || std::is_trivially_copyable_v<Params>)&&...));
    return boost::asio::async_initiate<Token, void(result<T>)>(
        [](auto handler, ChatEngine* self, void (ChatEngine::*run)(Handler<T>, Params...), auto... values) {
          (self->*run)(Handler<T>::make(std::move(handler)), std::move(values)...);
        },
        token, this, body, std::decay_t<Args>(std::forward<Args>(args))...);
  }

  void open_conversation(Handler<Conversation>, std::string, std::string);
  void find_conversation(Handler<Conversation>, Uuid);
  void list_conversations(Handler<std::vector<ConversationSummary>>, ConversationQuery);
  void count_unread(Handler<std::uint64_t>, std::string);
  void send(Handler<Sent>, Participant, Draft);
  void list_messages(Handler<MessagePage>, Participant, MessageQuery);
  void react(Handler<std::vector<Reaction>>, Participant, Uuid, Uuid, std::optional<Emoji>);
  void mark(Handler<Marked>, Participant, Uuid);
  void issue_token(Handler<IssuedToken>, TokenGrant);
  void authenticate_token(Handler<TokenClaims>, std::string);
  void revoke_token(Handler<bool>, std::string);
  void revoke_tokens(Handler<std::uint64_t>, TokenFilter);
  void sweep_tokens(Handler<std::uint64_t>);
  void prune_changes(Handler<std::uint64_t>);
  void begin_epoch(Handler<Uuid>);
  void subscribe(Handler<Subscription>, Participant, Uuid, std::shared_ptr<Subscriber>, SubscribeOptions);
  void subscribe_inbox(Handler<Subscription>, std::string, std::shared_ptr<Subscriber>, InboxOptions);
  void ping(Handler<bool>);

  std::shared_ptr<detail::EngineCore> core_;
};

}  // namespace travelchat
