// The rules of a conversation: from the rows as they are, what each write answers and which rows it leaves.
//
// The only place that decides them. Plain values, no I/O; one thread at a time. The caller ensures that the rows stay
// as they were read until the effects are stored.
#pragma once

#include <travelchat/transactional_storage.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace travelchat::detail {

// Whether the write removes tokens: it needs no decision, and is carried out apart from the others.
inline bool is_token_removal(const Write& write) noexcept {
  return std::holds_alternative<DeleteToken>(write) || std::holds_alternative<SweepTokens>(write) ||
         std::holds_alternative<RevokeTokens>(write);
}
// The conversation that a write is about and names; nullptr for an opening, which may yet find another one, and for
// what concerns tokens only.
inline const Uuid* conversation_of(const Write& write) noexcept {
  return std::visit(
      []<class W>(const W& w) -> const Uuid* {
        if constexpr (requires { w.conversation_id; } && !std::is_same_v<W, OpenConversation>)
          return &w.conversation_id;
        return nullptr;
      },
      write);
}
TokenRemoval to_token_removal(const Write& write);
// The answer to a write that removes tokens.
Written to_written(RemovedTokens removed);

// The rows that a decision on these writes depends on. `after_trouble`: also whether a new message's id is there
// already, from an attempt whose outcome was unknown.
Questions questions_of(std::span<const Write* const> writes, bool after_trouble);

class Decision {
 public:
  // `facts`: answers to the questions of all writes that will be applied; `writes`: about how many these are.
  explicit Decision(Facts facts, std::size_t writes = 0);
  Decision(const Decision&) = delete;
  Decision& operator=(const Decision&) = delete;

  // In the order of the writes. A write that fails alone has changed nothing. Not for what removes tokens (see
  // `is_token_removal`), which needs no decision.
  result<Written> apply(const Write& write);

  // Of all writes that were applied. Ends the decision.
  Effects take_effects();

 private:
  struct KnownMessage {
    Message message;  // with its reactions
    std::uint64_t created_rev = 0;
    bool is_new = false;
    bool touched = false;           // by a reaction
    std::uint64_t content_rev = 0;  // since the decision began; 0: its content is as it was
  };
  struct KnownConversation {
    ConversationRow row;
    enum class State { stored, made, opened } state = State::stored;  // made: by the storage, and not opened yet
    bool changed = false;
    std::vector<KnownMessage*> messages;  // those that are known, the new ones last
  };
  struct KnownToken {
    TokenRow row;
    bool is_new = false;
    bool removed = false;
  };
  struct RepeatKey {
    Uuid conversation_id;
    Role sender_type;
    std::string_view sender_id;
    std::string_view client_message_id;
    friend bool operator==(const RepeatKey&, const RepeatKey&) = default;
  };
  struct RepeatHash {
    std::size_t operator()(const RepeatKey& key) const noexcept {
      return std::hash<std::string_view>{}(key.client_message_id) ^ std::hash<Uuid>{}(key.conversation_id);
    }
  };
  struct KnownMember {
    Member value;
    bool changed = false;
  };
  using MemberKey = std::tuple<Uuid, Role, std::string>;
  // conversation_id, seq, reactor
  using ReactorKey = std::tuple<Uuid, std::uint64_t, Role, std::string>;
  struct LeftReaction {
    Uuid message_id;
    std::optional<Effects::NewReaction> reaction;  // nullopt: removed
  };

  result<Written> run(const OpenConversation& write);
  result<Written> run(const AppendMessage& write);
  result<Written> run(const PutReaction& write);
  result<Written> run(const MarkConversation& write);
  result<Written> run(const PutToken& write);
  result<Written> run(const DeleteToken&) { return errc::internal; }
  result<Written> run(const SweepTokens&) { return errc::internal; }
  result<Written> run(const RevokeTokens&) { return errc::internal; }

  // nullptr: none, or not opened yet.
  KnownConversation* find(const Uuid& id);
  // nullptr also when the participant does not reach it.
  KnownConversation* find(const Uuid& id, const Participant& who);
  bool is_member(const Uuid& conversation_id, const Participant& who) const;
  // Raises the viewer's watermarks to the newest message.
  void raise_watermarks(const Conversation& conversation, const Participant& viewer);
  KnownConversation* find_of_client(const OpenConversation& write);
  // Adds it to the indexes below.
  void learn(KnownMessage& message);
  static std::optional<Message> newest(const KnownConversation& conversation);

  bool makes_conversations_;
  // Memory for the members below: allocated row by row, freed all at once.
  std::pmr::monotonic_buffer_resource memory_;
  std::pmr::unordered_map<Uuid, KnownConversation> conversations_{&memory_};
  // By (org_id, client_id); made when first needed.
  std::optional<std::map<std::pair<std::string_view, std::string_view>, KnownConversation*>> by_client_;
  std::pmr::deque<KnownMessage> known_messages_{&memory_};
  std::pmr::unordered_map<Uuid, KnownMessage*> messages_{&memory_};
  std::pmr::unordered_map<RepeatKey, KnownMessage*, RepeatHash> repeats_{&memory_};  // views into `known_messages_`
  std::map<std::pair<Uuid, std::string>, std::vector<KnownToken>> tokens_;
  std::vector<Effects::Mark> marks_;
  std::vector<Effects::ChangedMessage> changes_;
  std::map<MemberKey, KnownMember> members_;
  std::map<ReactorKey, LeftReaction> reactions_;
};

}  // namespace travelchat::detail
