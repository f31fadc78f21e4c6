#include "directory.hpp"

#include "database.hpp"

#include <travelchat/text_search.hpp>

#include <algorithm>
#include <utility>

namespace travel_lab {
namespace {

template <class Map>
auto* find_in(Map& map, std::string_view key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

template <class Map>
auto list_in(const Map& map, std::string_view key) {
  const auto* list = find_in(map, key);
  using Element = typename Map::mapped_type::value_type;
  return list == nullptr ? std::span<const Element>() : std::span<const Element>(*list);
}

// The lower-case letter of a code point in U+00C0 to U+017F.
char32_t to_lower(char32_t c) {
  if (c >= 0xC0 && c <= 0xDE && c != 0xD7) return c + 0x20;
  const bool is_even_upper = (c >= 0x100 && c <= 0x137 && c != 0x130) || (c >= 0x14A && c <= 0x177);
  if (is_even_upper && c % 2 == 0) return c + 1;
  const bool is_odd_upper = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17E);
  if (is_odd_upper && c % 2 == 1) return c + 1;
  return c == 0x178 ? 0xFF : c;
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool has_next = i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80;
    if (byte >= 'A' && byte <= 'Z') {
      folded += static_cast<char>(byte + ('a' - 'A'));
    } else if (byte >= 0xC3 && byte <= 0xC5 && has_next) {
      const char32_t lower = to_lower(char32_t{static_cast<unsigned char>(byte & 0x1F)} << 6 |
                                      (static_cast<unsigned char>(text[++i]) & 0x3F));
      folded += static_cast<char>(0xC0 | lower >> 6);
      folded += static_cast<char>(0x80 | (lower & 0x3F));
    } else {
      folded += text[i];
    }
  }
  return folded;
}

std::string avatar_path(std::string_view person_id) {
  return "/avatars/" + std::string(person_id) + ".svg";
}

travelchat::result<Directory> Directory::load(Database& database, DemoAccounts demo_accounts) {
  Directory directory;
  const auto ec = database.read([&directory, demo_accounts](Connection& connection) {
    directory.version_ = read_version(connection);
    Statement organizations(connection, "SELECT id, name FROM organizations");
    for (organizations.run(); organizations.next();) {
      Organization row{organizations.text(0), organizations.text(1)};
      directory.organizations_.emplace(row.id, std::move(row));
    }
    Statement advisors(connection,
                       "SELECT id, org_id, email, full_name, password_hash, CASE WHEN disabled_at IS NULL THEN 0 ELSE "
                       "1 END, CASE WHEN id IN (SELECT advisor_id FROM demo_logins) THEN 1 ELSE 0 END FROM advisors");
    for (advisors.run(); advisors.next();) {
      Advisor row{advisors.text(0), advisors.text(1), advisors.text(2),
                  advisors.text(3), advisors.text(4), Access::granted};
      if (advisors.integer(6) != 0 && demo_accounts == DemoAccounts::refused) row.access = Access::demonstration;
      if (advisors.integer(5) != 0) row.access = Access::disabled;
      directory.advisors_.emplace(row.id, std::move(row));
    }
    Statement clients(connection, "SELECT id, org_id, advisor_id, full_name, email FROM clients");
    for (clients.run(); clients.next();) {
      Client row{clients.text(0), clients.text(1), clients.text(2), clients.text(3), clients.optional_text(4), {}};
      row.folded_name = travelchat::fold_text(row.full_name);
      directory.clients_.emplace(row.id, std::move(row));
    }
    Statement trips(connection,
                    "SELECT id, org_id, advisor_id, client_id, title, destination, starts_on, ends_on, summary, "
                    "share_enabled, share_token FROM trips ORDER BY created_at DESC, id DESC");
    for (trips.run(); trips.next();) {
      Trip row{trips.text(0), trips.text(1), trips.text(2), trips.optional_text(3), trips.text(4), trips.text(5),
               trips.text(6), trips.text(7), trips.text(8), trips.integer(9) != 0,  trips.text(10)};
      const Advisor* advisor = directory.find_advisor(row.advisor_id);
      if (advisor != nullptr && advisor->access == Access::demonstration) row.share_enabled = false;
      const Trip& trip = directory.trips_.emplace(row.id, row).first->second;
      directory.trips_by_org_[trip.org_id].push_back(&trip);
      if (trip.client_id) directory.trips_by_client_[*trip.client_id].push_back(&trip);
    }
  });
  if (ec) return ec;

  for (const auto& [id, advisor] : directory.advisors_) directory.advisors_by_email_.emplace(advisor.email, &advisor);
  for (const auto& [id, client] : directory.clients_) directory.clients_by_org_[client.org_id].push_back(&client);
  for (auto& [org_id, clients] : directory.clients_by_org_) {
    std::sort(clients.begin(), clients.end(), [](const Client* left, const Client* right) {
      return std::tie(left->folded_name, left->id) < std::tie(right->folded_name, right->id);
    });
  }
  return directory;
}

std::int64_t Directory::read_version(Connection& connection) {
  Statement rows(connection, "SELECT version FROM directory_version");
  return rows.run().next() ? rows.integer(0) : 0;
}

const Organization* Directory::find_organization(std::string_view id) const {
  return find_in(organizations_, id);
}
const Advisor* Directory::find_advisor(std::string_view id) const {
  return find_in(advisors_, id);
}
const Client* Directory::find_client(std::string_view id) const {
  return find_in(clients_, id);
}
const Trip* Directory::find_trip(std::string_view id) const {
  return find_in(trips_, id);
}

const Advisor* Directory::find_advisor_by_email(std::string_view email) const {
  const auto* found = find_in(advisors_by_email_, fold_case(email));
  return found == nullptr ? nullptr : *found;
}

std::span<const Client* const> Directory::clients_of(std::string_view org_id) const {
  return list_in(clients_by_org_, org_id);
}

std::span<const Trip* const> Directory::trips_of(std::string_view org_id) const {
  return list_in(trips_by_org_, org_id);
}

std::span<const Trip* const> Directory::trips_of_client(std::string_view client_id) const {
  return list_in(trips_by_client_, client_id);
}

const Trip* Directory::active_trip(std::string_view client_id) const {
  const auto trips = trips_of_client(client_id);
  return trips.empty() ? nullptr : trips.front();
}

}  // namespace travel_lab
