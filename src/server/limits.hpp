// How often each participant and each remote address may do what: RateLimits, counted over all routes and sockets of a
// server.
//
// Any thread. A participant is somebody in an organization, whatever conversation, device or credential it uses.
#pragma once

#include "http/rate_limiter.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/types.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace travelchat::server {

class Limits {
 public:
  // What a participant does.
  enum class Act : std::uint8_t { message, reaction, mark, page, opening };

  explicit Limits(const RateLimits& limits);

  // Counts one and returns zero, or refuses (and counts nothing) and returns how long to wait.
  std::chrono::milliseconds take(Act act, const Participant& participant);
  // The same for a chat token that this address asks for.
  std::chrono::milliseconds take_chat_token(const std::string& address);

  // How long this address has to wait before one of its tokens is looked up. Counts nothing.
  std::chrono::milliseconds token_delay(const std::string& address);
  void count_unknown_token(const std::string& address);

 private:
  std::array<http::RateLimiter, 5> acts_;  // by Act
  http::RateLimiter chat_tokens_;
  http::RateLimiter unknown_tokens_;
};

}  // namespace travelchat::server
