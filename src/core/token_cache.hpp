// Chat tokens that were authenticated lately, by digest. Any thread.
#pragma once

#include "core/digest.hpp"

#include <travelchat/types.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace travelchat::detail {

// Bounded: beyond `max_entries` the least recently used one is dropped, which costs its owner one read from the
// storage.
class TokenCache {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenCache(std::size_t max_entries, std::chrono::milliseconds lifetime)
      : max_entries_(max_entries), lifetime_(lifetime) {}

  std::optional<TokenClaims> find(const Sha256Digest& digest, Time now) {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(digest);
    if (at == entries_.end()) return std::nullopt;
    if (at->second->forget_at <= now) {
      by_use_.erase(at->second);
      entries_.erase(at);
      return std::nullopt;
    }
    by_use_.splice(by_use_.begin(), by_use_, at->second);
    return at->second->claims;
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
    forget(digest);
    if (entries_.size() >= max_entries_) forget(Sha256Digest(by_use_.back().digest));
    by_use_.push_front(Entry{digest, claims, now + lifetime_});
    entries_.emplace(digest, by_use_.begin());
  }

  void erase(const Sha256Digest& digest) {
    const std::lock_guard lock(mutex_);
    ++generation_;
    forget(digest);
  }

 private:
  struct Entry {
    Sha256Digest digest;
    TokenClaims claims;
    Time forget_at;
  };

  void forget(const Sha256Digest& digest) {
    const auto at = entries_.find(digest);
    if (at == entries_.end()) return;
    by_use_.erase(at->second);
    entries_.erase(at);
  }

  const std::size_t max_entries_;
  const std::chrono::milliseconds lifetime_;
  mutable std::mutex mutex_;
  std::list<Entry> by_use_;  // the latest first
  std::unordered_map<Sha256Digest, std::list<Entry>::iterator, DigestHash> entries_;
  std::uint64_t generation_ = 0;
};

}  // namespace travelchat::detail
