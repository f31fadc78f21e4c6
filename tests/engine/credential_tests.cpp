// Listeners that end with the credential that they rest on.
#include "engine_fixture.hpp"

#include <boost/asio/post.hpp>

#include <future>

using namespace travelchat;
using namespace travelchat::test;
using namespace std::chrono_literals;

namespace {

errc code_of(const error_code& error) {
  return describe(error).code;
}

struct Listener {
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  Subscription subscription;
};

// A client who listens by a chat token.
struct ByToken : Listener {
  ByToken(ChatEngine& engine, const Uuid& conversation, std::string client_id = "client-1",
          std::string trip_id = "trip-1") {
    const TokenGrant grant{"org-1", client_id, std::move(trip_id), conversation};
    issued = get(engine.async_issue_token(grant, use_future)).value();
    SubscribeOptions options;
    options.credential = Credential::of_chat_token(issued.token, issued.expires_at);
    const Participant who{"org-1", Role::client, client_id, "Clara"};
    subscription = get(engine.async_subscribe(who, conversation, recorder, options, use_future)).value();
  }
  IssuedToken issued;
};

// An advisor who listens by a session.
struct BySession : Listener {
  BySession(ChatEngine& engine, const Uuid& conversation, std::string_view session) {
    SubscribeOptions options;
    options.credential = Credential::of_session(session);
    subscription = get(engine.async_subscribe(advisor, conversation, recorder, options, use_future)).value();
  }
};

// Hears what is written next, so it was not closed.
template <class... Listeners>
void go_on(Running& f, const Uuid& conversation, Listeners&... listeners) {
  const std::uint64_t rev = f.send(advisor, draft(conversation, "still here")).value().message.rev;
  (listeners.recorder->wait_for_rev(rev), ...);
}

}  // namespace

TEST_CASE("a revoked token ends whoever listens by it, and nobody else") {
  Running f;
  const Uuid conversation = f.open();
  ByToken one(f.engine, conversation);
  ByToken other(f.engine, conversation);
  BySession colleague(f.engine, conversation, "s");
  REQUIRE(get(f.engine.async_revoke_token(one.issued.token, use_future)).value());
  CHECK(one.recorder->wait_for_close() == errc::unauthenticated);
  go_on(f, conversation, other, colleague);
}

TEST_CASE("a token that makes room for a newer one ends its listeners") {
  EngineOptions options;
  options.max_live_tokens = 1;
  Running f(options);
  const Uuid conversation = f.open();
  ByToken first(f.engine, conversation);
  ByToken second(f.engine, conversation);
  CHECK(first.recorder->wait_for_close() == errc::unauthenticated);
  go_on(f, conversation, second);
}

TEST_CASE("tokens are revoked by client, by trip and by both, with their listeners") {
  Running f;
  const Uuid clara = f.open();
  const Uuid dora = f.open("client-2");
  const auto revoke = [&](std::string org, std::optional<std::string> client = {},
                          std::optional<std::string> trip = {}) {
    return get(f.engine.async_revoke_tokens({std::move(org), std::move(client), std::move(trip)}, use_future));
  };
  ByToken clara_1(f.engine, clara);
  ByToken clara_2(f.engine, clara, "client-1", "trip-2");
  ByToken dora_1(f.engine, dora, "client-2");
  ByToken dora_2(f.engine, dora, "client-2", "trip-2");

  CHECK(code_of(revoke("org-1").error()) == errc::invalid_argument);
  CHECK(code_of(revoke("org-1", "").error()) == errc::invalid_argument);
  CHECK(code_of(revoke("org-1", "client-1", "").error()) == errc::invalid_argument);
  CHECK(revoke("org-2", "client-1").value() == 0);
  CHECK(revoke("org-1", "client-1", "trip-3").value() == 0);
  go_on(f, clara, clara_1, clara_2);

  CHECK(revoke("org-1", "client-1", "trip-1").value() == 1);
  CHECK(clara_1.recorder->wait_for_close() == errc::unauthenticated);
  go_on(f, clara, clara_2);
  CHECK(revoke("org-1", std::nullopt, "trip-2").value() == 2);
  CHECK(clara_2.recorder->wait_for_close() == errc::unauthenticated);
  CHECK(dora_2.recorder->wait_for_close() == errc::unauthenticated);
  go_on(f, dora, dora_1);
  CHECK(revoke("org-1", "client-2").value() == 1);
  CHECK(dora_1.recorder->wait_for_close() == errc::unauthenticated);
  CHECK(code_of(get(f.engine.async_authenticate_token(dora_1.issued.token, use_future)).error()) ==
        errc::unauthenticated);
}

TEST_CASE("a session that ends takes its conversations and its inbox with it") {
  Running f;
  const Uuid conversation = f.open();
  BySession here(f.engine, conversation, "session-1");
  BySession other(f.engine, conversation, "session-2");
  InboxOptions options;
  options.credential = Credential::of_session("session-1");
  const auto inbox = std::make_shared<Recorder>();
  const Subscription listening = get(f.engine.async_subscribe_inbox("org-1", inbox, options, use_future)).value();
  f.engine.end_session("session-1");
  CHECK(here.recorder->wait_for_close() == errc::unauthenticated);
  CHECK(inbox->wait_for_close() == errc::unauthenticated);
  go_on(f, conversation, other);
  CHECK(f.engine.stats().subscribers == 1);
}

TEST_CASE("whoever was let in just before the credential ended is closed all the same") {
  Running f;
  const Uuid conversation = f.open();
  f.engine.end_session("session-1");
  SubscribeOptions options;
  options.credential = Credential::of_session("session-1");
  const auto late = std::make_shared<Recorder>();
  const auto refused = get(f.engine.async_subscribe(advisor, conversation, late, options, use_future));
  CHECK(code_of(refused.error()) == errc::unauthenticated);
  CHECK(late->events().empty());
}

TEST_CASE("a token that expires ends its listeners") {
  EngineOptions options;
  options.token_lifetime = 200ms;
  options.credential_check_interval = 20ms;
  Running f(options);
  const Uuid conversation = f.open();
  ByToken one(f.engine, conversation);
  CHECK(one.recorder->wait_for_close() == errc::unauthenticated);
}

TEST_CASE("who leaves is not closed when the credential ends later") {
  Running f;
  const Uuid conversation = f.open();
  ByToken gone(f.engine, conversation);
  ByToken other(f.engine, conversation);
  gone.subscription.reset();
  get(f.engine.async_revoke_token(gone.issued.token, use_future)).value();
  go_on(f, conversation, other);
}

TEST_CASE("nobody listens to a conversation that is out of reach") {
  Running f;
  const Uuid conversation = f.open();
  const auto subscribe = [&](const Participant& who, const Uuid& id) {
    return get(f.engine.async_subscribe(who, id, std::make_shared<Recorder>(), {}, use_future));
  };
  const auto refused = [&](const Participant& who, const Uuid& id) { return code_of(subscribe(who, id).error()); };
  const Participant stranger{"org-2", Role::advisor, "advisor-1", "Sam"};
  const Participant other_client{"org-1", Role::client, "client-2", "Dora"};
  // Before there is a room, and beside somebody who is in it.
  for (int i = 0; i < 2; ++i) {
    CHECK(refused(stranger, conversation) == errc::not_found);
    CHECK(refused(other_client, conversation) == errc::not_found);
    CHECK(refused(advisor, Uuid{}) == errc::not_found);
    if (i == 0) CHECK(subscribe(client, conversation).has_value());
    const Subscription stays = subscribe(advisor, conversation).value();
    CHECK(refused(stranger, conversation) == errc::not_found);
    CHECK(refused(other_client, conversation) == errc::not_found);
  }
  // What the caller claims to have read is checked against the same rules.
  SubscribeOptions options;
  const Conversation known = get(f.engine.async_find_conversation(conversation, use_future)).value();
  options.known = &known;
  CHECK(code_of(get(f.engine.async_subscribe(stranger, conversation, std::make_shared<Recorder>(), options, use_future))
                    .error()) == errc::not_found);
}
