#include "core/event_order.hpp"
#include "core/inbox_order.hpp"

#include "catch.hpp"

using namespace travelchat;
using detail::EventOrder;
using detail::InboxOrder;

namespace {

std::vector<Event> seen(std::initializer_list<std::uint64_t> revs) {
  std::vector<Event> events;
  for (const std::uint64_t rev : revs) events.emplace_back(MessagesSeen{{}, rev});
  return events;
}

ChangeList changes(std::uint64_t from, std::uint64_t to) {
  ChangeList list;
  list.current_rev = to;
  for (std::uint64_t rev = from; rev <= to; ++rev) {
    Change& change = list.changes.emplace_back();
    change.mark = Change::Mark{Role::client, {}};
    change.rev = rev;
  }
  return list;
}

ChangeList too_many(std::uint64_t current) {
  ChangeList list;
  list.current_rev = current;
  list.too_many = true;
  return list;
}

ConversationSummary row(const Uuid& id, std::uint64_t rev, std::uint64_t last_seq, std::uint64_t unread = 0) {
  ConversationSummary row;
  row.conversation.id = id;
  row.conversation.rev = rev;
  row.conversation.last_seq = last_seq;
  row.conversation.unread_count = unread;
  return row;
}

}  // namespace

TEST_CASE("where nobody else writes, the first event begins the order") {
  EventOrder order(10, false);
  CHECK(order.take(seen({41, 42})) == seen({41, 42}));
  CHECK(order.told() == 42);
  CHECK(order.take(seen({42})).empty());
  CHECK_FALSE(order.is_behind());
}

TEST_CASE("where others write, nothing is told before it is known where to begin") {
  EventOrder order(10, true);
  CHECK(order.take(seen({7})).empty());
  CHECK_FALSE(order.is_behind());
  order.start_at(5);
  CHECK(order.is_behind());
  order.start_at(7);  // too late
  CHECK(order.take(seen({6})) == seen({6, 7}));
}

TEST_CASE("what the storage tells fills the gap, and what waited follows") {
  EventOrder order(10, true);
  order.start_at(0);
  CHECK(order.take(seen({1, 2})) == seen({1, 2}));
  CHECK(order.take(seen({5})).empty());
  CHECK(order.is_behind());
  CHECK(order.begin_fill() == 2);
  CHECK(order.take(seen({7})).empty());
  CHECK(order.fill(changes(3, 6)) == seen({3, 4, 5, 6, 7}));
  CHECK_FALSE(order.is_behind());
  CHECK(order.fill(changes(3, 6)).empty());  // an older answer brings nothing
  CHECK(order.told() == 7);
}

TEST_CASE("an expected revision is missing until it has come") {
  EventOrder order(10, true);
  order.start_at(3);
  order.expect(3);
  CHECK_FALSE(order.is_behind());
  order.expect(4);
  CHECK(order.is_behind());
  CHECK(order.take(seen({4})) == seen({4}));
  CHECK_FALSE(order.is_behind());
}

TEST_CASE("too much to tell becomes one resync, with what waited behind it") {
  EventOrder order(10, true);
  order.start_at(1);
  order.expect(5'001);
  order.begin_fill();
  CHECK(order.take(seen({5'002})).empty());
  const std::vector<Event> told = order.fill(too_many(5'001));
  REQUIRE(told.size() == 2);
  CHECK(told[0] == Event(Resync{5'001}));
  CHECK(told[1] == Event(MessagesSeen{{}, 5'002}));
}

TEST_CASE("events that wait for too long are dropped and read again") {
  EventOrder order(3, true);
  order.start_at(0);
  for (std::uint64_t rev = 2; rev <= 6; ++rev) CHECK(order.take(seen({rev})).empty());
  CHECK(order.is_behind());
  order.begin_fill();
  CHECK(order.fill(changes(1, 6)) == seen({1, 2, 3, 4, 5, 6}));
}

TEST_CASE("a hint of something that the storage does not have is forgotten") {
  EventOrder order(10, true);
  order.start_at(4);
  order.expect(900);
  CHECK(order.take(seen({901})).empty());
  CHECK(order.begin_fill() == 4);
  CHECK(order.fill(changes(5, 5)) == seen({5}));
  CHECK_FALSE(order.is_behind());
  CHECK(order.take(seen({6})) == seen({6}));
}

TEST_CASE("an answer that was overtaken by what it would tell brings nothing") {
  EventOrder order(10, true);
  order.start_at(0);
  order.expect(2);
  CHECK(order.begin_fill() == 0);
  CHECK(order.take(seen({1, 2, 3})) == seen({1, 2, 3}));
  CHECK(order.fill(changes(1, 2)).empty());
  CHECK(order.fill(too_many(2)).empty());
  CHECK(order.told() == 3);
}

TEST_CASE("a storage that went back to an older state makes everybody start over") {
  EventOrder order(10, true);
  order.start_at(9);
  order.begin_fill();
  CHECK(order.fill(too_many(4)) == std::vector<Event>{Resync{4}});
  CHECK(order.take(seen({5})) == seen({5}));
}

TEST_CASE("a change is told as what it brought: the message, its new content, its reactions, or a mark") {
  const auto change = [](std::uint64_t rev, std::uint64_t content_rev) {
    Change made;
    made.rev = rev;
    made.created_rev = 1;
    made.content_rev = content_rev;
    made.message.emplace().seq = 1;
    return made;
  };
  ChangeList list;
  list.current_rev = 6;
  list.changes = {change(1, 3), change(2, 3), change(3, 3), change(4, 3)};
  list.changes.emplace_back().rev = 5;  // of a later version: neither a message nor a mark
  list.changes.push_back(changes(6, 6).changes.front());
  const Message message = *list.changes.front().message;
  const std::vector<Event> told = detail::events_of(std::move(list));
  CHECK(told == std::vector<Event>{MessageCreated{message, 1}, ReactionsChanged{{}, {}, 2}, MessageChanged{message, 3},
                                   ReactionsChanged{{}, {}, 4}, MessagesSeen{{}, 6}});
}

TEST_CASE("a change that says nothing to this version counts as told") {
  EventOrder order(10, true);
  order.start_at(1);
  order.expect(3);
  ChangeList list;
  list.current_rev = 3;
  list.changes.emplace_back().rev = 2;
  list.changes.emplace_back().rev = 3;
  order.begin_fill();
  CHECK(order.fill(std::move(list)).empty());
  CHECK(order.take(seen({4})) == seen({4}));
}

TEST_CASE("an inbox tells the newest row of a conversation and never an older one after it") {
  InboxOrder order;
  const Uuid id = make_uuid({});
  CHECK(order.take(row(id, 0, 0)));
  CHECK_FALSE(order.take(row(id, 0, 0)));
  CHECK(order.take(row(id, 6, 3)));
  CHECK_FALSE(order.take(row(id, 5, 2)));
  CHECK_FALSE(order.take(row(id, 6, 3)));
}

TEST_CASE("a list that is compared tells the rows whose look has changed since") {
  InboxOrder order;
  const Uuid same = make_uuid({});
  const Uuid grown = make_uuid({});
  const Uuid read = make_uuid({});
  const Uuid reacted = make_uuid({});
  const Uuid opened = make_uuid({});
  CHECK(order.take(row(grown, 2, 2)));  // told while the first list was read
  CHECK(order.compare({row(same, 1, 1), row(grown, 1, 1), row(read, 3, 3, 1), row(reacted, 1, 1)}).empty());
  const std::vector<Event> news =
      order.compare({row(same, 1, 1), row(grown, 4, 3), row(read, 4, 3, 0), row(reacted, 2, 1), row(opened, 0, 0)});
  CHECK(news == std::vector<Event>{ConversationUpdated{row(grown, 4, 3)}, ConversationUpdated{row(read, 4, 3, 0)},
                                   ConversationUpdated{row(opened, 0, 0)}});
  CHECK(order.compare({row(same, 1, 1), row(grown, 4, 3)}).empty());
}
