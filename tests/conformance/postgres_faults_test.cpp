// The PostgreSQL storage among troubles: nodes that share it, connections that break at the worst moment, a server that
// restarts or stays away, and hosts that hold locks. What was answered is there, once.

#include "fixture.hpp"
#include "postgres_server.hpp"
#include "use_future.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/postgres_storage.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <list>
#include <map>
#include <random>
#include <thread>

namespace travelchat::conformance {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::minutes;

// A wire between the storage and a server that can be cut.
class Wire {
 public:
  enum class Cut {
    none,
    before_commit,  // the COMMIT never reaches the server
    after_commit,   // the server has committed, and its answer is lost
    at_commit,      // the COMMIT is on its way, and nobody waits to see
  };

  explicit Wire(const std::string& url) {
    const auto at = url.find('@') + 1;
    const auto colon = url.find(':', at);
    const auto slash = url.find('/', colon);
    port_ = static_cast<std::uint16_t>(std::stoi(url.substr(colon + 1, slash - colon - 1)));
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 16);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = url.substr(0, colon + 1) + std::to_string(ntohs(address.sin_port)) + url.substr(slash);
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
  }
  ~Wire() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  const std::string& url() const noexcept { return url_; }
  // The next COMMIT that passes is treated so, once.
  void cut_next(Cut cut) { cut_ = cut; }
  int cuts() const { return cuts_; }
  // Broken: no connection lives and none is let through.
  void set_broken(bool broken) { broken_ = broken; }

 private:
  struct Link {
    int client = -1;
    int server = -1;
    Cut pending = Cut::none;  // its COMMIT has been let through
    std::string tail;         // of what the client has said
  };

  static sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  static void close(Link& link) {
    ::close(link.client);
    ::close(link.server);
  }
  static bool send_all(int socket, const char* data, std::size_t size) {
    while (size > 0) {
      const auto sent = ::send(socket, data, size, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      data += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  void run(const std::stop_token& stop) {
    std::list<Link> links;
    while (!stop.stop_requested()) {
      std::vector<pollfd> sockets{{listener_, POLLIN, 0}};
      for (const Link& link : links) {
        sockets.push_back({link.client, POLLIN, 0});
        sockets.push_back({link.server, POLLIN, 0});
      }
      ::poll(sockets.data(), sockets.size(), 20);
      std::size_t i = 1;
      for (auto link = links.begin(); link != links.end(); i += 2) {
        const bool keep = !broken_ && (sockets[i].revents == 0 || from_client(*link)) &&
                          (sockets[i + 1].revents == 0 || from_server(*link));
        if (!keep) close(*link);
        link = keep ? std::next(link) : links.erase(link);
      }
      if (sockets[0].revents != 0) accept(links);
    }
    for (Link& link : links) close(link);
  }
  void accept(std::list<Link>& links) {
    Link link;
    link.client = ::accept(listener_, nullptr, nullptr);
    link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port_);
    const int on = 1;
    ::setsockopt(link.client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(link.server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (broken_ || ::connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close(link);
    } else {
      links.push_back(link);
    }
  }
  bool from_client(Link& link) {
    char data[65536];
    const auto size = ::recv(link.client, data, sizeof data, 0);
    if (size <= 0) return false;
    // The statement is run by its name, as a C string.
    link.tail.append(data, static_cast<std::size_t>(size));
    const bool has_commit = link.tail.find(std::string("\0commit\0", 8)) != std::string::npos;
    link.tail.erase(0, has_commit ? link.tail.size() : std::max<std::size_t>(link.tail.size(), 8) - 8);
    if (has_commit && cut_ != Cut::none) {
      link.pending = cut_.exchange(Cut::none);
      ++cuts_;
      if (link.pending == Cut::before_commit) return false;
      if (link.pending == Cut::at_commit) {
        send_all(link.server, data, static_cast<std::size_t>(size));
        return false;
      }
    }
    return send_all(link.server, data, static_cast<std::size_t>(size));
  }
  bool from_server(Link& link) {
    char data[65536];
    const auto size = ::recv(link.server, data, sizeof data, 0);
    if (size <= 0) return false;
    if (link.pending == Cut::after_commit) {
      const std::string_view answer(data, static_cast<std::size_t>(size));
      return answer.find(std::string_view("COMMIT\0", 7)) == std::string_view::npos;
    }
    return send_all(link.client, data, static_cast<std::size_t>(size));
  }

  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::string url_;
  std::atomic<Cut> cut_{Cut::none};
  std::atomic<int> cuts_{0};
  std::atomic<bool> broken_{false};
  std::jthread thread_;
};

std::unique_ptr<PostgresStorage> open(const std::string& url, milliseconds patience = seconds{5}) {
  PostgresStorageOptions options;
  options.url = url;
  options.patience = patience;
  return PostgresStorage::open(options);
}

TimePoint now() {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::vector<Uuid> open_conversations(Storage& storage, int count) {
  std::vector<Write> writes;
  for (int i = 0; i < count; ++i) {
    writes.emplace_back(OpenConversation{make_uuid(now()), "org-1", "client-" + std::to_string(i), now()});
  }
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage.commit(writes, results));
  std::vector<Uuid> ids;
  for (const auto& opened : results) ids.push_back(opened.value().conversation.id);
  return ids;
}

// Every message has its content's name as client message id: what was answered must be there, once, as it was answered.
struct Witness {
  std::map<std::string, std::pair<Uuid, std::uint64_t>> answered;
  std::size_t contradictions = 0;

  void saw(const Message& message) {
    const auto [first, is_new] = answered.try_emplace(message.content, message.id, message.seq);
    if (!is_new && first->second != std::pair(message.id, message.seq)) ++contradictions;
  }
  // How many of the answered ones are not there as they were answered, and how many are there twice.
  void check(Session& session) const {
    std::map<std::string, std::pair<Uuid, std::uint64_t>> stored;
    std::size_t rows = 0;
    for (const auto& row : session.query("SELECT content, id, seq FROM messages")) {
      stored.emplace(row[0], std::pair(*parse_uuid(row[1]), std::stoull(row[2])));
      ++rows;
    }
    CHECK(contradictions == 0);
    CHECK(stored.size() == rows);  // none doubled
    std::size_t lost = 0;
    for (const auto& [content, place] : answered) {
      const auto found = stored.find(content);
      if (found == stored.end() || found->second != place) ++lost;
    }
    CHECK(lost == 0);
    CHECK(count_wrong(session) == "0");
  }
};

}  // namespace

TEST_CASE("postgres: a commit whose answer is lost is looked up, on either side of it") {
  Schema schema;
  Wire wire(schema.url());
  Session session(schema.url());
  auto storage = open(wire.url());
  const auto ids = open_conversations(*storage, 8);
  Witness witness;
  int n = 0;
  const auto cut = GENERATE(Wire::Cut::before_commit, Wire::Cut::after_commit, Wire::Cut::at_commit);
  for (int round = 0; round < 12; ++round) {
    const int before = wire.cuts();
    wire.cut_next(cut);
    std::vector<Write> batch;
    // Small batches are one transaction, larger ones several at once.
    for (int i = 0; i < (round % 2 == 0 ? 5 : 70); ++i) {
      const auto& id = ids[static_cast<std::size_t>(i) % ids.size()];
      // Without a client message id: only the storage itself can tell that it has been there.
      batch.emplace_back(message_to(id, advisor(), "message " + std::to_string(n++)));
    }
    std::vector<result<Written>> results;
    REQUIRE_FALSE(storage->commit(batch, results));
    CHECK(wire.cuts() == before + 1);
    for (const auto& written : results) {
      REQUIRE(written);
      CHECK(written->changed);
      witness.saw(*written->message);
    }
  }
  CHECK(witness.answered.size() == static_cast<std::size_t>(n));
  CHECK(session.value("SELECT count(*) FROM messages") == std::to_string(n));
  witness.check(session);
}

TEST_CASE("postgres: a commit that cannot be settled in time fails, and the same client message id settles it") {
  Schema schema;
  Wire wire(schema.url());
  Session session(schema.url());
  constexpr milliseconds patience{400};
  auto storage = open(wire.url(), patience);
  const Uuid id = open_conversations(*storage, 1).front();
  for (const auto cut : {Wire::Cut::before_commit, Wire::Cut::after_commit}) {
    const std::string key = cut == Wire::Cut::before_commit ? "before" : "after";
    wire.cut_next(cut);
    const int before = wire.cuts();
    std::jthread breaker([&] {
      while (wire.cuts() == before) std::this_thread::yield();
      wire.set_broken(true);
    });
    std::vector<Write> one{message_to(id, client("client-0"), "hello " + key, key)};
    std::vector<result<Written>> results;
    const auto start = Clock::now();
    CHECK(storage->commit(one, results) == errc::storage_failed);
    // It fails in time, and so does everything while the database is away.
    CHECK(Clock::now() - start < 5 * patience + seconds{2});
    breaker.join();
    CHECK(storage->commit(one, results) == errc::storage_failed);
    CHECK(storage->ping() == errc::storage_failed);
    CHECK(failed_with(storage->list_messages({id, std::nullopt, std::nullopt, 10}), errc::storage_failed));
    CHECK(Clock::now() - start < 20 * patience + seconds{4});
    wire.set_broken(false);
    std::vector<Write> again{message_to(id, client("client-0"), "hello " + key, key)};
    // So short a patience may be over before a busy machine has made a connection.
    const auto answers = Clock::now() + seconds{30};
    bool at_once = true;
    for (; storage->commit(again, results); at_once = false) REQUIRE(Clock::now() < answers);
    REQUIRE(results.front());
    // One of several tries may have stored it without its answer.
    if (cut == Wire::Cut::after_commit || at_once) {
      CHECK(results.front()->changed == (cut == Wire::Cut::before_commit));
    }
    while (storage->ping()) REQUIRE(Clock::now() < answers);
  }
  CHECK(session.value("SELECT string_agg(content, ',' ORDER BY seq) FROM messages") == "hello before,hello after");
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: immediate restarts under load lose nothing and double nothing") {
  PostgresServer server;
  Schema schema(server.url());
  auto storage = open(schema.url(), milliseconds{500});
  const auto ids = open_conversations(*storage, 6);
  std::atomic<bool> done{false};
  Witness witness;
  std::atomic<int> reads{0};
  std::vector<std::jthread> threads;
  // Readers meet restarts too, and recover.
  threads.emplace_back([&] {
    while (!done) {
      if (storage->list_messages({ids[0], std::nullopt, std::nullopt, 20})) ++reads;
    }
  });
  std::atomic<int> failed_commits{0};
  threads.emplace_back([&] {
    std::vector<Write> batch;
    std::vector<result<Written>> results;
    for (int n = 0; !done;) {
      batch.clear();
      const int size = 1 + n % 60;
      for (int i = 0; i < size; ++i, ++n) {
        const std::string name = "m" + std::to_string(n);
        batch.emplace_back(message_to(ids[static_cast<std::size_t>(n) % ids.size()], advisor(), name, name));
      }
      // As a client's outbox does: until there is an answer.
      while (!batch.empty() && !done) {
        const bool failed = static_cast<bool>(storage->commit(batch, results));
        if (failed) ++failed_commits;
        std::vector<Write> left;
        for (std::size_t i = 0; i < batch.size(); ++i) {
          if (!failed && results[i]) {
            witness.saw(*results[i]->message);
          } else {
            left.push_back(batch[i]);
            auto& retried = std::get<AppendMessage>(left.back());
            retried.message_id = make_uuid(retried.now);
          }
        }
        batch = std::move(left);
      }
    }
  });
  for (int restart = 0; restart < 5; ++restart) {
    const int before = reads;
    server.restart_at_once();
    const auto back = Clock::now();
    while (reads < before + 20) std::this_thread::yield();
    CHECK(Clock::now() - back < seconds{5});
    std::this_thread::sleep_for(milliseconds{200 + 37 * restart});
  }
  done = true;
  threads.clear();
  Session session(schema.url());
  CHECK(witness.answered.size() > 100);
  WARN(witness.answered.size() << " messages answered over 5 restarts, " << failed_commits << " commits failed");
  witness.check(session);
}

TEST_CASE("postgres: a server that ends sessions breaks no commit and no read") {
  Schema schema;
  auto storage = open(schema.url() + "&application_name=" + schema.name());
  const auto ids = open_conversations(*storage, 6);
  std::atomic<int> commits{0};
  std::jthread killer([&](std::stop_token stop) {
    Session session(schema.url());
    // Again and again in the middle of something, but only after something has got through.
    for (int seen = 0; !stop.stop_requested(); std::this_thread::yield()) {
      if (commits == seen) continue;
      seen = commits;
      session.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '" +
                    schema.name() + "'");
    }
  });
  Witness witness;
  for (int n = 0; n < 1'500; ++commits) {
    std::vector<Write> batch;
    for (int i = 0; i < 50; ++i, ++n) {
      batch.emplace_back(message_to(ids[static_cast<std::size_t>(n) % ids.size()], advisor(), std::to_string(n)));
    }
    std::vector<result<Written>> results;
    REQUIRE_FALSE(storage->commit(batch, results));
    for (const auto& written : results) {
      REQUIRE(written);
      witness.saw(*written->message);
    }
  }
  killer.request_stop();
  killer.join();
  Session session(schema.url());
  CHECK(session.value("SELECT count(*) FROM messages") == "1500");
  witness.check(session);
}

TEST_CASE("postgres: two nodes that write to the same conversations keep one order") {
  Schema schema;
  Session session(schema.url());
  constexpr int nodes = 2;
  std::vector<std::unique_ptr<PostgresStorage>> storages;
  for (int i = 0; i < nodes; ++i) storages.push_back(open(schema.url()));
  const auto ids = open_conversations(*storages[0], 10);
  std::atomic<int> failures{0};
  std::atomic<int> made{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned node = 0; node < nodes; ++node) {
      threads.emplace_back([&, node] {
        std::mt19937 random(node);
        const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
        std::vector<Uuid> seen;
        for (int round = 0; round < 40; ++round) {
          std::vector<Write> batch;
          for (int i = 0; i < 70; ++i) {
            const Uuid& id = ids[below(ids.size())];
            switch (below(8)) {
              case 0:
                batch.emplace_back(MarkConversation{id, advisor(), now()});
                break;
              case 1:
                batch.emplace_back(
                    OpenConversation{make_uuid(now()), "org-1", "client-" + std::to_string(below(20)), now()});
                break;
              case 2:
                if (!seen.empty()) {
                  batch.emplace_back(PutReaction{make_uuid(now()), id, seen[below(seen.size())],
                                                 advisor("a" + std::to_string(below(3))), static_cast<Emoji>(below(6)),
                                                 now()});
                  break;
                }
                [[fallthrough]];
              default:
                // Both nodes are asked for the same ones.
                const std::string key = "k" + std::to_string(round) + "-" + std::to_string(i % 7);
                batch.emplace_back(message_to(ids[static_cast<std::size_t>(i) % ids.size()], advisor(), key, key));
            }
          }
          std::vector<result<Written>> results;
          if (storages[node]->commit(batch, results)) ++failures;
          for (const auto& written : results) {
            if (!written && written.error() != errc::not_found) ++failures;
            if (written && written->message) {
              seen.push_back(written->message->id);
              if (written->changed) ++made;
            }
          }
        }
      });
    }
  }
  CHECK(failures == 0);
  CHECK(session.value("SELECT count(*) FROM messages") == std::to_string(made));
  CHECK(session.value("SELECT count(*) FROM conversations") == "20");
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: nodes, hosts and their triggers share conversations without a deadlock that a host would see") {
  Schema schema;
  auto storage = open(schema.url());
  const auto ids = open_conversations(*storage, 3);
  std::atomic<bool> done{false};
  std::atomic<int> rounds{0};
  std::string said;
  std::jthread host([&] {
    Session session(schema.url());
    while (!done && said.empty()) {
      // Locks the messages' rows before the conversation's: the other way round than the storage.
      if (const auto failed = session.try_run("UPDATE messages SET is_read = true WHERE NOT is_read")) said = *failed;
      if (const auto failed = session.try_run("DELETE FROM message_reactions")) said = *failed;
      ++rounds;
    }
  });
  int failures = 0;
  Uuid last{};
  for (int round = 0; round < 60; ++round) {
    std::vector<Write> batch;
    for (const Uuid& id : ids) {
      batch.emplace_back(message_to(id, client("client-" + std::to_string(&id - ids.data())), "x"));
      if (round > 0) {
        batch.emplace_back(PutReaction{make_uuid(now()), id, last, advisor(), static_cast<Emoji>(round % 6), now()});
      }
      batch.emplace_back(MarkConversation{id, advisor(), now()});
    }
    std::vector<result<Written>> results;
    if (storage->commit(batch, results)) {
      ++failures;
      continue;
    }
    last = results.front()->message->id;
  }
  done = true;
  host.join();
  CHECK(said == "");
  CHECK(rounds > 0);
  CHECK(failures == 0);
  Session session(schema.url());
  CHECK(count_wrong(session) == "0");
}

TEST_CASE("postgres: a lock that a host keeps fails what waits for it, and nothing else") {
  Schema schema;
  auto storage = open(schema.url(), milliseconds{700});
  const auto ids = open_conversations(*storage, 12);
  Session host(schema.url());
  host.query("BEGIN");
  host.query("SELECT FROM conversations WHERE id = '" + to_string(ids[0]) + "' FOR UPDATE");
  std::vector<Write> batch;
  for (int i = 0; i < 96; ++i) {
    batch.emplace_back(message_to(ids[static_cast<std::size_t>(i) % ids.size()], advisor(), std::to_string(i)));
  }
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage->commit(batch, results));
  CHECK(failed_with(results[0], errc::storage_failed));
  const auto written = std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_value(); });
  CHECK(written == 96 - 8);  // one of twelve conversations has eight of them
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool is_locked = i % ids.size() == 0;
    CHECK((is_locked ? failed_with(results[i], errc::storage_failed) : results[i].has_value()));
  }
  host.query("COMMIT");
  CHECK(host.value("SELECT count(*) FROM messages") == std::to_string(written));
  std::vector<Write> again{batch[0]};
  REQUIRE_FALSE(storage->commit(again, results));
  CHECK(results.front());
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: while rows of one conversation are locked the others are written, and it is in its order") {
  Realm realm;
  const std::string url = realm.url();
  Session(url).query(
      "CREATE TABLE organizations (id varchar PRIMARY KEY); INSERT INTO organizations VALUES ('org-1'), ('org-2');"
      "CREATE TABLE clients (id varchar PRIMARY KEY);"
      "INSERT INTO clients SELECT 'client-' || n FROM generate_series(0, 99) n");
  // Nobody is to be failed here, and no wait to end by itself.
  auto owned = open(url, minutes{10});
  PostgresStorage& storage = *owned;
  const auto ids = open_conversations(storage, 8);
  std::vector<result<Written>> results;
  std::vector<Write> before{OpenConversation{make_uuid(now()), "org-2", "client-0", now()}};
  REQUIRE_FALSE(storage.commit(before, results));
  const Uuid elsewhere = results[0].value().conversation.id;
  const Participant guest{"org-2", Role::client, "client-0", "G"};
  before = {message_to(elsewhere, guest, "zero")};
  REQUIRE_FALSE(storage.commit(before, results));
  const Uuid message = results[0].value().message->id;

  Session host(url);
  host.query("BEGIN");
  const std::string row = "id = '" + to_string(elsewhere) + "'";
  bool is_about_marks = false;
  SECTION("by a SELECT FOR UPDATE") {
    host.query("SELECT FROM conversations WHERE " + row + " FOR UPDATE");
  }
  SECTION("by what a host has written and not yet committed") {
    host.query(
        "INSERT INTO messages (conversation_id, org_id, sender_type, sender_id, sender_name, content) VALUES ('" +
        to_string(elsewhere) + "', 'org-2', 'advisor', 'a', 'A', 'by the host')");
  }
  SECTION("by a lock on its organization, which a message refers to") {
    host.query("SELECT FROM organizations WHERE id = 'org-2' FOR UPDATE");
  }
  SECTION("by a lock on a message that is to be marked") {
    is_about_marks = true;
    host.query("SELECT FROM messages WHERE id = '" + to_string(message) + "' FOR UPDATE");
  }
  SECTION("by an advisory lock that a trigger of the host's waits for") {
    host.query("ROLLBACK");
    host.query(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN "
        "NEW;"
        " END $$; CREATE TRIGGER slow BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.org_id = 'org-2')"
        " EXECUTE FUNCTION slow()");
    host.query("BEGIN");
    host.query("SELECT pg_advisory_xact_lock(1)");
  }

  ChatEngine engine(std::move(owned));
  using test::use_future;
  const auto send = [&](const Participant& sender, const Uuid& id, const std::string& content) {
    Draft draft;
    draft.conversation_id = id;
    draft.content = content;
    return engine.async_send(sender, draft, use_future);
  };
  const Participant advisor_there{"org-2", Role::advisor, "advisor-2", "B"};
  std::vector<std::future<result<Sent>>> locked;
  std::future<result<Marked>> mark;
  if (is_about_marks) {
    mark = engine.async_mark(advisor_there, elsewhere, use_future);
  } else {
    locked.push_back(send(guest, elsewhere, "one"));
  }
  milliseconds longest{0};
  for (int i = 0; i < 40; ++i) {
    const auto start = Clock::now();
    // From now and then one to several at once, as under load.
    std::vector<std::future<result<Sent>>> others;
    for (int n = 0; n < (i % 10 == 0 ? 70 : 1); ++n) {
      others.push_back(send(advisor(), ids[static_cast<std::size_t>(n) % ids.size()], "to others"));
    }
    if (i == 5) locked.push_back(send(guest, elsewhere, "two"));
    for (auto& other : others) {
      REQUIRE(other.wait_for(minutes{1}) == std::future_status::ready);
      CHECK(other.get());
    }
    if (i == 25) locked.push_back(send(advisor_there, elsewhere, "three"));
    longest = std::max(longest, std::chrono::duration_cast<milliseconds>(Clock::now() - start));
  }
  for (auto& waiting : locked) CHECK(waiting.wait_for(seconds{0}) == std::future_status::timeout);
  if (is_about_marks) CHECK(mark.wait_for(seconds{0}) == std::future_status::timeout);
  WARN("the longest of the others took " << longest.count() << " ms");
  CHECK(longest < seconds{10});  // what counts is that they did not wait for the lock, which is still held

  host.query("COMMIT");
  std::uint64_t last = 0;
  for (auto& waiting : locked) {
    REQUIRE(waiting.wait_for(minutes{1}) == std::future_status::ready);
    const auto sent = waiting.get();
    REQUIRE(sent);
    CHECK(sent->message.seq > last);
    last = sent->message.seq;
  }
  if (is_about_marks) {
    REQUIRE(mark.wait_for(minutes{1}) == std::future_status::ready);
    CHECK(mark.get());
  }
  engine.close();
  CHECK(host.value("SELECT string_agg(content, ',' ORDER BY seq) FROM messages WHERE org_id = 'org-2' AND"
                   " content <> 'by the host'") == (is_about_marks ? "zero,two,three" : "zero,one,two,three"));
  CHECK(host.value("SELECT count(*) FROM messages WHERE org_id = 'org-1'") == std::to_string(4 * 70 + 36));
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: of a large commit what is locked is left, in one go, and the rest is written") {
  Schema schema;
  auto storage = open(schema.url(), minutes{10});
  const auto ids = open_conversations(*storage, 128);
  Session host(schema.url());
  host.query("BEGIN");
  for (const std::size_t i : {3U, 64U, 127U}) {
    host.query("SELECT FROM conversations WHERE id = '" + to_string(ids[i]) + "' FOR UPDATE");
  }
  // A client whose conversation somebody makes at this moment.
  host.query("INSERT INTO conversations (org_id, client_id) VALUES ('org-1', 'newcomer')");
  std::vector<Write> batch;
  for (std::size_t i = 0; i < 511; ++i) {
    batch.emplace_back(message_to(ids[i % ids.size()], advisor(), std::to_string(i)));
  }
  batch.emplace_back(OpenConversation{make_uuid(now()), "org-1", "newcomer", now()});
  std::vector<result<Written>> results;
  const auto is_locked = [](std::size_t i) { return i == 511 || i % 128 == 3 || i % 128 == 64 || i % 128 == 127; };
  std::size_t wrong = 0;
  // The first call may run out of the time that it gives to locks; by the third everything is known.
  std::vector<std::optional<Written>> stored(batch.size());
  for (int call = 0; call < 3; ++call) {
    std::vector<Write> again;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (stored[i]) continue;
      again.push_back(batch[i]);
      places.push_back(i);
    }
    REQUIRE_FALSE(storage->try_commit(again, results));
    for (std::size_t i = 0; i < places.size(); ++i) {
      if (results[i]) {
        stored[places[i]] = *results[i];
      } else if (results[i].error() != postponed()) {
        ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
  for (std::size_t i = 0; i < batch.size(); ++i) wrong += stored[i].has_value() == is_locked(i) ? 1 : 0;
  CHECK(wrong == 0);
  host.query("COMMIT");
  std::vector<Write> left;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!stored[i]) left.push_back(batch[i]);
  }
  REQUIRE_FALSE(storage->commit(left, results));
  for (const auto& written : results) CHECK(written);
  CHECK_FALSE(results.back()->changed);  // the host was first
  CHECK(host.value("SELECT count(*) FROM messages") == "511");
  CHECK(host.value("SELECT count(*) FROM (SELECT content::int < lag(content::int) OVER (PARTITION BY conversation_id"
                   " ORDER BY seq) AS back FROM messages) m WHERE back") == "0");
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: a row that a host's trigger refuses, or drops without a word, fails alone") {
  const std::string refusal = GENERATE("RAISE EXCEPTION 'not here'", "RETURN NULL");
  CAPTURE(refusal);
  Schema schema;
  auto storage = open(schema.url());
  const auto ids = open_conversations(*storage, 12);
  Session host(schema.url());
  host.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN " + refusal +
             "; END $$;"
             "CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.content = '40') EXECUTE FUNCTION "
             "refuse()");
  std::vector<Write> batch;
  for (std::size_t i = 0; i < 96; ++i) batch.emplace_back(message_to(ids[i % 12], advisor(), std::to_string(i)));
  std::vector<result<Written>> results;
  REQUIRE_FALSE(storage->commit(batch, results));
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i].has_value() == (i != 40));
  CHECK(results[40].error() == errc::storage_failed);
  CHECK(host.value("SELECT count(*) FROM messages") == "95");
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: a row that holds what it cannot fails its conversation alone, and leaves no transaction open") {
  Schema schema;
  auto storage = open(schema.url() + "&application_name=" + schema.name());
  const auto ids = open_conversations(*storage, 12);
  std::vector<Write> batch;
  for (const Uuid& id : ids) batch.emplace_back(message_to(id, client("client-0"), "x"));
  std::vector<result<Written>> results;
  batch.erase(batch.begin() + 1, batch.end());
  REQUIRE_FALSE(storage->commit(batch, results));
  Session host(schema.url());
  // No trigger looks at that; a mark is answered with the newest message.
  host.query("UPDATE messages SET sender_type = 'robot'");
  batch.clear();
  for (std::size_t i = 0; i < 96; ++i) {
    batch.emplace_back(i == 0 ? Write(MarkConversation{ids[0], advisor(), now()})
                              : Write(message_to(ids[1 + i % 11], advisor(), std::to_string(i))));
  }
  REQUIRE_FALSE(storage->commit(batch, results));
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i].has_value() == (i != 0));
  CHECK(
      host.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND application_name = '" +
                 schema.name() + "'") == "0");
}

TEST_CASE("postgres: a table that somebody locks for a moment fails no commit of any size") {
  Schema schema;
  auto storage = open(schema.url(), minutes{10});
  const auto ids = open_conversations(*storage, 80);
  Session host(schema.url());
  host.query("BEGIN");
  host.query("LOCK TABLE conversations");
  std::vector<Write> batch;
  for (std::size_t i = 0; i < 160; ++i) batch.emplace_back(message_to(ids[i % 80], advisor(), std::to_string(i)));
  batch.emplace_back(OpenConversation{make_uuid(now()), "org-1", "newcomer", now()});
  std::vector<result<Written>> results;
  // What waits is given again until it is free, as the engine does.
  for (int call = 0; call < 4; ++call) {
    REQUIRE_FALSE(storage->try_commit(batch, results));
    for (const auto& left : results) CHECK((left.has_error() && left.error() == postponed()));
  }
  host.query("COMMIT");
  REQUIRE_FALSE(storage->commit(batch, results));
  for (const auto& written : results) CHECK(written);
  CHECK(host.value("SELECT count(*) FROM messages") == "160");
  CHECK(count_wrong(host) == "0");
}

TEST_CASE("postgres: a statement that an operator cancels breaks no commit") {
  Schema schema;
  Session session(schema.url());
  auto storage = open(schema.url() + "&application_name=" + schema.name(), minutes{10});
  const auto ids = open_conversations(*storage, 4);
  std::atomic<int> commits{0};
  std::jthread canceller([&](std::stop_token stop) {
    Session other(schema.url());
    for (int seen = 0; !stop.stop_requested(); std::this_thread::yield()) {
      if (commits == seen) continue;
      seen = commits;
      other.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = '" + schema.name() +
                  "'");
    }
  });
  for (int n = 0; n < 200; ++commits) {
    std::vector<Write> batch;
    for (int i = 0; i < 10; ++i, ++n)
      batch.emplace_back(message_to(ids[static_cast<std::size_t>(n) % 4], advisor(), "x"));
    std::vector<result<Written>> results;
    REQUIRE_FALSE(storage->commit(batch, results));
    for (const auto& written : results) CHECK(written);
  }
  canceller.request_stop();
  canceller.join();
  CHECK(session.value("SELECT count(*) FROM messages") == "200");
  CHECK(count_wrong(session) == "0");
}

}  // namespace travelchat::conformance
