#include "core/chat_token.hpp"

#include "catch.hpp"

#include <string>

using travelchat::ChatToken;

TEST_CASE("a chat token tells the link that it was issued for from every other") {
  const ChatToken token = ChatToken::make("share-1");
  CHECK(token.basis() == ChatToken::Basis::link);
  CHECK(token.may_be_of("share-1"));
  CHECK_FALSE(token.may_be_of("share-2"));
  CHECK_FALSE(token.may_be_of(""));
  const auto again = ChatToken::parse(token.text());
  REQUIRE(again);
  CHECK(again->may_be_of("share-1"));
  CHECK_FALSE(again->may_be_of("share-2"));
  CHECK(ChatToken::make("share-1").text() != token.text());
}

TEST_CASE("a token that the application issues rests on no link") {
  const ChatToken token = ChatToken::make(std::nullopt);
  CHECK(token.basis() == ChatToken::Basis::application);
  CHECK_FALSE(token.may_be_of("share-1"));
}

TEST_CASE("a token of an older version may be of any link") {
  const auto old = ChatToken::parse(std::string(64, 'a'));
  REQUIRE(old);
  CHECK(old->basis() == ChatToken::Basis::unknown);
  CHECK(old->may_be_of("share-1"));
}

TEST_CASE("a token that was changed in one place is of no link") {
  const std::string text = ChatToken::make("share-1").text();
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == '0' ? '1' : '0';
    const auto token = ChatToken::parse(changed);
    REQUIRE(token);
    CHECK((token->basis() == ChatToken::Basis::unknown || !token->may_be_of("share-1")));
  }
}

TEST_CASE("what is no token is not taken for one") {
  CHECK_FALSE(ChatToken::parse(""));
  CHECK_FALSE(ChatToken::parse(std::string(63, 'a')));
  CHECK_FALSE(ChatToken::parse(std::string(63, 'a') + "g"));
}
