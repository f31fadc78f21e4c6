#include "fixture.hpp"

namespace travelchat::conformance {

std::vector<result<Written>> Chat::commit(const std::vector<Write>& writes) {
  std::vector<result<Written>> results;
  const error_code failed = storage().commit(writes, results);
  REQUIRE_FALSE(failed);
  REQUIRE(results.size() == writes.size());
  return results;
}

Conversation Chat::open(const std::string& client_id, const std::string& org_id) {
  const TimePoint at = tick();
  const auto opened = write(OpenConversation{make_uuid(at), org_id, client_id, at});
  REQUIRE(opened);
  return opened->conversation;
}

AppendMessage Chat::draft(const Uuid& conversation_id, Participant sender, std::string content,
                          std::optional<std::string> client_message_id) {
  AppendMessage draft;
  draft.now = tick();
  draft.message_id = make_uuid(draft.now);
  draft.conversation_id = conversation_id;
  draft.sender = std::move(sender);
  draft.content = std::move(content);
  draft.client_message_id = std::move(client_message_id);
  return draft;
}

Message Chat::send(const Uuid& conversation_id, Participant sender, std::string content,
                   std::optional<std::string> client_message_id) {
  const auto sent = write(draft(conversation_id, std::move(sender), std::move(content), std::move(client_message_id)));
  REQUIRE(sent);
  REQUIRE(sent->message);
  return *sent->message;
}

std::uint64_t Chat::send_many(const Uuid& conversation_id, const Participant& sender, std::size_t count) {
  std::vector<Write> writes;
  for (std::size_t i = 0; i < count; ++i) writes.push_back(draft(conversation_id, sender, "one of many"));
  const auto results = commit(writes);
  for (const auto& sent : results) REQUIRE(sent);
  return results.back()->conversation.rev;
}

result<Written> Chat::react(const Message& message, Participant reactor, std::optional<Emoji> emoji) {
  const TimePoint at = tick();
  return write(PutReaction{make_uuid(at), message.conversation_id, message.id, std::move(reactor), emoji, at});
}

result<Written> Chat::mark(const Uuid& conversation_id, Participant viewer) {
  return write(MarkConversation{conversation_id, std::move(viewer), tick()});
}

Conversation Chat::conversation(const Uuid& id) {
  const auto found = storage().find_conversation(id);
  REQUIRE(found);
  REQUIRE(*found);
  return **found;
}

std::vector<Message> Chat::messages(const Uuid& conversation_id) {
  std::vector<Message> all;
  MessageQuery query{conversation_id, std::nullopt, std::nullopt, 200};
  for (;;) {
    MessagePage next = page(query);
    all.insert(all.begin(), next.messages.begin(), next.messages.end());
    if (!next.has_more) return all;
    REQUIRE_FALSE(next.messages.empty());
    query.before_seq = next.messages.front().seq;
  }
}

Message Chat::message(const Uuid& conversation_id, std::uint64_t seq) {
  const auto found = page({conversation_id, seq + 1, std::nullopt, 1});
  REQUIRE(found.messages.size() == 1);
  REQUIRE(found.messages.front().seq == seq);
  return found.messages.front();
}

MessagePage Chat::page(const MessageQuery& query) {
  auto found = storage().list_messages(query);
  REQUIRE(found);
  return std::move(*found);
}

ChangeList Chat::changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit) {
  auto found = storage().list_changes(conversation_id, since_rev, limit);
  REQUIRE(found);
  return std::move(*found);
}

}  // namespace travelchat::conformance
