#include "js_storage.hpp"

#include "records.hpp"
#include "values.hpp"

#include <utility>

namespace travelchat::node {
namespace {

// Passes one answer to the thread that waits for it. Destroyed without one, it answers `errc::storage_failed`.
template <class T>
class Waiting {
 public:
  ~Waiting() {
    if (!answered_) promise_.set_value(errc::storage_failed);
  }
  std::future<result<T>> future() { return promise_.get_future(); }
  // JavaScript's thread.
  bool is_answered() const noexcept { return answered_; }
  // JavaScript's thread; the first counts.
  void answer(result<T> value) {
    if (std::exchange(answered_, true)) return;
    promise_.set_value(std::move(value));
  }

 private:
  std::promise<result<T>> promise_;
  bool answered_ = false;
};

Facts facts_of(const Napi::CallbackInfo& info) {
  try {
    return to_facts(Arguments::of(info.Length() > 0 ? info[0] : info.Env().Undefined(), "facts"));
  } catch (const Refused& refused) {
    throw Napi::TypeError::New(info.Env(), refused.detail);
  }
}

std::string id_json(const Uuid& id) {
  std::string json;
  JsonObject(json).add("id", id);
  return json;
}

}  // namespace

JsStorage::JsStorage(std::shared_ptr<Loop> loop, Napi::Function call)
    : loop_(std::move(loop)), call_(loop_->listen(call)) {}

JsStorage::~JsStorage() {
  loop_->post([call = call_](Loop& loop, Napi::Env) { loop.unlisten(call); });
}

template <class T, class Read>
result<T> JsStorage::ask(const char* method, std::string json, Read read, const Decide* decide) {
  auto waiting = std::make_shared<Waiting<T>>();
  auto future = waiting->future();
  loop_->post([waiting = std::move(waiting), call = call_, method, json = std::move(json), read, decide](
                  Loop& loop, Napi::Env env) {
    const Napi::FunctionReference* function = loop.listener(call);
    if (function == nullptr) return;
    const std::uint64_t expected = loop.expect([waiting] { waiting->answer(errc::storage_failed); });
    const auto answer = Napi::Function::New(env, [waiting, read, expected, &loop](const Napi::CallbackInfo& info) {
      loop.met(expected);
      if (info.Length() > 0 && info[0].IsString()) {
        waiting->answer(to_errc(std::string(info[0].As<Napi::String>())));
      } else {
        try {
          waiting->answer(read(info.Length() > 1 ? info[1] : info.Env().Undefined()));
        } catch (const Refused& refused) {
          waiting->answer(errc::storage_failed);
          throw Napi::TypeError::New(info.Env(), refused.detail);
        } catch (...) {
          waiting->answer(errc::storage_failed);
          throw;
        }
      }
    });
    Napi::Value decision = env.Undefined();
    if (decide != nullptr) {
      decision = Napi::Function::New(env, [waiting, decide](const Napi::CallbackInfo& info) -> Napi::Value {
        // Reading them may run JavaScript.
        Facts facts = facts_of(info);
        // The waiting thread has gone on, so `decide` is no longer valid.
        if (waiting->is_answered()) throw Napi::Error::New(info.Env(), "transact() has ended");
        std::string effects;
        append((*decide)(std::move(facts)), effects);
        return Napi::String::New(info.Env(), effects);
      });
    }
    function->Call({Napi::String::New(env, method), Napi::String::New(env, json), answer, decision});
  });
  return future.get();
}

error_code JsStorage::transact(const Questions& questions, const Decide& decide) {
  std::string json;
  append(questions, json);
  const auto ended = ask<bool>(
      "transact", std::move(json), [](Napi::Value) { return result<bool>(true); }, &decide);
  return ended ? error_code() : ended.error();
}

result<RemovedTokens> JsStorage::remove_tokens(const TokenRemoval& removal) {
  std::string json;
  append(removal, json);
  const bool names_them = std::holds_alternative<RevokeTokens>(removal);
  return ask<RemovedTokens>("removeTokens", std::move(json), [names_them](Napi::Value value) {
    const Arguments from = Arguments::of(value, "removeTokens()");
    RemovedTokens removed;
    removed.count = from.number("count");
    if (names_them) {
      if (!from.has("digests"))
        throw Refused{errc::storage_failed, "removeTokens().digests must be an array of strings"};
      for (const std::string& hex : from.strings("digests")) removed.digests.push_back(to_digest(hex));
    }
    return result<RemovedTokens>(std::move(removed));
  });
}

result<std::optional<Conversation>> JsStorage::find_conversation(const Uuid& id) {
  return ask<std::optional<Conversation>>("findConversation", id_json(id), [](Napi::Value value) {
    if (value.IsNull() || value.IsUndefined()) return result<std::optional<Conversation>>(std::nullopt);
    return result<std::optional<Conversation>>(to_record<Conversation>(Arguments::of(value, "findConversation()")));
  });
}

result<std::vector<ConversationSummary>> JsStorage::list_conversations(const ConversationQuery& query) {
  std::string json;
  {
    JsonObject object(json);
    object.add("orgId", query.org_id);
    object.add("text", query.text);
    append_strings(query.client_ids, object.key("clientIds"));
  }
  return ask<std::vector<ConversationSummary>>("listConversations", std::move(json), [](Napi::Value value) {
    auto holder = Napi::Object::New(value.Env());
    holder.Set("listConversations()", value);
    return result<std::vector<ConversationSummary>>(
        Arguments(holder).objects("listConversations()", to_record<ConversationSummary>));
  });
}

result<MessagePage> JsStorage::list_messages(const MessageQuery& query) {
  std::string json;
  {
    JsonObject object(json);
    object.add("conversationId", query.conversation_id);
    if (query.before_seq) object.add("beforeSeq", *query.before_seq);
    if (query.since_rev) object.add("sinceRev", *query.since_rev);
    object.add("limit", static_cast<std::uint64_t>(query.limit));
  }
  return ask<MessagePage>("listMessages", std::move(json), [](Napi::Value value) {
    return result<MessagePage>(to_record<MessagePage>(Arguments::of(value, "listMessages()")));
  });
}

result<ChangeList> JsStorage::list_changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) {
  std::string json;
  {
    JsonObject object(json);
    object.add("conversationId", conversation_id);
    object.add("sinceRev", since_rev);
    object.add("limit", static_cast<std::uint64_t>(limit));
  }
  return ask<ChangeList>("listChanges", std::move(json), [](Napi::Value value) {
    const Arguments from = Arguments::of(value, "listChanges()");
    ChangeList list;
    list.current_rev = from.number("currentRev");
    list.too_many = from.boolean("tooMany", false);
    from.each_object("changes", [&](const Arguments& one) { list.changes.push_back(to_change(one)); });
    list.epoch = from.optional_epoch("epoch");
    return result<ChangeList>(std::move(list));
  });
}

result<std::vector<Member>> JsStorage::list_members(const Uuid& conversation_id) {
  return ask<std::vector<Member>>("listMembers", id_json(conversation_id), [](Napi::Value value) {
    auto holder = Napi::Object::New(value.Env());
    holder.Set("listMembers()", value);
    return result<std::vector<Member>>(Arguments(holder).objects("listMembers()", to_record<Member>));
  });
}

result<Revisions> JsStorage::list_revisions(const RevisionQuery& query) {
  std::string json;
  {
    JsonObject object(json);
    std::vector<std::string> ids;
    for (const Uuid& id : query.conversation_ids) ids.push_back(to_string(id));
    append_strings(ids, object.key("conversationIds"));
    append_strings(query.org_ids, object.key("orgIds"));
  }
  return ask<Revisions>(
      "listRevisions", std::move(json),
      [conversations = query.conversation_ids.size(), organizations = query.org_ids.size()](Napi::Value value) {
        const Arguments from = Arguments::of(value, "listRevisions()");
        const auto numbers = [&](const char* name, std::size_t count) {
          std::vector<std::uint64_t> all = from.numbers(name);
          if (all.size() != count) {
            throw Refused{errc::storage_failed, from.name_of(name) + " must have " + std::to_string(count) +
                                                    " numbers, not " + std::to_string(all.size())};
          }
          return all;
        };
        return result<Revisions>(Revisions{numbers("conversations", conversations),
                                           numbers("organizations", organizations), from.optional_epoch("epoch")});
      });
}

result<std::uint64_t> JsStorage::count_unread(const std::string& org_id) {
  std::string json;
  JsonObject(json).add("orgId", org_id);
  return ask<std::uint64_t>("countUnread", std::move(json), [](Napi::Value value) {
    auto holder = Napi::Object::New(value.Env());
    holder.Set("countUnread()", value);
    return result<std::uint64_t>(Arguments(holder).number("countUnread()"));
  });
}

result<std::optional<TokenClaims>> JsStorage::find_token(const Sha256Digest& digest, TimePoint now) {
  std::string json;
  {
    JsonObject object(json);
    object.add("digest", to_hex(digest));
    object.add("now", now);
  }
  return ask<std::optional<TokenClaims>>("findToken", std::move(json), [](Napi::Value value) {
    if (value.IsNull() || value.IsUndefined()) return result<std::optional<TokenClaims>>(std::nullopt);
    return result<std::optional<TokenClaims>>(to_record<TokenClaims>(Arguments::of(value, "findToken()")));
  });
}

result<std::vector<Sha256Digest>> JsStorage::list_live_tokens(std::span<const Sha256Digest> digests, TimePoint now) {
  std::string json;
  {
    JsonObject object(json);
    std::vector<std::string> texts;
    for (const Sha256Digest& digest : digests) texts.push_back(to_hex(digest));
    append_strings(texts, object.key("digests"));
    object.add("now", now);
  }
  return ask<std::vector<Sha256Digest>>("listLiveTokens", std::move(json), [](Napi::Value value) {
    if (!value.IsArray()) {
      throw Napi::TypeError::New(value.Env(), "listLiveTokens() must be an array, not " + kind_of(value));
    }
    auto holder = Napi::Object::New(value.Env());
    holder.Set("listLiveTokens()", value);
    std::vector<Sha256Digest> live;
    for (const std::string& hex : Arguments(holder).strings("listLiveTokens()")) live.push_back(to_digest(hex));
    return result<std::vector<Sha256Digest>>(std::move(live));
  });
}

error_code JsStorage::ping() {
  const auto outcome = ask<bool>("ping", "{}", [](Napi::Value value) {
    // A working storage answers undefined; false counts as a failure.
    if (value.IsBoolean() && !value.As<Napi::Boolean>()) return result<bool>(errc::storage_failed);
    return result<bool>(true);
  });
  return outcome ? error_code() : outcome.error();
}

result<Pruned> JsStorageWithUpkeep::prune_changes(const PruneChanges& step) {
  std::string json;
  {
    JsonObject object(json);
    if (step.after == Uuid())
      object.add("after", std::optional<std::string>());
    else
      object.add("after", step.after);
    object.add("keepRevisions", step.keep_revisions);
    if (step.older_than)
      object.add("olderThan", *step.older_than);
    else
      object.add("olderThan", std::optional<std::string>());
    object.add("maxConversations", std::uint64_t{step.max_conversations});
    object.add("maxChanges", std::uint64_t{step.max_changes});
  }
  return ask<Pruned>("pruneChanges", std::move(json), [](Napi::Value value) {
    return result<Pruned>(to_record<Pruned>(Arguments::of(value, "pruneChanges()")));
  });
}

error_code JsStorageWithUpkeep::begin_epoch(const Uuid& epoch) {
  std::string json;
  JsonObject(json).add("epoch", epoch);
  const auto begun = ask<bool>("beginEpoch", std::move(json), [](Napi::Value) { return result<bool>(true); });
  return begun ? error_code() : begun.error();
}

}  // namespace travelchat::node
