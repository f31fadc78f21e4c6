#include "core/inbox_order.hpp"

#include <utility>

namespace travelchat::detail {

bool InboxOrder::take(const ConversationSummary& row) {
  const Conversation& conversation = row.conversation;
  const auto [at, is_new] = told_.try_emplace(conversation.id);
  // A conversation that was just opened has revision 0.
  if (!is_new && conversation.rev <= at->second.rev) return false;
  at->second = {conversation.rev, conversation.last_seq, conversation.unread_count};
  return true;
}

std::vector<Event> InboxOrder::compare(std::vector<ConversationSummary> list) {
  std::vector<Event> news;
  for (ConversationSummary& row : list) {
    const auto known = told_.find(row.conversation.id);
    const bool is_known = known != told_.end();
    const Told before = is_known ? known->second : Told{};
    if (!take(row) || !has_list_) continue;
    // Reactions and "seen" raise the revision and are not shown in a list.
    const bool shows = !is_known || before.last_seq != row.conversation.last_seq ||
                       before.unread_count != row.conversation.unread_count;
    if (shows) news.emplace_back(ConversationUpdated{std::move(row)});
  }
  has_list_ = true;
  return news;
}

}  // namespace travelchat::detail
