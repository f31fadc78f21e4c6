#include <travelchat/text_search.hpp>

#include "catch.hpp"
#include "core/letters.hpp"
#include "vectors.hpp"

using namespace travelchat;
using test::text_of;

TEST_CASE("text is found as the shared vectors say") {
  const auto vectors = test::load_vectors("search.json");
  const auto& cases = vectors.as_array();
  REQUIRE(cases.size() >= 20);
  for (const auto& example : cases) {
    for (const auto& text : example.at("texts").as_array()) {
      INFO(text_of(example.at("description")) << ": " << text_of(text));
      for (const auto& wanted : example.at("found").as_array()) {
        INFO("wanted: " << text_of(wanted));
        CHECK(TextSearch(text_of(wanted)).finds_in(text_of(text)));
      }
      for (const auto& wanted : example.at("missed").as_array()) {
        INFO("not wanted: " << text_of(wanted));
        CHECK_FALSE(TextSearch(text_of(wanted)).finds_in(text_of(text)));
      }
    }
  }
}

TEST_CASE("folded text folds to itself") {
  const auto vectors = test::load_vectors("search.json");
  for (const auto& example : vectors.as_array()) {
    for (const auto& text : example.at("texts").as_array()) {
      const std::string folded = fold_text(text_of(text));
      INFO(folded);
      CHECK(fold_text(folded) == folded);
    }
  }
  CHECK(fold_text("").empty());
  CHECK(fold_text("Straße") == "strasse");
  CHECK(fold_text("A\u030A") == "\u00E5");
}

TEST_CASE("an empty text is in every content") {
  CHECK(TextSearch("").finds_in(""));
  CHECK(TextSearch("").finds_in("a"));
  CHECK(TextSearch("").finds_in("\u00FC"));
}

TEST_CASE("what is not UTF-8 is found nowhere") {
  for (const char* bad : {"\xFF", "f\xC3", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80"}) {
    CHECK_FALSE(TextSearch(bad).finds_in("f\u00FCr"));
    CHECK_FALSE(TextSearch(bad).finds_in("fur"));
  }
  CHECK(fold_text("ABC\xFF") == "abc\xFF");
}

TEST_CASE("the letters that are folded are those whose form D is themselves") {
  const auto& foldings = letters::foldings();
  CHECK(foldings.size() > 1'000);
  std::size_t several = 0;
  for (const auto& folding : foldings) {
    INFO(static_cast<std::uint32_t>(folding.from));
    REQUIRE_FALSE(folding.to.empty());
    if (folding.to.size() > 1) ++several;
    const std::string letter = letters::encoded({&folding.from, 1});
    CHECK(letters::decomposed(letter) == std::u32string(1, folding.from));
    CHECK(fold_text(letter) == fold_text(letters::encoded(folding.to)));
  }
  CHECK(several >= 10);
  CHECK(several < 30);
}
