// What a backplane on NATS does when servers fail, and when there is much of everything.
#include "nats_servers.hpp"
#include "node.hpp"

#include "catch.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>

namespace travelchat::backplane_test {

namespace {

using std::chrono::steady_clock;

// What a backplane logs, and whether a line has come.
class Log {
 public:
  std::function<void(std::string_view)> sink() {
    return [this](std::string_view line) {
      const std::lock_guard lock(mutex_);
      text_.append(line).push_back('\n');
      changed_.notify_all();
    };
  }
  void wait_for(const std::string& words, std::size_t times = 1) {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, patience, [&] {
      std::size_t count = 0;
      for (std::size_t at = 0; (at = text_.find(words, at)) != std::string::npos; ++at) ++count;
      return count >= times;
    });
    INFO(text_);
    REQUIRE(came);
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

// Publishes until the listener has heard something new; what came before the link was up again is lost, as it may be.
void exchange(Node& sender, Node& listener, const Uuid& topic) {
  listener.wait_until_up();
  sender.wait_until_up();
  const std::string payload = to_string(new_topic());
  sender->publish(topic, payload);
  listener.wait_for(topic, payload);
}

NatsBackplaneOptions at(const std::string& url) {
  NatsBackplaneOptions options;
  options.servers = {url};
  return options;
}

std::string password_of(const std::string& url) {
  const std::size_t colon = url.rfind(':', url.find('@'));
  return url.substr(colon + 1, url.find('@') - colon - 1);
}

// Restarts the server with another configuration.
void rewrite(NatsServers& servers, const std::string& from, const std::string& to) {
  const auto conf = servers.folder() / "0.conf";
  std::ifstream file(conf);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE(text.find(from) != std::string::npos);
  text.replace(text.find(from), from.size(), to);
  std::ofstream(conf) << text;
  servers.restart();
}

}  // namespace

TEST_CASE("a server that is down at start is found when it comes") {
  NatsServers servers;
  servers.kill();
  Node sender(make_nats_backplane(servers.options()));
  Node listener(make_nats_backplane(servers.options()));
  const Uuid topic = new_topic();
  listener->join(topic);
  sender->publish(topic, "into the void");
  CHECK_FALSE(listener->is_up());
  CHECK(listener.joined_count(topic) == 0);

  servers.restart();
  listener.wait_for_joined(topic);
  exchange(sender, listener, topic);
  CHECK(listener.heard(topic).size() == 1);
  CHECK(listener.missed_count() == 0);  // `joined` says it
}

TEST_CASE("after a restart of the server every node is told once, and messages flow again") {
  NatsServers servers;
  Log log;
  auto options = servers.options();
  options.log = log.sink();
  Node sender(make_nats_backplane(servers.options()));
  Node listener(make_nats_backplane(options));
  const Uuid before = new_topic();
  const Uuid meanwhile = new_topic();
  const Uuid left = new_topic();
  listener.hear(before);
  listener.hear(left);
  for (std::size_t round = 1; round <= 5; ++round) {
    servers.kill();
    listener.wait_until_down();
    sender.wait_until_down();
    log.wait_for("the connection is lost", round);
    sender->publish(before, "into the void");
    listener->join(meanwhile);
    listener->leave(left);
    servers.restart();
    listener.wait_for_missed(round);
    listener.wait_for_joined(meanwhile, round);
    exchange(sender, listener, before);
    exchange(sender, listener, meanwhile);
    CHECK(listener.missed_count() == round);
    CHECK(listener.joined_count(before) == 1);
    CHECK(listener.heard(before).size() == round);
  }
  sender->publish(left, "anybody?");
  exchange(sender, listener, before);
  CHECK(listener.heard(left).empty());
}

TEST_CASE("nodes with a key hear each other and nobody else") {
  NatsServers servers;
  Log log;
  const std::string key = "a secret of this deployment, 32 bytes and more";
  const auto with_key = [&](const std::string& secret) {
    auto options = servers.options();
    options.key = secret;
    return options;
  };
  auto listening = with_key(key);
  listening.log = log.sink();
  Node listener(make_nats_backplane(listening));
  Node sender(make_nats_backplane(with_key(key)));
  Node forger(make_nats_backplane(servers.options()));
  Node stranger(make_nats_backplane(with_key(key + '!')));
  for (Node* node : {&sender, &forger, &stranger}) node->wait_until_up();
  const Uuid topic = new_topic();
  const Uuid other = new_topic();
  listener.hear(topic);
  listener.hear(other);
  forger.hear(topic);
  stranger.hear(topic);

  sender->publish(topic, "of ours");
  listener.wait_for(topic, "of ours");
  // Who has no key sees what travels, and publishes as it likes.
  const std::string seen = forger.wait_for_count(topic, 1).front();
  CHECK(seen.size() == 32 + std::string_view("of ours").size());
  forger->publish(topic, "of ours");
  forger->publish(topic, "");
  forger->publish(topic, std::string(32, '\0') + "forged");
  std::string changed = seen;
  changed.back() ^= 1;
  forger->publish(topic, changed);
  forger->publish(topic, seen + ' ');
  forger->publish(other, seen);  // of another conversation
  stranger->publish(topic, "with another key");
  log.wait_for("not signed with this node's key");
  // Repeating is all that is left; and behind it, on each topic and from each sender, everything else has come.
  forger->publish(topic, seen);
  CHECK(listener.wait_for_count(topic, 2).back() == "of ours");
  sender->publish(other, "the end");
  listener.wait_for(other, "the end");
  exchange(sender, listener, topic);
  CHECK(listener.heard(topic).size() == 3);
  CHECK(listener.heard(other) == std::vector<std::string>{"the end"});
  CHECK(stranger.heard(topic).empty());
  CHECK(sender->max_payload() + 32 == forger->max_payload());
}

TEST_CASE("10,000 topics need no threads, and are gone at the server when they were left") {
  NatsServers servers;
  Node sender(make_nats_backplane(servers.options()));
  Node listener(make_nats_backplane(servers.options()));
  std::vector<Uuid> topics(10'000);
  for (Uuid& topic : topics) topic = new_topic();
  listener.hear(topics.front());
  exchange(sender, listener, topics.front());
  const std::size_t threads = threads_of_this_process();
  const std::size_t subscriptions = servers.subscriptions();

  for (const Uuid& topic : topics) listener->join(topic);
  for (const Uuid& topic : topics) listener.wait_for_joined(topic);
  CHECK(threads_of_this_process() == threads);
  CHECK(servers.subscriptions() == subscriptions + topics.size() - 1);
  for (const Uuid& topic : topics) sender->publish(topic, "all");
  for (const Uuid& topic : topics) listener.wait_for(topic, "all");

  for (const Uuid& topic : topics) listener->leave(topic);
  listener.hear(topics.front());  // behind them
  CHECK(servers.subscriptions() == subscriptions);
}

TEST_CASE("messages that come faster than they are taken are dropped, and the listener is told behind them") {
  NatsServers servers;
  Node sender(make_nats_backplane(servers.options()));
  Node listener(make_nats_backplane(servers.options()));
  const Uuid topic = new_topic();
  listener.hear(topic);
  sender.wait_until_up();
  listener.hold();
  const std::string large(std::size_t{64} << 10, 'x');
  sender->publish(topic, large);
  listener.wait_until_held();
  // Four times what may wait, in portions that the sender's own queue takes; `served` tells of each that it has passed.
  Node witness(make_nats_backplane(servers.options()));
  const Uuid served = new_topic();
  witness.hear(served);
  constexpr std::size_t portions = 16;
  constexpr std::size_t portion = 64;
  for (std::size_t i = 0; i < portions; ++i) {
    for (std::size_t j = 0; j < portion; ++j) sender->publish(topic, large);
    sender->publish(served, std::to_string(i));
    witness.wait_for(served, std::to_string(i));
  }
  listener.release();
  listener.wait_for_missed();
  const std::size_t heard = listener.heard(topic).size();
  CHECK(heard < portions * portion);
  CHECK(heard >= 256);  // the bound is 16 MiB
  // Whole again.
  sender->publish(topic, "and on");
  listener.wait_for(topic, "and on");
}

TEST_CASE("a server that stands still holds up no publisher, and is left for one that does not") {
  NatsServers servers({"--cluster", "2"});
  Node sender(make_nats_backplane(at(servers.urls()[0])));
  Node listener(make_nats_backplane(at(servers.urls()[1])));
  const Uuid topic = new_topic();
  listener.hear(topic);
  exchange(sender, listener, topic);

  const pid_t still = servers.pid(0);
  REQUIRE(::kill(still, SIGSTOP) == 0);
  const std::string large(std::size_t{64} << 10, 'x');
  steady_clock::duration longest{};
  // More than sockets and queues hold.
  for (int i = 0; i < 2'000; ++i) {
    const auto begin = steady_clock::now();
    sender->publish(topic, large);
    sender->join(new_topic());
    longest = std::max(longest, steady_clock::now() - begin);
  }
  CHECK(longest < std::chrono::seconds{1});
  // It learned of the other server from the first.
  sender.wait_until_down();
  sender.wait_for_missed();
  exchange(sender, listener, topic);
  REQUIRE(::kill(still, SIGCONT) == 0);
}

TEST_CASE("nodes at different servers of a cluster hear each other, and go on at another when one is killed") {
  NatsServers servers({"--cluster", "3"});
  std::vector<std::unique_ptr<Node>> nodes;
  for (const std::string& url : servers.urls()) {
    auto options = servers.options();
    // Each at a server of its own at first: only one is known until that tells of the others.
    options.servers = {url};
    nodes.push_back(std::make_unique<Node>(make_nats_backplane(std::move(options))));
  }
  const Uuid topic = new_topic();
  for (const auto& node : nodes) node->hear(topic);
  const auto everyone_hears = [&](const std::string& round) {
    for (const auto& from : nodes) {
      // Another server knows of a subscription a moment after the own one has confirmed it.
      const std::string payload = round + to_string(new_topic());
      for (const auto& to : nodes) {
        if (to == from) continue;
        const auto deadline = steady_clock::now() + patience;
        bool heard = false;
        while (!heard && steady_clock::now() < deadline) {
          (*from)->publish(topic, payload);
          heard = to->hears(topic, payload, std::chrono::milliseconds{20});
        }
        CHECK(heard);
      }
    }
  };
  everyone_hears("all three ");
  servers.kill(1);
  nodes[1]->wait_for_missed();
  nodes[1]->wait_until_up();
  everyone_hears("at another ");
  CHECK(nodes[0]->missed_count() + nodes[2]->missed_count() == 0);
}

TEST_CASE("in a cluster joined comes again once the other servers know, and from then on nothing is lost") {
  NatsServers servers({"--cluster", "3"});
  Node sender(make_nats_backplane(at(servers.urls()[0])));
  Node listener(make_nats_backplane(at(servers.urls()[1])));
  sender.wait_until_up();
  std::vector<Uuid> topics(500);
  for (Uuid& topic : topics) listener->join(topic = new_topic());
  for (const Uuid& topic : topics) {
    listener.wait_for_joined(topic, 2);
    sender->publish(topic, "now");
  }
  for (const Uuid& topic : topics) listener.wait_for(topic, "now");
}

TEST_CASE("stop returns soon though no server has ever answered") {
  NatsServers servers;
  servers.kill();
  Node node(make_nats_backplane(servers.options()));
  for (int i = 0; i < 100; ++i) node->join(new_topic());
  const auto begin = steady_clock::now();
  node->stop();
  CHECK(steady_clock::now() - begin < std::chrono::seconds{5});
  CHECK(node.calls() == 0);
}

TEST_CASE("a wrong password is no end: the node is there as soon as the server takes it") {
  NatsServers servers;
  const std::string right = password_of(servers.urls()[0]);
  std::string url = servers.urls()[0];
  url.replace(url.find(right), right.size(), "not-the-password");
  Log log;
  auto options = at(url);
  options.log = log.sink();
  Node sender(make_nats_backplane(servers.options()));
  Node listener(make_nats_backplane(std::move(options)));
  const Uuid topic = new_topic();
  listener->join(topic);
  log.wait_for("NATS");
  CHECK_FALSE(listener->is_up());

  rewrite(servers, right, "not-the-password");
  listener.wait_for_joined(topic);
  log.wait_for("connected to nats://127.0.0.1:");
  CHECK(log.text().find("not-the-password") == std::string::npos);

  // The other one is refused now, while it has been up before. It comes back, too.
  sender.wait_until_down();
  rewrite(servers, "not-the-password", right);
  sender.wait_for_missed();
}

TEST_CASE("a token is another way to be let in") {
  NatsServers servers;
  rewrite(servers, "user: \"travelchat\", password: \"" + password_of(servers.urls()[0]) + '"',
          "token: \"open-sesame\"");
  std::string url = servers.urls()[0];
  url.erase(7, url.find('@') + 1 - 7);
  auto options = at(url);
  Log log;
  options.log = log.sink();
  Node outside(make_nats_backplane(options));
  options.log = {};
  options.token = "open-sesame";
  Node sender(make_nats_backplane(options));
  Node listener(make_nats_backplane(options));
  const Uuid topic = new_topic();
  listener.hear(topic);
  exchange(sender, listener, topic);
  log.wait_for("NATS");
  CHECK_FALSE(outside->is_up());
}

TEST_CASE("deployments with different prefixes do not hear each other") {
  NatsServers servers;
  auto options = servers.options();
  options.subject_prefix = "chat.production";
  Node production(make_nats_backplane(options));
  Node listener(make_nats_backplane(options));
  options.subject_prefix = "chat.staging";
  Node staging(make_nats_backplane(options));
  const Uuid topic = new_topic();
  listener.hear(topic);
  staging.wait_until_up();
  staging->publish(topic, "not for you");
  staging->publish(topic, "nor this");
  Node staging_listener(make_nats_backplane(options));
  const Uuid last = new_topic();
  staging_listener.hear(last);
  exchange(staging, staging_listener, last);  // the server has handled what came before
  exchange(production, listener, topic);
  CHECK(listener.heard(topic).size() == 1);
}

TEST_CASE("options that no server could be reached with are refused, with a reason and without the password") {
  const auto reason = [](NatsBackplaneOptions options) -> std::string {
    try {
      make_nats_backplane(std::move(options));
    } catch (const std::system_error& refused) {
      CHECK(refused.code() == std::errc::invalid_argument);
      return refused.what();
    }
    return "accepted";
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(reason({}), Contains("no server is named"));
  for (const auto& [url, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", "must begin with nats://"},
           {"localhost:4222", "must begin with nats://"},
           {"http://ada:hidden@localhost", "must begin with nats://"},
           {"tls://ada:hidden@localhost", "TLS is not supported"},
           {"nats://", "names no host"},
           {"nats://ada:hidden@", "names no host"},
           {"nats://:4222", "names no host"},
           {"nats://[::1", "names no host"},
           {"nats://[::1]4222", "names no host"},
           {"nats://:hidden@localhost", "names no user"},
           {"nats://ada:hid@den@localhost", "cannot hold"},
           {"nats://ada:hid:den@localhost", "cannot hold"},
           {"nats://ada:hidden@localhost:0", "port must be 1 to 65535"},
           {"nats://ada:hidden@localhost:", "port must be 1 to 65535"},
           {"nats://ada:hidden@localhost:65536", "port must be 1 to 65535"},
           {"nats://ada:hidden@localhost:4222x", "port must be 1 to 65535"},
           {"nats://ada:hidden@localhost/path", "nothing may follow"},
           {"nats://one,nats://two", "no such characters"},
           {"nats://one two", "no such characters"},
       }) {
    INFO(url);
    const std::string said = reason(at(url));
    CHECK_THAT(said, Contains(why));
    CHECK_THAT(said, !Contains("hid") && !Contains("den"));
  }
  for (const char* prefix : {"", ".", "a..b", "a.", ".a", "a b", "*", "a.>", "ä"}) {
    INFO(prefix);
    CHECK_THAT(reason({.servers = {"nats://one"}, .subject_prefix = prefix}), Contains("subject prefix"));
  }
  CHECK_THAT(reason({.servers = {"nats://one"}, .key = std::string(31, 'k')}), Contains("at least 32 bytes"));
  CHECK(reason({.servers = {"nats://one"}, .key = std::string(32, 'k')}) == "accepted");
  for (const char* url : {"nats://one", "nats://one:1", "nats://ada@one", "nats://ada:x@[::1]:4222"}) {
    INFO(url);
    CHECK(reason(at(url)) == "accepted");
  }
}

}  // namespace travelchat::backplane_test
