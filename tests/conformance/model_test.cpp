// Random writes against a model that is too simple to be wrong: it keeps every value and looks through all of them.

#include "fixture.hpp"

#include <algorithm>
#include <random>

namespace travelchat::conformance {
namespace {

struct ModelConversation {
  Conversation row;
  std::vector<Message> messages;
  std::vector<Change> log;  // log[n] brought rev n + 1; `message_id` tells which message, the values are looked up
};

class Model {
 public:
  std::vector<ModelConversation> conversations;

  // What the storage must answer: the error, or whether something changed.
  result<bool> apply(const Write& write) {
    return std::visit([this](const auto& w) { return run(w); }, write);
  }

  ModelConversation* find(const Uuid& id) {
    for (auto& c : conversations) {
      if (c.row.id == id) return &c;
    }
    return nullptr;
  }

  static Message* find_message(ModelConversation& c, const Uuid& id) {
    for (auto& m : c.messages) {
      if (m.id == id) return &m;
    }
    return nullptr;
  }

  static std::vector<Change> changes(ModelConversation& c, std::uint64_t since) {
    std::vector<Change> list(c.log.begin() + static_cast<std::ptrdiff_t>(since), c.log.end());
    for (auto& change : list) {
      if (change.message) change.message = *find_message(c, change.message->id);
    }
    return list;
  }

 private:
  ModelConversation* reach(const Uuid& id, const Participant& who) {
    auto* c = find(id);
    if (c == nullptr || c->row.org_id != who.org_id) return nullptr;
    return who.role == Role::advisor || who.id == c->row.client_id ? c : nullptr;
  }

  static Change& log(ModelConversation& c) {
    Change& change = c.log.emplace_back();
    change.rev = ++c.row.rev;
    return change;
  }
  // `created_rev` 0: the message comes with this change. What the message is like is filled in by `changes`.
  static void log_message(ModelConversation& c, const Uuid& id, std::uint64_t created_rev) {
    Change& change = log(c);
    change.message.emplace().id = id;
    change.created_rev = created_rev != 0 ? created_rev : change.rev;
  }
  static std::uint64_t created_rev(const ModelConversation& c, const Uuid& message_id) {
    for (const Change& change : c.log) {
      if (change.message && change.message->id == message_id) return change.rev;
    }
    return 0;
  }

  result<bool> run(const OpenConversation& w) {
    for (const auto& c : conversations) {
      if (c.row.org_id == w.org_id && c.row.client_id == w.client_id) return false;
    }
    auto& c = conversations.emplace_back();
    c.row.id = w.conversation_id;
    c.row.org_id = w.org_id;
    c.row.client_id = w.client_id;
    c.row.created_at = w.now;
    return true;
  }

  result<bool> run(const AppendMessage& w) {
    auto* c = reach(w.conversation_id, w.sender);
    if (c == nullptr) return errc::not_found;
    for (const auto& m : c->messages) {
      if (w.client_message_id && m.client_message_id == w.client_message_id && m.sender_type == w.sender.role &&
          m.sender_id == w.sender.id) {
        if (m.content != w.content) return errc::idempotency_conflict;
        return false;
      }
    }
    log_message(*c, w.message_id, 0);
    Message m;
    m.id = w.message_id;
    m.conversation_id = c->row.id;
    m.org_id = c->row.org_id;
    m.sender_type = w.sender.role;
    m.sender_id = w.sender.id;
    m.sender_name = w.sender.name;
    m.content = w.content;
    m.created_at = w.now;
    m.client_message_id = w.client_message_id;
    m.seq = ++c->row.last_seq;
    m.rev = c->row.rev;
    c->messages.push_back(m);
    c->row.last_message_at = w.now;
    if (w.sender.role == Role::client) ++c->row.unread_count;
    return true;
  }

  result<bool> run(const PutReaction& w) {
    auto* c = reach(w.conversation_id, w.reactor);
    Message* m = c != nullptr ? find_message(*c, w.message_id) : nullptr;
    if (m == nullptr) return errc::not_found;
    const auto mine = std::find_if(m->reactions.begin(), m->reactions.end(), [&](const Reaction& r) {
      return r.reactor_type == w.reactor.role && r.reactor_id == w.reactor.id;
    });
    const bool present = mine != m->reactions.end();
    if (present ? w.emoji == mine->emoji : !w.emoji) return false;
    const Uuid id = present ? mine->id : w.reaction_id;
    if (present) m->reactions.erase(mine);
    if (w.emoji) {
      m->reactions.push_back(
          {id, m->id, c->row.id, c->row.org_id, w.reactor.role, w.reactor.id, w.reactor.name, *w.emoji, w.now});
    }
    log_message(*c, m->id, created_rev(*c, m->id));
    m->rev = c->row.rev;
    return true;
  }

  result<bool> run(const MarkConversation& w) {
    auto* c = reach(w.conversation_id, w.viewer);
    if (c == nullptr) return errc::not_found;
    const bool by_client = w.viewer.role == Role::client;
    std::vector<Message*> marked;
    for (auto& m : c->messages) {
      if (by_client ? m.sender_type == Role::advisor && !m.seen_at : m.sender_type == Role::client && !m.is_read) {
        marked.push_back(&m);
      }
    }
    if (marked.empty()) return false;
    log(*c).mark = Change::Mark{w.viewer.role, w.now};
    for (auto* m : marked) {
      (by_client ? void(m->seen_at = w.now) : void(m->is_read = true));
      m->rev = c->row.rev;
    }
    if (!by_client) c->row.unread_count = 0;
    return true;
  }

  template <class Other>
  result<bool> run(const Other&) {
    return errc::internal;
  }
};

bool same(const Change& a, const Change& b) {
  return a.rev == b.rev && a.message == b.message && a.created_rev == b.created_rev && a.content_rev == b.content_rev &&
         a.mark.has_value() == b.mark.has_value() &&
         (!a.mark || (a.mark->viewer == b.mark->viewer && a.mark->at == b.mark->at));
}

void compare(Chat& chat, Model& model, std::mt19937& random) {
  for (auto& c : model.conversations) {
    REQUIRE(chat.conversation(c.row.id) == c.row);
    REQUIRE(chat.messages(c.row.id) == c.messages);
    const std::uint64_t since = random() % (c.row.rev + 1);

    const auto list = chat.changes(c.row.id, since, c.row.rev);
    REQUIRE_FALSE(list.too_many);
    REQUIRE(list.current_rev == c.row.rev);
    const auto expected = Model::changes(c, since);
    REQUIRE(std::equal(list.changes.begin(), list.changes.end(), expected.begin(), expected.end(), same));

    std::vector<Message> changed;
    std::copy_if(c.messages.begin(), c.messages.end(), std::back_inserter(changed),
                 [&](const Message& m) { return m.rev > since; });
    const auto page = chat.page({c.row.id, std::nullopt, since, 1'000'000});
    REQUIRE(page.messages == changed);
    REQUIRE_FALSE(page.has_more);
  }
}

}  // namespace

TEST_CASE("random batches leave the storage as they leave the model") {
  ON_EVERY_BACKEND(chat);
  const unsigned seed = GENERATE(1U, 2U, 3U);
  INFO("seed: " << seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  Model model;

  const auto participant = [&] {
    const std::string org = below(8) == 0 ? "org-2" : "org-1";
    return below(2) == 0 ? advisor("a" + std::to_string(below(3)), org) : client("c" + std::to_string(below(3)), org);
  };
  const auto random_write = [&]() -> Write {
    const TimePoint at = chat.tick();
    if (model.conversations.empty() || below(25) == 0) {
      const auto who = participant();
      return OpenConversation{make_uuid(at), who.org_id, "c" + std::to_string(below(3)), at};
    }
    auto& c = model.conversations[below(static_cast<unsigned>(model.conversations.size()))];
    auto who = participant();
    if (who.role == Role::client && below(4) != 0) who.id = c.row.client_id;
    if (below(6) != 0) who.org_id = c.row.org_id;
    switch (below(8)) {
      case 0:
        return MarkConversation{c.row.id, who, at};
      case 1:
      case 2:
      case 3:
        if (!c.messages.empty()) {
          const auto& m = c.messages[below(static_cast<unsigned>(c.messages.size()))];
          const auto emoji = below(3) == 0 ? std::nullopt : std::optional(static_cast<Emoji>(below(3)));
          auto& in = below(10) == 0 ? model.conversations.front() : c;
          return PutReaction{make_uuid(at), in.row.id, m.id, who, emoji, at};
        }
        [[fallthrough]];
      default: {
        auto draft = chat.draft(c.row.id, who, "text " + std::to_string(below(40)));
        if (below(2) == 0) draft.client_message_id = "m" + std::to_string(below(40));
        return draft;
      }
    }
  };

  for (int round = 0; round < 250; ++round) {
    std::vector<Write> batch;
    std::vector<result<bool>> expected;
    const unsigned size = 1 + below(8);
    for (unsigned i = 0; i < size; ++i) {
      batch.push_back(random_write());
      expected.push_back(model.apply(batch.back()));
    }
    const auto written = chat.commit(batch);
    for (unsigned i = 0; i < size; ++i) {
      REQUIRE(written[i].has_value() == expected[i].has_value());
      if (written[i]) {
        REQUIRE(written[i]->changed == *expected[i]);
      } else {
        REQUIRE(written[i].error() == expected[i].error());
      }
    }
    if (round % 50 == 49) compare(chat, model, random);
  }
  chat.reopen();
  compare(chat, model, random);
}

}  // namespace travelchat::conformance
