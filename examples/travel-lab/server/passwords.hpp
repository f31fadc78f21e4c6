// Passwords as argon2id hashes (libsodium, its "interactive" limits: 64 MiB and some 70 ms each).
//
// Stateless; any thread but an I/O thread. `sodium_init` has been called.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace travel_lab {

// Longer ones are refused without hashing, so that nobody makes the server hash a megabyte.
inline constexpr std::size_t max_password_bytes = 1'024;

// A self-contained string: algorithm, limits, salt and hash. Throws std::bad_alloc when there is no memory for it.
std::string hash_password(std::string_view password);

bool verify_password(std::string_view password, const std::string& hash) noexcept;

// Takes as long as a verification and always fails: what an unknown e-mail gets, so that the time of an answer does not
// tell which e-mails exist.
bool verify_against_nobody(std::string_view password) noexcept;

}  // namespace travel_lab
