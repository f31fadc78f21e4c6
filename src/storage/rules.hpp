// The rules of storage.hpp that every storage decides in the same words.
#pragma once

#include <travelchat/storage.hpp>
#include <travelchat/types.hpp>

namespace travelchat::storage {

// Whether the participant may act on the conversation (see Participant).
inline bool reaches(const Participant& who, const Conversation& conversation) noexcept {
  return who.org_id == conversation.org_id && (who.role == Role::advisor || who.id == conversation.client_id);
}

// Whether a write that repeats a client message id says the same as the first one did.
inline bool is_repeat_of(const AppendMessage& write, const Message& first) noexcept {
  return write.content == first.content && write.attachment_url == first.attachment_url &&
         write.attachment_type == first.attachment_type && write.attachment_name == first.attachment_name;
}

// The row that the write makes in a conversation at (`seq`, `rev`).
inline Message make_message(const AppendMessage& write, const Conversation& conversation, std::uint64_t seq,
                            std::uint64_t rev) {
  Message message;
  message.id = write.message_id;
  message.conversation_id = conversation.id;
  message.org_id = conversation.org_id;
  message.sender_type = write.sender.role;
  message.sender_id = write.sender.id;
  message.sender_name = write.sender.name;
  message.content = write.content;
  message.created_at = write.now;
  message.attachment_url = write.attachment_url;
  message.attachment_type = write.attachment_type;
  message.attachment_name = write.attachment_name;
  message.seq = seq;
  message.rev = rev;
  message.client_message_id = write.client_message_id;
  return message;
}

}  // namespace travelchat::storage
