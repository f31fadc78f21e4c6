// What is asked about conversations and writes in more than one place.
#pragma once

#include <travelchat/storage.hpp>
#include <travelchat/types.hpp>

#include <string>
#include <type_traits>
#include <variant>

namespace travelchat::detail {

// Whether the participant may act on the conversation (see Participant).
inline bool reaches(const Participant& who, const Conversation& conversation) noexcept {
  return who.org_id == conversation.org_id && (who.role == Role::advisor || who.id == conversation.client_id);
}

// Whether a change of a conversation that has reached `current_rev` is no longer kept.
inline bool is_prunable(const PruneChanges& step, std::uint64_t current_rev, std::uint64_t rev, TimePoint at) noexcept {
  const bool is_beyond = step.keep_revisions > 0 && current_rev - rev >= step.keep_revisions;
  return is_beyond || (step.older_than && at < *step.older_than);
}

// Writes for which this is the same must be carried out in their order. Empty: those that concern no conversation.
inline std::string order_key(const Write& write) {
  return std::visit(
      [](const auto& w) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(w)>, OpenConversation>) {
          return w.org_id + '\0' + w.client_id;
        } else if constexpr (requires { w.claims.conversation_id; }) {
          return to_string(w.claims.conversation_id);
        } else if constexpr (requires { w.conversation_id; }) {
          return to_string(w.conversation_id);
        } else {
          return {};
        }
      },
      write);
}

}  // namespace travelchat::detail
