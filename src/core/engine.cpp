#include <travelchat/engine.hpp>

#include <travelchat/arguments.hpp>
#include <travelchat/validate.hpp>

#include "core/chat_token.hpp"
#include "core/clock.hpp"
#include "core/digest.hpp"
#include "core/engine_core.hpp"
#include "core/rules.hpp"

#include <algorithm>
#include <utility>

namespace travelchat {

namespace {

// Completes with a value that is already known, or with `errc::closed` after `close`.
template <class T>
void answer(detail::EngineCore& core, detail::Completion<T> completion, result<T> value) {
  if (core.closed()) value = detail::error<T>(errc::closed);
  core.finish<T>(std::move(completion), std::move(value));
}

}  // namespace

// ---- Subscription ----

Subscription::Subscription(std::shared_ptr<detail::EngineCore> core, std::size_t shard, const Uuid& room,
                           std::uint64_t key) noexcept
    : core_(std::move(core)), room_(room), key_(key), shard_(shard) {}

Subscription::Subscription(Subscription&& other) noexcept
    : core_(std::move(other.core_)), room_(other.room_), key_(other.key_), shard_(other.shard_) {}

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    reset();
    core_ = std::move(other.core_);
    room_ = other.room_;
    key_ = other.key_;
    shard_ = other.shard_;
  }
  return *this;
}

Subscription::~Subscription() {
  reset();
}

void Subscription::set_typing(bool is_typing) {
  if (core_) core_->set_typing(shard_, room_, key_, is_typing);
}

void Subscription::reset() noexcept {
  if (const auto core = std::move(core_)) core->leave(shard_, room_, key_);
}

// ---- ChatEngine ----

ChatEngine::ChatEngine(std::unique_ptr<Storage> storage, EngineOptions options, std::unique_ptr<Backplane> backplane)
    : core_(std::make_shared<detail::EngineCore>(std::move(storage), options, std::move(backplane))) {
  core_->start();
}

ChatEngine::~ChatEngine() {
  close();
  core_->dismantle();
}

void ChatEngine::close() {
  core_->close();
}

void ChatEngine::use_encoder(EventEncoder encoder) {
  core_->encoder() = std::move(encoder);
}
std::size_t ChatEngine::shard_count() const noexcept {
  return core_->shard_count();
}
std::size_t ChatEngine::shard_of(const Uuid& id) const noexcept {
  return core_->shard_of(id);
}
std::size_t ChatEngine::shard_of_inbox(std::string_view org_id) const noexcept {
  return core_->shard_of(detail::inbox_room(org_id));
}
boost::asio::io_context& ChatEngine::shard_context(std::size_t shard) noexcept {
  return core_->shard(shard).context();
}
void ChatEngine::end_session(std::string_view session_id) {
  core_->end_credentials({Credential::of_session(session_id).digest});
}
void ChatEngine::refresh(const Uuid& conversation_id) {
  core_->refresh(conversation_id);
}
BackplaneState ChatEngine::backplane_state() const noexcept {
  return core_->backplane_state();
}

bool ChatEngine::has_other_writers() const noexcept {
  return core_->has_other_writers();
}

EngineStats ChatEngine::stats() const noexcept {
  return core_->stats();
}

void ChatEngine::open_conversation(Handler<Conversation> done, std::string org_id, std::string client_id) {
  if (!is_host_id(org_id) || !is_host_id(client_id))
    return answer<Conversation>(*core_, std::move(done), errc::invalid_argument);
  const TimePoint at = utc_now();
  core_->write<Conversation>(std::move(done),
                             OpenConversation{make_uuid(at), std::move(org_id), std::move(client_id), at},
                             [](Written& written) { return std::move(written.conversation); });
}

void ChatEngine::find_conversation(Handler<Conversation> done, Uuid id) {
  core_->read<Conversation>(std::move(done), [id](Storage& storage) -> result<Conversation> {
    result<std::optional<Conversation>> found = storage.find_conversation(id);
    if (!found) return found.error();
    if (!*found) return errc::not_found;
    return std::move(**found);
  });
}

void ChatEngine::list_conversations(Handler<std::vector<ConversationSummary>> done, ConversationQuery query) {
  if (find_problem(query)) {
    return answer<std::vector<ConversationSummary>>(*core_, std::move(done), errc::invalid_argument);
  }
  core_->read<std::vector<ConversationSummary>>(
      std::move(done), [query = std::move(query)](Storage& storage) { return storage.list_conversations(query); });
}

void ChatEngine::count_unread(Handler<std::uint64_t> done, std::string org_id) {
  core_->read<std::uint64_t>(std::move(done),
                             [org_id = std::move(org_id)](Storage& storage) { return storage.count_unread(org_id); });
}

void ChatEngine::send(Handler<Sent> done, Participant sender, Draft draft) {
  if (find_problem(sender)) return answer<Sent>(*core_, std::move(done), errc::invalid_argument);
  if (draft.client_message_id && !is_client_message_id(*draft.client_message_id)) {
    return answer<Sent>(*core_, std::move(done), errc::invalid_client_message_id);
  }
  if (find_problem(draft)) return answer<Sent>(*core_, std::move(done), errc::invalid_argument);
  result<std::string> content = normalize_content(draft.content);
  if (!content) return answer<Sent>(*core_, std::move(done), content.error());
  draft.content = std::move(*content);
  sender.name = clean_name(sender.name);
  const TimePoint at = utc_now();
  core_->write<Sent>(std::move(done), AppendMessage{std::move(draft), make_uuid(at), std::move(sender), at},
                     [](Written& written) {
                       return Sent{std::move(*written.message), written.changed};
                     });
}

void ChatEngine::list_messages(Handler<MessagePage> done, Participant reader, MessageQuery query) {
  if (find_problem(query)) return answer<MessagePage>(*core_, std::move(done), errc::invalid_argument);
  core_->read<MessagePage>(
      std::move(done),
      [core = core_.get(), reader = std::move(reader), query](Storage& storage) -> result<MessagePage> {
        const auto found = storage.find_conversation(query.conversation_id);
        if (!found) return found.error();
        if (!*found) return errc::not_found;
        if (const error_code refused = detail::check_access(storage, reader, **found)) return refused;
        result<MessagePage> page = storage.list_messages(query);
        if (!page) return page;
        // An application's own storage may not keep to the bound.
        if (query.since_rev && page->messages.size() > max_changed_messages) return errc::too_many_changes;
        if (!query.epoch || page->epoch == query.epoch) return page;
        core->note_epoch(page->epoch);
        return errc::epoch_changed;
      });
}

void ChatEngine::react(Handler<std::vector<Reaction>> done, Participant reactor, Uuid conversation_id, Uuid message_id,
                       std::optional<Emoji> emoji) {
  if (find_problem(reactor)) return answer<std::vector<Reaction>>(*core_, std::move(done), errc::invalid_argument);
  reactor.name = clean_name(reactor.name);
  const TimePoint at = utc_now();
  core_->write<std::vector<Reaction>>(
      std::move(done), PutReaction{make_uuid(at), conversation_id, message_id, std::move(reactor), emoji, at},
      [](Written& written) { return std::move(written.reactions); });
}

void ChatEngine::mark(Handler<Marked> done, Participant viewer, Uuid conversation_id) {
  if (find_problem(viewer)) return answer<Marked>(*core_, std::move(done), errc::invalid_argument);
  const TimePoint at = utc_now();
  core_->write<Marked>(std::move(done), MarkConversation{conversation_id, std::move(viewer), at},
                       [at](const Written& written) {
                         return Marked{at, written.count, written.conversation.rev};
                       });
}

void ChatEngine::issue_token(Handler<IssuedToken> done, TokenGrant grant) {
  if (find_problem(grant)) return answer<IssuedToken>(*core_, std::move(done), errc::invalid_argument);
  std::string token = ChatToken::make(grant.share_token).text();
  const TimePoint at = utc_now();
  const TimePoint expires_at = at + core_->options().token_lifetime;
  PutToken command{sha256(token),
                   TokenClaims{std::move(grant.org_id), std::move(grant.client_id), std::move(grant.trip_id),
                               grant.conversation_id, expires_at},
                   at, core_->options().max_live_tokens};
  core_->write<IssuedToken>(std::move(done), std::move(command),
                            [token = std::move(token), expires_at](const Written&) mutable {
                              return IssuedToken{std::move(token), expires_at};
                            });
}

void ChatEngine::authenticate_token(Handler<TokenClaims> done, std::string chat_token) {
  if (!is_token(chat_token)) return answer<TokenClaims>(*core_, std::move(done), errc::unauthenticated);
  const Sha256Digest digest = sha256(chat_token);
  const TimePoint at = utc_now();
  const auto steady = std::chrono::steady_clock::now();
  if (std::optional<TokenClaims> known = core_->tokens().find(digest, steady)) {
    if (known->expires_at <= at) return answer<TokenClaims>(*core_, std::move(done), errc::unauthenticated);
    return answer<TokenClaims>(*core_, std::move(done), std::move(*known));
  }
  const std::uint64_t generation = core_->tokens().generation();
  core_->look_up<TokenClaims>(
      std::move(done), [core = core_.get(), digest, at, steady, generation](Storage& storage) -> result<TokenClaims> {
        result<std::optional<TokenClaims>> found = storage.find_token(digest, at);
        if (!found) return found.error();
        if (!*found) return errc::unauthenticated;
        core->tokens().put(digest, **found, steady, generation);
        return std::move(**found);
      });
}

void ChatEngine::revoke_token(Handler<bool> done, std::string chat_token) {
  if (!is_token(chat_token)) return answer<bool>(*core_, std::move(done), false);
  core_->write<bool>(std::move(done), DeleteToken{sha256(chat_token)},
                     [](const Written& written) { return written.count > 0; });
}

void ChatEngine::revoke_tokens(Handler<std::uint64_t> done, TokenFilter filter) {
  if (find_problem(filter)) {
    return answer<std::uint64_t>(*core_, std::move(done), detail::error<std::uint64_t>(errc::invalid_argument));
  }
  core_->write<std::uint64_t>(
      std::move(done), RevokeTokens{std::move(filter.org_id), std::move(filter.client_id), std::move(filter.trip_id)},
      [](const Written& written) { return written.count; });
}

void ChatEngine::sweep_tokens(Handler<std::uint64_t> done) {
  core_->write<std::uint64_t>(std::move(done), SweepTokens{utc_now()},
                              [](const Written& written) { return written.count; });
}

bool ChatEngine::remembers_token(std::string_view chat_token) const {
  if (!is_token(chat_token)) return false;
  return core_->tokens().find(sha256(chat_token), std::chrono::steady_clock::now()).has_value();
}

void ChatEngine::prune_changes(Handler<std::uint64_t> done) {
  core_->prune(std::move(done));
}

void ChatEngine::begin_epoch(Handler<Uuid> done) {
  core_->begin_epoch(std::move(done));
}

void ChatEngine::subscribe(Handler<Subscription> done, Participant listener, Uuid conversation_id,
                           std::shared_ptr<Subscriber> subscriber, SubscribeOptions options) {
  core_->subscribe(std::move(done), {conversation_id,
                                     {},
                                     std::move(listener),
                                     std::move(subscriber),
                                     options.since_rev,
                                     options.epoch,
                                     options.credential,
                                     options.known != nullptr ? std::optional(*options.known) : std::nullopt,
                                     {}});
}

void ChatEngine::subscribe_inbox(Handler<Subscription> done, std::string org_id, std::shared_ptr<Subscriber> subscriber,
                                 InboxOptions options) {
  const Uuid room = detail::inbox_room(org_id);
  core_->subscribe(std::move(done), {room,
                                     std::move(org_id),
                                     {},
                                     std::move(subscriber),
                                     {},
                                     {},
                                     options.credential,
                                     {},
                                     std::move(options.known_list)});
}

const Log& ChatEngine::log() const noexcept {
  return core_->logger().sink();
}

void ChatEngine::ping(Handler<bool> done) {
  core_->look_up<bool>(std::move(done), [](Storage& storage) -> result<bool> {
    if (const error_code failed = storage.ping()) return detail::error<bool>(failed);
    return true;
  });
}

}  // namespace travelchat
