#include "catch.hpp"
#include "vectors.hpp"
#include "wire/socket_text.hpp"

#include <travelchat/wire.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <string>
#include <vector>

using namespace travelchat;
using test::text_of;
namespace json = boost::json;

namespace {

// ---- The vectors' JSON as values of the library. ----

std::optional<std::string> optional_text(const json::value& value) {
  return value.is_null() ? std::nullopt : std::optional(std::string(text_of(value)));
}

TimePoint time_of(const json::value& value) {
  return wire::parse_time(text_of(value)).value();
}

std::optional<TimePoint> optional_time(const json::value& value) {
  return value.is_null() ? std::nullopt : std::optional(time_of(value));
}

std::uint64_t number_of(const json::value& value) {
  return value.to_number<std::uint64_t>();
}

Uuid id_of(const json::value& value);

std::optional<Uuid> epoch_of(const json::value& event) {
  const json::value* epoch = event.as_object().if_contains("epoch");
  return epoch == nullptr ? std::nullopt : std::optional(id_of(*epoch));
}

Uuid id_of(const json::value& value) {
  return parse_uuid(text_of(value)).value();
}

std::vector<Reaction> reactions_of(const json::value& value) {
  std::vector<Reaction> reactions;
  for (const auto& row : value.as_array()) {
    Reaction& reaction = reactions.emplace_back();
    reaction.id = id_of(row.at("id"));
    reaction.message_id = id_of(row.at("messageId"));
    reaction.conversation_id = id_of(row.at("conversationId"));
    reaction.org_id = text_of(row.at("orgId"));
    reaction.reactor_type = parse_role(text_of(row.at("reactorType"))).value();
    reaction.reactor_id = text_of(row.at("reactorId"));
    reaction.reactor_name = text_of(row.at("reactorName"));
    reaction.emoji = parse_emoji(text_of(row.at("emoji"))).value();
    reaction.created_at = time_of(row.at("createdAt"));
  }
  return reactions;
}

Message message_of(const json::value& row) {
  Message message;
  message.id = id_of(row.at("id"));
  message.conversation_id = id_of(row.at("conversationId"));
  message.org_id = text_of(row.at("orgId"));
  message.sender_type = parse_role(text_of(row.at("senderType"))).value();
  message.sender_id = text_of(row.at("senderId"));
  message.sender_name = text_of(row.at("senderName"));
  message.content = text_of(row.at("content"));
  message.is_read = row.at("isRead").as_bool();
  message.seen_at = optional_time(row.at("seenAt"));
  message.created_at = time_of(row.at("createdAt"));
  message.attachment_url = optional_text(row.at("attachmentUrl"));
  message.attachment_type = optional_text(row.at("attachmentType"));
  message.attachment_name = optional_text(row.at("attachmentName"));
  if (row.as_object().contains("reactions")) message.reactions = reactions_of(row.at("reactions"));
  message.seq = number_of(row.at("seq"));
  message.rev = number_of(row.at("rev"));
  message.client_message_id = optional_text(row.at("clientMessageId"));
  return message;
}

// What the library writes for the event that `event` describes.
std::string encode_again(const json::value& event) {
  std::string out;
  const std::string_view type = text_of(event.at("type"));
  if (type == "typing") {
    wire::append(TypingChanged{event.at("advisorTyping").as_bool(), event.at("clientTyping").as_bool()}, out);
  } else if (type == "new_message") {
    wire::append(MessageCreated{message_of(event.at("message")), number_of(event.at("rev"))}, out);
  } else if (type == "message_update") {
    wire::append(MessageChanged{message_of(event.at("message")), number_of(event.at("rev"))}, out);
  } else if (type == "reaction_update") {
    wire::append(
        ReactionsChanged{id_of(event.at("messageId")), reactions_of(event.at("reactions")), number_of(event.at("rev"))},
        out);
  } else if (type == "seen") {
    wire::append(MessagesSeen{time_of(event.at("seenAt")), number_of(event.at("rev"))}, out);
  } else if (type == "read") {
    wire::append(MessagesRead{time_of(event.at("readAt")), number_of(event.at("rev"))}, out);
  } else if (type == "caught_up") {
    wire::append(CaughtUp{number_of(event.at("rev")), epoch_of(event)}, out);
  } else if (type == "resync") {
    wire::append(Resync{number_of(event.at("rev")), epoch_of(event)}, out);
  } else if (type == "alive") {
    wire::append_alive_event(std::chrono::milliseconds(number_of(event.at("intervalMs"))), out);
  } else if (type == "conversation_update") {
    const auto& row = event.at("conversation");
    ConversationSummary summary;
    summary.conversation.id = id_of(row.at("id"));
    summary.conversation.org_id = text_of(row.at("orgId"));
    summary.conversation.client_id = text_of(row.at("clientId"));
    summary.conversation.created_at = time_of(row.at("createdAt"));
    summary.conversation.last_message_at = optional_time(row.at("lastMessageAt"));
    summary.conversation.unread_count = number_of(row.at("unreadCount"));
    summary.conversation.rev = number_of(row.at("rev"));
    if (!row.at("lastMessage").is_null()) summary.last_message = message_of(row.at("lastMessage"));
    if (row.at("clientName").is_null()) {
      wire::append_conversation_update(summary, nullptr, out);
      std::string without_card;
      wire::append(ConversationUpdated{summary}, without_card);
      CHECK(without_card == out);
    } else {
      ClientCard card;
      card.id = text_of(row.at("clientId"));
      card.name = text_of(row.at("clientName"));
      card.avatar_url = optional_text(row.at("clientAvatarUrl"));
      if (!row.at("activeTrip").is_null()) {
        card.active_trip = ActiveTrip{std::string(text_of(row.at("activeTrip").at("id"))),
                                      std::string(text_of(row.at("activeTrip").at("title")))};
      }
      wire::append_conversation_update(summary, &card, out);
    }
  } else if (type == "error") {
    for (const ErrorInfo& error : error_table()) {
      if (error.name == text_of(event.at("code"))) wire::append_error_event(error, out);
    }
  } else {
    FAIL("unknown event type in the vectors: " << type);
  }
  return out;
}

Message sample_message() {
  Message message;
  message.id = parse_uuid("019345a0-7b2c-7abc-8def-0123456789ab").value();
  message.conversation_id = parse_uuid("019345a0-0000-7000-8000-000000000001").value();
  message.org_id = "org-1";
  message.sender_type = Role::client;
  message.sender_id = "cli-9";
  message.sender_name = "Zo\u00EB";
  message.content = "Hi";
  message.created_at = wire::parse_time("2026-11-23T06:51:47.120Z").value();
  message.seq = 3;
  message.rev = 5;
  return message;
}

std::string quoted(std::string_view text) {
  std::string out;
  wire::append_string(text, out);
  return out;
}

std::string time_text(TimePoint time) {
  std::string out;
  wire::append_time(time, out);
  return out;
}

TimePoint at(int year, unsigned month, unsigned day, std::chrono::milliseconds in_day = {}) {
  return TimePoint(std::chrono::sys_days(std::chrono::year(year) / static_cast<int>(month) / static_cast<int>(day))) +
         in_day;
}

}  // namespace

TEST_CASE("events are written exactly as the shared vectors say") {
  const auto vectors = test::load_vectors("events.json");
  const auto& cases = vectors.at("events").as_array();
  REQUIRE(cases.size() >= 15);
  for (const auto& example : cases) {
    INFO(text_of(example.at("description")));
    // Boost.JSON keeps the members in order, so equal texts mean equal order too.
    CHECK(json::serialize(json::parse(encode_again(example.at("json")))) == json::serialize(example.at("json")));
  }
}

TEST_CASE("a message is written with every member of the contract, in its order") {
  std::string out;
  wire::append(sample_message(), out);
  CHECK(out ==
        R"({"id":"019345a0-7b2c-7abc-8def-0123456789ab","conversationId":"019345a0-0000-7000-8000-000000000001",)"
        R"("orgId":"org-1","senderType":"client","senderId":"cli-9","senderName":"Zoë","content":"Hi","isRead":false,)"
        R"("seenAt":null,"createdAt":"2026-11-23T06:51:47.120Z","attachmentUrl":null,"attachmentType":null,)"
        R"("attachmentName":null,"reactions":[],"seq":3,"rev":5,"clientMessageId":null})");
}

TEST_CASE("a conversation by itself is written without what only lists have") {
  Conversation conversation;
  conversation.id = parse_uuid("019345a0-0000-7000-8000-000000000001").value();
  conversation.org_id = "org-1";
  conversation.client_id = "cli-9";
  conversation.created_at = wire::parse_time("2026-11-23T06:51:47.120Z").value();
  std::string out;
  wire::append(conversation, out);
  CHECK(out == R"({"id":"019345a0-0000-7000-8000-000000000001","orgId":"org-1","clientId":"cli-9",)"
               R"("createdAt":"2026-11-23T06:51:47.120Z","lastMessageAt":null})");
}

TEST_CASE("lists are arrays, also the empty one") {
  std::string out;
  wire::append(std::vector<Message>{}, out);
  CHECK(out == "[]");
  out.clear();
  wire::append(std::vector<Reaction>{}, out);
  CHECK(out == "[]");
  out.clear();
  wire::append(std::vector<Message>{sample_message(), sample_message()}, out);
  CHECK(json::parse(out).as_array().size() == 2);
}

TEST_CASE("encoders append and leave what was there before") {
  std::string out = "before";
  wire::append(CaughtUp{7}, out);
  wire::append(Resync{8}, out);
  CHECK(out == R"(before{"type":"caught_up","rev":7}{"type":"resync","rev":8})");
}

TEST_CASE("an error is written as an event and as a body") {
  std::string out;
  wire::append_error_event(describe(errc::not_found), out);
  CHECK(out == R"({"type":"error","code":"not_found","message":"There is nothing here."})");
  CHECK(wire::error_body(describe(errc::not_found)) == R"({"message":"There is nothing here.","code":"not_found"})");
}

TEST_CASE("the largest counters are written in full") {
  std::string out;
  wire::append(CaughtUp{18'446'744'073'709'551'615u}, out);
  CHECK(out == R"({"type":"caught_up","rev":18446744073709551615})");
}

TEST_CASE("a string escapes quotes, backslashes and control characters, and nothing else") {
  CHECK(quoted("") == R"("")");
  CHECK(quoted("\"\\") == R"("\"\\")");
  CHECK(quoted("\b\f\n\r\t") == R"("\b\f\n\r\t")");
  CHECK(quoted(std::string_view("\0\x01\x1F\x7F", 4)) == "\"\\u0000\\u0001\\u001f\x7F\"");
  CHECK(quoted("/<>&' !#[]\u00E9\u2028\U0001F44D") == "\"/<>&' !#[]\u00E9\u2028\U0001F44D\"");
}

TEST_CASE("every byte of ASCII survives at every place of a string") {
  std::size_t changed = 0;
  for (int c = 0; c < 128; ++c) {
    for (std::size_t length = 1; length <= 20; ++length) {
      for (std::size_t place = 0; place < length; ++place) {
        std::string text(length, '!');
        text[place] = static_cast<char>(c);
        if (text_of(json::parse(quoted(text))) != text) ++changed;
      }
    }
  }
  CHECK(changed == 0);
}

TEST_CASE("bytes beside one that needs an escape are looked at one by one") {
  // 0x20, 0x21, '#', ']' and '[' lie next to those that need it; 0x80 and 0xFF have the top bit of the eight-byte test.
  CHECK(quoted("       \x01 !\"#[\\]") == "\"       \\u0001 !\\\"#[\\\\]\"");
  CHECK(quoted("\u00FF\u0080\u00A2\u00DC\u2022\u275C") == "\"\u00FF\u0080\u00A2\u00DC\u2022\u275C\"");
}

TEST_CASE("a time is written in UTC with milliseconds") {
  using namespace std::chrono;
  CHECK(time_text(TimePoint{}) == "1970-01-01T00:00:00.000Z");
  CHECK(time_text(at(2026, 11, 23, hours(6) + minutes(51) + seconds(47) + milliseconds(120))) ==
        "2026-11-23T06:51:47.120Z");
  CHECK(time_text(TimePoint(milliseconds(1))) == "1970-01-01T00:00:00.001Z");
}

TEST_CASE("a time before 1970 counts its fraction forwards") {
  CHECK(time_text(TimePoint(std::chrono::milliseconds(-1))) == "1969-12-31T23:59:59.999Z");
  CHECK(time_text(at(1900, 3, 1) - std::chrono::milliseconds(1)) == "1900-02-28T23:59:59.999Z");
  CHECK(time_text(at(1600, 3, 1) - std::chrono::milliseconds(1)) == "1600-02-29T23:59:59.999Z");
}

TEST_CASE("leap years have their day") {
  using std::chrono::hours;
  CHECK(time_text(at(2024, 2, 28) + hours(24)) == "2024-02-29T00:00:00.000Z");
  CHECK(time_text(at(2024, 12, 31) + hours(23)) == "2024-12-31T23:00:00.000Z");
  CHECK(time_text(at(2100, 2, 28) + hours(24)) == "2100-03-01T00:00:00.000Z");
  CHECK(time_text(at(2000, 2, 28) + hours(24)) == "2000-02-29T00:00:00.000Z");
}

TEST_CASE("a time outside four-digit years becomes the nearest that can be written") {
  CHECK(time_text(TimePoint::max()) == "9999-12-31T23:59:59.999Z");
  CHECK(time_text(TimePoint::min()) == "0000-01-01T00:00:00.000Z");
  CHECK(time_text(at(9999, 12, 31)) == "9999-12-31T00:00:00.000Z");
}

TEST_CASE("every written time is read back") {
  // About 41 days and a bit, from year 0 to year 9999.
  const std::chrono::milliseconds step(3'539'333'111);
  std::size_t read = 0;
  std::size_t changed = 0;
  for (TimePoint time = at(0, 1, 1); time < at(9999, 12, 31); time += step, ++read) {
    if (wire::parse_time(time_text(time)) != time) ++changed;
  }
  CHECK(read > 80'000);
  CHECK(changed == 0);
}

TEST_CASE("what is not exactly such a time is not read") {
  CHECK(wire::parse_time("2024-02-29T00:00:00.000Z"));
  for (const std::string_view bad : {"",
                                     "2026-11-23",
                                     "2026-11-23T06:51:47Z",
                                     "2026-11-23T06:51:47.12Z",
                                     "2026-11-23T06:51:47.1200Z",
                                     "2026-11-23 06:51:47.120Z",
                                     "2026-11-23T06:51:47.120z",
                                     "2026-11-23T06:51:47.120+",
                                     "2026-13-23T06:51:47.120Z",
                                     "2026-00-23T06:51:47.120Z",
                                     "2026-11-31T06:51:47.120Z",
                                     "2026-11-00T06:51:47.120Z",
                                     "2026-02-29T06:51:47.120Z",
                                     "2100-02-29T06:51:47.120Z",
                                     "2026-11-23T24:00:00.000Z",
                                     "2026-11-23T06:60:47.120Z",
                                     "2026-11-23T06:51:60.120Z",
                                     "-026-11-23T06:51:47.120Z",
                                     "2026-11-23T06:51:47,120Z",
                                     "2026-1a-23T06:51:47.120Z",
                                     " 026-11-23T06:51:47.120Z"}) {
    INFO(bad);
    CHECK_FALSE(wire::parse_time(bad));
  }
}

TEST_CASE("a picture of nothing that a page may show is none") {
  const auto text = [](std::optional<std::string> url) {
    std::string out;
    wire::append_picture_url(url, out);
    ConversationSummary row;
    const ClientCard card{"carl", "Carl", std::move(url), std::nullopt};
    std::string json;
    wire::append(row, &card, json);
    CHECK(json.find("\"clientAvatarUrl\":" + out) != json.npos);
    return out;
  };
  CHECK(text("/avatars/carl.svg") == "\"/avatars/carl.svg\"");
  CHECK(text("https://cdn.example/carl.png") == "\"https://cdn.example/carl.png\"");
  CHECK(text("data:image/png;base64,iVBORw0KGgo=") == "\"data:image/png;base64,iVBORw0KGgo=\"");
  for (const char* url : {"javascript:alert(1)", "data:text/html,x", "//evil.example/a.png", ""})
    CHECK(text(url) == "null");
  CHECK(text(std::nullopt) == "null");
}

TEST_CASE("a text frame's header takes the fewest bytes that hold the length") {
  const auto header = [](std::size_t size) {
    std::string frame = "x";
    wire::append_text_frame(std::string(size, 'p'), frame);
    CHECK(frame.front() == 'x');
    CHECK(frame.substr(frame.size() - size) == std::string(size, 'p'));
    return frame.substr(1, frame.size() - 1 - size);
  };
  using namespace std::string_literals;
  CHECK(header(0) == "\x81\x00"s);
  CHECK(header(1) == "\x81\x01"s);
  CHECK(header(125) == "\x81\x7D"s);
  CHECK(header(126) == "\x81\x7E\x00\x7E"s);
  CHECK(header(127) == "\x81\x7E\x00\x7F"s);
  CHECK(header(256) == "\x81\x7E\x01\x00"s);
  CHECK(header(65'535) == "\x81\x7E\xFF\xFF"s);
  CHECK(header(65'536) == "\x81\x7F\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST_CASE("the unmasked Hello of RFC 6455 section 5.7 is the frame of its text") {
  std::string frame;
  wire::append_text_frame("Hello", frame);
  CHECK(frame == "\x81\x05Hello");
}

TEST_CASE("an event's frame is the text frame of the event, whatever the length of its header") {
  for (const std::size_t content : {std::size_t{0}, std::size_t{200}, std::size_t{64'900}, std::size_t{70'000}}) {
    MessageCreated created{sample_message(), 5};
    created.message.content = std::string(content, 'c');
    for (const Event& event : {Event(created), Event(CaughtUp{1})}) {
      std::string text;
      wire::append(event, text);
      std::string expected = "earlier";
      wire::append_text_frame(text, expected);
      std::string frame = "earlier";
      wire::append_event_frame(event, frame);
      CHECK(frame == expected);
    }
  }
}

TEST_CASE("an event of 65,536 bytes takes the long header, one of 65,535 does not") {
  const auto frame_of = [](std::size_t payload) {
    MessageCreated created{sample_message(), 5};
    std::string text;
    wire::append(created, text);
    created.message.content += std::string(payload - text.size(), 'c');
    std::string frame;
    wire::append_event_frame(created, frame);
    return frame;
  };
  CHECK(static_cast<unsigned char>(frame_of(65'535)[1]) == 126);
  CHECK(frame_of(65'535).size() == 4 + 65'535);
  CHECK(static_cast<unsigned char>(frame_of(65'536)[1]) == 127);
  CHECK(frame_of(65'536).size() == 10 + 65'536);
}
