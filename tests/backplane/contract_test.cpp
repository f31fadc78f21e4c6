// What backplane.hpp promises, for every backplane.
#include "backplanes.hpp"
#include "node.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

namespace travelchat::backplane_test {

TEST_CASE("a message reaches every other node that has joined, and not its sender") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node first(network.make());
  Node second(network.make());
  Node elsewhere(network.make());
  const Uuid topic = new_topic();
  const Uuid other = new_topic();
  for (Node* node : {&sender, &first, &second}) node->hear(topic);
  elsewhere.hear(other);

  sender->publish(topic, "hello");
  CHECK(first.wait_for(topic, "hello") == std::vector<std::string>{"hello"});
  CHECK(second.wait_for(topic, "hello") == std::vector<std::string>{"hello"});
  // The answer comes behind whatever the sender would have heard of itself.
  first->publish(topic, "and you");
  CHECK(sender.wait_for(topic, "and you") == std::vector<std::string>{"and you"});
  sender->publish(other, "for you");
  CHECK(elsewhere.wait_for(other, "for you") == std::vector<std::string>{"for you"});
  CHECK(elsewhere.heard(topic).empty());
}

TEST_CASE("messages of one sender on one topic arrive in the order in which they were published") {
  ON_EVERY_BACKPLANE(network);
  constexpr std::size_t each = 2'000;
  Node listener(network.make());
  Node ada(network.make());
  Node ben(network.make());
  const Uuid topic = new_topic();
  listener.hear(topic);
  ada.wait_until_up();
  ben.wait_until_up();

  const auto publish = [&](Node& node, const std::string& name) {
    for (std::size_t i = 0; i < each; ++i) node->publish(topic, name + std::to_string(i));
  };
  std::thread other([&] { publish(ben, "b"); });
  publish(ada, "a");
  other.join();

  const auto heard = listener.wait_for_count(topic, 2 * each);
  for (const char name : {'a', 'b'}) {
    std::size_t next = 0;
    for (const std::string& payload : heard) {
      if (payload.front() == name) CHECK(payload == name + std::to_string(next++));
    }
    CHECK(next == each);
  }
}

TEST_CASE("a topic that was left is silent, and one that was joined again is not") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  const Uuid topic = new_topic();
  const Uuid other = new_topic();
  listener.hear(topic);
  listener.hear(other);
  sender.wait_until_up();
  sender->publish(topic, "one");
  listener.wait_for(topic, "one");

  listener->leave(topic);
  sender->publish(topic, "two");
  // The listener hears it behind "two", which may still be under way to it when others have long heard that.
  sender->publish(other, "passed");
  listener.wait_for(other, "passed");
  listener.hear(topic);
  sender->publish(topic, "three");
  CHECK(listener.wait_for(topic, "three") == std::vector<std::string>{"one", "three"});
}

TEST_CASE("joined means heard: what is published right afterwards always arrives") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  sender.wait_until_up();
  for (int i = 0; i < 1'000; ++i) {
    const Uuid topic = new_topic();
    listener.hear(topic);
    sender->publish(topic, "now");
    listener.wait_for(topic, "now");
  }
}

TEST_CASE("joining and leaving are idempotent, and every join is answered") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  sender.wait_until_up();
  const Uuid topic = new_topic();
  listener->leave(topic);  // never joined
  listener.hear(topic);
  listener.hear(topic);
  sender->publish(topic, "once");
  sender->publish(topic, "end");
  CHECK(listener.wait_for(topic, "end") == std::vector<std::string>{"once", "end"});

  listener->leave(topic);
  listener->leave(topic);
  listener.hear(topic);
  // At once, while the leaving may still be under way.
  for (int i = 0; i < 200; ++i) {
    listener->leave(topic);
    listener.hear(topic);
    sender->publish(topic, std::to_string(i));
    listener.wait_for(topic, std::to_string(i));
  }
}

TEST_CASE("what counts is the last of many joins and leaves") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  std::vector<Uuid> topics(200);
  for (Uuid& topic : topics) topic = new_topic();
  // Both halves at once, each with topics of its own.
  const auto toss = [&](std::size_t begin, std::size_t end) {
    for (int round = 0; round < 20; ++round) {
      for (std::size_t i = begin; i < end; ++i) {
        if ((i + static_cast<std::size_t>(round)) % 3 == 0) {
          listener->leave(topics[i]);
        } else {
          listener->join(topics[i]);
        }
      }
    }
    for (std::size_t i = begin; i < end; ++i) {
      if (i % 2 == 0) {
        listener->join(topics[i]);
      } else {
        listener->leave(topics[i]);
      }
    }
  };
  std::thread other([&] { toss(0, topics.size() / 2); });
  toss(topics.size() / 2, topics.size());
  other.join();
  sender.wait_until_up();
  // Behind everything above.
  const Uuid last = new_topic();
  listener.hear(last);
  for (const Uuid& topic : topics) sender->publish(topic, "who?");
  for (std::size_t i = 0; i < topics.size(); i += 2) listener.wait_for(topics[i], "who?");
  for (std::size_t i = 1; i < topics.size(); i += 2) CHECK(listener.heard(topics[i]).empty());
}

TEST_CASE("a payload may be any bytes, up to the longest that is carried") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  const Uuid topic = new_topic();
  listener.hear(topic);
  sender.wait_until_up();
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  std::string longest(sender->max_payload(), '\r');
  longest.back() = '\n';
  for (const std::string& payload : {std::string(), every_byte, std::string("MSG x 1 5\r\n\0PING\r\n", 19), longest}) {
    sender->publish(topic, payload);
  }
  const auto heard = listener.wait_for_count(topic, 4);
  CHECK(heard[0].empty());
  CHECK(heard[1] == every_byte);
  CHECK(heard[2] == std::string("MSG x 1 5\r\n\0PING\r\n", 19));
  CHECK((heard[3] == longest));  // not printed
}

TEST_CASE("a payload that is too long is not carried and hurts nobody") {
  ON_EVERY_BACKPLANE(network);
  Node sender(network.make());
  Node listener(network.make());
  const Uuid topic = new_topic();
  listener.hear(topic);
  sender.wait_until_up();
  const std::string too_long(sender->max_payload() + 1, 'x');
  for (int i = 0; i < 10; ++i) sender->publish(topic, too_long);
  sender->publish(topic, "short");
  CHECK(listener.wait_for(topic, "short") == std::vector<std::string>{"short"});
  CHECK(sender->is_up());
  CHECK(sender.missed_count() + listener.missed_count() == 0);
}

TEST_CASE("no call comes once stop has returned, with everything in flight") {
  ON_EVERY_BACKPLANE(network);
  for (int round = 0; round < 10; ++round) {
    Node sender(network.make());
    Node listener(network.make());
    std::vector<Uuid> topics(50);
    for (Uuid& topic : topics) topic = new_topic();
    listener.hear(topics.front());
    sender.wait_until_up();
    std::atomic<bool> enough{false};
    std::thread publisher([&] {
      while (!enough) {
        for (const Uuid& topic : topics) sender->publish(topic, "noise");
      }
    });
    std::thread joiner([&] {
      while (!enough) {
        for (const Uuid& topic : topics) listener->join(topic);
        for (std::size_t i = 1; i < topics.size(); ++i) listener->leave(topics[i]);
      }
    });
    listener.wait_for(topics.front(), "noise");
    listener->stop();
    const std::size_t calls = listener.calls();
    CHECK_FALSE(listener->is_up());
    enough = true;
    joiner.join();
    publisher.join();
    sender->stop();
    sender->stop();
    CHECK(listener.calls() == calls);
  }
}

TEST_CASE("a backplane that was never started stops, too") {
  ON_EVERY_BACKPLANE(network);
  const std::unique_ptr<Backplane> backplane = network.make();
  CHECK_FALSE(backplane->is_up());
  backplane->stop();
}

}  // namespace travelchat::backplane_test
