#include "demo_data.hpp"

#include "database.hpp"
#include "demo_dialogue.hpp"
#include "passwords.hpp"
#include "secrets.hpp"

#include <travelchat/storage.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace travel_lab {
namespace {

using namespace std::chrono_literals;
using demo::pick;
using demo::Random;
using std::chrono::milliseconds;
using travelchat::Emoji;
using travelchat::error_code;
using travelchat::Participant;
using travelchat::Role;
using travelchat::TimePoint;
using travelchat::Uuid;

constexpr std::uint64_t seed = 20'261'123;
constexpr std::string_view demo_password = "demo-travel";
constexpr std::size_t longest_conversation = 5'000;
// Further clients have short conversations, so that a large demonstration loads in seconds too.
constexpr std::size_t clients_with_much_to_say = 100;
constexpr std::size_t writes_in_a_transaction = 4'096;

constexpr std::array<std::string_view, 2> organization_names = {"Meridian Travel", "Blue Atlas Journeys"};

struct DemoAdvisor {
  std::string_view full_name;
  std::string_view email;
  std::size_t organization;
};
constexpr std::array<DemoAdvisor, 4> demo_advisors = {{{"Maya Okafor", "maya@meridian.example", 0},
                                                       {"Sophie Lindqvist", "sophie@blueatlas.example", 1},
                                                       {"Daniel Reyes", "daniel@meridian.example", 0},
                                                       {"Tom Becker", "tom@blueatlas.example", 1}}};

struct World {
  std::array<std::string, organization_names.size()> organization_ids;
  std::array<std::string, demo_advisors.size()> advisor_ids;
  std::vector<std::string> client_ids;
};

// The advisor of a client, by numbers: in turn, so that both organizations grow alike.
std::size_t advisor_of(std::size_t client) {
  return client % demo_advisors.size();
}
const demo::Destination& destination_of(std::size_t client) {
  return demo::destinations()[client % demo::destinations().size()];
}

// ---- Conversations ----

struct Opening {};
struct Saying {
  std::string text;
};
struct Reacting {
  std::size_t line;
  Emoji emoji;
};
struct Viewing {};

// Something that happens in a conversation. Ids are given later, after everything was sorted by time, so that they rise
// with the time as in real data.
struct Happening {
  TimePoint at;
  std::size_t client = 0;
  Role by = Role::client;
  std::variant<Opening, Saying, Reacting, Viewing> what;
};

std::size_t length_of(std::size_t client, Random& random) {
  if (client == 0) return longest_conversation;
  return client < clients_with_much_to_say ? 3 + pick(random, 38) : 3 + pick(random, 4);
}

Emoji pick_emoji(Random& random) {
  constexpr std::array<Emoji, 10> by_frequency = {Emoji::heart,     Emoji::heart,      Emoji::heart, Emoji::thumbs_up,
                                                  Emoji::thumbs_up, Emoji::joy,        Emoji::joy,   Emoji::open_mouth,
                                                  Emoji::sad,       Emoji::thumbs_down};
  return by_frequency[pick(random, by_frequency.size())];
}

milliseconds pick_between(Random& random, milliseconds least, milliseconds most) {
  return least +
         milliseconds{static_cast<std::int64_t>(pick(random, static_cast<std::size_t>((most - least).count())))};
}

// When each line was said, the last one minutes to days before `now`.
std::vector<TimePoint> schedule(const std::vector<demo::Line>& lines, TimePoint now, Random& random) {
  std::vector<TimePoint> times(lines.size());
  TimePoint at = now - pick_between(random, 3min, 20min);
  if (pick(random, 3) != 0) at -= pick_between(random, 1h, 5 * 24h);
  for (std::size_t i = lines.size(); i-- > 0;) {
    times[i] = at;
    if (i == 0) break;
    if (lines[i].begins_exchange) {
      at -= pick_between(random, 5h, 2 * 24h);
      // Nobody writes at night: such a time is moved to the evening before.
      const auto hour = std::chrono::floor<std::chrono::hours>(at - std::chrono::floor<std::chrono::days>(at));
      if (hour < 7h) at -= 10h;
    } else if (lines[i].by_advisor == lines[i - 1].by_advisor) {
      at -= pick_between(random, 4s, 70s);
    } else {
      at -= pick_between(random, 20s, 9min);
    }
  }
  return times;
}

void plan_conversation(std::size_t client, TimePoint now, std::vector<Happening>& plan) {
  Random random(seed + client);
  const std::size_t advisor = advisor_of(client);
  const std::string name = demo::client_name(client);
  const auto lines = demo::converse({demo_advisors[advisor].full_name, name}, destination_of(client),
                                    length_of(client, random), random);
  const auto times = schedule(lines, now, random);
  const auto role_of = [&](std::size_t line) { return lines[line].by_advisor ? Role::advisor : Role::client; };
  const auto other = [](Role role) { return role == Role::advisor ? Role::client : Role::advisor; };

  plan.push_back({times.front() - 30s, client, Role::advisor, Opening{}});
  for (std::size_t i = 0; i < lines.size(); ++i) {
    // Who answers has read the messages first.
    if (i > 0 && role_of(i) != role_of(i - 1)) {
      plan.push_back({times[i] - (times[i] - times[i - 1]) / 3, client, role_of(i), Viewing{}});
    }
    plan.push_back({times[i], client, role_of(i), Saying{lines[i].text}});
    if (pick(random, 9) == 0) {
      const TimePoint at = times[i] + pick_between(random, 10s, 2min);
      plan.push_back({at, client, other(role_of(i)), Reacting{i, pick_emoji(random)}});
    }
  }
  // The last words: some have been seen, some wait.
  if (pick(random, 5) < 3) {
    plan.push_back(
        {times.back() + pick_between(random, 10s, 2min), client, other(role_of(lines.size() - 1)), Viewing{}});
  }
}

error_code commit(Database& database, std::vector<travelchat::Write>& writes) {
  std::vector<travelchat::result<travelchat::Written>> results;
  if (const auto ec = database.chat().commit(writes, results)) return ec;
  for (const auto& each : results) {
    if (!each) return each.error();
  }
  writes.clear();
  return {};
}

error_code load_conversations(Database& database, const World& world, TimePoint now) {
  std::vector<Happening> plan;
  for (std::size_t client = 0; client < world.client_ids.size(); ++client) plan_conversation(client, now, plan);
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Happening& left, const Happening& right) { return left.at < right.at; });

  struct Conversation {
    Uuid id;
    std::string client_name;
    std::vector<Uuid> messages;
  };
  std::vector<Conversation> conversations(world.client_ids.size());
  std::vector<travelchat::Write> writes;
  writes.reserve(writes_in_a_transaction);
  for (Happening& each : plan) {
    Conversation& conversation = conversations[each.client];
    const std::size_t advisor = advisor_of(each.client);
    const std::string& org_id = world.organization_ids[demo_advisors[advisor].organization];
    const auto participant = [&] {
      return each.by == Role::advisor
                 ? Participant{org_id, Role::advisor, world.advisor_ids[advisor],
                               std::string(demo_advisors[advisor].full_name)}
                 : Participant{org_id, Role::client, world.client_ids[each.client], conversation.client_name};
    };
    if (std::holds_alternative<Opening>(each.what)) {
      conversation.id = travelchat::make_uuid(each.at);
      conversation.client_name = demo::client_name(each.client);
      writes.emplace_back(
          travelchat::OpenConversation{conversation.id, org_id, world.client_ids[each.client], each.at});
    } else if (auto* saying = std::get_if<Saying>(&each.what)) {
      const Uuid id = travelchat::make_uuid(each.at);
      conversation.messages.push_back(id);
      travelchat::Draft draft;
      draft.conversation_id = conversation.id;
      draft.content = std::move(saying->text);
      writes.emplace_back(travelchat::AppendMessage{std::move(draft), id, participant(), each.at});
    } else if (const auto* reacting = std::get_if<Reacting>(&each.what)) {
      writes.emplace_back(travelchat::PutReaction{travelchat::make_uuid(each.at), conversation.id,
                                                  conversation.messages[reacting->line], participant(), reacting->emoji,
                                                  each.at});
    } else {
      writes.emplace_back(travelchat::MarkConversation{conversation.id, participant(), each.at});
    }
    if (writes.size() == writes_in_a_transaction) {
      if (const auto ec = commit(database, writes)) return ec;
    }
  }
  return commit(database, writes);
}

// ---- The host's rows ----

std::string date_text(std::chrono::sys_days day) {
  std::string text;
  const std::chrono::year_month_day date(day);
  const auto two_digits = [&text](unsigned number) {
    text += static_cast<char>('0' + number / 10);
    text += static_cast<char>('0' + number % 10);
  };
  text += std::to_string(static_cast<int>(date.year()));
  text += '-';
  two_digits(static_cast<unsigned>(date.month()));
  text += '-';
  two_digits(static_cast<unsigned>(date.day()));
  return text;
}

// The people first, since a conversation may have to refer to a client that exists. Until everything is there, an
// organization is called by its id and nobody can sign in.
error_code store_people(Database& database, const World& world) {
  return database.write([&](Connection& connection) {
    Statement add_organization(connection, "INSERT INTO organizations (id, name) VALUES (?, ?)");
    for (const std::string& id : world.organization_ids) add_organization.execute(id, id);
    Statement add_advisor(connection,
                          "INSERT INTO advisors (id, org_id, email, full_name, password_hash) VALUES (?, ?, ?, ?, '')");
    for (std::size_t i = 0; i < demo_advisors.size(); ++i) {
      add_advisor.execute(world.advisor_ids[i], world.organization_ids[demo_advisors[i].organization],
                          world.advisor_ids[i], demo_advisors[i].full_name);
    }
    Statement add_client(connection,
                         "INSERT INTO clients (id, org_id, advisor_id, full_name, email) VALUES (?, ?, ?, ?, ?)");
    for (std::size_t i = 0; i < world.client_ids.size(); ++i) {
      const std::size_t advisor = advisor_of(i);
      add_client.execute(world.client_ids[i], world.organization_ids[demo_advisors[advisor].organization],
                         world.advisor_ids[advisor], demo::client_name(i),
                         "traveller" + std::to_string(i + 1) + "@clients.example");
    }
  });
}

// The trips, logins and names that make the data usable, in one transaction.
error_code store_trips_and_logins(Database& database, const World& world, TimePoint now) {
  const std::string password_hash = hash_password(demo_password);
  return database.write([&](Connection& connection) {
    Statement name_organization(connection, "UPDATE organizations SET name = ? WHERE id = ?");
    for (std::size_t i = 0; i < organization_names.size(); ++i) {
      name_organization.execute(organization_names[i], world.organization_ids[i]);
    }
    Statement admit_advisor(connection, "UPDATE advisors SET email = ?, password_hash = ? WHERE id = ?");
    Statement add_login(connection, "INSERT INTO demo_logins (advisor_id, password) VALUES (?, ?)");
    for (std::size_t i = 0; i < demo_advisors.size(); ++i) {
      admit_advisor.execute(demo_advisors[i].email, password_hash, world.advisor_ids[i]);
      add_login.execute(world.advisor_ids[i], demo_password);
    }

    Statement add_trip(connection,
                       "INSERT INTO trips (id, org_id, advisor_id, client_id, title, destination, starts_on, ends_on, "
                       "summary, share_enabled, share_token, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    const auto today = std::chrono::floor<std::chrono::days>(now);
    const auto store_trip = [&](std::size_t number, const std::optional<std::string>& client_id, bool is_shared,
                                milliseconds age) {
      const std::size_t advisor = advisor_of(number);
      const demo::Destination& destination = destination_of(number);
      const auto start = today + std::chrono::days{9 + static_cast<int>(number * 13 % 120)};
      const auto end = start + std::chrono::days{7 + static_cast<int>(number % 6)};
      add_trip.execute(random_id(), world.organization_ids[demo_advisors[advisor].organization],
                       world.advisor_ids[advisor], client_id, destination.title, destination.place, date_text(start),
                       date_text(end), destination.summary, std::int64_t{is_shared}, random_hex(16),
                       std::int64_t{(now - age).time_since_epoch().count()});
    };
    for (std::size_t i = 0; i < world.client_ids.size(); ++i) {
      store_trip(i, world.client_ids[i], true, 24h * static_cast<int>(30 + i % 60));
    }
    // For variety: an older trip that is no longer shared, and a draft without a client.
    for (std::size_t i = 0; i < organization_names.size(); ++i) {
      if (i < world.client_ids.size()) store_trip(i, world.client_ids[i], false, 24h * 400);
      store_trip(i, std::nullopt, true, 24h * 2);
    }
  });
}

}  // namespace

error_code load_demo(Database& database, std::size_t clients, TimePoint now) {
  bool is_empty = false;
  const auto ec = database.read([&is_empty](Connection& connection) {
    Statement any(connection, "SELECT 1 FROM organizations WHERE name <> id LIMIT 1");
    is_empty = !any.run().next();
  });
  if (ec || !is_empty) return ec;
  World world;
  for (auto& id : world.organization_ids) id = random_id();
  for (auto& id : world.advisor_ids) id = random_id();
  world.client_ids.resize(clients);
  for (auto& id : world.client_ids) id = random_id();
  if (const auto failed = store_people(database, world)) return failed;
  if (const auto failed = load_conversations(database, world, now)) return failed;
  return store_trips_and_logins(database, world, now);
}

travelchat::result<std::vector<DemoLogin>> find_demo_logins(Database& database) {
  std::vector<DemoLogin> logins;
  const auto ec = database.read([&logins](Connection& connection) {
    Statement rows(connection, "SELECT advisor_id, password FROM demo_logins ORDER BY position");
    for (rows.run(); rows.next();) logins.push_back({rows.text(0), rows.text(1)});
  });
  if (ec) return ec;
  return logins;
}

std::vector<const Trip*> shared_demo_trips(const Directory& directory, const std::vector<DemoLogin>& logins) {
  std::vector<const Trip*> trips;
  std::set<std::string_view> organizations;
  for (const DemoLogin& login : logins) {
    const Advisor* advisor = directory.find_advisor(login.advisor_id);
    if (advisor == nullptr || !organizations.insert(advisor->org_id).second) continue;
    for (const Client* client : directory.clients_of(advisor->org_id)) {
      const Trip* trip = directory.active_trip(client->id);
      if (trip != nullptr && trip->share_enabled) trips.push_back(trip);
    }
  }
  return trips;
}

}  // namespace travel_lab
