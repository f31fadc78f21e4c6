#include "storage/sqlite/reads.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace travelchat::sqlite {

namespace {

// travelchat_finds(content): whether the reader's search finds it.
void find_text(sqlite3_context* context, int, sqlite3_value** arguments) {
  const auto& search = *static_cast<const std::optional<TextSearch>*>(sqlite3_user_data(context));
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(arguments[0]));
  if (text == nullptr || !search) return sqlite3_result_int(context, 0);
  try {
    const bool is_found = search->finds_in({text, static_cast<std::size_t>(sqlite3_value_bytes(arguments[0]))});
    sqlite3_result_int(context, is_found ? 1 : 0);
  } catch (const std::bad_alloc&) {
    sqlite3_result_error_nomem(context);
  }
}

// The file's connection for reading: it can neither write nor checkpoint (see sqlite_storage.hpp).
Database& configured(Database& database, std::optional<TextSearch>& search) {
  const int code = sqlite3_create_function_v2(database.handle(), "travelchat_finds", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                              &search, find_text, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(database.handle(), code);
  database.execute(
      "PRAGMA wal_autocheckpoint = 0;"
      "PRAGMA query_only = 1;"
      "PRAGMA temp_store = MEMORY");  // so that a sort needs no disk space
  sqlite3_busy_timeout(database.handle(), 5'000);
  return database;
}

}  // namespace

Reader::Reader(const std::filesystem::path& path)
    : database_(path, Database::Access::read_only),
      begin_(configured(database_, search_), "BEGIN"),
      rows_(database_),
      list_conversations_(database_, select_conversation() +
                                         " FROM travelchat_conversations WHERE org_id = ?"
                                         " ORDER BY coalesce(last_message_at, created_at) DESC, id DESC"),
      any_content_found_(
          database_,
          "SELECT 1 FROM travelchat_messages WHERE conversation_pk = ? AND travelchat_finds(content) LIMIT 1"),
      list_messages_(database_, select_message() +
                                    " FROM travelchat_messages WHERE conversation_pk = ? AND seq < ?"
                                    " ORDER BY seq DESC LIMIT ?"),
      list_messages_from_(database_, select_message(", created_rev, coalesce(content_rev, 0)") +
                                         " FROM travelchat_messages WHERE conversation_pk = ? AND seq >= ?"
                                         " ORDER BY seq"),
      created_rev_(database_, "SELECT created_rev FROM travelchat_messages WHERE conversation_pk = ? AND seq = ?"),
      // A message's last change is its creation or the change that left it the same rev: each message is found once.
      list_changed_(database_,
                    "SELECT rev, seq FROM travelchat_messages"
                    " WHERE conversation_pk = ?1 AND seq >= ?3 AND rev = created_rev"
                    " UNION ALL "
                    "SELECT m.rev, m.seq FROM travelchat_changes c CROSS JOIN travelchat_messages m"
                    " ON m.conversation_pk = c.conversation_pk AND m.seq BETWEEN c.first_seq AND c.last_seq"
                    " AND m.rev = c.rev"
                    " WHERE c.conversation_pk = ?1 AND c.rev > ?2"
                    " ORDER BY 1, 2 LIMIT ?4"),
      // Where changes were deleted: looks at every message.
      list_changed_by_rev_(database_,
                           "SELECT rev, seq FROM travelchat_messages WHERE conversation_pk = ?1 AND rev > ?2"
                           " ORDER BY 1, 2 LIMIT ?3"),
      list_changes_(database_,
                    "SELECT rev, kind, first_seq, at FROM travelchat_changes WHERE conversation_pk = ? AND rev > ?"
                    " ORDER BY rev"),
      find_changed_(database_, select_message(", created_rev, coalesce(content_rev, 0)") +
                                   " FROM travelchat_messages WHERE conversation_pk = ? AND seq = ?"),
      list_members_(database_, "SELECT " + storage::names<MemberColumns>() +
                                   " FROM travelchat_members WHERE conversation_pk = ? ORDER BY type DESC, id"),
      find_epoch_(database_, "SELECT epoch FROM travelchat_epoch"),
      find_pruned_rev_(database_, "SELECT pruned_rev FROM travelchat_conversations WHERE pk = ?"),
      find_rev_(database_, "SELECT rev FROM travelchat_conversations WHERE id = ?"),
      sum_revs_(database_, "SELECT coalesce(sum(rev + 1), 0) FROM travelchat_conversations WHERE org_id = ?"),
      count_unread_(database_, "SELECT total(unread_count) FROM travelchat_conversations WHERE org_id = ?"),
      find_token_(database_,
                  "SELECT c.org_id, c.client_id, t.trip_id, c.id, t.expires_at FROM travelchat_tokens t"
                  " JOIN travelchat_conversations c ON c.pk = t.conversation_pk"
                  " WHERE t.digest = ? AND t.expires_at > ?"),
      is_live_token_(database_, "SELECT 1 FROM travelchat_tokens WHERE digest = ? AND expires_at > ?"),
      ping_(database_, "SELECT max(version) FROM travelchat_schema") {}

std::optional<Conversation> Reader::find_conversation(const Uuid& id) {
  auto row = rows_.find_conversation(id);
  if (!row) return std::nullopt;
  return std::move(row->value);
}

std::vector<ConversationSummary> Reader::list_conversations(const ConversationQuery& query) {
  const std::unordered_set<std::string_view> clients(query.client_ids.begin(), query.client_ids.end());
  search_.reset();
  if (query.text) search_.emplace(*query.text);
  const auto matches = [&](const KeyedConversation& row) {
    if (!query.text || clients.contains(row.value.client_id)) return true;
    return any_content_found_.run(row.pk).next();
  };

  Transaction snapshot(database_, begin_);
  std::vector<ConversationSummary> list;
  Run row = list_conversations_.run(query.org_id);
  while (row.next()) {
    KeyedConversation conversation = read_conversation(row);
    if (!matches(conversation)) continue;
    auto last_message = rows_.find_message(conversation, conversation.value.last_seq);
    list.push_back({std::move(conversation.value), std::move(last_message)});
  }
  return list;
}

std::optional<MessagePage> Reader::list_messages(const MessageQuery& query) {
  Transaction snapshot(database_, begin_);
  const auto conversation = rows_.find_conversation(query.conversation_id);
  std::optional<MessagePage> page(std::in_place);
  if (conversation) {
    page = query.since_rev ? list_changed(*conversation, *query.since_rev, query.limit)
                           : list_newest(*conversation, query);
    if (!page) return page;
    rows_.load_reactions(*conversation, page->messages);
  }
  page->epoch = find_epoch();
  return page;
}

MessagePage Reader::list_newest(const KeyedConversation& conversation, const MessageQuery& query) {
  MessagePage page;
  const std::uint64_t before = query.before_seq.value_or(std::numeric_limits<std::uint64_t>::max());
  Run row = list_messages_.run(conversation.pk, before, query.limit);
  while (row.next()) page.messages.push_back(read_message(row, conversation.value));
  page.has_more = !page.messages.empty() && page.messages.back().seq > 1;
  std::reverse(page.messages.begin(), page.messages.end());
  return page;
}

std::optional<MessagePage> Reader::list_changed(const KeyedConversation& conversation, std::uint64_t since_rev,
                                                std::size_t limit) {
  MessagePage page;
  if (since_rev >= conversation.value.rev) return page;
  std::vector<std::uint64_t> seqs;
  {
    std::uint64_t last_rev = 0;
    // One more than a page may have, to see whether there are more.
    const std::size_t most = max_changed_messages + 1;
    Run row = since_rev < find_pruned_rev(conversation)
                  ? list_changed_by_rev_.run(conversation.pk, since_rev, most)
                  : list_changed_.run(conversation.pk, since_rev, first_created_after(conversation, since_rev), most);
    while (row.next()) {
      const std::uint64_t rev = row.count(0);
      // Messages that were marked together have one rev, and a page that ended among them would lose the others.
      if (seqs.size() >= limit && rev != last_rev) {
        page.has_more = true;
        break;
      }
      if (seqs.size() == max_changed_messages) return std::nullopt;
      seqs.push_back(row.count(1));
      last_rev = rev;
    }
  }
  std::sort(seqs.begin(), seqs.end());
  page.messages.reserve(seqs.size());
  for (const std::uint64_t seq : seqs) {
    if (auto message = rows_.find_message(conversation, seq)) page.messages.push_back(std::move(*message));
  }
  return page;
}

std::optional<Uuid> Reader::find_epoch() {
  Run row = find_epoch_.run();
  if (!row.next()) return std::nullopt;
  return row.uuid(0);
}

std::uint64_t Reader::find_pruned_rev(const KeyedConversation& conversation) {
  Run row = find_pruned_rev_.run(conversation.pk);
  return row.next() ? row.count(0) : 0;
}

// The smallest seq whose message came after `rev`. Both grow together and seqs are dense, so this takes a handful of
// look-ups however long the conversation is.
std::uint64_t Reader::first_created_after(const KeyedConversation& conversation, std::uint64_t rev) {
  std::uint64_t low = 1;
  std::uint64_t high = conversation.value.last_seq + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    Run row = created_rev_.run(conversation.pk, middle);
    if (row.next() && row.count(0) <= rev) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

std::optional<ChangeList> Reader::list_changes(const Uuid& conversation_id, std::uint64_t since_rev,
                                               std::size_t limit) {
  Transaction snapshot(database_, begin_);
  const auto conversation = rows_.find_conversation(conversation_id);
  if (!conversation) return std::nullopt;
  ChangeList list;
  list.current_rev = conversation->value.rev;
  list.epoch = find_epoch();
  if (since_rev > list.current_rev || list.current_rev - since_rev > limit ||
      since_rev < find_pruned_rev(*conversation)) {
    list.too_many = true;
    return list;
  }
  if (since_rev == list.current_rev) return list;

  std::vector<Message> messages;
  std::vector<Change> created;  // without their messages
  const auto read_change = [](const Run& row, std::uint64_t rev) {
    Change change;
    change.created_rev = row.count(message_columns);
    change.content_rev = row.count(message_columns + 1);
    change.rev = rev != 0 ? rev : change.created_rev;
    return change;
  };
  {
    Run row = list_messages_from_.run(conversation->pk, first_created_after(*conversation, since_rev));
    while (row.next()) {
      messages.push_back(read_message(row, conversation->value));
      created.push_back(read_change(row, 0));
    }
  }
  rows_.load_reactions(*conversation, messages);

  std::size_t next_message = 0;
  const auto take_messages_before = [&](std::uint64_t rev) {
    for (; next_message < messages.size() && created[next_message].rev < rev; ++next_message) {
      list.changes.push_back(std::move(created[next_message]));
      list.changes.back().message = std::move(messages[next_message]);
    }
  };
  Run row = list_changes_.run(conversation->pk, since_rev);
  while (row.next()) {
    const std::uint64_t rev = row.count(0);
    take_messages_before(rev);
    if (const auto viewer = storage::viewer_of(row.integer(1))) {
      Change& change = list.changes.emplace_back();
      change.rev = rev;
      change.mark = Change::Mark{*viewer, row.time(3)};
      continue;
    }
    Run changed = find_changed_.run(conversation->pk, row.count(2));
    if (!changed.next()) {
      list.changes.emplace_back().rev = rev;
      continue;
    }
    Change& change = list.changes.emplace_back(read_change(changed, rev));
    Message& message = change.message.emplace(read_message(changed, conversation->value));
    message.reactions = rows_.list_reactions(*conversation, message.id, message.seq);
  }
  take_messages_before(std::numeric_limits<std::uint64_t>::max());
  return list;
}

std::vector<Member> Reader::list_members(const Uuid& conversation_id) {
  Transaction snapshot(database_, begin_);
  const auto conversation = rows_.find_conversation(conversation_id);
  if (!conversation) return {};
  std::vector<Member> members;
  Run row = list_members_.run(conversation->pk);
  while (row.next()) storage::read<MemberColumns>(row, 0, members.emplace_back());
  storage::put_client_first(*conversation, members);
  return members;
}

Revisions Reader::list_revisions(const RevisionQuery& query) {
  Transaction snapshot(database_, begin_);
  Revisions revisions;
  revisions.epoch = find_epoch();
  for (const Uuid& id : query.conversation_ids) {
    Run row = find_rev_.run(id);
    revisions.conversations.push_back(row.next() ? row.count(0) : 0);
  }
  for (const std::string& org_id : query.org_ids) {
    Run row = sum_revs_.run(org_id);
    revisions.organizations.push_back(row.next() ? row.count(0) : 0);
  }
  return revisions;
}

std::uint64_t Reader::count_unread(const std::string& org_id) {
  Run row = count_unread_.run(org_id);
  return row.next() ? row.count(0) : 0;
}

std::optional<TokenClaims> Reader::find_token(const Sha256Digest& digest, TimePoint now) {
  Run row = find_token_.run(digest, now);
  if (!row.next()) return std::nullopt;
  TokenClaims claims;
  storage::read<detail::MembersOf<TokenClaims>>(row, 0, claims);
  return claims;
}

std::vector<Sha256Digest> Reader::list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) {
  std::vector<Sha256Digest> live;
  Transaction snapshot(database_, begin_);
  for (const Sha256Digest& digest : digests) {
    if (is_live_token_.run(digest, now).next()) live.push_back(digest);
  }
  return live;
}

void Reader::ping() {
  ping_.execute();
}

}  // namespace travelchat::sqlite
