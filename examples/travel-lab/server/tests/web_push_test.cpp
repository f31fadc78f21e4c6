#include "web_push_message.hpp"

#include "base64url.hpp"
#include "p256.hpp"
#include "vapid.hpp"

#include <sys/stat.h>
#include <boost/json.hpp>
#include <catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace travel_lab;
using travelchat::TimePoint;
namespace fs = std::filesystem;

constexpr TimePoint now{1'800'000'000s};

// RFC 8291 section 5 and appendix A.
const std::string plaintext = "When I grow up, I want to be a watermelon";
const std::string sender_private = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const std::string sender_public =
    "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
const std::string receiver_private = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
const std::string receiver_public =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const std::string auth_secret = "BTBZMqHH6r4Tts7J_aSIgg";
const std::string shared_secret = "kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs";
const std::string salt_text = "DGv6ra1nlYgDCS1FRnbzlw";
const std::string body_text =
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
    "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

// RFC 8292 section 2.4.
const std::string example_token =
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6"
    "Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_"
    "HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSH"
    "zvoD1oA";
const std::string example_key =
    "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs";

std::string bytes(const std::string& text) {
  const auto decoded = decode_base64url(text);
  REQUIRE(decoded);
  return *decoded;
}

template <class Array>
Array array_of(const std::string& text) {
  const std::string decoded = bytes(text);
  Array array{};
  REQUIRE(decoded.size() == array.size());
  std::ranges::copy(decoded, array.begin());
  return array;
}

P256Key key_of(const std::string& scalar) {
  auto key = P256Key::from_scalar(array_of<P256Secret>(scalar));
  REQUIRE(key);
  return *std::move(key);
}

PushKeys receiver() {
  const auto keys = parse_push_keys(receiver_public, auth_secret);
  REQUIRE(keys);
  return *keys;
}

bool is_signed(const std::string& token, const std::string& key) {
  const std::size_t dot = token.rfind('.');
  return verify_es256(array_of<P256Point>(key), token.substr(0, dot), bytes(token.substr(dot + 1)));
}

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "travelchat-push-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  fs::path file() const { return path_ / "push-key.pem"; }

 private:
  fs::path path_;
};

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Header {
  std::string token;
  std::string key;
  boost::json::object claims;
};

Header parse_header(const std::string& header) {
  REQUIRE(header.starts_with("vapid t="));
  const std::size_t comma = header.find(", k=");
  REQUIRE(comma != std::string::npos);
  Header parsed{header.substr(8, comma - 8), header.substr(comma + 4), {}};
  const std::size_t first = parsed.token.find('.');
  const std::size_t last = parsed.token.rfind('.');
  CHECK(bytes(parsed.token.substr(0, first)) == R"({"typ":"JWT","alg":"ES256"})");
  parsed.claims = boost::json::parse(bytes(parsed.token.substr(first + 1, last - first - 1))).as_object();
  return parsed;
}

}  // namespace

TEST_CASE("the example of RFC 8291 is encrypted byte for byte") {
  const P256Key sender = key_of(sender_private);
  CHECK(encode_base64url(sender.public_point()) == sender_public);
  CHECK(encode_base64url(sender.agree(array_of<P256Point>(receiver_public))) == shared_secret);
  CHECK(encode_base64url(key_of(receiver_private).agree(sender.public_point())) == shared_secret);
  const auto body = encrypt_push_message(plaintext, receiver(), sender, array_of<PushSalt>(salt_text));
  REQUIRE(body);
  CHECK(encode_base64url(*body) == body_text);
}

TEST_CASE("padding makes a body longer by its own length, and another payload makes another body") {
  const P256Key sender = P256Key::generate();
  const PushSalt salt{};
  const auto plain = encrypt_push_message(plaintext, receiver(), sender, salt);
  const auto padded = encrypt_push_message(plaintext, receiver(), sender, salt, 100);
  REQUIRE((plain && padded));
  CHECK(plain->size() == 86 + plaintext.size() + 1 + 16);
  CHECK(padded->size() == plain->size() + 100);
  CHECK(padded->substr(0, 86) == plain->substr(0, 86));
  CHECK(encrypt_push_message("", receiver(), sender, salt)->size() == 86 + 1 + 16);
}

TEST_CASE("a body is never longer than every push service takes") {
  const P256Key sender = P256Key::generate();
  const std::string largest(max_push_payload_bytes, 'x');
  CHECK(max_push_payload_bytes == 3'993);
  CHECK(encrypt_push_message(largest, receiver(), sender, {})->size() == max_push_body_bytes);
  CHECK_FALSE(encrypt_push_message(largest + 'x', receiver(), sender, {}));
  CHECK_FALSE(encrypt_push_message(largest, receiver(), sender, {}, 1));
  CHECK_FALSE(encrypt_push_message("x", receiver(), sender, {}, static_cast<std::size_t>(-1)));
}

TEST_CASE("a browser's key that is no point of the curve is refused") {
  const std::string point = bytes(receiver_public);
  CHECK(parse_p256_point(point));
  std::string off_the_curve = point;
  off_the_curve.back() = static_cast<char>(off_the_curve.back() ^ 1);
  CHECK_FALSE(parse_p256_point(off_the_curve));
  std::string compressed = point.substr(0, 33);
  compressed.front() = '\x02';
  CHECK_FALSE(parse_p256_point(compressed));
  for (const char form : {'\x00', '\x02', '\x05', '\x06', '\x07'}) {
    std::string other_form = point;
    other_form.front() = form;
    CAPTURE(static_cast<int>(form));
    CHECK_FALSE(parse_p256_point(other_form));
  }
  CHECK_FALSE(parse_p256_point(""));
  CHECK_FALSE(parse_p256_point(std::string(1, '\0')));
  CHECK_FALSE(parse_p256_point(point.substr(0, 64)));
  CHECK_FALSE(parse_p256_point(point + 'x'));
  CHECK_FALSE(parse_p256_point('\x04' + std::string(64, '\0')));
  CHECK_FALSE(parse_p256_point('\x04' + std::string(64, '\xff')));
}

TEST_CASE("a browser's keys are base64url without padding, and its secret has 16 bytes") {
  CHECK(parse_push_keys(receiver_public, auth_secret));
  CHECK_FALSE(parse_push_keys(receiver_public + "=", auth_secret));
  CHECK_FALSE(parse_push_keys(receiver_public, auth_secret + "=="));
  CHECK_FALSE(parse_push_keys(receiver_public, ""));
  CHECK_FALSE(parse_push_keys("", auth_secret));
  CHECK_FALSE(parse_push_keys(receiver_public, encode_base64url(std::string(15, 'x'))));
  CHECK_FALSE(parse_push_keys(receiver_public, encode_base64url(std::string(17, 'x'))));
  std::string standard = receiver_public;
  std::ranges::replace(standard, '_', '/');
  std::ranges::replace(standard, '-', '+');
  REQUIRE(standard != receiver_public);
  CHECK_FALSE(parse_push_keys(standard, auth_secret));
}

TEST_CASE("the token of RFC 8292 has its key's signature, and no other has") {
  CHECK(is_signed(example_token, example_key));
  CHECK_FALSE(is_signed(example_token, sender_public));
  std::string changed = example_token;
  changed[50] = changed[50] == 'A' ? 'B' : 'A';
  CHECK_FALSE(is_signed(changed, example_key));
  CHECK_FALSE(verify_es256(array_of<P256Point>(example_key), "x", ""));
  CHECK_FALSE(verify_es256(array_of<P256Point>(example_key), "x", std::string(64, '\0')));
  CHECK_FALSE(verify_es256(array_of<P256Point>(example_key), "x", std::string(64, '\xff')));
}

TEST_CASE("a signature is r and s of 32 bytes each, leading zeros kept") {
  const P256Key key = P256Key::generate();
  // One r in 256 begins with a zero byte.
  for (int i = 0; i < 600; ++i) {
    const std::string text = "text " + std::to_string(i);
    const P256Signature signature = key.sign(text);
    REQUIRE(
        verify_es256(key.public_point(), text, {reinterpret_cast<const char*>(signature.data()), signature.size()}));
  }
}

TEST_CASE("a private key is a number below the order of the group, and not zero") {
  CHECK_FALSE(P256Key::from_scalar(P256Secret{}));
  P256Secret ones{};
  ones.fill(0xFF);
  CHECK_FALSE(P256Key::from_scalar(ones));
}

TEST_CASE("the server's key is made once, for its owner only, and found again") {
  const Folder folder;
  const Vapid made = Vapid::load(folder.file(), "");
  const std::string content = read(folder.file());
  CHECK(content.starts_with("-----BEGIN PRIVATE KEY-----"));
  struct stat status {};
  REQUIRE(stat(folder.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK(std::distance(fs::directory_iterator(folder.file().parent_path()), {}) == 1);

  CHECK(Vapid::load(folder.file(), "").public_key() == made.public_key());
  CHECK(read(folder.file()) == content);
  CHECK(bytes(made.public_key()).size() == 65);
}

TEST_CASE("a key file cut short by a crash is replaced, and one that is something else stays and is named") {
  const Folder folder;
  std::ofstream(folder.file().string() + ".new") << "-----BEGIN PRIV";
  const std::string key = Vapid::load(folder.file(), "").public_key();
  CHECK(Vapid::load(folder.file(), "").public_key() == key);

  for (const char* content : {"", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                              // Ed25519
                              "-----BEGIN PRIVATE KEY-----\n"
                              "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                              "-----END PRIVATE KEY-----\n"}) {
    CAPTURE(content);
    std::ofstream(folder.file(), std::ios::trunc) << content;
    CHECK_THROWS_WITH(Vapid::load(folder.file(), ""), Catch::Contains("push-key.pem"));
    CHECK(read(folder.file()) == content);
  }
  CHECK_THROWS_WITH(Vapid::load("/nonexistent/push-key.pem", ""), Catch::Contains("/nonexistent/push-key.pem"));
}

TEST_CASE(
    "a token names the push service, the contact and an end within 24 hours, and is signed by the key beside it") {
  Vapid vapid(P256Key::generate(), "mailto:ops@travel.example");
  const Header header = parse_header(vapid.authorization("https://push.example:8443", now));
  CHECK(header.key == vapid.public_key());
  CHECK(is_signed(header.token, header.key));
  CHECK(header.claims.size() == 3);
  CHECK(header.claims.at("aud").as_string() == "https://push.example:8443");
  CHECK(header.claims.at("sub").as_string() == "mailto:ops@travel.example");
  CHECK(header.claims.at("exp").as_int64() == 1'800'000'000 + 12 * 3600);

  Vapid silent(P256Key::generate(), "");
  CHECK_FALSE(parse_header(silent.authorization("https://push.example", now)).claims.contains("sub"));
}

TEST_CASE("a token is used again for its push service until the end of its life comes near") {
  Vapid vapid(P256Key::generate(), "");
  const std::string first = vapid.authorization("https://a.example", now);
  CHECK(vapid.authorization("https://a.example", now + 11h) == first);
  const std::string second = vapid.authorization("https://a.example", now + 11h + 1ms);
  CHECK(second != first);
  CHECK(vapid.authorization("https://b.example", now) != first);
  for (std::size_t i = 0; i < 3 * Vapid::max_tokens; ++i) {
    const std::string origin = "https://" + std::to_string(i) + ".example";
    CHECK(parse_header(vapid.authorization(origin, now)).claims.at("aud").as_string() == origin);
  }
}
