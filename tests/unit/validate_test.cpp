#include "catch.hpp"

#include <travelchat/validate.hpp>

#include <string>
#include <vector>

using namespace travelchat;

namespace {

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

bool refused(std::string_view content) {
  const auto normalized = normalize_content(content);
  return normalized.has_error() && normalized.error() == errc::invalid_content;
}

// Byte sequences that are not UTF-8, each for another reason.
const std::vector<std::string> not_utf8 = {
    "\x80",              // a continuation by itself
    "\xBF",              //
    "\xC0\xAF",          // overlong, two bytes
    "\xC1\xBF",          //
    "\xC0\x80",          // NUL as modified UTF-8
    "\xE0\x80\xAF",      // overlong, three bytes
    "\xE0\x9F\xBF",      //
    "\xF0\x80\x80\xAF",  // overlong, four bytes
    "\xF0\x8F\xBF\xBF",  //
    "\xED\xA0\x80",      // U+D800, a lone surrogate
    "\xED\xBF\xBF",      // U+DFFF
    "\xF4\x90\x80\x80",  // U+110000
    "\xF5\x80\x80\x80",  //
    "\xFE",
    "\xFF",
    "\xC3",          // cut short
    "\xE2\x9D",      //
    "\xF0\x9F\x91",  //
    "\xC3(",         // no continuation
    "\xE2(\xA1",     //
    "\xE2\x9D(",     //
};

}  // namespace

TEST_CASE("content is kept as sent, without white space at its ends") {
  CHECK(normalize_content("Hello").value() == "Hello");
  CHECK(normalize_content(" \t\r\n Hello,\n  world \u00A0\u3000\u2028").value() == "Hello,\n  world");
  CHECK(normalize_content("\u2003a\u2003b\u2003").value() == "a\u2003b");
  CHECK(normalize_content("<img src=x onerror=alert(1)>").value() == "<img src=x onerror=alert(1)>");
  CHECK(normalize_content("\u202Eabc").value() == "\u202Eabc");
  CHECK(normalize_content("\u200Ba\u200B").value() == "\u200Ba\u200B");
  CHECK(normalize_content("a\x01\x7F").value() == "a\x01\x7F");
}

TEST_CASE("content of nothing, of white space or of what cannot be seen is refused") {
  for (const std::string_view content :
       {"", " ", "\t\r\n\v\f", "\u0085\u00A0\u1680\u2028\u2029\u202F\u205F\u3000", "\u200B", "\u200B\u200B", " \u200B ",
        "\u200C\u200D\u2060\uFEFF", "\u00AD", "\u202E\u202C", "\uFE0F", "\u3164", "\U000E0041", "\x01\x02"}) {
    INFO(content);
    CHECK(refused(content));
  }
}

TEST_CASE("a single visible code point among invisible ones is content") {
  CHECK(normalize_content("\u200B.\u200B").value() == "\u200B.\u200B");
  CHECK(normalize_content(" \U0001F44D ").value() == "\U0001F44D");
}

TEST_CASE("10,000 code points are content and 10,001 are not, whatever their bytes") {
  for (const std::string_view one : {"a", "\u00E9", "\u65E5", "\U0001F44D"}) {
    INFO(one);
    CHECK(normalize_content(repeat(one, 10'000)).value() == repeat(one, 10'000));
    CHECK(refused(repeat(one, 10'001)));
  }
}

TEST_CASE("white space at the ends does not count, white space inside does") {
  const std::string spaces(20'000, ' ');
  CHECK(normalize_content(spaces + repeat("a", 10'000) + spaces).value() == repeat("a", 10'000));
  CHECK(normalize_content("a" + repeat(" ", 9'998) + "b").value().size() == 10'000);
  CHECK(refused("a" + repeat(" ", 9'999) + "b"));
}

TEST_CASE("a NUL anywhere is refused") {
  CHECK(refused(std::string_view("\0", 1)));
  CHECK(refused(std::string_view("a\0b", 3)));
  CHECK(refused(std::string_view("abc\0", 4)));
}

TEST_CASE("content that is not UTF-8 is refused, wherever the fault is") {
  for (const std::string& bad : not_utf8) {
    CHECK(refused(bad));
    CHECK(refused("a" + bad));
    CHECK(refused(bad + "a"));
    CHECK(refused("long enough before it " + bad + " and long enough behind it"));
    CHECK(refused("a " + bad));
  }
}

TEST_CASE("UTF-8 is told from what is not") {
  for (const std::string& bad : not_utf8) {
    CHECK_FALSE(is_valid_utf8(bad));
    CHECK_FALSE(is_valid_utf8("12345678" + bad));
    CHECK_FALSE(is_valid_utf8("1234567" + bad + "12345678"));
  }
  for (const std::string_view good :
       {"", "a", "12345678", "\x7F", "\u0080", "\u07FF", "\u0800", "\uD7FF", "\uE000", "\uFFFD", "\uFFFF", "\U00010000",
        "\U0010FFFF", "1234567\u00E9 12345678\U0001F44D"}) {
    INFO(good);
    CHECK(is_valid_utf8(good));
  }
  CHECK(is_valid_utf8(std::string_view("\0", 1)));
}

TEST_CASE("a client message id has 1 to 64 letters, digits, hyphens and underscores") {
  CHECK(is_client_message_id("a"));
  CHECK(is_client_message_id("tmp_01-Zz"));
  CHECK(is_client_message_id(std::string(64, 'x')));
  CHECK_FALSE(is_client_message_id(std::string(65, 'x')));
  for (const std::string_view bad : {"", " ", "a b", "a.b", "a\n", "\u00E9", "a/b", "'"})
    CHECK_FALSE(is_client_message_id(bad));
  CHECK_FALSE(is_client_message_id(std::string_view("a\0", 2)));
}

TEST_CASE("a host id has 1 to 128 printable ASCII characters") {
  CHECK(is_host_id("!"));
  CHECK(is_host_id("~"));
  CHECK(is_host_id("org:1/x?y=%00"));
  CHECK(is_host_id(std::string(128, 'x')));
  CHECK_FALSE(is_host_id(std::string(129, 'x')));
  for (const std::string_view bad : {"", " ", "a b", "a\r\n", "\x7F", "\u00E9", "\t"}) CHECK_FALSE(is_host_id(bad));
  CHECK_FALSE(is_host_id(std::string_view("a\0", 2)));
}

TEST_CASE("a token has 64 hexadecimal characters") {
  CHECK(is_token(repeat("0123456789abcdef", 4)));
  CHECK(is_token(repeat("0123456789ABCDEF", 4)));
  CHECK_FALSE(is_token(std::string(63, 'a')));
  CHECK_FALSE(is_token(std::string(65, 'a')));
  CHECK_FALSE(is_token(std::string(63, 'a') + "g"));
  CHECK_FALSE(is_token(std::string(63, 'a') + " "));
  CHECK_FALSE(is_token(""));
}

TEST_CASE("a name loses control characters and bidirectional overrides") {
  CHECK(clean_name("Ann Lee") == "Ann Lee");
  CHECK(clean_name("\u202Eeel nnA") == "eel nnA");
  CHECK(clean_name("A\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069n") == "An");
  CHECK(clean_name("A\x01\x1B[31mn\x7F\u009F") == "A[31mn");
  CHECK(clean_name(std::string_view("A\0n", 3)) == "An");
}

TEST_CASE("a line break or a tab inside a name becomes a space") {
  CHECK(clean_name("Ann\nLee\tJr") == "Ann Lee Jr");
  CHECK(clean_name("\r\nAnn\r\n") == "Ann");
}

TEST_CASE("a name is trimmed, also of white space that removing and cutting leave behind") {
  CHECK(clean_name("  \u3000Ann \u00A0") == "Ann");
  CHECK(clean_name("\u202E Ann \u202C") == "Ann");
  CHECK(clean_name(repeat("a", 199) + " b") == repeat("a", 199));
  CHECK(clean_name(" \t\u202E ").empty());
  CHECK(clean_name("").empty());
}

TEST_CASE("a name keeps what joins letters in many scripts") {
  CHECK(clean_name("\u0646\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645") ==
        "\u0646\u0645\u06CC\u200C\u062E\u0648\u0627\u0647\u0645");
  CHECK(clean_name("Zoe\u0308") == "Zoe\u0308");
}

TEST_CASE("bad bytes in a name become U+FFFD, one for each maximal subpart") {
  CHECK(clean_name("A\xFFz") == "A\uFFFDz");
  CHECK(clean_name("A\xE2\x9Dz") == "A\uFFFDz");
  CHECK(clean_name("A\xF0\x9F\x91") == "A\uFFFD");
  CHECK(clean_name("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
  CHECK(clean_name("\xC0\xAF") == "\uFFFD\uFFFD");
  for (const std::string& bad : not_utf8) CHECK(is_valid_utf8(clean_name("x" + bad + "y")));
}

TEST_CASE("a name has at most 200 code points") {
  CHECK(clean_name(repeat("\u65E5", 200)) == repeat("\u65E5", 200));
  CHECK(clean_name(repeat("\u65E5", 201)) == repeat("\u65E5", 200));
  CHECK(clean_name(repeat("\xFF", 300)) == repeat("\uFFFD", 200));
}

TEST_CASE("an address that a page may open is a URL of the web or a path of the server") {
  for (const char* url : {"https://files.example/a.pdf", "http://files.example", "HTTPS://Files.example:8443/a?b=c#d",
                          "https://[2001:db8::1]/a", "/files/1", "/", "/files/\u65E5.pdf", "/a:b@c"}) {
    INFO(url);
    CHECK(is_web_address(url));
    CHECK(is_picture_address(url));
  }
  for (const std::string& url : {std::string("javascript:alert(1)"),
                                 std::string("JavaScript:alert(1)"),
                                 std::string("java\nscript:alert(1)"),
                                 std::string(" javascript:alert(1)"),
                                 std::string("data:text/html,x"),
                                 std::string("vbscript:x"),
                                 std::string("blob:https://files.example/1"),
                                 std::string("file:///etc/passwd"),
                                 std::string("ftp://files.example"),
                                 std::string("//evil.example/a"),
                                 std::string("/\\evil.example/a"),
                                 std::string("\\\\evil.example"),
                                 std::string("/\t/evil.example"),
                                 std::string("/a b"),
                                 std::string("/a\x7F"),
                                 std::string("/a\u0085b"),
                                 std::string("/a\xFF"),
                                 std::string("/a\0b", 4),
                                 std::string("https://"),
                                 std::string("https:///a"),
                                 std::string("https://:80/a"),
                                 std::string("https://files.example@evil.example/"),
                                 std::string("https:files.example"),
                                 std::string("files/1"),
                                 std::string("files.example"),
                                 std::string("#a"),
                                 std::string("?a"),
                                 std::string()}) {
    INFO(url);
    CHECK_FALSE(is_web_address(url));
    CHECK_FALSE(is_picture_address(url));
  }
  CHECK(is_picture_address("data:image/png;base64,iVBORw0KGgo="));
  CHECK_FALSE(is_web_address("data:image/png;base64,iVBORw0KGgo="));
  CHECK_FALSE(is_picture_address("data:text/html;base64,PHNjcmlwdD4="));
}

TEST_CASE("the first code points are cut between code points") {
  CHECK(first_code_points("", 5).empty());
  CHECK(first_code_points("abc", 0).empty());
  CHECK(first_code_points("abc", 2) == "ab");
  CHECK(first_code_points("abc", 3) == "abc");
  CHECK(first_code_points("abc", 100) == "abc");
  CHECK(first_code_points("\u00E9\u65E5\U0001F44Dx", 1) == "\u00E9");
  CHECK(first_code_points("\u00E9\u65E5\U0001F44Dx", 2) == "\u00E9\u65E5");
  CHECK(first_code_points("\u00E9\u65E5\U0001F44Dx", 3) == "\u00E9\u65E5\U0001F44D");
  CHECK(first_code_points(repeat("\U0001F44D", 101), 100) == repeat("\U0001F44D", 100));
}
