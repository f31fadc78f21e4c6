#include "core/room.hpp"

#include "catch.hpp"
#include "recorder.hpp"

using namespace travelchat;
using detail::Room;
using detail::SteadyTime;
using test::Recorder;
using namespace std::chrono_literals;

namespace {

const SteadyTime start{1000s};

struct Listener {
  std::shared_ptr<Recorder> recorder = std::make_shared<Recorder>();
  std::uint64_t key = 0;

  std::vector<Event> heard() const { return recorder->events(); }
};

struct Fixture {
  EventEncoder encoder;
  Room room{&encoder, 5, false};
  std::uint64_t next_key = 1;

  Listener join(Role role, std::string id, bool replaying = false) {
    Listener listener;
    listener.key = next_key++;
    room.join(listener.key, role, std::move(id), listener.recorder, replaying);
    room.greet(listener.key);
    return listener;
  }

  void publish(std::uint64_t first, std::uint64_t last) {
    std::vector<Event> events;
    for (std::uint64_t rev = first; rev <= last; ++rev) events.emplace_back(MessagesSeen{{}, rev});
    room.publish(std::move(events));
  }

  Event send(std::uint64_t rev, Role role, std::string id) {
    Message message;
    message.sender_type = role;
    message.sender_id = std::move(id);
    const Event event = MessageCreated{message, rev};
    room.publish({event});
    return event;
  }
};

std::vector<std::uint64_t> revisions(const std::vector<Event>& events) {
  std::vector<std::uint64_t> out;
  for (const Event& event : events) {
    if (std::holds_alternative<MessagesSeen>(event)) out.push_back(revision(event));
  }
  return out;
}

Change seen(std::uint64_t rev) {
  Change change;
  change.mark = Change::Mark{Role::client, {}};
  change.rev = rev;
  return change;
}

const Event silent = TypingChanged{false, false};
const Event advisor_types = TypingChanged{true, false};

}  // namespace

TEST_CASE("the typing state is the first thing that a listener hears") {
  Fixture f;
  const Listener advisor = f.join(Role::advisor, "a");
  f.room.set_typing(advisor.key, true, start + 6s);
  const Listener client = f.join(Role::client, "c");
  REQUIRE(client.heard() == std::vector<Event>{advisor_types});
}

TEST_CASE("typing is told to all others when it changes, and only then") {
  Fixture f;
  const Listener advisor = f.join(Role::advisor, "a");
  const Listener client = f.join(Role::client, "c");
  f.room.set_typing(advisor.key, true, start + 6s);
  f.room.set_typing(advisor.key, true, start + 8s);
  f.room.set_typing(advisor.key, false, start);
  f.room.set_typing(advisor.key, false, start);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, silent});
  REQUIRE(advisor.heard() == std::vector<Event>{silent});
}

TEST_CASE("closing one of two tabs does not clear the typing of the other") {
  Fixture f;
  const Listener first = f.join(Role::advisor, "a");
  const Listener second = f.join(Role::advisor, "a");
  const Listener client = f.join(Role::client, "c");
  f.room.set_typing(first.key, true, start + 6s);
  f.room.set_typing(second.key, true, start + 6s);
  f.room.leave(first.key);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types});
  f.room.leave(second.key);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, silent});
}

TEST_CASE("whoever heard another begin hears the end, also when its own typing was the last to stop") {
  Fixture f;
  const Listener first = f.join(Role::advisor, "a");
  const Listener second = f.join(Role::advisor, "b");
  f.room.set_typing(first.key, true, start + 6s);
  f.room.set_typing(second.key, true, start + 6s);
  f.room.set_typing(first.key, false, start);
  f.room.set_typing(second.key, false, start);
  REQUIRE(second.heard() == std::vector<Event>{silent, advisor_types, silent});
}

TEST_CASE("a typing state that is not refreshed expires") {
  Fixture f;
  const Listener advisor = f.join(Role::advisor, "a");
  const Listener client = f.join(Role::client, "c");
  f.room.set_typing(advisor.key, true, start + 6s);
  REQUIRE(f.room.expire_typing(start + 5999ms) == start + 6s);
  REQUIRE(client.heard().back() == advisor_types);
  f.room.set_typing(advisor.key, true, start + 8s);
  REQUIRE(f.room.expire_typing(start + 6s) == start + 8s);
  REQUIRE(f.room.expire_typing(start + 8s) == std::nullopt);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, silent});
}

TEST_CASE("what a participant sends ends its typing on every socket, and nobody else's") {
  Fixture f;
  const Listener first = f.join(Role::advisor, "a");
  const Listener colleague = f.join(Role::advisor, "b");
  const Listener client = f.join(Role::client, "c");
  f.room.set_typing(first.key, true, start + 6s);
  f.room.set_typing(colleague.key, true, start + 6s);
  const Event from_first = f.send(1, Role::advisor, "a");
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, from_first});
  const Event from_colleague = f.send(2, Role::advisor, "b");
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, from_first, from_colleague, silent});
}

TEST_CASE("who types on another node is told as who types here, until it stops or expires") {
  Fixture f;
  const Uuid node = make_uuid({});
  const Uuid other = make_uuid({});
  const Listener client = f.join(Role::client, "c");
  f.room.set_node_typing(node, {true, false}, start + 6s);
  f.room.set_node_typing(other, {true, false}, start + 7s);
  f.room.set_node_typing(node, {}, start + 6s);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types});
  REQUIRE(f.room.local_typing() == TypingChanged{});
  REQUIRE(f.room.expire_typing(start + 6s) == start + 7s);
  REQUIRE(f.room.expire_typing(start + 7s) == std::nullopt);
  REQUIRE(client.heard() == std::vector<Event>{silent, advisor_types, silent});

  // Whoever types here hears of the other's end only when there was another.
  f.room.set_typing(client.key, true, start + 9s);
  f.room.set_node_typing(node, {false, true}, start + 9s);
  f.room.set_typing(client.key, false, start);
  REQUIRE(client.heard().size() == 3);
  f.room.set_node_typing(node, {}, start + 9s);
  REQUIRE(client.heard().size() == 3);
}

TEST_CASE("an event waits for the one before it, and nothing is told twice") {
  Fixture f;
  const Listener listener = f.join(Role::client, "c");
  f.publish(1, 1);
  f.publish(3, 4);
  REQUIRE(revisions(listener.heard()) == std::vector<std::uint64_t>{1});
  REQUIRE(f.room.order().is_behind());
  f.publish(2, 2);
  f.publish(2, 3);
  REQUIRE(revisions(listener.heard()) == std::vector<std::uint64_t>{1, 2, 3, 4});
  REQUIRE_FALSE(f.room.order().is_behind());
}

TEST_CASE("a replay that meets a resync of its room becomes one, too") {
  Fixture f;
  const Listener live = f.join(Role::client, "c");
  const Listener reader = f.join(Role::client, "c", true);
  f.room.resync(7);
  ChangeList history;
  history.current_rev = 6;
  f.room.finish_replay(reader.key, history);
  f.publish(8, 8);
  const std::vector<Event> expected{silent, Resync{7}, MessagesSeen{{}, 8}};
  REQUIRE(live.heard() == expected);
  REQUIRE(reader.heard() == expected);
}

TEST_CASE("a replay comes before what happened meanwhile, nothing missing and nothing twice") {
  Fixture f;
  const Listener reader = f.join(Role::client, "c", true);
  f.publish(4, 5);  // committed before the history was read: in it
  f.publish(6, 7);  // half in it
  f.publish(8, 8);
  ChangeList history;
  history.current_rev = 6;
  for (std::uint64_t rev = 3; rev <= 6; ++rev) history.changes.push_back(seen(rev));
  f.room.finish_replay(reader.key, history);
  const std::vector<Event> heard = reader.heard();
  REQUIRE(revisions(heard) == std::vector<std::uint64_t>{3, 4, 5, 6, 7, 8});
  REQUIRE(heard[5] == Event(CaughtUp{6}));
}

TEST_CASE("a batch that arrives after the replay that already held a part of it loses that part") {
  Fixture f;
  const Listener reader = f.join(Role::client, "c", true);
  ChangeList history;
  history.current_rev = 2;
  history.changes = {seen(1), seen(2)};
  f.room.finish_replay(reader.key, history);
  f.publish(1, 3);
  f.publish(4, 4);
  REQUIRE(revisions(reader.heard()) == std::vector<std::uint64_t>{1, 2, 3, 4});
}

TEST_CASE("too many changes become one resync, and live events follow it") {
  Fixture f;
  const Listener reader = f.join(Role::client, "c", true);
  ChangeList history;
  history.current_rev = 5'000;
  history.too_many = true;
  f.room.finish_replay(reader.key, history);
  f.publish(5'001, 5'001);
  REQUIRE(reader.heard() == std::vector<Event>{silent, Resync{5'000}, MessagesSeen{{}, 5'001}});
}

TEST_CASE("a backlog that outgrows its bound during a replay becomes a resync to the newest revision") {
  Fixture f;  // at most five waiting events
  const Listener reader = f.join(Role::client, "c", true);
  f.publish(1, 3);
  f.publish(4, 6);
  f.room.finish_replay(reader.key, ChangeList{});
  f.publish(7, 7);
  REQUIRE(reader.heard() == std::vector<Event>{silent, Resync{6}, MessagesSeen{{}, 7}});
}

TEST_CASE("a history that cannot be read closes its listener and nobody else") {
  Fixture f;
  const Listener reader = f.join(Role::client, "c", true);
  const Listener other = f.join(Role::client, "c");
  f.room.fail_replay(reader.key, errc::storage_failed);
  f.publish(1, 1);
  REQUIRE(reader.recorder->wait_for_close() == errc::storage_failed);
  REQUIRE(revisions(reader.heard()).empty());
  REQUIRE(revisions(other.heard()) == std::vector<std::uint64_t>{1});
}

TEST_CASE("every listener of a room gets the same batch, encoded once") {
  std::size_t encoded = 0;
  const EventEncoder encoder = [&](const Event&, std::string& out) {
    ++encoded;
    out += "x";
  };
  struct Bytes : Subscriber {
    std::shared_ptr<const std::string> last;
    void deliver(const std::shared_ptr<const EventBatch>& batch) noexcept override { last = batch->encoded(); }
    void close(errc) noexcept override {}
  };
  Room room(&encoder, 4, false);
  const auto first = std::make_shared<Bytes>();
  const auto second = std::make_shared<Bytes>();
  room.join(1, Role::advisor, "a", first, false);
  room.join(2, Role::client, "c", second, false);
  REQUIRE(room.publish({MessagesSeen{{}, 1}, MessagesSeen{{}, 2}}) == 4);
  REQUIRE(encoded == 2);
  REQUIRE(*first->last == "xx");
  REQUIRE(first->last == second->last);
}
