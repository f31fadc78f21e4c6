// What is asked about conversations and writes in more than one place.
#pragma once

#include <travelchat/error.hpp>
#include <travelchat/storage.hpp>
#include <travelchat/types.hpp>

#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

namespace travelchat::detail {

// Whether the participant is one whom the conversation itself names: then its members need not be asked.
inline bool is_named_by(const Conversation& conversation, const Participant& who) noexcept {
  return who.role == Role::advisor || who.id == conversation.client_id;
}
// Whether the participant may read the conversation and act on it (see Participant). `is_member`: it has a row among
// the conversation's members. The one place that decides it.
inline bool may_access(const Participant& who, const Conversation& conversation, bool is_member) noexcept {
  return who.org_id == conversation.org_id && (is_named_by(conversation, who) || is_member);
}

// The same for a reader: `errc::not_found` where it may not, or what the storage could not say. Asks for the members
// only where the conversation itself does not tell.
inline error_code check_access(Storage& storage, const Participant& who, const Conversation& conversation) {
  if (may_access(who, conversation, false)) return {};
  if (who.org_id != conversation.org_id) return errc::not_found;
  const auto members = storage.list_members(conversation.id);
  if (!members) return members.error();
  const auto is_who = [&](const Member& member) { return member.type == who.role && member.id == who.id; };
  const bool is_member = std::any_of(members->begin(), members->end(), is_who);
  return may_access(who, conversation, is_member) ? error_code() : make_error_code(errc::not_found);
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
