#include "engine_fixture.hpp"

#include <travelchat/arguments.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <mutex>
#include <thread>
#include <vector>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;

namespace {

errc code_of(const error_code& error) {
  return describe(error).code;
}

// A storage that gives as many messages as it has, whatever the bound is.
class Boundless : public Gate {
 public:
  explicit Boundless(std::size_t messages) : messages_(messages) {}

  result<MessagePage> list_messages(const MessageQuery&) override {
    MessagePage page;
    page.messages.resize(messages_);
    return page;
  }

 private:
  std::size_t messages_;
};

}  // namespace

TEST_CASE("an answered message is stored, with the next seq and rev") {
  Running f;
  const Uuid conversation = f.open();
  const Sent first = f.send(advisor, draft(conversation, "  Hello\n")).value();
  const Sent second = f.send(client, draft(conversation, "Hi")).value();
  REQUIRE(first.message.content == "Hello");
  REQUIRE(first.message.seq == 1);
  REQUIRE(second.message.seq == 2);
  REQUIRE(second.message.rev == first.message.rev + 1);
  REQUIRE(f.messages(conversation) == std::vector<Message>{first.message, second.message});
}

TEST_CASE("the same clientMessageId answers with the first message, and other content is a conflict") {
  Running f;
  const Uuid conversation = f.open();
  const Sent first = f.send(client, draft(conversation, "once", "key-1")).value();
  const Sent again = f.send(client, draft(conversation, "once", "key-1")).value();
  REQUIRE(first.created);
  REQUIRE_FALSE(again.created);
  REQUIRE(again.message == first.message);
  REQUIRE(code_of(f.send(client, draft(conversation, "twice", "key-1")).error()) == errc::idempotency_conflict);
  REQUIRE(f.send(advisor, draft(conversation, "mine", "key-1")).value().created);
  REQUIRE(f.messages(conversation).size() == 2);
}

TEST_CASE("what is malformed is refused before it reaches the storage") {
  Running f;
  const Uuid conversation = f.open();
  REQUIRE(code_of(f.send(client, draft(conversation, " \n\xE2\x80\x8B")).error()) == errc::invalid_content);
  REQUIRE(code_of(f.send(client, draft(conversation, "x", "white space")).error()) == errc::invalid_client_message_id);
  Draft attached = draft(conversation, "x");
  attached.attachment_url = std::string(2'049, 'u');
  REQUIRE(code_of(f.send(client, attached).error()) == errc::invalid_argument);
  REQUIRE(code_of(f.send({"org 1", Role::client, "client-1", "C"}, draft(conversation, "x")).error()) ==
          errc::invalid_argument);
  REQUIRE(code_of(get(f.engine.async_open_conversation("org-1", "", use_future)).error()) == errc::invalid_argument);
  REQUIRE(f.engine.stats().writes == 1);
}

TEST_CASE("what is malformed has a problem with a name") {
  const auto said = [](const Problem& problem) { return problem ? std::string(problem->what()) : std::string(); };
  const std::string must = " must be 1 to 128 printable ASCII characters without spaces, and ";
  CHECK(said(find_problem_of_host_id("client_id", "client-1")).empty());
  CHECK(said(find_problem_of_host_id("client_id", "")) == "client_id" + must + "is empty");
  CHECK(said(find_problem(Participant{"org 1", Role::client, "client-1"})) == "org_id" + must + "holds a space");
  CHECK(said(find_problem(Participant{"org-1", Role::client, "cl\xC3\xA4ra"})) ==
        "id" + must + "holds another character");
  CHECK(said(find_problem(Participant{"org-1", Role::client, std::string(129, 'x')})) == "id" + must + "has 129");
  CHECK(said(find_problem(advisor)).empty());

  Draft attached;
  attached.attachment_url = "https://files.example/a.pdf";
  attached.attachment_type = "application/pdf";
  CHECK(said(find_problem(attached)).empty());
  attached.attachment_type = std::string(2'049, 'x');
  CHECK(said(find_problem(attached)) == "attachment_type must be 1 to 2048 bytes of UTF-8 without a NUL, and has 2049");
  for (const char* url : {"javascript:alert(1)", "//evil.example/a", "data:text/html,secret"}) {
    attached.attachment_url = url;
    CHECK(said(find_problem(attached)) ==
          "attachment_url must be an http or https URL without a user name, or a path of the server that begins with "
          "one /");
  }

  CHECK(said(find_problem(MessageQuery{.limit = 201})) == "limit must be 1 to 200, and is 201");
  CHECK(said(find_problem(MessageQuery{.before_seq = 0})) == "before_seq must be at least 1: the first message's seq");
  CHECK(said(find_problem(MessageQuery{.before_seq = 2, .since_rev = 2})) ==
        "before_seq and since_rev exclude each other");
  CHECK(said(find_problem(ConversationQuery{"org-1", "\xFF"})) == "text must be UTF-8");
  CHECK(said(find_problem(TokenGrant{"org-1", "client-1", "trip 1", Uuid()})) == "trip_id" + must + "holds a space");
  CHECK(said(find_problem(TokenGrant{"org-1", "client-1", "trip-1", Uuid(), ""})) ==
        "share_token must not be empty: without one, leave it out");
  CHECK(said(find_problem(TokenFilter{"org-1"})) == "client_id or trip_id must be given, or both");
  CHECK(said(find_problem(TokenFilter{"org-1", "client-1"})).empty());
}

TEST_CASE("an attachment is where a page may follow, on the web or on the server") {
  Running f;
  const Uuid conversation = f.open();
  Draft attached = draft(conversation, "x");
  for (const char* url :
       {"javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "//evil.example/a", "a.pdf"}) {
    attached.attachment_url = url;
    CHECK(code_of(f.send(client, attached).error()) == errc::invalid_argument);
  }
  for (const char* url : {"https://files.example/a.pdf", "/files/1"}) {
    attached.attachment_url = url;
    CHECK(f.send(client, attached).value().message.attachment_url == url);
  }
}

TEST_CASE("a conversation of another organization or client answers as one that does not exist") {
  Running f;
  const Uuid conversation = f.open();
  const Message message = f.send(client, draft(conversation, "x")).value().message;
  for (const Participant& stranger :
       {Participant{"org-2", Role::advisor, "advisor-9", "X"}, Participant{"org-1", Role::client, "client-2", "Y"},
        Participant{"org-2", Role::client, "client-1", "Z"}}) {
    MessageQuery query;
    query.conversation_id = conversation;
    CHECK(code_of(f.send(stranger, draft(conversation, "x")).error()) == errc::not_found);
    CHECK(code_of(get(f.engine.async_list_messages(stranger, query, use_future)).error()) == errc::not_found);
    CHECK(code_of(get(f.engine.async_mark(stranger, conversation, use_future)).error()) == errc::not_found);
    CHECK(code_of(get(f.engine.async_react(stranger, conversation, message.id, Emoji::heart, use_future)).error()) ==
          errc::not_found);
  }
}

TEST_CASE("paging parameters outside their bounds are invalid") {
  Running f;
  MessageQuery query;
  query.conversation_id = f.open();
  for (const auto& [limit, before, since] :
       {std::tuple<std::size_t, std::optional<std::uint64_t>, std::optional<std::uint64_t>>{0, {}, {}},
        {201, {}, {}},
        {10, 0, {}},
        {10, 5, 5}}) {
    query.limit = limit;
    query.before_seq = before;
    query.since_rev = since;
    CHECK(code_of(get(f.engine.async_list_messages(advisor, query, use_future)).error()) == errc::invalid_argument);
  }
}

TEST_CASE("more messages than a page by revision may have are refused, although the storage gives them") {
  const auto since = [](std::size_t messages, std::optional<std::uint64_t> rev) {
    Running f({}, std::make_unique<Boundless>(messages));
    MessageQuery query;
    query.conversation_id = f.open();
    query.since_rev = rev;
    return get(f.engine.async_list_messages(advisor, query, use_future));
  };
  const auto whole = since(max_changed_messages, 0);
  REQUIRE(whole.has_value());
  CHECK(whole->messages.size() == max_changed_messages);
  CHECK(code_of(since(max_changed_messages + 1, 0).error()) == errc::too_many_changes);
}

TEST_CASE("a full queue refuses further writes and loses none that it took") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  EngineOptions options;
  options.max_queued_writes = 3;
  Running f(options, std::move(owned));
  const Uuid conversation = f.open();
  gate.hold(true);
  std::vector<std::future<result<Sent>>> answers;
  answers.push_back(f.engine.async_send(client, draft(conversation, "0"), use_future));
  gate.wait_for_commit(2);  // the first is in a transaction, the queue is empty
  for (int i = 1; i <= 3; ++i)
    answers.push_back(f.engine.async_send(client, draft(conversation, std::to_string(i)), use_future));
  REQUIRE(code_of(f.send(client, draft(conversation, "one too many")).error()) == errc::overloaded);
  gate.hold(false);
  for (auto& answer : answers) REQUIRE(get(std::move(answer)).has_value());
  REQUIRE(f.messages(conversation).size() == 4);
  REQUIRE(f.engine.stats().commits == 3);
}

// Writes all of it from one handler on the engine's own thread, as a server's handlers do.
std::vector<std::future<result<Sent>>> send_in_one_round(Running& f, const Uuid& conversation, int count) {
  std::promise<std::vector<std::future<result<Sent>>>> sent;
  f.engine.async_ping([&](result<bool>) {
    std::vector<std::future<result<Sent>>> answers;
    for (int i = 0; i < count; ++i)
      answers.push_back(f.engine.async_send(client, draft(conversation, std::to_string(i)), use_future));
    sent.set_value(std::move(answers));
  });
  return get(sent.get_future());
}

TEST_CASE("what a thread of the engine is asked to write in one round of its loop is one transaction, in order") {
  Running f;
  const Uuid conversation = f.open();
  const std::uint64_t before = f.engine.stats().commits;
  for (auto& answer : send_in_one_round(f, conversation, 20)) REQUIRE(get(std::move(answer)).has_value());
  CHECK(f.engine.stats().commits == before + 1);
  const std::vector<Message> messages = f.messages(conversation);
  REQUIRE(messages.size() == 20);
  for (std::size_t i = 0; i < messages.size(); ++i) CHECK(messages[i].content == std::to_string(i));
}

TEST_CASE("of one round, what the queue has no room for is refused, and the rest stored") {
  EngineOptions options;
  options.max_queued_writes = 3;
  Running f(options);
  const Uuid conversation = f.open();
  std::vector<std::future<result<Sent>>> answers = send_in_one_round(f, conversation, 5);
  for (std::size_t i = 0; i < 5; ++i) {
    const result<Sent> answer = get(std::move(answers[i]));
    if (i < 3) {
      CHECK(answer.has_value());
    } else {
      CHECK(code_of(answer.error()) == errc::overloaded);
    }
  }
  CHECK(f.messages(conversation).size() == 3);
}

TEST_CASE("a failed transaction fails every write of it and nobody hears of them") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  Running f({}, std::move(owned));
  const Uuid conversation = f.open();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = f.subscribe(client, conversation, listener);
  gate.failing = errc::storage_full;
  REQUIRE(code_of(f.send(advisor, draft(conversation, "lost")).error()) == errc::storage_full);
  gate.failing = std::nullopt;
  REQUIRE(f.send(advisor, draft(conversation, "kept")).has_value());
  const std::vector<Event> heard = listener->wait_for(2);
  REQUIRE(std::get<MessageCreated>(heard[1]).message.content == "kept");
  REQUIRE(f.engine.stats().failed_commits == 1);
}

TEST_CASE("a storage that throws is a failed storage, and the engine goes on") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  Running f({}, std::move(owned));
  const Uuid conversation = f.open();
  gate.throwing = true;
  REQUIRE(code_of(f.send(client, draft(conversation, "x")).error()) == errc::storage_failed);
  REQUIRE(code_of(get(f.engine.async_find_conversation(conversation, use_future)).error()) == errc::storage_failed);
  gate.throwing = false;
  REQUIRE(f.send(client, draft(conversation, "x")).has_value());
}

TEST_CASE("the log hears what a storage throws and how it fails, and nothing of the messages") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  std::mutex mutex;
  std::vector<std::string> lines;
  EngineOptions options;
  options.log = [&](const LogRecord& record) {
    const std::lock_guard lock(mutex);
    if (record.level != LogLevel::error) lines.emplace_back("of another level");
    lines.push_back(std::string(record.event) + ": " + std::string(record.subject) + ": " + std::string(record.detail));
    throw std::runtime_error("a log that fails");
  };
  Running f(options, std::move(owned));
  const Uuid conversation = f.open();
  gate.throwing = true;
  REQUIRE_FALSE(f.send(client, draft(conversation, "secret")).has_value());
  REQUIRE_FALSE(get(f.engine.async_find_conversation(conversation, use_future)).has_value());
  gate.throwing = false;
  gate.failing = errc::storage_full;
  REQUIRE_FALSE(f.send(client, draft(conversation, "secret")).has_value());
  gate.failing = std::nullopt;
  // What a caller does wrong is no trouble of the storage's.
  REQUIRE_FALSE(f.send(client, draft(Uuid(), "secret")).has_value());
  REQUIRE(f.send(client, draft(conversation, "kept")).has_value());
  const std::lock_guard lock(mutex);
  // The engine reads by itself, too: what a failed commit may have left.
  std::erase(lines, "storage_failed: read: storage_full");
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  REQUIRE(lines == std::vector<std::string>{"storage_threw: commit: a storage of somebody else's",
                                            "storage_threw: read: a storage of somebody else's",
                                            "storage_failed: commit: storage_full"});
}

TEST_CASE("close carries out what was accepted and answers everything else with closed") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  Running f({}, std::move(owned));
  const Uuid conversation = f.open();
  const auto listener = std::make_shared<Recorder>();
  Subscription subscription = f.subscribe(client, conversation, listener);
  gate.hold(true);
  auto accepted = f.engine.async_send(client, draft(conversation, "accepted"), use_future);
  gate.wait_for_commit(2);
  std::thread closer([&] { f.engine.close(); });
  gate.hold(false);
  closer.join();
  f.engine.close();
  REQUIRE(get(std::move(accepted)).has_value());
  REQUIRE(listener->wait_for_close() == errc::closed);
  REQUIRE(std::holds_alternative<MessageCreated>(listener->events().back()));
  REQUIRE(code_of(f.send(client, draft(conversation, "late")).error()) == errc::closed);
  REQUIRE(code_of(get(f.engine.async_count_unread("org-1", use_future)).error()) == errc::closed);
  REQUIRE(code_of(get(f.engine.async_subscribe(client, conversation, listener, {}, use_future)).error()) ==
          errc::closed);
  REQUIRE(code_of(get(f.engine.async_authenticate_token(std::string(64, 'a'), use_future)).error()) == errc::closed);
  subscription.set_typing(true);
  subscription.reset();
}

TEST_CASE("what was accepted before close is answered by the engine's own threads") {
  boost::asio::thread_pool pool(1);
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  Running f({}, std::move(owned));
  const Uuid conversation = f.open();
  std::promise<std::thread::id> own;
  boost::asio::post(f.engine.shard_context(0), [&] { own.set_value(std::this_thread::get_id()); });
  gate.hold(true);
  std::promise<std::thread::id> answered_by;
  f.engine.async_send(client, draft(conversation, "accepted"),
                      [&](result<Sent>) { answered_by.set_value(std::this_thread::get_id()); });
  gate.wait_for_commit(2);
  std::thread closer([&] { f.engine.close(); });
  // Until it has begun to close.
  const auto find = [&] {
    return get(
        f.engine.async_find_conversation(conversation, boost::asio::bind_executor(pool, boost::asio::use_future)));
  };
  auto found = find();
  while (found) found = find();
  CHECK(code_of(found.error()) == errc::closed);
  gate.hold(false);
  closer.join();
  CHECK(get(answered_by.get_future()) == get(own.get_future()));
}

TEST_CASE("a completion runs where its handler asked for it") {
  boost::asio::thread_pool pool(1);  // outlives the engine that posts to it
  Running f;
  std::promise<std::thread::id> pool_thread;
  boost::asio::post(pool, [&] { pool_thread.set_value(std::this_thread::get_id()); });
  std::promise<std::thread::id> ran_on;
  f.engine.async_open_conversation("org-1", "client-1", boost::asio::bind_executor(pool, [&](result<Conversation>) {
                                     ran_on.set_value(std::this_thread::get_id());
                                   }));
  REQUIRE(get(ran_on.get_future()) == get(pool_thread.get_future()));
}

TEST_CASE("a chat token stands for its client until it is revoked, expires, or ten newer ones exist") {
  EngineOptions options;
  options.max_live_tokens = 10;
  Running f(options);
  const Uuid conversation = f.open();
  const TokenGrant grant{"org-1", "client-1", "trip-1", conversation};
  const auto check = [&](const std::string& token) {
    return get(f.engine.async_authenticate_token(token, use_future));
  };
  const IssuedToken issued = get(f.engine.async_issue_token(grant, use_future)).value();
  REQUIRE(issued.token.size() == 64);
  for (int i = 0; i < 2; ++i) {  // read from the storage, then from the cache
    REQUIRE(check(issued.token).value() == TokenClaims{"org-1", "client-1", "trip-1", conversation, issued.expires_at});
  }
  REQUIRE(code_of(check(std::string(64, '0')).error()) == errc::unauthenticated);
  REQUIRE(code_of(check(issued.token.substr(1)).error()) == errc::unauthenticated);

  REQUIRE(get(f.engine.async_revoke_token(issued.token, use_future)).value());
  REQUIRE(code_of(check(issued.token).error()) == errc::unauthenticated);
  REQUIRE_FALSE(get(f.engine.async_revoke_token(issued.token, use_future)).value());

  std::vector<std::string> tokens;
  for (int i = 0; i < 11; ++i) {
    tokens.push_back(get(f.engine.async_issue_token(grant, use_future)).value().token);
    REQUIRE(check(tokens.back()).has_value());
  }
  REQUIRE(code_of(check(tokens.front()).error()) == errc::unauthenticated);
  REQUIRE(check(tokens[1]).has_value());
}

TEST_CASE("expired tokens are refused, and swept") {
  EngineOptions options;
  options.token_lifetime = 0s;
  Running f(options);
  const TokenGrant grant{"org-1", "client-1", "trip-1", f.open()};
  const IssuedToken issued = get(f.engine.async_issue_token(grant, use_future)).value();
  REQUIRE(code_of(get(f.engine.async_authenticate_token(issued.token, use_future)).error()) == errc::unauthenticated);
  REQUIRE(get(f.engine.async_sweep_tokens(use_future)).value() == 1);
  REQUIRE(get(f.engine.async_sweep_tokens(use_future)).value() == 0);
}

TEST_CASE("many writers in many conversations get dense sequences, and their writes share transactions") {
  Running f;
  constexpr int conversations = 8;
  constexpr int writes = 50;
  std::vector<Uuid> ids;
  for (int i = 0; i < conversations; ++i) ids.push_back(f.open("client-" + std::to_string(i)));
  std::vector<std::future<result<Sent>>> answers;
  for (int w = 0; w < writes; ++w) {
    for (const Uuid& id : ids) answers.push_back(f.engine.async_send(advisor, draft(id, "m"), use_future));
  }
  for (auto& answer : answers) REQUIRE(get(std::move(answer)).has_value());
  for (const Uuid& id : ids) {
    const std::vector<Message> stored = f.messages(id);
    REQUIRE(stored.size() == writes);
    for (std::size_t i = 0; i < stored.size(); ++i) REQUIRE(stored[i].seq == i + 1);
  }
  const EngineStats stats = f.engine.stats();
  REQUIRE(stats.messages == conversations * writes);
  REQUIRE(stats.commits < stats.writes);
}
