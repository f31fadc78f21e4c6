// Chat tokens that were authenticated lately, by digest. Any thread.
#pragma once

#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace travelchat::detail {

// Bounded: at `max_entries` an arbitrary entry makes room, which costs its owner one read from the storage.
class TokenCache {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenCache(std::size_t max_entries, std::chrono::milliseconds lifetime)
      : max_entries_(max_entries), lifetime_(lifetime) {}

  std::optional<TokenClaims> find(const Sha256Digest& digest, Time now) {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(digest);
    if (at == entries_.end()) return std::nullopt;
    if (at->second.forget_at <= now) {
      entries_.erase(at);
      return std::nullopt;
    }
    return at->second.claims;
  }

  // Ask before reading the storage, hand it to `put` with what was read: a token that was revoked in between is then
  // not remembered.
  std::uint64_t generation() const {
    const std::lock_guard lock(mutex_);
    return generation_;
  }

  void put(const Sha256Digest& digest, const TokenClaims& claims, Time now, std::uint64_t generation) {
    const std::lock_guard lock(mutex_);
    if (max_entries_ == 0 || generation != generation_) return;
    if (entries_.size() >= max_entries_ && !entries_.contains(digest)) entries_.erase(entries_.begin());
    entries_.insert_or_assign(digest, Entry{claims, now + lifetime_});
  }

  void erase(const Sha256Digest& digest) {
    const std::lock_guard lock(mutex_);
    ++generation_;
    entries_.erase(digest);
  }

 private:
  struct Entry {
    TokenClaims claims;
    Time forget_at;
  };
  struct Hash {
    std::size_t operator()(const Sha256Digest& digest) const noexcept {
      std::size_t h = 0;
      std::memcpy(&h, digest.data(), sizeof h);
      return h;
    }
  };

  const std::size_t max_entries_;
  const std::chrono::milliseconds lifetime_;
  mutable std::mutex mutex_;
  std::unordered_map<Sha256Digest, Entry, Hash> entries_;
  std::uint64_t generation_ = 0;
};

}  // namespace travelchat::detail
