#include <travelchat/event.hpp>
#include <travelchat/subscriber.hpp>

#include "catch.hpp"

#include <string>
#include <vector>

using namespace travelchat;

TEST_CASE("a durable event has the revision that it brought, any other has none") {
  MessageCreated created;
  created.rev = 4;
  created.message.rev = 9;
  CHECK(revision(created) == 4);
  CHECK(revision(ReactionsChanged{{}, {}, 5}) == 5);
  CHECK(revision(MessagesSeen{{}, 6}) == 6);
  CHECK(revision(MessagesRead{{}, 7}) == 7);
  CHECK(revision(TypingChanged{true, false}) == 0);
  CHECK(revision(CaughtUp{8}) == 0);
  CHECK(revision(Resync{8}) == 0);
  ConversationUpdated updated;
  updated.summary.conversation.rev = 8;
  CHECK(revision(updated) == 0);
}

TEST_CASE("a batch encodes each of its events once, in order, however often it is asked") {
  std::vector<std::uint64_t> encoded;
  const EventEncoder encoder = [&encoded](const Event& event, std::string& out) {
    encoded.push_back(revision(event));
    out += "<" + std::to_string(revision(event)) + ">";
  };
  const EventBatch batch({MessagesSeen{{}, 1}, MessagesRead{{}, 2}, MessagesSeen{{}, 3}}, &encoder);
  CHECK(encoded.empty());
  const auto first = batch.encoded();
  CHECK(*first == "<1><2><3>");
  CHECK(batch.encoded() == first);
  CHECK(encoded == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("encoded bytes outlive their batch") {
  std::shared_ptr<const std::string> bytes;
  {
    const EventEncoder encoder = [](const Event&, std::string& out) { out += "x"; };
    const EventBatch batch({CaughtUp{1}}, &encoder);
    bytes = batch.encoded();
  }
  CHECK(*bytes == "x");
}

TEST_CASE("a batch without an encoder has no bytes, and says so without a null") {
  const EventBatch none({CaughtUp{1}}, nullptr);
  REQUIRE(none.encoded());
  CHECK(none.encoded()->empty());
  const EventEncoder unset;
  const EventBatch empty({CaughtUp{1}}, &unset);
  REQUIRE(empty.encoded());
  CHECK(empty.encoded()->empty());
  CHECK(empty.events().size() == 1);
}

TEST_CASE("one Resync stands for all that a reader was not given, and who types for what nothing repeats") {
  ResyncPoint point;
  CHECK(point.events() == std::vector<Event>{Resync{}});
  const Uuid epoch = make_uuid(TimePoint{});
  const Uuid restored = make_uuid(TimePoint{});
  const auto note = [&point](const std::vector<Event>& events) {
    for (const Event& event : events) point.note(event);
  };

  note({TypingChanged{false, true}, MessagesSeen{{}, 4}, CaughtUp{5, epoch}});
  CHECK(point.events() == std::vector<Event>{Resync{5, epoch}, TypingChanged{false, true}});
  // In a replay the messages come as they are now, and older revisions behind newer ones count for nothing.
  note({MessagesRead{{}, 7}, MessagesSeen{{}, 6}, TypingChanged{}});
  CHECK(point.events() == std::vector<Event>{Resync{7, epoch}, TypingChanged{}});
  // The revisions of the epoch before a restore say nothing about the one after it.
  note({Resync{3, restored}});
  CHECK(point.events() == std::vector<Event>{Resync{3, restored}, TypingChanged{}});
  note({Resync{2, restored}});
  CHECK(point.events() == std::vector<Event>{Resync{3, restored}, TypingChanged{}});
}

TEST_CASE("an inbox has no revision to load the list up to") {
  ResyncPoint point;
  ConversationUpdated updated;
  updated.summary.conversation.rev = 8;
  point.note(updated);
  CHECK(point.events() == std::vector<Event>{Resync{}});
}
