// A storage with the words to use it: who acts, what the time is, one write at a time.
#pragma once

#include "backends.hpp"

#include <travelchat/storage.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace travelchat::conformance {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline Participant advisor(std::string id = "advisor-1", std::string org_id = "org-1") {
  return {std::move(org_id), Role::advisor, std::move(id), "Ada Advisor"};
}
inline Participant client(std::string id = "client-1", std::string org_id = "org-1") {
  return {std::move(org_id), Role::client, std::move(id), "Clio Client"};
}

class Chat {
 public:
  explicit Chat(std::unique_ptr<Instance> instance) : instance_(std::move(instance)) {}

  Storage& storage() { return instance_->storage(); }
  bool reopen() { return instance_->reopen(); }

  // Later than every time given before.
  TimePoint tick() { return now_ += milliseconds{1}; }
  TimePoint now() const { return now_; }

  std::vector<result<Written>> commit(const std::vector<Write>& writes);
  // A commit of one write.
  result<Written> write(const Write& write) { return commit({write}).front(); }

  Conversation open(const std::string& client_id = "client-1", const std::string& org_id = "org-1");
  AppendMessage draft(const Uuid& conversation_id, Participant sender, std::string content,
                      std::optional<std::string> client_message_id = std::nullopt);
  Message send(const Uuid& conversation_id, Participant sender, std::string content,
               std::optional<std::string> client_message_id = std::nullopt);
  // In one commit; answers with the last one's rev.
  std::uint64_t send_many(const Uuid& conversation_id, const Participant& sender, std::size_t count);
  result<Written> react(const Message& message, Participant reactor, std::optional<Emoji> emoji);
  result<Written> mark(const Uuid& conversation_id, Participant viewer);

  Conversation conversation(const Uuid& id);
  std::vector<Message> messages(const Uuid& conversation_id);
  Message message(const Uuid& conversation_id, std::uint64_t seq);
  MessagePage page(const MessageQuery& query);
  ChangeList changes(const Uuid& conversation_id, std::uint64_t since_rev, std::size_t limit = 1000);

 private:
  std::unique_ptr<Instance> instance_;
  TimePoint now_{milliseconds{1'764'000'000'000}};
};

// Whether a write or a read failed with that error.
template <class T>
bool failed_with(const result<T>& outcome, errc expected) {
  return outcome.has_error() && outcome.error() == expected;
}

}  // namespace travelchat::conformance
