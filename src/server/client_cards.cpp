#include "server/client_cards.hpp"

#include <utility>

namespace travelchat::server {
namespace {

constexpr std::size_t max_cards = 10'000;

std::string card_key(const std::string& org_id, const std::string& client_id) {
  std::string key;
  key.reserve(org_id.size() + 1 + client_id.size());
  key += org_id;
  key += '\0';
  key += client_id;
  return key;
}

}  // namespace

std::optional<const ClientCard*> ClientCards::find(const std::string& org_id, const std::string& client_id) const {
  const auto it = cards_.find(card_key(org_id, client_id));
  if (it == cards_.end() || it->second.until < std::chrono::steady_clock::now()) return std::nullopt;
  return it->second.card ? &*it->second.card : nullptr;
}

void ClientCards::remember(const std::string& org_id, const std::string& client_id, std::optional<ClientCard> card,
                           std::chrono::seconds lifetime) {
  const auto now = std::chrono::steady_clock::now();
  if (cards_.size() >= max_cards) {
    std::erase_if(cards_, [&](const auto& entry) { return entry.second.until < now; });
    if (cards_.size() >= max_cards) cards_.clear();
  }
  cards_.insert_or_assign(card_key(org_id, client_id), Remembered{std::move(card), now + lifetime});
}

}  // namespace travelchat::server
