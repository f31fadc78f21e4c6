// A conversation of two messages (1, 2), to which a later version has done three things: something that concerns no
// message (3), a change of the second message to "edited" (4), and a client's mark (5); and to which it has added the
// client "client-2". A test of a database writes that into its tables.
#pragma once

#include "fixture.hpp"

namespace travelchat::conformance {

// Each is told as far as this version knows it.
inline void check_later_changes(Storage& storage, const Uuid& conversation_id) {
  const auto list = storage.list_changes(conversation_id, 2, 100);
  REQUIRE(list);
  REQUIRE(list->changes.size() == 3);
  CHECK_FALSE(list->changes[0].message);
  CHECK_FALSE(list->changes[0].mark);
  REQUIRE(list->changes[1].message);
  CHECK(list->changes[1].message->content == "edited");
  CHECK(list->changes[1].created_rev == 2);
  CHECK(list->changes[1].content_rev == 4);
  REQUIRE(list->changes[2].mark);
  CHECK(list->changes[2].mark->viewer == Role::client);
  for (std::uint64_t n = 0; n < 3; ++n) CHECK(list->changes[n].rev == 3 + n);
}

// The client that was added is a member like the first, and has seen `seen_seq`.
inline void check_later_member(Storage& storage, const Uuid& conversation_id, std::uint64_t seen_seq) {
  const auto members = storage.list_members(conversation_id);
  REQUIRE(members->size() == 2);
  CHECK(members->back() == Member{Role::client, "client-2", "Clio Client", seen_seq, seen_seq});
}

}  // namespace travelchat::conformance
