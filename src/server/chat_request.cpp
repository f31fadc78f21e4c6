#include "server/chat_request.hpp"

#include <travelchat/validate.hpp>

#include <utility>

namespace travelchat::server {

result<MessageQuery> parse_page(const http::Query& query, const Uuid& conversation_id) {
  MessageQuery page;
  page.conversation_id = conversation_id;
  if (const auto limit = query.value("limit")) {
    const auto number = http::parse_number(*limit);
    if (!number || *number < 1 || *number > 200) return errc::invalid_argument;
    page.limit = static_cast<std::size_t>(*number);
  }
  if (const auto before = query.value("before")) {
    page.before_seq = http::parse_number(*before);
    if (!page.before_seq || *page.before_seq == 0) return errc::invalid_argument;
  }
  if (const auto since = query.value("since")) {
    page.since_rev = http::parse_number(*since);
    if (!page.since_rev || page.before_seq) return errc::invalid_argument;
  }
  if (const auto epoch = query.value("epoch")) {
    page.epoch = parse_uuid(*epoch);
    if (!page.epoch) return errc::invalid_argument;
  }
  return page;
}

bool is_signed_in(const Advisor& advisor, TimePoint now) noexcept {
  return !advisor.org_id.empty() && !advisor.id.empty() && (!advisor.expires_at || *advisor.expires_at > now);
}

Subprotocols parse_subprotocols(std::string_view header) noexcept {
  constexpr std::string_view prefix = "auth.";
  Subprotocols offered;
  http::any_element(header, [&](std::string_view element) {
    if (element == "travelchat.v1")
      offered.travelchat_v1 = true;
    else if (element.starts_with(prefix) && !offered.auth_token)
      offered.auth_token = element.substr(prefix.size());
    return false;
  });
  return offered;
}

std::optional<ChatClaim> parse_chat_claim(const http::Query& query) {
  const auto conversation = query.value("conversationId");
  const auto type = query.value("userType");
  const auto user = query.value("userId");
  if (!conversation || !type || !user) return std::nullopt;
  const auto id = parse_uuid(*conversation);
  const auto role = parse_role(*type);
  if (!id || !role || !is_host_id(*user)) return std::nullopt;
  ChatClaim claim{*id, *role, std::string(*user), std::nullopt, std::nullopt};
  if (const auto since = query.value("since")) {
    claim.since = http::parse_number(*since);
    if (!claim.since) return std::nullopt;
  }
  if (const auto epoch = query.value("epoch")) {
    claim.epoch = parse_uuid(*epoch);
    if (!claim.epoch) return std::nullopt;
  }
  return claim;
}

}  // namespace travelchat::server
