#include "storage/postgres/reads.hpp"

#include "storage/postgres/rows.hpp"
#include "storage/postgres/search.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace travelchat::postgres {

namespace {

constexpr Query begin{"begin", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
constexpr Query commit{"commit", "COMMIT"};

constexpr Query find_conversation_by_id{"find_conversation",
                                        "SELECT @c.* FROM @.conversations c WHERE c.id = $1::text"};

#define TRAVELCHAT_CONVERSATIONS_OF                                                                     \
  "SELECT @c.*, @m.*"                                                                                   \
  " FROM @.conversations c"                                                                             \
  " LEFT JOIN LATERAL (SELECT * FROM @.messages l WHERE l.conversation_id = c.id AND l.seq IS NOT NULL" \
  "   ORDER BY l.seq DESC LIMIT 1) m ON true"                                                           \
  " WHERE c.org_id = $1::text"
constexpr Query list_conversations_of{"list_conversations", TRAVELCHAT_CONVERSATIONS_OF};
// Before the condition on `s.content`, which has its own parameters behind these.
constexpr const char* find_conversations_of = TRAVELCHAT_CONVERSATIONS_OF
    " AND (c.client_id = ANY ($2::text[]) OR EXISTS (SELECT FROM @.messages s WHERE s.conversation_id = c.id AND ";

constexpr Query list_newest{"list_newest",
                            "SELECT @m.* FROM @.messages m WHERE m.conversation_id = $1::text AND m.seq < $2::bigint"
                            " ORDER BY m.seq DESC LIMIT $3::bigint"};
constexpr Query list_newest_reactions{
    "list_newest_reactions",
    "SELECT @r.* FROM (SELECT id FROM @.messages m WHERE m.conversation_id = $1::text AND m.seq < $2::bigint"
    "   ORDER BY m.seq DESC LIMIT $3::bigint) m"
    " JOIN @.message_reactions r ON r.message_id = m.id ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

// A message's last change is its creation or the change that left it the same rev: each message is found once. Messages
// that were marked together have one rev, and a page that ended among them would lose the others.
// Where changes after $2 were deleted, every message is looked at. $4 is one more than a page may have, which says
// whether it ends there.
#define TRAVELCHAT_IS_PRUNED \
  "EXISTS (SELECT FROM @.travelchat_pruned p WHERE p.conversation_id = $1::text AND p.rev > $2::bigint)"
#define TRAVELCHAT_CHANGED                                                                                      \
  "WITH changed AS MATERIALIZED ("                                                                              \
  "  SELECT rev, id FROM @.messages WHERE conversation_id = $1::text"                                           \
  "    AND seq >= @.travelchat_first_created_after($1::text, $2::bigint) AND rev = created_rev"                 \
  "  UNION ALL"                                                                                                 \
  "  SELECT m.rev, m.id FROM @.travelchat_changes c JOIN @.messages m ON m.conversation_id = c.conversation_id" \
  "    AND m.seq >= c.first_seq AND m.seq <= c.last_seq AND m.rev = c.rev"                                      \
  "    WHERE c.conversation_id = $1::text AND c.rev > $2::bigint"                                               \
  "  UNION"                                                                                                     \
  "  SELECT m.rev, m.id FROM @.messages m WHERE m.conversation_id = $1::text AND m.rev > $2::bigint"            \
  "    AND " TRAVELCHAT_IS_PRUNED                                                                               \
  "  ORDER BY rev LIMIT $4::bigint"                                                                             \
  "), page AS MATERIALIZED (SELECT id FROM changed ORDER BY rev FETCH FIRST ($3::bigint) ROWS WITH TIES) "
constexpr Query list_changed{"list_changed", TRAVELCHAT_CHANGED
                             "SELECT @m.*, (SELECT count(*) FROM changed) > (SELECT count(*) FROM page)"
                             " FROM page JOIN @.messages m ON m.id = page.id ORDER BY m.seq"};
constexpr Query list_changed_reactions{"list_changed_reactions", TRAVELCHAT_CHANGED
                                       "SELECT @r.* FROM page JOIN @.message_reactions r ON r.message_id = page.id"
                                       " ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

// Whether the changes after $2 are at most $3, and all of them kept.
#define TRAVELCHAT_NOT_TOO_MANY                                                                          \
  "(SELECT rev BETWEEN $2::bigint AND $2::bigint + $3::bigint FROM @.conversations WHERE id = $1::text)" \
  " AND NOT " TRAVELCHAT_IS_PRUNED
constexpr Query find_rev{"find_changes_rev",
                         "SELECT c.rev, (SELECT epoch FROM @.travelchat_epoch WHERE only_row), " TRAVELCHAT_IS_PRUNED
                         " FROM @.conversations c WHERE c.id = $1::text"};
constexpr Query find_epoch{"find_epoch", "SELECT epoch FROM @.travelchat_epoch WHERE only_row"};
constexpr Query list_created{"list_created",
                             "SELECT @m.*, m.created_rev, coalesce(m.content_rev, 0) FROM @.messages m WHERE "
                             "m.conversation_id = $1::text AND " TRAVELCHAT_NOT_TOO_MANY
                             " AND m.seq >= @.travelchat_first_created_after($1::text, $2::bigint) ORDER BY m.seq"};
constexpr Query list_other_changes{
    "list_other_changes",
    "SELECT @m.*, m.created_rev, coalesce(m.content_rev, 0), c.rev, c.kind, c.at FROM @.travelchat_changes c"
    " LEFT JOIN @.messages m ON c.kind NOT IN (2, 3) AND m.conversation_id = c.conversation_id AND m.seq = c.first_seq"
    " WHERE c.conversation_id = $1::text AND c.rev > $2::bigint AND " TRAVELCHAT_NOT_TOO_MANY " ORDER BY c.rev"};
constexpr Query list_change_reactions{
    "list_change_reactions",
    "SELECT @r.* FROM ("
    "  SELECT m.id FROM @.messages m WHERE m.conversation_id = $1::text AND " TRAVELCHAT_NOT_TOO_MANY
    "    AND m.seq >= @.travelchat_first_created_after($1::text, $2::bigint)"
    "  UNION"
    "  SELECT m.id FROM @.travelchat_changes c JOIN @.messages m ON m.conversation_id = c.conversation_id"
    "    AND m.seq = c.first_seq"
    "  WHERE c.conversation_id = $1::text AND c.rev > $2::bigint AND c.kind NOT IN (2, 3) AND " TRAVELCHAT_NOT_TOO_MANY
    " ) m JOIN @.message_reactions r ON r.message_id = m.id ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

constexpr Query list_members_of{"list_members",
                                "SELECT @p.* FROM @.travelchat_members p WHERE p.conversation_id = $1::text"
                                " ORDER BY p.type DESC, p.id COLLATE \"C\""};

constexpr Query find_revs{"find_revs",
                          "SELECT k.place, c.rev FROM unnest($1::text[]) WITH ORDINALITY k(id, place)"
                          " JOIN @.conversations c ON c.id = k.id"};
constexpr Query sum_revs{"sum_revs",
                         "SELECT k.place, (SELECT coalesce(sum(c.rev + 1), 0)::bigint FROM @.conversations c"
                         "   WHERE c.org_id = k.org_id)"
                         " FROM unnest($1::text[]) WITH ORDINALITY k(org_id, place)"};
constexpr Query sum_unread{
    "sum_unread", "SELECT coalesce(sum(unread_count), 0)::bigint FROM @.conversations WHERE org_id = $1::text"};
constexpr Query find_token_by_digest{
    "find_token",
    "SELECT c.org_id, c.client_id, t.trip_id, c.id, t.expires_at FROM @.client_chat_tokens t"
    " JOIN @.conversations c ON c.id = t.conversation_id WHERE t.token = $1::text AND t.expires_at > $2::timestamp"};
constexpr Query list_live_tokens_of{
    "list_live_tokens",
    "SELECT t.token FROM unnest($1::text[]) k(token) JOIN @.client_chat_tokens t ON t.token = k.token"
    " JOIN @.conversations c ON c.id = t.conversation_id WHERE t.expires_at > $2::timestamp"};
constexpr Query set_epoch{"set_epoch",
                          "INSERT INTO @.travelchat_epoch (epoch) VALUES ($1::text)"
                          " ON CONFLICT (only_row) DO UPDATE SET epoch = excluded.epoch"};
// Deleting old changes must not keep other writers waiting, so it gives up soon.
constexpr Query give_way_to_all{"give_way_to_all", "SELECT set_config('lock_timeout', '50ms', true)"};
constexpr Query begin_writing{"begin_writing", "BEGIN"};
// A conversation's oldest change says whether it has any to delete: revisions and times grow together. When as many
// rows were deleted as one step may delete, there may be more.
constexpr Query prune{
    "prune",
    "WITH walked AS MATERIALIZED ("
    "  SELECT id, rev FROM @.conversations WHERE id > $1::text AND last_seq IS NOT NULL ORDER BY id LIMIT $2::bigint"
    "), outdated AS MATERIALIZED ("
    "  SELECT w.id, w.rev - $3::bigint AS up_to_rev FROM walked w CROSS JOIN LATERAL ("
    "    SELECT x.rev, x.at FROM @.travelchat_changes x WHERE x.conversation_id = w.id ORDER BY x.rev LIMIT 1"
    "  ) oldest WHERE oldest.rev <= w.rev - $3::bigint OR oldest.at < $4::timestamp"
    "), old AS MATERIALIZED ("
    "  SELECT x.conversation_id, x.rev FROM outdated o CROSS JOIN LATERAL ("
    "    SELECT y.conversation_id, y.rev FROM @.travelchat_changes y WHERE y.conversation_id = o.id"
    "      AND (y.rev <= o.up_to_rev OR y.at < $4::timestamp) ORDER BY y.rev LIMIT $5::bigint"
    "  ) x LIMIT $5::bigint"
    "), gone AS ("
    "  DELETE FROM @.travelchat_changes t USING old WHERE t.conversation_id = old.conversation_id AND t.rev = old.rev"
    "  RETURNING t.conversation_id, t.rev"
    "), noted AS ("
    "  INSERT INTO @.travelchat_pruned (conversation_id, rev)"
    "    SELECT conversation_id, max(rev) FROM gone GROUP BY conversation_id ORDER BY conversation_id"
    "    ON CONFLICT (conversation_id) DO UPDATE SET rev = greatest(travelchat_pruned.rev, excluded.rev)"
    ") SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM old), (SELECT count(*) FROM walked),"
    "  (SELECT id FROM walked ORDER BY id DESC LIMIT 1)"};
constexpr Query probe{"ping", "SELECT max(version) FROM @.travelchat_schema"};

// Larger than any seq and rev, with room to add two of them.
std::uint64_t bounded(std::uint64_t number) {
  return std::min(number, std::uint64_t{1} << 62);
}

Array texts(const std::vector<std::string>& values) {
  Array array(Type::text);
  for (const std::string& value : values) array.add(std::string_view(value));
  return array;
}

void add_reactions(std::vector<Message>& messages, std::unordered_map<Uuid, std::vector<Reaction>> reactions) {
  for (Message& message : messages) {
    if (const auto found = reactions.find(message.id); found != reactions.end()) {
      message.reactions = std::move(found->second);
    }
  }
}

std::optional<Uuid> read_epoch(const Result& rows, int column) {
  if (rows.empty() || rows[0].is_null(column)) return std::nullopt;
  return rows[0].uuid(column);
}

TimePoint last_activity(const ConversationSummary& summary) {
  return summary.conversation.last_message_at.value_or(summary.conversation.created_at);
}

}  // namespace

Result Reader::read(const Query& query, const Parameters& parameters) {
  connection_.roll_back();
  connection_.send(query, parameters);
  return std::move(connection_.exchange().front());
}

void Reader::begin_snapshot() {
  connection_.roll_back();
  connection_.send(begin);
}

std::vector<Result> Reader::end_snapshot() {
  connection_.send(commit);
  std::vector<Result> answers = connection_.exchange();
  answers.erase(answers.begin());
  answers.pop_back();
  return answers;
}

std::optional<Conversation> Reader::find_conversation(const Uuid& id) {
  const Result rows = read(find_conversation_by_id, Parameters(id));
  if (rows.empty()) return std::nullopt;
  return read_conversation(rows[0]).value;
}

std::vector<ConversationSummary> Reader::list_conversations(const ConversationQuery& query) {
  Parameters parameters(query.org_id);
  connection_.roll_back();
  if (query.text) {
    parameters.add(texts(query.client_ids));
    const std::string condition = content_condition("s.content", TextSearch(*query.text), parameters);
    connection_.send_once(find_conversations_of + condition + "))", parameters);
  } else {
    connection_.send(list_conversations_of, parameters);
  }
  const Result rows = std::move(connection_.exchange().front());
  std::vector<ConversationSummary> list;
  list.reserve(static_cast<std::size_t>(rows.size()));
  for (int i = 0; i < rows.size(); ++i) {
    ConversationSummary& summary = list.emplace_back();
    summary.conversation = read_conversation(rows[i]).value;
    if (!rows[i].is_null(conversation_columns)) summary.last_message = read_message(rows[i], conversation_columns);
  }
  std::sort(list.begin(), list.end(), [](const ConversationSummary& a, const ConversationSummary& b) {
    return std::tuple(last_activity(a), a.conversation.id) > std::tuple(last_activity(b), b.conversation.id);
  });
  return list;
}

std::optional<MessagePage> Reader::list_messages(const MessageQuery& query) {
  MessagePage page;
  begin_snapshot();
  connection_.send(find_epoch);
  if (query.since_rev) {
    const Parameters parameters(query.conversation_id, bounded(*query.since_rev), bounded(query.limit),
                                std::uint64_t{max_changed_messages + 1});
    connection_.send(list_changed, parameters);
    connection_.send(list_changed_reactions, parameters);
    const auto answers = end_snapshot();
    page.epoch = read_epoch(answers.front(), 0);
    const Result& rows = answers[1];
    if (static_cast<std::size_t>(rows.size()) > max_changed_messages) return std::nullopt;
    for (int i = 0; i < rows.size(); ++i) page.messages.push_back(read_message(rows[i]));
    page.has_more = !rows.empty() && rows[0].boolean(message_columns);
    add_reactions(page.messages, read_reactions(answers.back()));
    return page;
  }
  // One more than asked for says whether there are older ones.
  const std::uint64_t before = query.before_seq.value_or(std::numeric_limits<std::uint64_t>::max());
  const std::uint64_t limit = bounded(query.limit);
  connection_.send(list_newest, Parameters(query.conversation_id, before, limit + 1));
  connection_.send(list_newest_reactions, Parameters(query.conversation_id, before, limit));
  const auto answers = end_snapshot();
  page.epoch = read_epoch(answers.front(), 0);
  const Result& rows = answers[1];
  page.has_more = static_cast<std::uint64_t>(rows.size()) > limit;
  const int size = page.has_more ? static_cast<int>(limit) : rows.size();
  for (int i = size - 1; i >= 0; --i) page.messages.push_back(read_message(rows[i]));
  add_reactions(page.messages, read_reactions(answers.back()));
  return page;
}

std::optional<ChangeList> Reader::list_changes(const Uuid& conversation_id, std::uint64_t since_rev,
                                               std::size_t limit) {
  begin_snapshot();
  const Parameters parameters(conversation_id, bounded(since_rev), bounded(limit));
  connection_.send(find_rev, Parameters(conversation_id, bounded(since_rev)));
  connection_.send(list_created, parameters);
  connection_.send(list_other_changes, parameters);
  connection_.send(list_change_reactions, parameters);
  const auto answers = end_snapshot();
  if (answers[0].empty()) return std::nullopt;
  ChangeList list;
  list.current_rev = answers[0][0].count(0);
  list.epoch = read_epoch(answers[0], 1);
  const bool is_pruned = answers[0][0].boolean(2);
  if (since_rev > list.current_rev || list.current_rev - since_rev > limit || is_pruned) {
    list.too_many = true;
    return list;
  }
  const auto reactions = read_reactions(answers[3]);
  const auto reactions_of = [&](const Uuid& id) {
    const auto found = reactions.find(id);
    return found == reactions.end() ? std::vector<Reaction>() : found->second;
  };
  const auto read_changed_message = [&](const Row& row, Change& change) {
    change.message = read_message(row);
    change.message->reactions = reactions_of(change.message->id);
    change.created_rev = row.count(message_columns);
    change.content_rev = row.count(message_columns + 1);
  };
  for (int i = 0; i < answers[1].size(); ++i) {
    Change& change = list.changes.emplace_back();
    read_changed_message(answers[1][i], change);
    change.rev = change.created_rev;
  }
  for (int i = 0; i < answers[2].size(); ++i) {
    const Row row = answers[2][i];
    Change& change = list.changes.emplace_back();
    change.rev = row.count(message_columns + 2);
    if (const auto viewer = storage::viewer_of(row.integer(message_columns + 3))) {
      change.mark = Change::Mark{*viewer, row.time(message_columns + 4)};
    } else if (!row.is_null(0)) {
      read_changed_message(row, change);
    }
  }
  std::sort(list.changes.begin(), list.changes.end(), [](const Change& a, const Change& b) { return a.rev < b.rev; });
  return list;
}

std::vector<Member> Reader::list_members(const Uuid& conversation_id) {
  begin_snapshot();
  connection_.send(find_conversation_by_id, Parameters(conversation_id));
  connection_.send(list_members_of, Parameters(conversation_id));
  const auto answers = end_snapshot();
  std::vector<Member> members;
  if (answers[0].empty()) return members;
  for (int i = 0; i < answers[1].size(); ++i) {
    storage::read<MemberColumns>(answers[1][i], 0, members.emplace_back());
  }
  storage::put_client_first(read_conversation(answers[0][0]), members);
  return members;
}

Revisions Reader::list_revisions(const RevisionQuery& query) {
  Revisions revisions;
  revisions.conversations.resize(query.conversation_ids.size());
  revisions.organizations.resize(query.org_ids.size());
  Array ids(Type::text);
  for (const Uuid& id : query.conversation_ids) ids.add(id);
  begin_snapshot();
  connection_.send(find_revs, Parameters(ids));
  connection_.send(sum_revs, Parameters(texts(query.org_ids)));
  connection_.send(find_epoch);
  const auto answers = end_snapshot();
  const auto fill = [](std::vector<std::uint64_t>& figures, const Result& rows) {
    for (int i = 0; i < rows.size(); ++i)
      figures.at(static_cast<std::size_t>(rows[i].integer(0) - 1)) = rows[i].count(1);
  };
  fill(revisions.conversations, answers[0]);
  fill(revisions.organizations, answers[1]);
  revisions.epoch = read_epoch(answers[2], 0);
  return revisions;
}

std::uint64_t Reader::count_unread(const std::string& org_id) {
  return read(sum_unread, Parameters(org_id))[0].count(0);
}

std::optional<TokenClaims> Reader::find_token(const Sha256Digest& digest, TimePoint now) {
  const Result rows = read(find_token_by_digest, Parameters(digest, now));
  if (rows.empty()) return std::nullopt;
  TokenClaims claims;
  storage::read<detail::MembersOf<TokenClaims>>(rows[0], 0, claims);
  return claims;
}

std::vector<Sha256Digest> Reader::list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) {
  Array wanted(Type::text);
  for (const Sha256Digest& digest : digests) wanted.add(digest);
  const Result rows = read(list_live_tokens_of, Parameters(wanted, now));
  std::vector<Sha256Digest> live;
  for (int i = 0; i < rows.size(); ++i) live.push_back(rows[i].digest(0));
  return live;
}

void Reader::ping() {
  read(probe, Parameters());
}

Pruned Reader::prune_changes(const PruneChanges& step) {
  const std::uint64_t max_conversations = std::max<std::uint64_t>(step.max_conversations, 1);
  const std::uint64_t max_changes = std::max<std::uint64_t>(step.max_changes, 1);
  const std::uint64_t keep = step.keep_revisions > 0 ? step.keep_revisions : std::numeric_limits<std::uint64_t>::max();
  connection_.roll_back();
  connection_.send(begin_writing);
  connection_.send(give_way_to_all);
  connection_.send(find_epoch);
  connection_.send(
      prune, Parameters(step.after, bounded(max_conversations), bounded(keep), step.older_than, bounded(max_changes)));
  connection_.send(commit);
  const std::vector<Result> answers = connection_.exchange();
  const Row row = answers[3][0];
  Pruned pruned;
  pruned.epoch = read_epoch(answers[2], 0);
  pruned.count = row.count(0);
  if (row.count(1) >= max_changes) {
    pruned.next = step.after;
  } else if (row.count(2) >= max_conversations) {
    pruned.next = row.uuid(3);
  }
  return pruned;
}

void Reader::begin_epoch(const Uuid& epoch) {
  read(set_epoch, Parameters(epoch));
}

}  // namespace travelchat::postgres
