// What the chat reads out of a request: the page that is asked for, and the participant that a socket claims to be.
//
// Values only; any thread.
#pragma once

#include "http/request_checks.hpp"

#include <travelchat/error.hpp>
#include <travelchat/host.hpp>
#include <travelchat/storage.hpp>
#include <travelchat/types.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace travelchat::server {

// `limit`, `before`, `since` and `epoch` of a page. `errc::invalid_argument`.
result<MessageQuery> parse_page(const http::Query& query, const Uuid& conversation_id);

// Whether an advisor that the host named is signed in now: its ids are not empty and its session has not ended.
bool is_signed_in(const Advisor& advisor, TimePoint now) noexcept;

// What Sec-WebSocket-Protocol offers.
struct Subprotocols {
  bool travelchat_v1 = false;
  std::optional<std::string_view> auth_token;
};
Subprotocols parse_subprotocols(std::string_view header) noexcept;

// Whom a chat socket's query names, and where it resumes.
struct ChatClaim {
  Uuid conversation_id;
  Role role = Role::advisor;
  std::string user_id;
  std::optional<std::uint64_t> since;
  std::optional<Uuid> epoch;
};
// nullopt: a parameter is missing or malformed (4400).
std::optional<ChatClaim> parse_chat_claim(const http::Query& query);

}  // namespace travelchat::server
