#include "fixture.hpp"

#include "../unit/vectors.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

namespace travelchat::conformance {
namespace {

using test::text_of;

// The clients whose conversations a search for this finds.
std::vector<std::string> find(Chat& chat, std::string_view text) {
  const auto found = chat.storage().list_conversations({"org-1", std::string(text), {}});
  REQUIRE(found);
  std::vector<std::string> clients;
  for (const auto& row : *found) clients.push_back(row.conversation.client_id);
  return clients;
}

}  // namespace

TEST_CASE("a search finds letters in any case and however they are composed, as the shared vectors say") {
  ON_EVERY_BACKEND(chat);
  const auto vectors = test::load_vectors("search.json");
  const auto& cases = vectors.as_array();
  REQUIRE(cases.size() >= 20);
  std::size_t number = 0;
  for (const auto& example : cases) {
    for (const auto& text : example.at("texts").as_array()) {
      INFO(text_of(example.at("description")) << ": " << text_of(text));
      const std::string client_id = "client-" + std::to_string(++number);
      const auto conversation = chat.open(client_id);
      // Others before and behind it, with and without such letters.
      chat.send(conversation.id, advisor(), "0");
      chat.send(conversation.id, advisor(), std::string(text_of(text)));
      chat.send(conversation.id, client(client_id), "ñ");
      const auto finds_it = [&](const boost::json::value& wanted) {
        const auto found = find(chat, text_of(wanted));
        return std::ranges::find(found, client_id) != found.end();
      };
      for (const auto& wanted : example.at("found").as_array()) {
        INFO("wanted: " << text_of(wanted));
        CHECK(finds_it(wanted));
      }
      for (const auto& wanted : example.at("missed").as_array()) {
        INFO("not wanted: " << text_of(wanted));
        CHECK_FALSE(finds_it(wanted));
      }
    }
  }
}

TEST_CASE("a search for what no content can have finds nothing and is no failure") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open("client-1");
  chat.send(conversation.id, advisor(), "100% für Ü");
  CHECK(find(chat, std::string_view("100\0", 4)).empty());
  CHECK(find(chat, std::string_view("Ü\0", 3)).empty());
  std::string long_text;
  for (int i = 0; i < 60'000; ++i) long_text += "ü";
  CHECK(find(chat, long_text).empty());
}

}  // namespace travelchat::conformance
