#include "engine_fixture.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <thread>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;
using boost::asio::use_future;

namespace {

errc code_of(const error_code& error) {
  return describe(error).code;
}

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

TEST_CASE("a failed transaction fails every write of it and nobody hears of them") {
  auto owned = std::make_unique<Gate>();
  Gate& gate = *owned;
  Running f({}, std::move(owned));
  const Uuid conversation = f.open();
  const auto listener = std::make_shared<Recorder>();
  const Subscription subscription = f.subscribe(client, conversation, listener);
  gate.failing = errc::storage_full;
  REQUIRE(code_of(f.send(advisor, draft(conversation, "lost")).error()) == errc::storage_full);
  gate.failing.reset();
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
