#include "core/hint.hpp"

#include "catch.hpp"

#include <chrono>

using namespace travelchat;
using namespace travelchat::detail;
using namespace std::chrono_literals;

namespace {

const TimePoint at{1'764'000'000'123ms};
constexpr std::size_t no_limit = 1 << 20;

Reaction reaction() {
  return {make_uuid(at), make_uuid(at), make_uuid(at), "org", Role::client, "c", "Clara", Emoji::thumbs_down, at};
}

Message message() {
  Message message;
  message.id = make_uuid(at);
  message.conversation_id = make_uuid(at);
  message.org_id = "org";
  message.sender_type = Role::client;
  message.sender_id = "c";
  message.sender_name = "Clara \u00e9";
  message.content = std::string("a\0b", 3) + "\u2764";
  message.is_read = true;
  message.seen_at = at;
  message.created_at = at - 1h;
  message.attachment_name = "";
  message.reactions = {reaction(), reaction()};
  message.seq = 127;
  message.rev = 1'000'000'007;
  message.client_message_id = "k-1";
  return message;
}

std::vector<Hint> samples() {
  ConversationSummary summary;
  summary.conversation = {make_uuid(at), "org", "c", at, std::nullopt, 0, 0, 3};
  InboxRow row{summary};
  row.summary.last_message = message();
  return {Look{},
          WhoTypes{},
          Progress{7, {}},
          Progress{12,
                   {MessageCreated{message(), 9}, ReactionsChanged{make_uuid(at), {reaction()}, 10},
                    MessagesSeen{at, 11}, MessagesRead{at, 12}}},
          NodeTyping{make_uuid(at), {true, false}, 6s},
          InboxRow{summary},
          row,
          CredentialsEnded{},
          CredentialsEnded{{Credential::of_session("s").digest, Credential::of_session("t").digest}}};
}

}  // namespace

TEST_CASE("a hint arrives as it was sent") {
  for (const Hint& hint : samples()) CHECK(decode_hint(encode_hint(hint, no_limit)) == hint);
}

TEST_CASE("a hint that is too long says only where to look") {
  Message long_one = message();
  long_one.content.assign(40'000, 'x');
  CHECK(decode_hint(encode_hint(Progress{5, {MessageCreated{long_one, 5}}}, 32 << 10)) == Hint(Progress{5, {}}));
  ConversationSummary summary;
  summary.last_message = long_one;
  CHECK(decode_hint(encode_hint(InboxRow{summary}, 32 << 10)) == Hint(Look{}));
}

TEST_CASE("bytes that are cut, longer, of another version or no hint at all count as a look into the storage") {
  for (const Hint& hint : samples()) {
    const std::string bytes = encode_hint(hint, no_limit);
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(decode_hint(bytes.substr(0, size)) == Hint(Look{}));
    CHECK(decode_hint(bytes + "x") == Hint(Look{}));
    std::string newer = bytes;
    newer[0] = static_cast<char>(newer[0] + 1);
    CHECK(decode_hint(newer) == Hint(Look{}));
    std::string of_other_members = bytes;
    of_other_members[2] = static_cast<char>(of_other_members[2] ^ 1);  // behind the layout and the kind
    CHECK(decode_hint(of_other_members) == Hint(Look{}));
  }
  const std::string progress = encode_hint(Progress{5, {}}, no_limit);
  const std::string start = progress.substr(0, progress.size() - 2);  // before `rev` and the number of events
  REQUIRE(decode_hint(start + std::string("\x05\x00", 2)) == Hint(Progress{5, {}}));
  CHECK(decode_hint(start.substr(0, 1) + "\x09" + start.substr(2)) == Hint(Look{}));
  CHECK(decode_hint(start + "\x05\xff\xff\xff\xff\xff\xff\xff\xff\x7f") == Hint(Look{}));
  // Events that go backwards, or that nobody numbered.
  CHECK(decode_hint(encode_hint(Progress{2, {MessagesSeen{at, 2}, MessagesSeen{at, 1}}}, no_limit)) == Hint(Look{}));
  CHECK(decode_hint(encode_hint(Progress{2, {MessagesSeen{at, 0}}}, no_limit)) == Hint(Look{}));
  CHECK(decode_hint(encode_hint(Progress{2, {TypingChanged{}}}, no_limit)) == Hint(Look{}));
}
