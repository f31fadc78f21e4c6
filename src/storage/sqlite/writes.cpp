#include "storage/sqlite/writes.hpp"

#include "core/decision.hpp"
#include "core/rules.hpp"
#include "storage/columns.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat::sqlite {

using detail::Decision;
using detail::is_prunable;
using detail::is_token_removal;
using detail::questions_of;
using detail::to_token_removal;
using detail::to_written;

namespace {

// Some 2 MB of rows. When it is full, it is cleared.
constexpr std::size_t max_known_conversations = 8'192;

using ChangingColumns = boost::mp11::mp_remove_if_q<
    ConversationColumns,
    detail::Without<&Conversation::id, &Conversation::org_id, &Conversation::client_id, &Conversation::created_at>>;
// The columns that are not part of the key.
using ReplacedReactionColumns =
    boost::mp11::mp_remove_if_q<ReactionColumns, detail::Without<&Reaction::reactor_type, &Reaction::reactor_id>>;

// "?, ?, ?"
template <class Columns>
std::string parameters() {
  return storage::join<Columns>([](const std::string&) { return "?"; });
}

// "?4, ?5, ?6"
template <class Columns>
std::string numbered_parameters(int first) {
  return storage::join<Columns>([&](const std::string&) { return "?" + std::to_string(first++); });
}

// "rev = excluded.rev, ..."
template <class Columns>
std::string replacements() {
  return storage::join<Columns>([](const std::string& name) { return name + " = excluded." + name; });
}

// Gives the value of a column, counted from 0.
template <class Columns, class T>
void put_column(const T& record, int column, Cell cell) {
  boost::mp11::mp_with_index<storage::count<Columns>>(static_cast<std::size_t>(column), [&](auto i) {
    cell(storage::member_of(record, boost::mp11::mp_at<Columns, decltype(i)>::pointer));
  });
}

}  // namespace

Writer::Writer(Database& database)
    : database_(database),
      begin_(database, "BEGIN IMMEDIATE"),
      commit_(database, "COMMIT"),
      rows_(database),
      given_(database),
      find_by_client_(database,
                      select_conversation() + " FROM travelchat_conversations WHERE org_id = ? AND client_id = ?"),
      insert_conversation_(database, "INSERT INTO travelchat_conversations (" + storage::names<ConversationColumns>() +
                                         ") VALUES (" + parameters<ConversationColumns>() + ")"),
      find_repeated_(database, select_message(", c4") +
                                   " FROM travelchat_given CROSS JOIN travelchat_messages ON conversation_pk = c0"
                                   " AND client_message_id = c1 AND sender_type = c2 AND sender_id = c3"),
      find_message_by_id_(
          database, select_message(", (SELECT c.id FROM travelchat_conversations c WHERE c.pk = conversation_pk)") +
                        " FROM travelchat_messages WHERE id = ?"),
      // A new row's key is above every other's, so the key tells which token is older.
      list_tokens_(database,
                   "SELECT digest, created_at, expires_at FROM travelchat_tokens"
                   " WHERE conversation_pk = ? AND trip_id = ? ORDER BY pk"),
      // An upsert of rows that all exist: an UPDATE FROM would first write them into a temporary table.
      update_conversations_(database,
                            "INSERT OR FAIL INTO travelchat_conversations (pk, " + storage::names<ChangingColumns>() +
                                ", created_at, id, org_id, client_id) SELECT " +
                                given_columns(1 + storage::count<ChangingColumns>) +
                                ", 0, x'', '', '' FROM travelchat_given WHERE true ON CONFLICT (pk) DO UPDATE SET " +
                                replacements<ChangingColumns>()),
      // OR FAIL needs no statement journal: when a row is refused, the whole transaction is rolled back.
      insert_messages_(database, "INSERT OR FAIL INTO travelchat_messages (conversation_pk, created_rev, " +
                                     storage::names<MessageColumns>() + ") SELECT " +
                                     given_columns(2 + message_columns) + " FROM travelchat_given"),
      put_reaction_(database, "INSERT INTO travelchat_reactions (conversation_pk, seq, rev, " +
                                  storage::names<ReactionColumns>() + ") VALUES (?, ?, ?, " +
                                  parameters<ReactionColumns>() +
                                  ") ON CONFLICT (conversation_pk, seq, reactor_type, reactor_id)"
                                  " DO UPDATE SET rev = excluded.rev, " +
                                  replacements<ReplacedReactionColumns>()),
      delete_reaction_(database,
                       "DELETE FROM travelchat_reactions"
                       " WHERE conversation_pk = ? AND seq = ? AND reactor_type = ? AND reactor_id = ?"),
      touch_message_(database,
                     "UPDATE travelchat_messages SET rev = max(rev, ?) WHERE conversation_pk = ? AND seq = ?"),
      rewrite_message_(
          database, "UPDATE travelchat_messages SET content_rev = ?1, (" + storage::names<MessageColumns>() + ") = (" +
                        numbered_parameters<MessageColumns>(4) + ") WHERE conversation_pk = ?2 AND seq = ?3"),
      insert_change_(database,
                     "INSERT INTO travelchat_changes (conversation_pk, rev, kind, first_seq, last_seq, at)"
                     " VALUES (?, ?, ?, ?, ?, ?)"),
      find_member_(database, "SELECT " + storage::names<MemberColumns>() +
                                 " FROM travelchat_members WHERE conversation_pk = ? AND type = ? AND id = ?"),
      put_member_(database, "INSERT OR REPLACE INTO travelchat_members (conversation_pk, " +
                                storage::names<MemberColumns>() + ") VALUES (?, " + parameters<MemberColumns>() + ")"),
      mark_read_(database,
                 "UPDATE travelchat_messages SET is_read = 1, rev = ? WHERE conversation_pk = ? AND seq > ?"
                 " AND seq <= ? AND sender_type = ? AND is_read = 0"),
      mark_seen_(database,
                 "UPDATE travelchat_messages SET seen_at = ?, rev = ? WHERE conversation_pk = ? AND seq > ?"
                 " AND seq <= ? AND sender_type = ? AND seen_at IS NULL"),
      insert_token_(database,
                    "INSERT INTO travelchat_tokens (digest, conversation_pk, trip_id, created_at, expires_at)"
                    " VALUES (?, ?, ?, ?, ?)"),
      delete_token_(database, "DELETE FROM travelchat_tokens WHERE digest = ?"),
      sweep_tokens_(database, "DELETE FROM travelchat_tokens WHERE expires_at <= ?"),
      revoke_tokens_of_client_(database,
                               "DELETE FROM travelchat_tokens WHERE conversation_pk ="
                               " (SELECT pk FROM travelchat_conversations WHERE org_id = ? AND client_id = ?)"
                               " AND (?3 IS NULL OR trip_id = ?3) RETURNING digest"),
      // There are fewer tokens than conversations, and no index on trips alone.
      revoke_tokens_of_trip_(database,
                             "DELETE FROM travelchat_tokens WHERE trip_id = ?1 AND EXISTS (SELECT 1"
                             " FROM travelchat_conversations c WHERE c.pk = conversation_pk AND c.org_id = ?2)"
                             " RETURNING digest"),
      list_oldest_changes_(database,
                           "SELECT c.pk, c.id, c.rev, (SELECT min(x.rev) FROM travelchat_changes x"
                           "   WHERE x.conversation_pk = c.pk)"
                           " FROM travelchat_conversations c WHERE c.id > ? ORDER BY c.id LIMIT ?"),
      list_changes_(database, "SELECT rev, at FROM travelchat_changes WHERE conversation_pk = ? ORDER BY rev LIMIT ?"),
      delete_changes_(database, "DELETE FROM travelchat_changes WHERE conversation_pk = ? AND rev <= ?"),
      note_pruned_(database, "UPDATE travelchat_conversations SET pruned_rev = max(pruned_rev, ?) WHERE pk = ?"),
      put_epoch_(database, "INSERT OR REPLACE INTO travelchat_epoch (only_row, epoch) VALUES (1, ?)"),
      find_epoch_(database, "SELECT epoch FROM travelchat_epoch") {}

bool Writer::apply(std::span<const Write> writes, Mode mode, std::vector<result<Written>>& results) {
  if (conversations_.size() >= max_known_conversations) forget();
  results.clear();
  results.reserve(writes.size());
  while (results.size() < writes.size()) {
    const auto rest = writes.subspan(results.size());
    if (is_token_removal(rest.front())) {
      results.emplace_back(to_written(remove_tokens(to_token_removal(rest.front()))));
      continue;
    }
    if (mode != Mode::one_by_one) {
      const auto end = std::find_if(rest.begin(), rest.end(), is_token_removal);
      try {
        decide(rest.first(static_cast<std::size_t>(end - rest.begin())), mode, results);
      } catch (const KeyTaken&) {
        return false;
      }
      continue;
    }
    const std::size_t answered = results.size();
    database_.execute("SAVEPOINT one_write");
    try {
      decide(rest.first(1), mode, results);
    } catch (const KeyTaken&) {
      database_.execute("ROLLBACK TO one_write");
      forget();
      results.resize(answered, errc::internal);
      results.emplace_back(errc::internal);
    }
    database_.execute("RELEASE one_write");
  }
  return true;
}

void Writer::decide(std::span<const Write> writes, Mode mode, std::vector<result<Written>>& results) {
  std::vector<const Write*> pointers;
  pointers.reserve(writes.size());
  for (const Write& write : writes) pointers.push_back(&write);
  Questions questions = questions_of(pointers, mode == Mode::one_by_one);
  if (mode == Mode::expecting_no_repeat) questions.repeatable.clear();
  Decision decision(load(questions), writes.size());
  for (const Write& write : writes) results.push_back(decision.apply(write));
  store(decision.take_effects());
}

void Writer::forget() noexcept {
  conversations_.clear();
}

KeyedConversation* Writer::find_conversation(const Uuid& id) {
  if (const auto known = conversations_.find(id); known != conversations_.end()) return &known->second;
  auto row = rows_.find_conversation(id);
  return row ? &conversations_.emplace(id, std::move(*row)).first->second : nullptr;
}

std::int64_t Writer::key_of(const Uuid& conversation_id) {
  const KeyedConversation* row = find_conversation(conversation_id);
  if (row == nullptr) throw Failure{SQLITE_CORRUPT};
  return row->pk;
}

std::uint64_t Writer::rows_changed() const noexcept {
  return static_cast<std::uint64_t>(sqlite3_changes(database_.handle()));
}

Facts Writer::load(const Questions& questions) {
  Facts facts;
  facts.conversations.reserve(questions.conversations.size() + questions.openings.size());
  for (const Uuid& id : questions.conversations) {
    if (const KeyedConversation* row = find_conversation(id)) facts.conversations.push_back(*row);
  }
  const auto add_newest_of = [&](const KeyedConversation& conversation) {
    auto message = rows_.find_message(conversation, conversation.value.last_seq);
    if (message) facts.messages.push_back(std::move(*message));
  };
  const auto add = [&](Message message, const KeyedConversation& conversation) {
    message.reactions = rows_.list_reactions(conversation, message.id, message.seq);
    facts.messages.push_back(std::move(message));
  };
  struct Repeatable {
    const KeyedConversation* conversation;
    const AppendMessage* write;
  };
  std::vector<Repeatable> repeatable;
  repeatable.reserve(questions.repeatable.size());
  for (const AppendMessage* write : questions.repeatable) {
    const KeyedConversation* conversation = find_conversation(write->conversation_id);
    if (conversation != nullptr) repeatable.push_back({conversation, write});
  }
  if (!repeatable.empty()) {
    const auto put = [&](const Repeatable& one, int column, Cell cell) {
      switch (column) {
        case 0:
          return cell(one.conversation->pk);
        case 1:
          return cell(one.write->client_message_id);
        case 2:
          return cell(one.write->sender.role);
        case 3:
          return cell(one.write->sender.id);
        default:
          return cell(static_cast<std::int64_t>(&one - repeatable.data()));
      }
    };
    const GivenRows given(given_, std::span<const Repeatable>(repeatable), put);
    Run row = find_repeated_.run();
    while (row.next()) {
      const auto& conversation = *repeatable[static_cast<std::size_t>(row.integer(message_columns))].conversation;
      add(read_message(row, conversation.value), conversation);
    }
  }
  for (const Uuid& id : questions.messages) {
    Run row = find_message_by_id_.run(id);
    if (!row.next()) continue;
    const KeyedConversation* conversation = find_conversation(row.uuid(message_columns));
    if (conversation != nullptr) add(read_message(row, conversation->value), *conversation);
  }
  for (const Uuid& id : questions.newest_of) {
    if (const KeyedConversation* conversation = find_conversation(id)) add_newest_of(*conversation);
  }
  for (const OpenConversation* open : questions.openings) {
    Run row = find_by_client_.run(open->org_id, open->client_id);
    if (!row.next()) continue;
    const KeyedConversation conversation = read_conversation(row);
    facts.conversations.push_back(conversation);
    add_newest_of(conversation);
  }
  load_members(questions, facts);
  for (const PutToken* put : questions.tokens) {
    const KeyedConversation* conversation = find_conversation(put->claims.conversation_id);
    if (conversation == nullptr) continue;
    Run row = list_tokens_.run(conversation->pk, put->claims.trip_id);
    while (row.next()) {
      const Conversation& of = conversation->value;
      facts.tokens.push_back(
          {row.digest(0), {of.org_id, of.client_id, put->claims.trip_id, of.id, row.time(2)}, row.time(1)});
    }
  }
  return facts;
}

void Writer::load_members(const Questions& questions, Facts& facts) {
  const auto add = [&](const KeyedConversation& conversation, const Participant& who) {
    Run row = find_member_.run(conversation.pk, who.role, who.id);
    if (!row.next()) return;
    MemberRow& found = facts.members.emplace_back();
    found.conversation_id = conversation.value.id;
    storage::read<MemberColumns>(row, 0, found.member);
  };
  for (const auto& [conversation_id, who] : questions.viewers) {
    if (const KeyedConversation* conversation = find_conversation(conversation_id)) add(*conversation, *who);
  }
  for (const auto& [conversation_id, who] : questions.clients) {
    const KeyedConversation* conversation = find_conversation(conversation_id);
    if (conversation != nullptr && who->id != conversation->value.client_id) add(*conversation, *who);
  }
}

// In the order of the keys, so that neighbouring rows of the file are written together.
void Writer::store(Effects effects) {
  for (ConversationRow& row : effects.opened) {
    const auto insert = [this](const auto&... values) { return insert_conversation_.insert(values...); };
    if (!std::apply(insert, storage::values(ConversationColumns(), row))) throw KeyTaken();
    const Uuid id = row.value.id;
    conversations_.insert_or_assign(id,
                                    KeyedConversation{std::move(row), sqlite3_last_insert_rowid(database_.handle())});
  }
  std::vector<const KeyedConversation*> changed;
  changed.reserve(effects.conversations.size());
  for (ConversationRow& row : effects.conversations) {
    KeyedConversation* const known = find_conversation(row.value.id);
    if (known == nullptr) throw Failure{SQLITE_CORRUPT};
    static_cast<ConversationRow&>(*known) = std::move(row);
    changed.push_back(known);
  }
  std::sort(changed.begin(), changed.end(), [](const auto* a, const auto* b) { return a->pk < b->pk; });
  if (!changed.empty()) {
    const auto put = [](const KeyedConversation* row, int column, Cell cell) {
      if (column == 0) return cell(row->pk);
      put_column<ChangingColumns>(static_cast<const ConversationRow&>(*row), column - 1, cell);
    };
    const GivenRows given(given_, std::span<const KeyedConversation* const>(changed), put);
    update_conversations_.execute();
  }
  for (const Effects::Mark& mark : effects.marks) {
    const std::int64_t pk = key_of(mark.conversation_id);
    if (mark.viewer == Role::client) {
      mark_seen_.execute(mark.at, mark.rev, pk, mark.after_seq, mark.up_to_seq, Role::advisor);
    } else {
      mark_read_.execute(mark.rev, pk, mark.after_seq, mark.up_to_seq, Role::client);
    }
  }
  std::vector<std::pair<std::int64_t, const Effects::NewMessage*>> messages;
  messages.reserve(effects.messages.size());
  for (const Effects::NewMessage& created : effects.messages) {
    messages.emplace_back(key_of(created.message.conversation_id), &created);
  }
  // Those of one conversation come by seq.
  std::stable_sort(messages.begin(), messages.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (!messages.empty()) {
    using NewMessage = std::pair<std::int64_t, const Effects::NewMessage*>;
    const auto put = [](const NewMessage& row, int column, Cell cell) {
      if (column == 0) return cell(row.first);
      if (column == 1) return cell(row.second->created_rev);
      put_column<MessageColumns>(row.second->message, column - 2, cell);
    };
    const GivenRows given(given_, std::span<const NewMessage>(messages), put);
    if (!insert_messages_.insert()) throw KeyTaken();
  }
  for (const Effects::Touched& touched : effects.touched) {
    touch_message_.execute(touched.rev, key_of(touched.conversation_id), touched.seq);
  }
  for (const auto& [message, content_rev] : effects.rewritten) {
    const std::int64_t key = key_of(message.conversation_id);
    std::apply([&](const auto&... values) { rewrite_message_.execute(content_rev, key, message.seq, values...); },
               storage::values(MessageColumns(), message));
  }
  for (const Effects::RemovedReaction& removed : effects.removed_reactions) {
    delete_reaction_.execute(key_of(removed.conversation_id), removed.seq, removed.reactor_type, removed.reactor_id);
  }
  for (const auto& [reaction, seq, rev] : effects.reactions) {
    const std::tuple key(key_of(reaction.conversation_id), seq, rev);
    std::apply([this](const auto&... values) { put_reaction_.execute(values...); },
               std::tuple_cat(std::tie(std::get<0>(key), std::get<1>(key), std::get<2>(key)),
                              storage::values(ReactionColumns(), reaction)));
  }
  for (const Effects::ChangedMessage& change : effects.changes) {
    insert_change_.execute(key_of(change.conversation_id), change.rev, static_cast<int>(storage::LoggedKind::message),
                           change.seq, change.seq, change.at);
  }
  for (const Effects::Mark& mark : effects.marks) {
    insert_change_.execute(key_of(mark.conversation_id), mark.rev, static_cast<int>(storage::logged_kind(mark.viewer)),
                           mark.after_seq + 1, mark.up_to_seq, mark.at);
  }
  for (const auto& [conversation_id, member] : effects.members) {
    const std::int64_t key = key_of(conversation_id);
    std::apply([&](const auto&... values) { put_member_.execute(key, values...); },
               storage::values(MemberColumns(), member));
  }
  for (const Sha256Digest& digest : effects.removed_tokens) delete_token_.execute(digest);
  for (const TokenRow& token : effects.tokens) {
    if (!insert_token_.insert(token.digest, key_of(token.claims.conversation_id), token.claims.trip_id,
                              token.created_at, token.claims.expires_at)) {
      throw KeyTaken();
    }
  }
}

RemovedTokens Writer::remove_tokens(const TokenRemoval& removal) {
  RemovedTokens removed;
  if (const auto* one = std::get_if<DeleteToken>(&removal)) {
    delete_token_.execute(one->digest);
    removed.count = rows_changed();
    return removed;
  }
  if (const auto* expired = std::get_if<SweepTokens>(&removal)) {
    sweep_tokens_.execute(expired->now);
    removed.count = rows_changed();
    return removed;
  }
  const auto& some = std::get<RevokeTokens>(removal);
  if (some.client_id) {
    Run gone = revoke_tokens_of_client_.run(some.org_id, *some.client_id, some.trip_id);
    while (gone.next()) removed.digests.push_back(gone.digest(0));
  } else if (some.trip_id) {
    Run gone = revoke_tokens_of_trip_.run(*some.trip_id, some.org_id);
    while (gone.next()) removed.digests.push_back(gone.digest(0));
  }
  removed.count = removed.digests.size();
  return removed;
}

Pruned Writer::prune_changes(const PruneChanges& step) {
  Pruned pruned;
  {
    Run row = find_epoch_.run();
    if (row.next()) pruned.epoch = row.uuid(0);
  }
  struct Walked {
    std::int64_t pk;
    Uuid id;
    std::uint64_t rev;
    bool has_changes;
  };
  const std::size_t max_conversations = std::max<std::size_t>(step.max_conversations, 1);
  const std::size_t max_changes = std::max<std::size_t>(step.max_changes, 1);
  std::vector<Walked> walked;
  {
    Run row = list_oldest_changes_.run(step.after, max_conversations);
    while (row.next()) walked.push_back({row.integer(0), row.uuid(1), row.count(2), !row.is_null(3)});
  }
  Uuid done = step.after;
  for (const Walked& conversation : walked) {
    const std::size_t budget = max_changes - static_cast<std::size_t>(pruned.count);
    std::size_t gone = 0;
    std::uint64_t last_rev = 0;
    if (conversation.has_changes) {
      Run row = list_changes_.run(conversation.pk, budget);
      while (row.next() && is_prunable(step, conversation.rev, row.count(0), row.time(1))) {
        last_rev = row.count(0);
        ++gone;
      }
    }
    if (gone > 0) {
      delete_changes_.execute(conversation.pk, last_rev);
      note_pruned_.execute(last_rev, conversation.pk);
      pruned.count += gone;
    }
    // This conversation may have more to delete.
    if (gone == budget) {
      pruned.next = done;
      return pruned;
    }
    done = conversation.id;
  }
  if (walked.size() == max_conversations) pruned.next = done;
  return pruned;
}

void Writer::begin_epoch(const Uuid& epoch) {
  put_epoch_.execute(epoch);
}

}  // namespace travelchat::sqlite
