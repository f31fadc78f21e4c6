// How this server tells push services who it is: Voluntary Application Server Identification (RFC 8292).
//
// Its key pair is made once and kept, because browsers' subscriptions are bound to it: with a new key, all of them
// would be useless. Owner: main. `public_key` from any thread, `authorization` from one.
#pragma once

#include "p256.hpp"

#include <travelchat/types.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace travel_lab {

class Database;

class Vapid {
 public:
  // A push service refuses more than 24 hours.
  static constexpr std::chrono::hours token_lifetime{12};
  // Tokens that are kept, one for each push service; when there are more, all are forgotten and made anew.
  static constexpr std::size_t max_tokens = 256;

  // `contact`: where a push service's operator can complain, a mailto: or https: URI; empty: not told.
  Vapid(P256Key key, std::string contact);

  // The key in `file`, which is made (for its owner only) when there is none. Throws std::runtime_error with a sentence
  // for the operator; a file that cannot be used is never replaced.
  static Vapid load(const std::filesystem::path& file, std::string contact);
  // The key that the nodes of a shared database have in common; whichever comes first makes it. Throws as above.
  static Vapid load(Database& database, std::string contact);

  // The point in base64url: what a browser wants as applicationServerKey.
  const std::string& public_key() const noexcept { return public_key_; }

  // The Authorization header for a push service of this origin ("https://host[:port]").
  std::string authorization(const std::string& origin, travelchat::TimePoint now);

 private:
  struct Token {
    std::string text;
    travelchat::TimePoint expires_at;
  };

  P256Key key_;
  std::string contact_;
  std::string public_key_;
  std::map<std::string, Token> tokens_;  // by origin
};

}  // namespace travel_lab
