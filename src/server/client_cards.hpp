// A cache of what the host has answered about clients lately. One for each event loop; on its thread.
#pragma once

#include <travelchat/host.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>

namespace travelchat::server {

class ClientCards {
 public:
  // A null pointer: the host does not know the client. nullopt: not known here, ask the host. The pointer is valid
  // until the thread handles the next event.
  std::optional<const ClientCard*> find(const std::string& org_id, const std::string& client_id) const;
  // `lifetime`: shorter when the host failed.
  void remember(const std::string& org_id, const std::string& client_id, std::optional<ClientCard> card,
                std::chrono::seconds lifetime);

 private:
  struct Remembered {
    std::optional<ClientCard> card;
    std::chrono::steady_clock::time_point until;
  };

  std::unordered_map<std::string, Remembered> cards_;  // bounded
};

}  // namespace travelchat::server
