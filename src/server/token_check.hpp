// Authenticates a chat token, unless its address has tried too many unknown ones. Loop's thread.
//
// Without a limit, each invented token would cost a read of the storage. A cached token costs none, and is accepted
// from a limited address, too: somebody else behind the same router may be guessing.
#pragma once

#include "server/await.hpp"
#include "server/chat_server.hpp"
#include "server/limits.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/types.hpp>

#include <coroutine>
#include <string>
#include <utility>

namespace travelchat::server {

// `co_await TokenCheck(loop, address, token)` gives a result<TokenClaims>: `errc::rate_limited` when the address has
// to wait (`Limits::token_delay`), else what `admit_token` says. `address` outlives it.
class TokenCheck {
 public:
  TokenCheck(ChatLoop& loop, const std::string& address, std::string token)
      : loop_(loop), address_(address), token_(std::move(token)), ask_(admit_token(loop, token_)) {}
  TokenCheck(const TokenCheck&) = delete;
  TokenCheck& operator=(const TokenCheck&) = delete;

  bool await_ready() {
    ChatServer& server = loop_.server();
    is_refused_ = server.limits().token_delay(address_).count() > 0 && !server.engine().remembers_token(token_);
    return is_refused_ || ask_.await_ready();
  }

  bool await_suspend(std::coroutine_handle<> waiting) { return ask_.await_suspend(waiting); }

  result<TokenClaims> await_resume() {
    if (is_refused_) return errc::rate_limited;
    result<TokenClaims> claims = ask_.await_resume();
    if (!claims && claims.error() == make_error_code(errc::unauthenticated)) {
      loop_.server().limits().count_unknown_token(address_);
    }
    return claims;
  }

 private:
  ChatLoop& loop_;
  const std::string& address_;
  const std::string token_;
  decltype(admit_token(std::declval<ChatLoop&>(), std::string())) ask_;
  bool is_refused_ = false;
};

}  // namespace travelchat::server
