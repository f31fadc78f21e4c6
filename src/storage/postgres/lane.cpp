#include "storage/postgres/lane.hpp"

#include "core/rules.hpp"
#include "storage/postgres/rows.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <thread>
#include <utility>
#include <variant>

namespace travelchat::postgres {

using detail::Decision;
using detail::is_token_removal;
using detail::questions_of;

namespace {

constexpr std::chrono::milliseconds retry_pause{10};

constexpr Query begin{"begin", "BEGIN"};
constexpr Query commit{"commit", "COMMIT"};
// A host that marks messages or removes reactions locks those rows first and then waits for the conversation, which
// this transaction has locked. This transaction must give up, well before the server ends one of the two
// (deadlock_timeout, 1 s by default).
constexpr Query give_way{"give_way", "SELECT set_config('lock_timeout', '50ms', true)"};
// For a transaction that only finds out which rows are locked.
constexpr Query hardly_wait{"hardly_wait", "SELECT set_config('lock_timeout', '20ms', true)"};
constexpr Query lock_conversation{"lock_conversation",
                                  "SELECT FROM @.conversations WHERE id = $1::text FOR NO KEY UPDATE"};
constexpr Query has_conversation{"has_conversation", "SELECT EXISTS (SELECT FROM @.conversations WHERE id = $1::text)"};
constexpr Query has_message{"has_message", "SELECT EXISTS (SELECT FROM @.messages WHERE id = $1::text)"};
constexpr Query has_change{"has_change",
                           "SELECT EXISTS (SELECT FROM @.travelchat_changes WHERE conversation_id = $1::text"
                           " AND rev = $2::bigint AND kind = $3::bigint AND first_seq = $4::bigint"
                           " AND at = $5::timestamp)"};
constexpr Query has_member{"has_member",
                           "SELECT EXISTS (SELECT FROM @.travelchat_members WHERE conversation_id = $1::text"
                           " AND type = $2::text AND id = $3::text AND seen_seq >= $4::bigint)"};
constexpr Query has_token{"has_token", "SELECT EXISTS (SELECT FROM @.client_chat_tokens WHERE token = $1::text)"};

constexpr Query find_by_client{
    "find_by_client",
    "SELECT k.place, c.id FROM unnest($1::text[], $2::text[]) WITH ORDINALITY k(org_id, client_id, place)"
    " JOIN @.conversations c ON c.org_id = k.org_id AND c.client_id = k.client_id"};

constexpr Query make_conversations{
    "make_conversations",
    "INSERT INTO @.conversations (id, org_id, client_id, created_at, last_message_at, last_seq, rev, unread_count,"
    " unseen_count, read_seq, seen_seq)"
    " SELECT id, org_id, client_id, at, at, 0, 0, 0, 0, 0, 0"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamp[]) AS k(id, org_id, client_id, at)"
    " ORDER BY org_id, client_id"
    " ON CONFLICT (org_id, client_id) DO NOTHING RETURNING id"};

#define TRAVELCHAT_WANTED_CONVERSATIONS                                           \
  "("                                                                             \
  "  SELECT unnest($1::text[])"                                                   \
  "  UNION"                                                                       \
  "  SELECT o.id FROM unnest($2::text[], $3::text[]) k(org_id, client_id)"        \
  "  JOIN @.conversations o ON o.org_id = k.org_id AND o.client_id = k.client_id" \
  ") w(id) JOIN @.conversations c ON c.id = w.id"
constexpr Query lock_conversations{
    "lock_conversations", "SELECT @c.* FROM " TRAVELCHAT_WANTED_CONVERSATIONS " ORDER BY c.id FOR NO KEY UPDATE OF c"};
constexpr Query lock_free_conversations{"lock_free_conversations", "SELECT @c.* FROM " TRAVELCHAT_WANTED_CONVERSATIONS
                                                                   " ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED"};
// Those of the wanted conversations that exist, locked ones included.
constexpr Query find_wanted_conversations{"find_wanted_conversations",
                                          "SELECT c.id, c.org_id, c.client_id FROM " TRAVELCHAT_WANTED_CONVERSATIONS};

// The messages whose rows the decisions need: those that a client message id may repeat ($1 to $4), those that are
// named ($5), and the newest ones of conversations ($6) and of openings ($7, $8).
#define TRAVELCHAT_WANTED_MESSAGES                                                                                  \
  "("                                                                                                               \
  "  SELECT p.id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) k(conversation_id, client_message_id," \
  "    sender_type, sender_id)"                                                                                     \
  "  JOIN @.messages p ON p.conversation_id = k.conversation_id AND p.client_message_id = k.client_message_id"      \
  "    AND p.sender_type = k.sender_type AND p.sender_id = k.sender_id"                                             \
  "  UNION"                                                                                                         \
  "  SELECT unnest($5::text[])"                                                                                     \
  "  UNION"                                                                                                         \
  "  SELECT n.id FROM unnest($6::text[]) k(id)"                                                                     \
  "  CROSS JOIN LATERAL (SELECT n.id FROM @.messages n WHERE n.conversation_id = k.id AND n.seq IS NOT NULL"        \
  "    ORDER BY n.seq DESC LIMIT 1) n"                                                                              \
  "  UNION"                                                                                                         \
  "  SELECT n.id FROM unnest($7::text[], $8::text[]) k(org_id, client_id)"                                          \
  "  JOIN @.conversations o ON o.org_id = k.org_id AND o.client_id = k.client_id"                                   \
  "  CROSS JOIN LATERAL (SELECT n.id FROM @.messages n WHERE n.conversation_id = o.id AND n.seq IS NOT NULL"        \
  "    ORDER BY n.seq DESC LIMIT 1) n"                                                                              \
  ") w(id)"
constexpr Query read_wanted_messages{"read_wanted_messages", "SELECT @m.* FROM " TRAVELCHAT_WANTED_MESSAGES
                                                             " JOIN @.messages m ON m.id = w.id AND m.seq IS NOT NULL"};
constexpr Query read_wanted_reactions{"read_wanted_reactions", "SELECT @r.* FROM " TRAVELCHAT_WANTED_MESSAGES
                                                               " JOIN @.message_reactions r ON r.message_id = w.id"
                                                               " ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

constexpr Query read_members{"read_members",
                             "SELECT p.conversation_id, @p.*"
                             " FROM unnest($1::text[], $2::text[], $3::text[]) k(conversation_id, type, id)"
                             " JOIN @.travelchat_members p ON p.conversation_id = k.conversation_id"
                             " AND p.type = k.type AND p.id = k.id"};
constexpr Query read_tokens{
    "read_tokens",
    "SELECT t.token, t.org_id, t.client_id, t.trip_id, t.conversation_id, t.expires_at, t.created_at"
    " FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[]) u(conversation_id, trip_id)) k"
    " JOIN @.client_chat_tokens t ON t.conversation_id = k.conversation_id AND t.trip_id = k.trip_id"
    " ORDER BY t.created_at NULLS FIRST, t.id COLLATE \"C\""};

// Fails (21000) when a trigger of the host's silently drops a row: it would be answered as stored.
constexpr Query insert_messages{
    "insert_messages",
    "WITH stored AS (INSERT INTO @.messages (created_rev, @(m))"
    " SELECT * FROM unnest($1::bigint[], @[m]) RETURNING id)"
    " SELECT (SELECT n FROM generate_series(1, 2) n WHERE (SELECT count(*) FROM stored) <> cardinality($1::bigint[]))"};
constexpr Query update_conversations{
    "update_conversations",
    "UPDATE @.conversations c SET last_seq = k.last_seq, rev = k.rev,"
    " last_message_at = coalesce(k.last_message_at, c.last_message_at), unread_count = k.unread_count,"
    " unseen_count = k.unseen_count, read_seq = k.read_seq, seen_seq = k.seen_seq"
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamp[], $5::bigint[], $6::bigint[], $7::bigint[],"
    " $8::bigint[]) k(id, last_seq, rev, last_message_at, unread_count, unseen_count, read_seq, seen_seq)"
    " WHERE c.id = k.id"};
constexpr Query mark_read{
    "mark_read",
    "UPDATE @.messages m SET is_read = true, rev = k.rev"
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) k(id, after_seq, up_to_seq, rev)"
    " WHERE m.conversation_id = k.id AND m.seq > k.after_seq AND m.seq <= k.up_to_seq AND m.sender_type = 'client'"
    " AND m.is_read IS NOT TRUE"};
constexpr Query mark_seen{
    "mark_seen",
    "UPDATE @.messages m SET seen_at = k.at, rev = k.rev"
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamp[])"
    " k(id, after_seq, up_to_seq, rev, at)"
    " WHERE m.conversation_id = k.id AND m.seq > k.after_seq AND m.seq <= k.up_to_seq AND m.sender_type = 'advisor'"
    " AND m.seen_at IS NULL"};
// A mark of the same transaction may have raised it further.
constexpr Query touch_messages{"touch_messages",
                               "UPDATE @.messages m SET rev = greatest(m.rev, k.rev)"
                               " FROM unnest($1::text[], $2::bigint[]) k(id, rev) WHERE m.id = k.id"};
constexpr Query rewrite_messages{
    "rewrite_messages",
    "UPDATE @.messages m SET (content_rev, @(m)) = (SELECT k.*) FROM unnest($1::bigint[], @[m]) k(content_rev, @(m))"
    " WHERE m.id = k.id"};
constexpr Query put_reactions{
    "put_reactions",
    "INSERT INTO @.message_reactions (rev, @(r)) SELECT * FROM unnest($1::bigint[], @[r])"
    " ON CONFLICT (message_id, reactor_type, reactor_id) DO UPDATE SET id = excluded.id,"
    " reactor_name = excluded.reactor_name, emoji = excluded.emoji, created_at = excluded.created_at,"
    " rev = excluded.rev"};
constexpr Query remove_reactions{
    "remove_reactions",
    "DELETE FROM @.message_reactions r USING unnest($1::text[], $2::text[], $3::text[]) k(message_id, reactor_type,"
    " reactor_id)"
    " WHERE r.message_id = k.message_id AND r.reactor_type = k.reactor_type AND r.reactor_id = k.reactor_id"};
constexpr Query insert_changes{
    "insert_changes",
    "INSERT INTO @.travelchat_changes (conversation_id, rev, kind, first_seq, last_seq, at)"
    " SELECT * FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::timestamp[])"};
constexpr Query put_members{
    "put_members",
    "INSERT INTO @.travelchat_members (conversation_id, @(p)) SELECT * FROM unnest($1::text[], @[p])"
    " ON CONFLICT (conversation_id, type, id) DO UPDATE SET name = excluded.name,"
    " delivered_seq = greatest(travelchat_members.delivered_seq, excluded.delivered_seq),"
    " seen_seq = greatest(travelchat_members.seen_seq, excluded.seen_seq)"};
constexpr Query insert_tokens{
    "insert_tokens",
    "INSERT INTO @.client_chat_tokens (id, token, org_id, client_id, trip_id, conversation_id, expires_at, created_at)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamp[],"
    " $8::timestamp[])"};
constexpr Query remove_tokens{"remove_tokens", "DELETE FROM @.client_chat_tokens WHERE token = ANY ($1::text[])"};
constexpr Query sweep_tokens{"sweep_tokens", "DELETE FROM @.client_chat_tokens WHERE expires_at <= $1::timestamp"};
constexpr Query revoke_tokens{
    "revoke_tokens",
    "DELETE FROM @.client_chat_tokens t USING @.conversations c WHERE c.id = t.conversation_id AND c.org_id = $1::text"
    " AND ($2::text IS NULL OR c.client_id = $2::text) AND ($3::text IS NULL OR t.trip_id = $3::text)"
    " RETURNING t.token"};

template <class Items, class Value>
Array column(Type type, const Items& items, Value value) {
  Array array(type);
  for (const auto& item : items) array.add(value(item));
  return array;
}

// A row of travelchat_changes.
struct LoggedChange {
  const Uuid* conversation_id = nullptr;
  std::uint64_t rev = 0;
  storage::LoggedKind kind = storage::LoggedKind::message;
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  TimePoint at;
};

std::vector<LoggedChange> logged_changes(const Effects& effects) {
  std::vector<LoggedChange> rows;
  rows.reserve(effects.changes.size() + effects.marks.size());
  for (const Effects::ChangedMessage& change : effects.changes) {
    rows.push_back(
        {&change.conversation_id, change.rev, storage::LoggedKind::message, change.seq, change.seq, change.at});
  }
  for (const Effects::Mark& mark : effects.marks) {
    rows.push_back({&mark.conversation_id, mark.rev, storage::logged_kind(mark.viewer), mark.after_seq + 1,
                    mark.up_to_seq, mark.at});
  }
  return rows;
}

Array column(const std::vector<Uuid>& ids) {
  return column(Type::text, ids, [](const Uuid& id) -> const Uuid& { return id; });
}

Array org_ids(const std::vector<const OpenConversation*>& openings) {
  return column(Type::text, openings, [](const auto* open) { return std::string_view(open->org_id); });
}

Array client_ids(const std::vector<const OpenConversation*>& openings) {
  return column(Type::text, openings, [](const auto* open) { return std::string_view(open->client_id); });
}

// Whether one row among others may be to blame: a value that it cannot have, a constraint, a trigger of the host's that
// refuses it, or a row that is there and holds what it cannot (which no server has said).
bool is_about_a_row(const Failure& failure) {
  constexpr std::array classes = {"09", "21", "22", "23", "27", "38", "39", "44", "P0"};
  return failure.sqlstate.empty() ||
         std::any_of(classes.begin(), classes.end(), [&](const char* two) { return failure.is_class(two); });
}

constexpr const char* held_back = "a trigger of the table held its row back";

// What a row was refused for, when it stood alone.
error_code error_of_refused_row(const Failure& failure) {
  if (failure.sqlstate == "23503") return errc::not_found;  // the host has no such organization or client (any more)
  if (failure.is_class("22")) return errc::invalid_argument;
  if (failure.is_class("23")) return errc::internal;  // 23505: the new id is taken
  return errc::storage_failed;
}

}  // namespace

// A deadlock, a lock that was not granted in time, or a cancelled statement.
bool is_lock_trouble(const Failure& failure) noexcept {
  return failure.is_class("40") || failure.sqlstate == "55P03" || failure.sqlstate == "57014";
}

void Lane::start(std::vector<LaneBatch> batches, Patience& patience, Patience& locks) noexcept {
  patience_ = &patience;
  locks_ = &locks;
  parts_.clear();
  postponed_.clear();
  // Each token removal is a part of its own; the writes between two of them are one part. Parts are taken from the
  // back.
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
    bool joins = false;
    for (auto write = batch->writes.rbegin(); write != batch->writes.rend(); ++write) {
      const bool stands_alone = is_token_removal(*write->write);
      if (stands_alone || !joins) parts_.push_back({{}, batch->waits, false});
      parts_.back().writes.push_back(*write);
      joins = !stands_alone;
    }
  }
  for (Part& part : parts_) std::reverse(part.writes.begin(), part.writes.end());
  next_part();
}

void Lane::next_part() noexcept {
  phase_ = Phase::idle;
  while (!parts_.empty() && phase_ == Phase::idle) {
    try {
      answer_postponed();
      if (!parts_.empty()) ask();
    } catch (const Failure& failure) {
      recover(failure);
    }
  }
}

// A write that follows a postponed one of its conversation is postponed as well.
void Lane::answer_postponed() {
  if (postponed_.empty()) return;
  std::erase_if(parts_.back().writes, [this](const LaneWrite& write) {
    if (!postponed_.contains(detail::order_key(*write.write))) return false;
    *write.answer = postponed();
    return true;
  });
  if (parts_.back().writes.empty()) parts_.pop_back();
}

void Lane::connect(Patience& patience) {
  if (connection_ != nullptr && connection_->is_alive()) return;
  const bool is_first = !std::exchange(was_connected_, true);
  connection_ = std::make_unique<Connection>(target_, Use::lane, patience.end());
  if (!is_first) target_.log("connected to the database again");
}

void Lane::ask() {
  connect(*patience_);
  connection_->roll_back();
  const Part& part = parts_.back();
  std::vector<const Write*> writes;
  for (const LaneWrite& write : part.writes) writes.push_back(write.write);
  questions_ = questions_of(writes, part.after_trouble);

  connection_->send(begin);
  if (!part.waits) connection_->send(hardly_wait);
  if (!questions_.openings.empty()) {
    const auto& open = questions_.openings;
    connection_->send(
        make_conversations,
        Parameters(column(Type::text, open, [](const auto* o) -> const Uuid& { return o->conversation_id; }),
                   org_ids(open), client_ids(open),
                   column(Type::timestamp, open, [](const auto* o) { return o->now; })));
  }
  if (!questions_.openings.empty() || !questions_.conversations.empty()) {
    const Parameters wanted(column(questions_.conversations), org_ids(questions_.openings),
                            client_ids(questions_.openings));
    connection_->send(part.waits ? lock_conversations : lock_free_conversations, wanted);
    if (!part.waits) connection_->send(find_wanted_conversations, wanted);
  }
  if (!questions_.repeatable.empty() || !questions_.messages.empty() || !questions_.newest_of.empty() ||
      !questions_.openings.empty()) {
    const auto& appends = questions_.repeatable;
    const Parameters wanted(
        column(Type::text, appends, [](const auto* a) -> const Uuid& { return a->conversation_id; }),
        column(Type::text, appends, [](const auto* a) { return std::string_view(*a->client_message_id); }),
        column(Type::text, appends, [](const auto* a) { return a->sender.role; }),
        column(Type::text, appends, [](const auto* a) { return std::string_view(a->sender.id); }),
        column(questions_.messages), column(questions_.newest_of), org_ids(questions_.openings),
        client_ids(questions_.openings));
    connection_->send(read_wanted_messages, wanted);
    connection_->send(read_wanted_reactions, wanted);
  }
  if (!questions_.viewers.empty() || !questions_.clients.empty()) {
    std::vector<Questions::MemberKey> keys = questions_.viewers;
    keys.insert(keys.end(), questions_.clients.begin(), questions_.clients.end());
    connection_->send(
        read_members,
        Parameters(column(Type::text, keys, [](const auto& k) -> const Uuid& { return k.conversation_id; }),
                   column(Type::text, keys, [](const auto& k) { return k.who->role; }),
                   column(Type::text, keys, [](const auto& k) { return std::string_view(k.who->id); })));
  }
  if (!questions_.tokens.empty()) {
    const auto& puts = questions_.tokens;
    connection_->send(
        read_tokens,
        Parameters(column(Type::text, puts, [](const auto* p) -> const Uuid& { return p->claims.conversation_id; }),
                   column(Type::text, puts, [](const auto* p) { return std::string_view(p->claims.trip_id); })));
  }
  connection_->finish_sending();
  phase_ = Phase::asking;
  answer_due_ = Clock::now() + answer_timeout;
}

void Lane::proceed() noexcept {
  try {
    if (!connection_->pump()) {
      if (Clock::now() < answer_due_) return;
      connection_->abandon();
      throw Failure{{}, "the database did not answer in time", true, false};
    }
    std::vector<Result> answers = connection_->take();
    if (phase_ == Phase::asking) {
      decide(std::move(answers));
      return;
    }
    if (const Write& only = *parts_.back().writes.front().write; is_token_removal(only)) {
      const Result& rows = answers.front();
      RemovedTokens removed;
      removed.count = rows.affected();
      if (std::holds_alternative<RevokeTokens>(only)) {
        for (int i = 0; i < rows.size(); ++i) removed.digests.push_back(rows[i].digest(0));
      }
      decided_ = {detail::to_written(std::move(removed))};
    }
    publish();
  } catch (const Failure& failure) {
    recover(failure);
  }
  if (phase_ == Phase::idle) next_part();
}

void Lane::decide(std::vector<Result> answers) {
  const Part& part = parts_.back();
  auto answer = answers.begin() + (part.waits ? 1 : 2);  // after BEGIN
  decided_.clear();
  made_.reset();
  if (is_token_removal(*part.writes.front().write)) {
    if (const auto* one = std::get_if<DeleteToken>(part.writes.front().write)) {
      Array digests(Type::text);
      digests.add(one->digest);
      connection_->send(remove_tokens, Parameters(digests));
    } else if (const auto* some = std::get_if<RevokeTokens>(part.writes.front().write)) {
      connection_->send(revoke_tokens, Parameters(some->org_id, some->client_id, some->trip_id));
    } else {
      connection_->send(sweep_tokens, Parameters(std::get<SweepTokens>(*part.writes.front().write).now));
    }
    write({});
    return;
  }

  Facts facts;
  facts.made.emplace();          // what `ask` made
  std::set<std::string> locked;  // by somebody else
  if (!questions_.openings.empty()) {
    for (int i = 0; i < answer->size(); ++i) made_ = *facts.made->insert((*answer)[i].uuid(0)).first;
    ++answer;
  }
  if (!questions_.openings.empty() || !questions_.conversations.empty()) {
    for (int i = 0; i < answer->size(); ++i) facts.conversations.push_back(read_conversation((*answer)[i]));
    ++answer;
    if (!part.waits) {
      std::set<Uuid> ours;
      for (const ConversationRow& row : facts.conversations) ours.insert(row.value.id);
      for (int i = 0; i < answer->size(); ++i) {
        const Row row = (*answer)[i];
        if (ours.contains(row.uuid(0))) continue;
        locked.insert(std::string(row.text(0)));
        locked.insert(detail::order_key(OpenConversation{{}, std::string(row.text(1)), std::string(row.text(2)), {}}));
      }
      ++answer;
    }
  }
  if (!questions_.repeatable.empty() || !questions_.messages.empty() || !questions_.newest_of.empty() ||
      !questions_.openings.empty()) {
    auto reactions = read_reactions(*(answer + 1));
    for (int i = 0; i < answer->size(); ++i) {
      Message& message = facts.messages.emplace_back(read_message((*answer)[i]));
      if (const auto found = reactions.find(message.id); found != reactions.end()) {
        message.reactions = std::move(found->second);
      }
    }
    answer += 2;
  }
  if (!questions_.viewers.empty() || !questions_.clients.empty()) {
    for (int i = 0; i < answer->size(); ++i) {
      MemberRow& found = facts.members.emplace_back();
      found.conversation_id = (*answer)[i].uuid(0);
      storage::read<MemberColumns>((*answer)[i], 1, found.member);
    }
    ++answer;
  }
  if (!questions_.tokens.empty()) {
    for (int i = 0; i < answer->size(); ++i) {
      const Row row = (*answer)[i];
      TokenRow& token = facts.tokens.emplace_back();
      token.digest = row.digest(0);
      storage::read<detail::MembersOf<TokenClaims>>(row, 1, token.claims);
      token.created_at = row.time(6);
    }
  }

  Decision decision(std::move(facts));
  for (const LaneWrite& write : part.writes) {
    const bool must_wait = !locked.empty() && locked.contains(detail::order_key(*write.write));
    decided_.push_back(must_wait ? result<Written>(postponed()) : decision.apply(*write.write));
  }
  write(decision.take_effects());
}

void Lane::write(const Effects& effects) {
  if (parts_.back().waits && (!effects.marks.empty() || !effects.touched.empty() || !effects.rewritten.empty() ||
                              !effects.reactions.empty() || !effects.removed_reactions.empty())) {
    connection_->send(give_way);
  }
  if (const auto& rows = effects.messages; !rows.empty()) {
    Parameters parameters(column(Type::bigint, rows, [](const auto& row) { return row.created_rev; }));
    add_arrays<MessageColumns>(parameters, rows, [](const auto& row) -> const Message& { return row.message; });
    connection_->send(insert_messages, parameters);
  }
  update(effects.conversations);
  write_marks(effects.marks);
  write_message_changes(effects);
  write_changes(effects);
  if (const auto& rows = effects.members; !rows.empty()) {
    Parameters parameters(column(Type::text, rows, [](const auto& row) -> const Uuid& { return row.conversation_id; }));
    add_arrays<MemberColumns>(parameters, rows, [](const auto& row) -> const Member& { return row.member; });
    connection_->send(put_members, parameters);
  }
  write_tokens(effects);
  proof_ = proof_of(effects);
  connection_->send(commit);
  // From here on a lost connection leaves open whether the transaction is there.
  phase_ = Phase::committing;
  connection_->finish_sending();
  answer_due_ = Clock::now() + answer_timeout;
}

void Lane::update(const std::vector<ConversationRow>& rows) {
  if (rows.empty()) return;
  const auto of = [&](Type type, auto value) { return column(type, rows, value); };
  connection_->send(update_conversations,
                    Parameters(of(Type::text, [](const auto& c) -> const Uuid& { return c.value.id; }),
                               of(Type::bigint, [](const auto& c) { return c.value.last_seq; }),
                               of(Type::bigint, [](const auto& c) { return c.value.rev; }),
                               of(Type::timestamp, [](const auto& c) { return c.value.last_message_at; }),
                               of(Type::bigint, [](const auto& c) { return c.value.unread_count; }),
                               of(Type::bigint, [](const auto& c) { return c.unseen_count; }),
                               of(Type::bigint, [](const auto& c) { return c.read_seq; }),
                               of(Type::bigint, [](const auto& c) { return c.seen_seq; })));
}

void Lane::write_marks(const std::vector<Effects::Mark>& marks) {
  for (const Role viewer : {Role::advisor, Role::client}) {
    std::vector<Effects::Mark> rows;
    std::copy_if(marks.begin(), marks.end(), std::back_inserter(rows),
                 [viewer](const auto& mark) { return mark.viewer == viewer; });
    if (rows.empty()) continue;
    Parameters parameters(column(Type::text, rows, [](const auto& m) -> const Uuid& { return m.conversation_id; }),
                          column(Type::bigint, rows, [](const auto& m) { return m.after_seq; }),
                          column(Type::bigint, rows, [](const auto& m) { return m.up_to_seq; }),
                          column(Type::bigint, rows, [](const auto& m) { return m.rev; }));
    if (viewer == Role::client) parameters.add(column(Type::timestamp, rows, [](const auto& m) { return m.at; }));
    connection_->send(viewer == Role::client ? mark_seen : mark_read, parameters);
  }
}

void Lane::write_message_changes(const Effects& effects) {
  if (const auto& rows = effects.touched; !rows.empty()) {
    connection_->send(touch_messages,
                      Parameters(column(Type::text, rows, [](const auto& t) -> const Uuid& { return t.message_id; }),
                                 column(Type::bigint, rows, [](const auto& t) { return t.rev; })));
  }
  if (const auto& rows = effects.rewritten; !rows.empty()) {
    Parameters parameters(column(Type::bigint, rows, [](const auto& row) { return row.content_rev; }));
    add_arrays<MessageColumns>(parameters, rows, [](const auto& row) -> const Message& { return row.message; });
    connection_->send(rewrite_messages, parameters);
  }
  if (const auto& rows = effects.removed_reactions; !rows.empty()) {
    connection_->send(
        remove_reactions,
        Parameters(column(Type::text, rows, [](const auto& r) -> const Uuid& { return r.message_id; }),
                   column(Type::text, rows, [](const auto& r) { return r.reactor_type; }),
                   column(Type::text, rows, [](const auto& r) { return std::string_view(r.reactor_id); })));
  }
  if (const auto& rows = effects.reactions; !rows.empty()) {
    Parameters parameters(column(Type::bigint, rows, [](const auto& row) { return row.rev; }));
    add_arrays<ReactionColumns>(parameters, rows, [](const auto& row) -> const Reaction& { return row.reaction; });
    connection_->send(put_reactions, parameters);
  }
}

void Lane::write_changes(const Effects& effects) {
  const std::vector<LoggedChange> rows = logged_changes(effects);
  if (rows.empty()) return;
  connection_->send(
      insert_changes,
      Parameters(column(Type::text, rows, [](const auto& c) -> const Uuid& { return *c.conversation_id; }),
                 column(Type::bigint, rows, [](const auto& c) { return c.rev; }),
                 column(Type::smallint, rows, [](const auto& c) { return static_cast<std::int16_t>(c.kind); }),
                 column(Type::bigint, rows, [](const auto& c) { return c.first_seq; }),
                 column(Type::bigint, rows, [](const auto& c) { return c.last_seq; }),
                 column(Type::timestamp, rows, [](const auto& c) { return c.at; })));
}

void Lane::write_tokens(const Effects& effects) {
  if (const auto& rows = effects.tokens; !rows.empty()) {
    connection_->send(
        insert_tokens,
        // Ascending ids, so that of two tokens with the same time the older one is known.
        Parameters(column(Type::text, rows, [](const auto& t) { return make_uuid(t.created_at); }),
                   column(
                       Type::text, rows, [](const auto& t) -> const auto& { return t.digest; }),
                   column(Type::text, rows, [](const auto& t) { return std::string_view(t.claims.org_id); }),
                   column(Type::text, rows, [](const auto& t) { return std::string_view(t.claims.client_id); }),
                   column(Type::text, rows, [](const auto& t) { return std::string_view(t.claims.trip_id); }),
                   column(Type::text, rows, [](const auto& t) -> const Uuid& { return t.claims.conversation_id; }),
                   column(Type::timestamp, rows, [](const auto& t) { return t.claims.expires_at; }),
                   column(Type::timestamp, rows, [](const auto& t) { return t.created_at; })));
  }
  if (const auto& rows = effects.removed_tokens; !rows.empty()) {
    connection_->send(remove_tokens, Parameters(column(
                                         Type::text, rows, [](const auto& digest) -> const auto& { return digest; })));
  }
}

void Lane::publish() {
  const Part& part = parts_.back();
  for (std::size_t i = 0; i < part.writes.size(); ++i) {
    if (decided_[i].has_error() && decided_[i].error() == postponed()) {
      postponed_.insert(detail::order_key(*part.writes[i].write));
    }
    *part.writes[i].answer = std::move(decided_[i]);
  }
  parts_.pop_back();
  phase_ = Phase::idle;
}

void Lane::fail_part(error_code error) noexcept {
  for (const LaneWrite& write : parts_.back().writes) *write.answer = error;
  parts_.pop_back();
  phase_ = Phase::idle;
}

void Lane::make_way() {
  Part part = std::move(parts_.back());
  parts_.pop_back();
  if (part.waits) {
    part.waits = false;
    parts_.push_back(std::move(part));
    return;
  }
  std::map<std::string, bool> is_first;  // by order_key
  std::vector<std::string> keys;
  for (const LaneWrite& write : part.writes) {
    std::string key = detail::order_key(*write.write);
    if (is_first.emplace(key, false).second) keys.push_back(std::move(key));
  }
  if (keys.size() == 1 || locks_->is_over()) {
    for (const LaneWrite& write : part.writes) *write.answer = postponed();
    postponed_.insert(keys.begin(), keys.end());
    return;
  }
  for (std::size_t i = 0; i < keys.size() / 2; ++i) is_first[keys[i]] = true;
  Part first{{}, false, part.after_trouble};
  Part second = first;
  for (const LaneWrite& write : part.writes) {
    (is_first[detail::order_key(*write.write)] ? first : second).writes.push_back(write);
  }
  parts_.push_back(std::move(second));
  parts_.push_back(std::move(first));
}

std::optional<Lane::CommitProof> Lane::proof_of(const Effects& effects) const {
  if (!effects.messages.empty()) {
    const Message& message = effects.messages.front().message;
    return CommitProof{&has_message, Parameters(message.id), message.conversation_id};
  }
  if (const auto changes = logged_changes(effects); !changes.empty()) {
    const LoggedChange& change = changes.front();
    return CommitProof{&has_change,
                       Parameters(*change.conversation_id, change.rev, static_cast<std::uint64_t>(change.kind),
                                  change.first_seq, change.at),
                       *change.conversation_id};
  }
  if (!effects.members.empty()) {
    const auto& [conversation_id, member] = effects.members.front();
    return CommitProof{&has_member, Parameters(conversation_id, to_string(member.type), member.id, member.seen_seq),
                       conversation_id};
  }
  if (!effects.tokens.empty()) {
    const TokenRow& token = effects.tokens.front();
    return CommitProof{&has_token, Parameters(token.digest), token.claims.conversation_id};
  }
  if (made_) return CommitProof{&has_conversation, Parameters(*made_), *made_};
  return std::nullopt;
}

bool Lane::was_committed() {
  // A token removal can be repeated; a transaction that changes nothing needs no commit.
  if (is_token_removal(*parts_.back().writes.front().write)) return false;
  if (!proof_) return true;
  for (;;) {
    try {
      connection_ = std::make_unique<Connection>(target_, Use::lane, patience_->end());
      connection_->send(begin);
      // Waits until a server process that is still committing has ended; the next statement sees its outcome.
      connection_->send(lock_conversation, Parameters(proof_->conversation_id));
      connection_->send(*proof_->query, proof_->parameters);
      const auto answers = connection_->exchange(patience_->end());
      const bool is_there = answers.back()[0].boolean(0);
      connection_->roll_back();
      return is_there;
    } catch (const Failure& failure) {
      const bool may_pass = failure.lost || failure.is_class("40") || failure.sqlstate == "55P03";
      if (!may_pass || patience_->is_over()) throw;
      std::this_thread::sleep_for(retry_pause);
    }
  }
}

// After this the lane is busy with the same part again, or idle with the part settled, failed, postponed or halved.
void Lane::recover(const Failure& failure) noexcept {
  const Phase failed_in = std::exchange(phase_, Phase::idle);
  try {
    // The failure is not the server's, so its transaction is still open, and would keep its locks until this lane's
    // next batch.
    if (!failure.lost && connection_ != nullptr && connection_->has_open_transaction()) connection_.reset();
    if (failure.lost) {
      const bool is_over = patience_->is_over();
      target_.log("a connection was lost: " + failure.message);
      if (connection_ != nullptr) connection_->abandon();
      if (failed_in == Phase::committing && was_committed()) {
        publish();
      } else if (is_over) {
        fail_part(errc::storage_failed);
      } else {
        parts_.back().after_trouble = true;
      }
      return;
    }
    if (is_lock_trouble(failure)) {
      locks_->end();  // starts the time limit
      make_way();
      return;
    }
    // A table was altered after the statements were prepared; a new connection prepares them again.
    if (failure.sqlstate == "0A000") {
      connection_->abandon();
      if (!patience_->is_over()) return;
    } else if (!failure.refused && is_about_a_row(failure)) {
      Part part = std::move(parts_.back());
      if (auto& writes = part.writes; writes.size() > 1) {
        const auto middle = writes.begin() + static_cast<std::ptrdiff_t>(writes.size() / 2);
        parts_.back() = {{middle, writes.end()}, part.waits, part.after_trouble};
        parts_.push_back({{writes.begin(), middle}, part.waits, part.after_trouble});
        return;
      }
      const bool was_after_trouble = std::exchange(part.after_trouble, true);
      parts_.back() = std::move(part);
      if (!was_after_trouble && failure.sqlstate == "23505") return;  // again, and read which row has that id
      const error_code error = error_of_refused_row(failure);
      if (error == errc::storage_failed) {
        target_.log("a write failed: " + (failure.is_class("21") ? std::string(held_back) : failure.message));
      }
      fail_part(error);
      return;
    }
    target_.log("a transaction failed: " + failure.message);
    fail_part(to_error(failure));
  } catch (const Failure& worse) {
    target_.log("a transaction failed: " + worse.message);
    fail_part(errc::storage_failed);
  }
}

std::vector<std::optional<Uuid>> Lane::find_conversations(const std::vector<const OpenConversation*>& openings,
                                                          Patience& patience) {
  std::vector<std::optional<Uuid>> ids(openings.size());
  for (;;) {
    try {
      connect(patience);
      connection_->roll_back();
      connection_->send(find_by_client, Parameters(org_ids(openings), client_ids(openings)));
      const Result rows = std::move(connection_->exchange().front());
      for (int i = 0; i < rows.size(); ++i) ids.at(static_cast<std::size_t>(rows[i].integer(0) - 1)) = rows[i].uuid(1);
      return ids;
    } catch (const Failure& failure) {
      if (!failure.lost || patience.is_over()) throw;
      if (connection_ != nullptr) connection_->abandon();
    }
  }
}

}  // namespace travelchat::postgres
