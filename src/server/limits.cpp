#include "server/limits.hpp"

#include "http/client_address.hpp"

namespace travelchat::server {
namespace {

using Clock = http::RateLimiter::Clock;

std::string participant_key(const Participant& participant) {
  std::string key(1, participant.role == Role::advisor ? 'a' : 'c');
  key += participant.org_id;
  key += '\0';
  key += participant.id;
  return key;
}

}  // namespace

Limits::Limits(const RateLimits& limits)
    : acts_{http::RateLimiter(limits.messages), http::RateLimiter(limits.reactions), http::RateLimiter(limits.marks),
            http::RateLimiter(limits.pages), http::RateLimiter(limits.openings)},
      chat_tokens_(limits.chat_tokens),
      unknown_tokens_(limits.unknown_tokens) {}

std::chrono::milliseconds Limits::take(Act act, const Participant& participant) {
  http::RateLimiter& limiter = acts_[static_cast<std::size_t>(act)];
  if (limiter.is_off()) return std::chrono::milliseconds{0};
  return limiter.take(participant_key(participant), Clock::now());
}

std::chrono::milliseconds Limits::take_chat_token(const std::string& address) {
  return chat_tokens_.take(http::address_key(address), Clock::now());
}

std::chrono::milliseconds Limits::token_delay(const std::string& address) {
  return unknown_tokens_.delay(http::address_key(address), Clock::now());
}

void Limits::count_unknown_token(const std::string& address) {
  unknown_tokens_.take(http::address_key(address), Clock::now());
}

}  // namespace travelchat::server
