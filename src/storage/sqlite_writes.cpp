#include "storage/sqlite_writes.hpp"

#include "storage/rules.hpp"

#include <cstddef>
#include <utility>
#include <variant>

namespace travelchat::sqlite {

using storage::is_repeat_of;
using storage::make_message;
using storage::reaches;

namespace {

// Some 2 MB of rows. Full, it starts over.
constexpr std::size_t max_known_conversations = 8'192;

}  // namespace

Writer::Writer(Database& database)
    : database_(database),
      begin_(database, "BEGIN IMMEDIATE"),
      commit_(database, "COMMIT"),
      rows_(database),
      find_by_client_(database, "SELECT " TRAVELCHAT_CONVERSATION_COLUMNS
                                " FROM travelchat_conversations WHERE org_id = ? AND client_id = ?"),
      insert_conversation_(database,
                           "INSERT INTO travelchat_conversations (id, org_id, client_id, created_at, last_seq, rev,"
                           " unread_count, unseen_count, read_seq, seen_seq) VALUES (?, ?, ?, ?, 0, 0, 0, 0, 0, 0)"),
      find_by_client_message_id_(database, "SELECT " TRAVELCHAT_MESSAGE_COLUMNS
                                           " FROM travelchat_messages WHERE conversation_pk = ?"
                                           " AND client_message_id = ? AND sender_type = ? AND sender_id = ?"),
      insert_message_(database,
                      "INSERT INTO travelchat_messages (conversation_pk, seq, created_rev, rev, created_at,"
                      " sender_type, is_read, id, sender_id, sender_name, client_message_id, attachment_url,"
                      " attachment_type, attachment_name, content)"
                      " VALUES (?, ?, ?3, ?3, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)"),
      advance_to_message_(database,
                          "UPDATE travelchat_conversations SET last_seq = ?, rev = ?, last_message_at = ?,"
                          " unread_count = ?, unseen_count = ? WHERE pk = ?"),
      find_message_seq_(database, "SELECT seq FROM travelchat_messages WHERE id = ? AND conversation_pk = ?"),
      find_reaction_(database,
                     "SELECT emoji FROM travelchat_reactions"
                     " WHERE conversation_pk = ? AND seq = ? AND reactor_type = ? AND reactor_id = ?"),
      put_reaction_(database,
                    "INSERT INTO travelchat_reactions (conversation_pk, seq, reactor_type, reactor_id, rev, emoji,"
                    " created_at, id, reactor_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (conversation_pk, seq, reactor_type, reactor_id) DO UPDATE SET rev = excluded.rev,"
                    " emoji = excluded.emoji, created_at = excluded.created_at, reactor_name = excluded.reactor_name"),
      delete_reaction_(database,
                       "DELETE FROM travelchat_reactions"
                       " WHERE conversation_pk = ? AND seq = ? AND reactor_type = ? AND reactor_id = ?"),
      touch_message_(database, "UPDATE travelchat_messages SET rev = ? WHERE conversation_pk = ? AND seq = ?"),
      advance_to_reaction_(database, "UPDATE travelchat_conversations SET rev = ? WHERE pk = ?"),
      insert_change_(database,
                     "INSERT INTO travelchat_changes (conversation_pk, rev, kind, first_seq, last_seq, at)"
                     " VALUES (?, ?, ?, ?, ?, ?)"),
      mark_read_(database,
                 "UPDATE travelchat_messages SET is_read = 1, rev = ? WHERE conversation_pk = ? AND seq > ?"
                 " AND sender_type = ? AND is_read = 0"),
      mark_seen_(database,
                 "UPDATE travelchat_messages SET seen_at = ?, rev = ? WHERE conversation_pk = ? AND seq > ?"
                 " AND sender_type = ? AND seen_at IS NULL"),
      advance_to_read_(database,
                       "UPDATE travelchat_conversations SET rev = ?, unread_count = 0, read_seq = last_seq"
                       " WHERE pk = ?"),
      advance_to_seen_(database,
                       "UPDATE travelchat_conversations SET rev = ?, unseen_count = 0, seen_seq = last_seq"
                       " WHERE pk = ?"),
      insert_token_(database,
                    "INSERT INTO travelchat_tokens (digest, conversation_pk, trip_id, created_at, expires_at)"
                    " VALUES (?, ?, ?, ?, ?)"),
      // A new row's key is above every other's, so the key tells which token is older.
      delete_surplus_tokens_(database,
                             "DELETE FROM travelchat_tokens WHERE pk IN (SELECT pk FROM travelchat_tokens"
                             " WHERE conversation_pk = ? AND trip_id = ? AND expires_at > ?"
                             " ORDER BY pk DESC LIMIT -1 OFFSET ?) RETURNING digest"),
      delete_token_(database, "DELETE FROM travelchat_tokens WHERE digest = ?"),
      sweep_tokens_(database, "DELETE FROM travelchat_tokens WHERE expires_at <= ?") {}

result<Written> Writer::apply(const Write& write) {
  return std::visit([this](const auto& w) { return run(w); }, write);
}

void Writer::forget() noexcept {
  conversations_.clear();
}

ConversationRow* Writer::find_conversation(const Uuid& id) {
  if (const auto known = conversations_.find(id); known != conversations_.end()) return &known->second;
  auto row = rows_.find_conversation(id);
  if (!row) return nullptr;
  if (conversations_.size() >= max_known_conversations) forget();
  return &conversations_.emplace(id, std::move(*row)).first->second;
}

ConversationRow* Writer::find_conversation(const Uuid& id, const Participant& who) {
  ConversationRow* row = find_conversation(id);
  return row != nullptr && reaches(who, row->value) ? row : nullptr;
}

std::uint64_t Writer::rows_changed() const noexcept {
  return static_cast<std::uint64_t>(sqlite3_changes(database_.handle()));
}

result<Written> Writer::run(const OpenConversation& write) {
  Written written;
  {
    Run row = find_by_client_.run(write.org_id, write.client_id);
    if (row.next()) {
      const ConversationRow conversation = read_conversation(row);
      written.conversation = conversation.value;
      written.last_message = rows_.find_message(conversation, conversation.value.last_seq);
      return written;
    }
  }
  if (!insert_conversation_.insert(write.conversation_id, write.org_id, write.client_id, write.now)) {
    return errc::internal;  // the id is taken
  }
  written.changed = true;
  written.conversation.id = write.conversation_id;
  written.conversation.org_id = write.org_id;
  written.conversation.client_id = write.client_id;
  written.conversation.created_at = write.now;
  return written;
}

result<Written> Writer::run(const AppendMessage& write) {
  ConversationRow* conversation = find_conversation(write.conversation_id, write.sender);
  if (conversation == nullptr) return errc::not_found;
  Conversation& value = conversation->value;
  if (write.client_message_id) {
    Run row =
        find_by_client_message_id_.run(conversation->pk, *write.client_message_id, write.sender.role, write.sender.id);
    if (row.next()) {
      Message first = read_message(row, value);
      if (!is_repeat_of(write, first)) return errc::idempotency_conflict;
      first.reactions = rows_.list_reactions(*conversation, first.id, first.seq);
      Written written;
      written.conversation = value;
      written.message = std::move(first);
      return written;
    }
  }

  Message message = make_message(write, value, value.last_seq + 1, value.rev + 1);
  if (!insert_message_.insert(conversation->pk, message.seq, message.rev, message.created_at, message.sender_type,
                              message.id, message.sender_id, message.sender_name, message.client_message_id,
                              message.attachment_url, message.attachment_type, message.attachment_name,
                              message.content)) {
    return errc::internal;  // the id is taken
  }
  value.last_seq = message.seq;
  value.rev = message.rev;
  value.last_message_at = message.created_at;
  ++(message.sender_type == Role::client ? value.unread_count : conversation->unseen_count);
  advance_to_message_.execute(value.last_seq, value.rev, value.last_message_at, value.unread_count,
                              conversation->unseen_count, conversation->pk);
  Written written;
  written.changed = true;
  written.conversation = value;
  written.message = std::move(message);
  return written;
}

result<Written> Writer::run(const PutReaction& write) {
  ConversationRow* conversation = find_conversation(write.conversation_id, write.reactor);
  if (conversation == nullptr) return errc::not_found;
  const std::int64_t pk = conversation->pk;
  std::uint64_t seq = 0;
  {
    Run row = find_message_seq_.run(write.message_id, pk);
    if (!row.next()) return errc::not_found;
    seq = row.count(0);
  }
  std::optional<Emoji> present;
  {
    Run row = find_reaction_.run(pk, seq, write.reactor.role, write.reactor.id);
    if (row.next()) present = static_cast<Emoji>(row.integer(0));
  }

  Written written;
  written.changed = present != write.emoji;
  if (written.changed) {
    const std::uint64_t rev = ++conversation->value.rev;
    if (write.emoji) {
      put_reaction_.execute(pk, seq, write.reactor.role, write.reactor.id, rev, *write.emoji, write.now,
                            write.reaction_id, write.reactor.name);
    } else {
      delete_reaction_.execute(pk, seq, write.reactor.role, write.reactor.id);
    }
    touch_message_.execute(rev, pk, seq);
    insert_change_.execute(pk, rev, static_cast<int>(Change::Kind::reaction), seq, seq, write.now);
    advance_to_reaction_.execute(rev, pk);
  }
  written.reactions = rows_.list_reactions(*conversation, write.message_id, seq);
  written.conversation = conversation->value;
  return written;
}

result<Written> Writer::run(const MarkConversation& write) {
  ConversationRow* conversation = find_conversation(write.conversation_id, write.viewer);
  if (conversation == nullptr) return errc::not_found;
  Conversation& value = conversation->value;
  const bool by_client = write.viewer.role == Role::client;
  Written written;
  if ((by_client ? conversation->unseen_count : value.unread_count) > 0) {
    const std::uint64_t rev = ++value.rev;
    const std::uint64_t marked_before = by_client ? conversation->seen_seq : conversation->read_seq;
    if (by_client) {
      mark_seen_.execute(write.now, rev, conversation->pk, marked_before, Role::advisor);
    } else {
      mark_read_.execute(rev, conversation->pk, marked_before, Role::client);
    }
    written.changed = true;
    written.count = rows_changed();
    const auto kind = by_client ? Change::Kind::seen : Change::Kind::read;
    insert_change_.execute(conversation->pk, rev, static_cast<int>(kind), marked_before + 1, value.last_seq, write.now);
    (by_client ? advance_to_seen_ : advance_to_read_).execute(rev, conversation->pk);
    (by_client ? conversation->unseen_count : value.unread_count) = 0;
    (by_client ? conversation->seen_seq : conversation->read_seq) = value.last_seq;
  }
  if (!by_client) written.last_message = rows_.find_message(*conversation, value.last_seq);
  written.conversation = value;
  return written;
}

result<Written> Writer::run(const PutToken& write) {
  const ConversationRow* conversation = find_conversation(write.claims.conversation_id);
  if (conversation == nullptr || conversation->value.org_id != write.claims.org_id ||
      conversation->value.client_id != write.claims.client_id) {
    return errc::not_found;
  }
  if (!insert_token_.insert(write.digest, conversation->pk, write.claims.trip_id, write.now, write.claims.expires_at)) {
    return errc::internal;  // the digest is taken
  }
  Written written;
  written.changed = true;
  Run surplus = delete_surplus_tokens_.run(conversation->pk, write.claims.trip_id, write.now, write.max_live);
  while (surplus.next()) written.evicted.push_back(surplus.digest(0));
  return written;
}

result<Written> Writer::run(const DeleteToken& write) {
  delete_token_.execute(write.digest);
  Written written;
  written.count = rows_changed();
  written.changed = written.count > 0;
  return written;
}

result<Written> Writer::run(const SweepTokens& write) {
  sweep_tokens_.execute(write.now);
  Written written;
  written.count = rows_changed();
  written.changed = written.count > 0;
  return written;
}

}  // namespace travelchat::sqlite
