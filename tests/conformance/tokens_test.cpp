#include "fixture.hpp"

#include <algorithm>

namespace travelchat::conformance {
namespace {

Sha256Digest digest(unsigned number) {
  Sha256Digest bytes{};
  bytes[0] = static_cast<std::uint8_t>(number >> 8);
  bytes[31] = static_cast<std::uint8_t>(number);
  return bytes;
}

TokenClaims claims(const Conversation& conversation, TimePoint expires_at, std::string trip_id = "trip-1") {
  return {conversation.org_id, conversation.client_id, std::move(trip_id), conversation.id, expires_at};
}

bool is_live(Chat& chat, unsigned number) {
  const auto found = chat.storage().find_token(digest(number), chat.now());
  REQUIRE(found);
  return found->has_value();
}

}  // namespace

TEST_CASE("a token brings its claims until the moment it expires") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const TimePoint expires_at = chat.now() + seconds{10};
  const auto put = chat.write(PutToken{digest(1), claims(conversation, expires_at), chat.now()});
  REQUIRE(put);
  CHECK(put->changed);
  chat.reopen();

  const auto live = chat.storage().find_token(digest(1), expires_at - milliseconds{1});
  REQUIRE(live);
  CHECK(*live == claims(conversation, expires_at));
  const auto expired = chat.storage().find_token(digest(1), expires_at);
  REQUIRE(expired);
  CHECK_FALSE(*expired);
  const auto unknown = chat.storage().find_token(digest(2), chat.now());
  REQUIRE(unknown);
  CHECK_FALSE(*unknown);
}

TEST_CASE("beyond max_live the oldest live tokens of the same client and trip are deleted") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open("client-1");
  const auto other_client = chat.open("client-2");
  const auto other_org = chat.open("client-1", "org-2");
  const TimePoint expires_at = chat.now() + seconds{1000};
  const auto put = [&](unsigned number, const TokenClaims& of) {
    const auto written = chat.write(PutToken{digest(number), of, chat.tick(), 3});
    REQUIRE(written);
    return written->evicted;
  };
  put(100, claims(other_client, expires_at));
  put(101, claims(other_org, expires_at));
  put(102, claims(conversation, expires_at, "trip-2"));
  for (unsigned i = 1; i <= 3; ++i) CHECK(put(i, claims(conversation, expires_at)).empty());
  CHECK(put(4, claims(conversation, expires_at)) == std::vector<Sha256Digest>{digest(1)});
  CHECK(put(5, claims(conversation, expires_at)) == std::vector<Sha256Digest>{digest(2)});
  CHECK_FALSE(is_live(chat, 1));
  CHECK_FALSE(is_live(chat, 2));
  CHECK(is_live(chat, 3));
  CHECK(is_live(chat, 4));
  CHECK(is_live(chat, 5));
  CHECK(is_live(chat, 100));
  CHECK(is_live(chat, 101));
  CHECK(is_live(chat, 102));
}

TEST_CASE("an expired token takes no place among the live ones") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const TimePoint late = chat.now() + seconds{1000};
  REQUIRE(chat.write(PutToken{digest(1), claims(conversation, late), chat.tick(), 2}));
  const TimePoint early = chat.tick() + milliseconds{1};
  REQUIRE(chat.write(PutToken{digest(2), claims(conversation, early), chat.now(), 2}));
  chat.tick();
  REQUIRE(chat.write(PutToken{digest(3), claims(conversation, late), chat.tick(), 2}));
  CHECK(is_live(chat, 1));
  CHECK_FALSE(is_live(chat, 2));
  CHECK(is_live(chat, 3));
  REQUIRE(chat.write(PutToken{digest(4), claims(conversation, late), chat.tick(), 2}));
  CHECK_FALSE(is_live(chat, 1));
  CHECK(is_live(chat, 3));
  CHECK(is_live(chat, 4));
}

TEST_CASE("a deleted token is gone, and deleting it again changes nothing") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  REQUIRE(chat.write(PutToken{digest(1), claims(conversation, chat.now() + seconds{10}), chat.now()}));
  const auto deleted = chat.write(DeleteToken{digest(1)});
  REQUIRE(deleted);
  CHECK(deleted->changed);
  CHECK(deleted->count == 1);
  CHECK_FALSE(is_live(chat, 1));
  const auto again = chat.write(DeleteToken{digest(1)});
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  CHECK(again->count == 0);
}

TEST_CASE("a sweep deletes every token that has expired") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b", "org-2");
  const TimePoint start = chat.now();
  REQUIRE(chat.write(PutToken{digest(1), claims(a, start + seconds{1}), start}));
  REQUIRE(chat.write(PutToken{digest(2), claims(b, start + seconds{2}), start}));
  REQUIRE(chat.write(PutToken{digest(3), claims(a, start + seconds{2} + milliseconds{1}), start}));
  const auto swept = chat.write(SweepTokens{start + seconds{2}});
  REQUIRE(swept);
  CHECK(swept->changed);
  CHECK(swept->count == 2);
  CHECK_FALSE(is_live(chat, 1));
  CHECK_FALSE(is_live(chat, 2));
  CHECK(is_live(chat, 3));
  const auto again = chat.write(SweepTokens{start + seconds{2}});
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  CHECK(again->count == 0);
}

TEST_CASE("a token for what is not a conversation of its client is not found") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  auto nowhere = claims(conversation, chat.now() + seconds{10});
  nowhere.conversation_id = make_uuid(chat.tick());
  auto other_client = claims(conversation, chat.now() + seconds{10});
  other_client.client_id = "client-2";
  auto other_org = claims(conversation, chat.now() + seconds{10});
  other_org.org_id = "org-2";
  for (const auto& wrong : {nowhere, other_client, other_org}) {
    CHECK(failed_with(chat.write(PutToken{digest(1), wrong, chat.now()}), errc::not_found));
  }
  CHECK_FALSE(is_live(chat, 1));
}

TEST_CASE("a digest that is taken fails alone") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto first = claims(conversation, chat.now() + seconds{10});
  REQUIRE(chat.write(PutToken{digest(1), first, chat.now()}));
  CHECK(failed_with(chat.write(PutToken{digest(1), claims(conversation, chat.now() + seconds{99}), chat.now()}),
                    errc::internal));
  CHECK(*chat.storage().find_token(digest(1), chat.now()) == first);
}

TEST_CASE("tokens are revoked by client, by trip and by both") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b");
  const auto elsewhere = chat.open("client-a", "org-2");
  const TimePoint late = chat.now() + seconds{10};
  const auto put_all = [&] {
    REQUIRE(chat.write(PutToken{digest(1), claims(a, late), chat.tick()}));
    REQUIRE(chat.write(PutToken{digest(2), claims(a, late, "trip-2"), chat.tick()}));
    REQUIRE(chat.write(PutToken{digest(3), claims(b, late), chat.tick()}));
    REQUIRE(chat.write(PutToken{digest(4), claims(elsewhere, late), chat.tick()}));
  };
  const auto revoke = [&](std::optional<std::string> client_id, std::optional<std::string> trip_id) {
    const auto written = chat.write(RevokeTokens{a.org_id, std::move(client_id), std::move(trip_id)});
    REQUIRE(written);
    CHECK(written->count == written->evicted.size());
    CHECK(written->changed == (written->count > 0));
    auto gone = written->evicted;
    std::sort(gone.begin(), gone.end());
    return gone;
  };
  using Digests = std::vector<Sha256Digest>;
  put_all();
  CHECK(revoke("client-c", std::nullopt).empty());
  CHECK(revoke("client-b", "trip-2").empty());
  CHECK(revoke("client-a", "trip-2") == Digests{digest(2)});
  CHECK_FALSE(is_live(chat, 2));
  CHECK(revoke(std::nullopt, "trip-1") == Digests{digest(1), digest(3)});
  CHECK_FALSE(is_live(chat, 1));
  CHECK_FALSE(is_live(chat, 3));
  CHECK(is_live(chat, 4));
  REQUIRE(chat.write(DeleteToken{digest(4)}));
  put_all();
  CHECK(revoke("client-a", std::nullopt) == Digests{digest(1), digest(2)});
  CHECK(is_live(chat, 3));
  CHECK(is_live(chat, 4));
}

TEST_CASE("of many tokens those that are live are told at once") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const TimePoint expires_at = chat.now() + seconds{10};
  REQUIRE(chat.write(PutToken{digest(1), claims(conversation, expires_at), chat.now()}));
  REQUIRE(chat.write(PutToken{digest(2), claims(conversation, expires_at - seconds{5}), chat.now()}));
  REQUIRE(chat.write(PutToken{digest(3), claims(conversation, expires_at), chat.now()}));
  REQUIRE(chat.write(DeleteToken{digest(3)}));
  const std::vector<Sha256Digest> asked{digest(4), digest(3), digest(2), digest(1)};
  auto live = chat.storage().list_live_tokens(asked, chat.now());
  REQUIRE(live);
  std::sort(live->begin(), live->end());
  CHECK(*live == std::vector<Sha256Digest>{digest(1), digest(2)});
  live = chat.storage().list_live_tokens(asked, expires_at - seconds{5});
  REQUIRE(live);
  CHECK(*live == std::vector<Sha256Digest>{digest(1)});
  live = chat.storage().list_live_tokens({}, chat.now());
  REQUIRE(live);
  CHECK(live->empty());
}

}  // namespace travelchat::conformance
