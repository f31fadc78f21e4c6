// What the listeners of one organization's list were last told of each conversation, where other nodes write too.
//
// Sans-io. Owned by an inbox's room.
#pragma once

#include <travelchat/event.hpp>
#include <travelchat/storage.hpp>

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace travelchat::detail {

class InboxOrder {
 public:
  // Whether the row is newer than what was told; then it counts as told.
  bool take(const ConversationSummary& row);
  // The whole list as the storage has it. Returns the rows of which something that a list shows has changed. The first
  // list returns nothing.
  std::vector<Event> compare(std::vector<ConversationSummary> list);

 private:
  struct Told {
    std::uint64_t rev = 0;
    std::uint64_t last_seq = 0;
    std::uint64_t unread_count = 0;
  };

  std::unordered_map<Uuid, Told> told_;
  bool has_list_ = false;
};

}  // namespace travelchat::detail
