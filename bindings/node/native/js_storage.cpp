#include "js_storage.hpp"

#include "values.hpp"

#include <utility>

namespace travelchat::node {
namespace {

// An answer on its way to the thread that waits for it. Dropped without one, it says that the storage has failed.
template <class T>
class Waiting {
 public:
  ~Waiting() {
    if (!answered_) promise_.set_value(errc::storage_failed);
  }
  std::future<result<T>> future() { return promise_.get_future(); }
  // JavaScript's thread; the first counts.
  void answer(result<T> value) {
    if (std::exchange(answered_, true)) return;
    promise_.set_value(std::move(value));
  }

 private:
  std::promise<result<T>> promise_;
  bool answered_ = false;
};

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
result<T> JsStorage::ask(const char* method, std::string json, Read read) {
  auto waiting = std::make_shared<Waiting<T>>();
  auto future = waiting->future();
  loop_->post(
      [waiting = std::move(waiting), call = call_, method, json = std::move(json), read](Loop& loop, Napi::Env env) {
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
            } catch (const Refused&) {
              waiting->answer(errc::storage_failed);
            } catch (const Napi::Error&) {
              waiting->answer(errc::storage_failed);
              throw;
            }
          }
        });
        function->Call({Napi::String::New(env, method), Napi::String::New(env, json), answer});
      });
  return future.get();
}

error_code JsStorage::commit(std::span<const Write> writes, std::vector<result<Written>>& results) {
  std::string json = "[";
  for (const Write& write : writes) {
    if (json.size() > 1) json += ',';
    append_write(write, json);
  }
  json += ']';
  auto outcome = ask<std::vector<result<Written>>>("commit", std::move(json), [](Napi::Value value) {
    std::vector<result<Written>> all;
    if (!value.IsArray()) throw Napi::TypeError::New(value.Env(), "commit must give an array");
    const auto array = value.As<Napi::Array>();
    for (std::uint32_t i = 0; i < array.Length(); ++i) {
      const Arguments one = Arguments::of(array.Get(i), "commit()[" + std::to_string(i) + "]");
      if (const auto error = one.optional_string("error"))
        all.emplace_back(to_errc(*error));
      else
        all.emplace_back(to_written(one));
    }
    return result<std::vector<result<Written>>>(std::move(all));
  });
  if (!outcome) return outcome.error();
  if (outcome->size() != writes.size()) return errc::storage_failed;
  results = std::move(*outcome);
  return {};
}

result<std::optional<Conversation>> JsStorage::find_conversation(const Uuid& id) {
  return ask<std::optional<Conversation>>("findConversation", id_json(id), [](Napi::Value value) {
    if (value.IsNull() || value.IsUndefined()) return result<std::optional<Conversation>>(std::nullopt);
    return result<std::optional<Conversation>>(to_conversation(Arguments::of(value, "findConversation()")));
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
    std::vector<ConversationSummary> rows;
    for (const Arguments& row : Arguments(holder).objects("listConversations()")) rows.push_back(to_summary(row));
    return result<std::vector<ConversationSummary>>(std::move(rows));
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
    const Arguments from = Arguments::of(value, "listMessages()");
    MessagePage page;
    for (const Arguments& message : from.objects("messages")) page.messages.push_back(to_message(message));
    page.has_more = from.boolean("hasMore", false);
    return result<MessagePage>(std::move(page));
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
    for (const Arguments& change : from.objects("changes")) list.changes.push_back(to_change(change));
    return result<ChangeList>(std::move(list));
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
        const auto numbers = [&](const char* name, std::size_t count) {
          const Napi::Value list = Arguments::of(value, "listRevisions()").value(name);
          std::vector<std::uint64_t> all;
          if (!list.IsArray() || list.As<Napi::Array>().Length() != count) throw Refused{errc::storage_failed};
          for (std::uint32_t i = 0; i < count; ++i) {
            all.push_back(static_cast<std::uint64_t>(list.As<Napi::Array>().Get(i).ToNumber().Int64Value()));
          }
          return all;
        };
        return result<Revisions>(
            Revisions{numbers("conversations", conversations), numbers("organizations", organizations)});
      });
}

result<std::uint64_t> JsStorage::count_unread(const std::string& org_id) {
  std::string json;
  JsonObject(json).add("orgId", org_id);
  return ask<std::uint64_t>("countUnread", std::move(json), [](Napi::Value value) {
    if (!value.IsNumber()) throw Napi::TypeError::New(value.Env(), "countUnread must give a number");
    return result<std::uint64_t>(static_cast<std::uint64_t>(value.ToNumber().Int64Value()));
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
    return result<std::optional<TokenClaims>>(to_claims(Arguments::of(value, "findToken()")));
  });
}

error_code JsStorage::ping() {
  const auto outcome = ask<bool>("ping", "{}", [](Napi::Value) { return result<bool>(true); });
  return outcome ? error_code() : outcome.error();
}

}  // namespace travelchat::node
