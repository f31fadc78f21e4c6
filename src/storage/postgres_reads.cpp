#include "storage/postgres_reads.hpp"

#include "storage/postgres_rows.hpp"

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

constexpr Query find_conversation_by_id{
    "find_conversation", "SELECT " TRAVELCHAT_CONVERSATION_COLUMNS " FROM conversations c WHERE c.id = $1::text"};

// The collation "C" lowers the letters of ASCII and no others, whatever the database's locale.
constexpr Query list_conversations_of{
    "list_conversations",
    "SELECT " TRAVELCHAT_CONVERSATION_COLUMNS ", " TRAVELCHAT_MESSAGE_COLUMNS
    " FROM conversations c"
    " LEFT JOIN LATERAL (SELECT * FROM messages l WHERE l.conversation_id = c.id AND l.seq IS NOT NULL"
    "   ORDER BY l.seq DESC LIMIT 1) m ON true"
    " WHERE c.org_id = $1::text AND ($2::boolean OR c.client_id = ANY ($3::text[])"
    "   OR ($4::text IS NOT NULL AND EXISTS (SELECT FROM messages s WHERE s.conversation_id = c.id"
    "     AND strpos(lower(s.content COLLATE \"C\"), $4::text) > 0)))"};

constexpr Query list_newest{"list_newest", "SELECT " TRAVELCHAT_MESSAGE_COLUMNS
                                           " FROM messages m WHERE m.conversation_id = $1::text AND m.seq < $2::bigint"
                                           " ORDER BY m.seq DESC LIMIT $3::bigint"};
constexpr Query list_newest_reactions{
    "list_newest_reactions",
    "SELECT " TRAVELCHAT_REACTION_COLUMNS
    " FROM (SELECT id FROM messages m WHERE m.conversation_id = $1::text AND m.seq < $2::bigint"
    "   ORDER BY m.seq DESC LIMIT $3::bigint) m"
    " JOIN message_reactions r ON r.message_id = m.id ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

// A message's last change is its creation or the change that left it the same rev: each message is found once. Messages
// that were marked together have one rev, and a page that ended among them would lose the others.
#define TRAVELCHAT_CHANGED                                                                                  \
  "WITH changed AS MATERIALIZED ("                                                                          \
  "  SELECT rev, id FROM messages WHERE conversation_id = $1::text"                                         \
  "    AND seq >= travelchat_first_created_after($1::text, $2::bigint) AND rev = created_rev"               \
  "  UNION ALL"                                                                                             \
  "  SELECT m.rev, m.id FROM travelchat_changes c JOIN messages m ON m.conversation_id = c.conversation_id" \
  "    AND m.seq >= c.first_seq AND m.seq <= c.last_seq AND m.rev = c.rev"                                  \
  "    WHERE c.conversation_id = $1::text AND c.rev > $2::bigint"                                           \
  "), page AS MATERIALIZED (SELECT id FROM changed ORDER BY rev FETCH FIRST ($3::bigint) ROWS WITH TIES) "
constexpr Query list_changed{"list_changed",
                             TRAVELCHAT_CHANGED "SELECT " TRAVELCHAT_MESSAGE_COLUMNS
                                                ", (SELECT count(*) FROM changed) > (SELECT count(*) FROM page)"
                                                " FROM page JOIN messages m ON m.id = page.id ORDER BY m.seq"};
constexpr Query list_changed_reactions{"list_changed_reactions", TRAVELCHAT_CHANGED
                                       "SELECT " TRAVELCHAT_REACTION_COLUMNS
                                       " FROM page JOIN message_reactions r ON r.message_id = page.id"
                                       " ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

// Whether the changes after $2 are at most $3.
#define TRAVELCHAT_NOT_TOO_MANY \
  "(SELECT rev BETWEEN $2::bigint AND $2::bigint + $3::bigint FROM conversations WHERE id = $1::text)"
constexpr Query find_rev{"find_rev", "SELECT rev FROM conversations WHERE id = $1::text"};
constexpr Query list_created{"list_created",
                             "SELECT " TRAVELCHAT_MESSAGE_COLUMNS
                             " FROM messages m WHERE m.conversation_id = $1::text AND " TRAVELCHAT_NOT_TOO_MANY
                             " AND m.seq >= travelchat_first_created_after($1::text, $2::bigint) ORDER BY m.seq"};
constexpr Query list_other_changes{
    "list_other_changes",
    "SELECT c.rev, c.kind, c.at, m.id FROM travelchat_changes c"
    " LEFT JOIN messages m ON c.kind = 1 AND m.conversation_id = c.conversation_id AND m.seq = c.first_seq"
    " WHERE c.conversation_id = $1::text AND c.rev > $2::bigint AND " TRAVELCHAT_NOT_TOO_MANY " ORDER BY c.rev"};
constexpr Query list_change_reactions{
    "list_change_reactions",
    "SELECT " TRAVELCHAT_REACTION_COLUMNS
    " FROM ("
    "  SELECT m.id FROM messages m WHERE m.conversation_id = $1::text AND " TRAVELCHAT_NOT_TOO_MANY
    "    AND m.seq >= travelchat_first_created_after($1::text, $2::bigint)"
    "  UNION"
    "  SELECT m.id FROM travelchat_changes c JOIN messages m ON m.conversation_id = c.conversation_id"
    "    AND m.seq = c.first_seq"
    "  WHERE c.conversation_id = $1::text AND c.rev > $2::bigint AND c.kind = 1 AND " TRAVELCHAT_NOT_TOO_MANY
    " ) m JOIN message_reactions r ON r.message_id = m.id ORDER BY r.message_id, " TRAVELCHAT_REACTION_ORDER};

constexpr Query find_revs{"find_revs",
                          "SELECT k.place, c.rev FROM unnest($1::text[]) WITH ORDINALITY k(id, place)"
                          " JOIN conversations c ON c.id = k.id"};
constexpr Query sum_revs{"sum_revs",
                         "SELECT k.place, (SELECT coalesce(sum(c.rev + 1), 0)::bigint FROM conversations c"
                         "   WHERE c.org_id = k.org_id)"
                         " FROM unnest($1::text[]) WITH ORDINALITY k(org_id, place)"};
constexpr Query sum_unread{"sum_unread",
                           "SELECT coalesce(sum(unread_count), 0)::bigint FROM conversations WHERE org_id = $1::text"};
constexpr Query find_token_by_digest{
    "find_token",
    "SELECT c.org_id, c.client_id, t.trip_id, c.id, t.expires_at FROM client_chat_tokens t"
    " JOIN conversations c ON c.id = t.conversation_id WHERE t.token = $1::text AND t.expires_at > $2::timestamp"};
constexpr Query probe{"ping", "SELECT max(version) FROM travelchat_schema"};

// Larger than any seq and rev, with room to add two of them.
std::uint64_t bounded(std::uint64_t number) {
  return std::min(number, std::uint64_t{1} << 62);
}

// As the collation "C" lowers it.
std::string lower_ascii(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
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
  // No content has a NUL, and PostgreSQL no text with one.
  std::optional<std::string> text;
  if (query.text && query.text->find('\0') == std::string::npos) text = lower_ascii(*query.text);
  Parameters parameters(query.org_id);
  parameters.add(!query.text.has_value());
  parameters.add(texts(query.client_ids));
  parameters.add(text);
  const Result rows = read(list_conversations_of, parameters);
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

MessagePage Reader::list_messages(const MessageQuery& query) {
  MessagePage page;
  begin_snapshot();
  if (query.since_rev) {
    const Parameters parameters(query.conversation_id, bounded(*query.since_rev), bounded(query.limit));
    connection_.send(list_changed, parameters);
    connection_.send(list_changed_reactions, parameters);
    const auto answers = end_snapshot();
    const Result& rows = answers.front();
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
  const Result& rows = answers.front();
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
  connection_.send(find_rev, Parameters(conversation_id));
  connection_.send(list_created, parameters);
  connection_.send(list_other_changes, parameters);
  connection_.send(list_change_reactions, parameters);
  const auto answers = end_snapshot();
  if (answers[0].empty()) return std::nullopt;
  ChangeList list;
  list.current_rev = answers[0][0].count(0);
  if (since_rev > list.current_rev || list.current_rev - since_rev > limit) {
    list.too_many = true;
    return list;
  }
  const auto reactions = read_reactions(answers[3]);
  const auto reactions_of = [&](const Uuid& id) {
    const auto found = reactions.find(id);
    return found == reactions.end() ? std::vector<Reaction>() : found->second;
  };
  for (int i = 0; i < answers[1].size(); ++i) {
    Change& change = list.changes.emplace_back();
    change.kind = Change::Kind::message;
    change.rev = read_created_rev(answers[1][i]);
    change.message = read_message(answers[1][i]);
    change.message->reactions = reactions_of(change.message->id);
  }
  for (int i = 0; i < answers[2].size(); ++i) {
    const Row row = answers[2][i];
    Change& change = list.changes.emplace_back();
    change.rev = row.count(0);
    change.kind = static_cast<Change::Kind>(row.integer(1));
    if (change.kind != Change::Kind::reaction) {
      change.at = row.time(2);
    } else if (!row.is_null(3)) {
      change.message_id = row.uuid(3);
      change.reactions = reactions_of(change.message_id);
    }
  }
  std::sort(list.changes.begin(), list.changes.end(), [](const Change& a, const Change& b) { return a.rev < b.rev; });
  return list;
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
  const auto answers = end_snapshot();
  const auto fill = [](std::vector<std::uint64_t>& figures, const Result& rows) {
    for (int i = 0; i < rows.size(); ++i)
      figures.at(static_cast<std::size_t>(rows[i].integer(0) - 1)) = rows[i].count(1);
  };
  fill(revisions.conversations, answers[0]);
  fill(revisions.organizations, answers[1]);
  return revisions;
}

std::uint64_t Reader::count_unread(const std::string& org_id) {
  return read(sum_unread, Parameters(org_id))[0].count(0);
}

std::optional<TokenClaims> Reader::find_token(const Sha256Digest& digest, TimePoint now) {
  const Result rows = read(find_token_by_digest, Parameters(digest, now));
  if (rows.empty()) return std::nullopt;
  TokenClaims claims;
  claims.org_id = rows[0].text(0);
  claims.client_id = rows[0].text(1);
  claims.trip_id = rows[0].text(2);
  claims.conversation_id = rows[0].uuid(3);
  claims.expires_at = rows[0].time(4);
  return claims;
}

void Reader::ping() {
  read(probe, Parameters());
}

}  // namespace travelchat::postgres
