// What the templates over described records make of a description.

#include "catch.hpp"
#include "storage/columns.hpp"

#include <travelchat/describe.hpp>
#include <travelchat/record_json.hpp>

#include <string>
#include <vector>

using namespace travelchat;

namespace {

struct Inner {
  std::uint64_t so_many = 0;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (so_many))

struct Sample {
  std::string name;
  std::optional<TimePoint> last_seen_at;
  std::vector<Inner> inner_ones;
  bool is_new = false;
  std::optional<Inner> other;
};
BOOST_DESCRIBE_STRUCT(Sample, (), (name, last_seen_at, inner_ones, is_new, other))

template <class Members>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  detail::for_each_of<Members>([&]<class Member>(Member) { names.emplace_back(detail::camel_name<Member>.c_str()); });
  return names;
}

// A row whose columns hold their numbers.
struct CountedRow {
  void read(int column, bool& value) const { value = column % 2 == 1; }
  void read(int column, std::uint64_t& value) const { value = static_cast<std::uint64_t>(column); }
  void read(int column, std::string& value) const { value = std::to_string(column); }
  void read(int column, TimePoint& value) const { value = TimePoint{std::chrono::milliseconds{column}}; }
  void read(int column, std::optional<TimePoint>& value) const { read(column, value.emplace()); }
  void read(int column, Uuid& value) const { value.bytes.back() = static_cast<std::uint8_t>(column); }
};

}  // namespace

TEST_CASE("members are named in snake_case and in camelCase, in the order of the description") {
  CHECK(names_of<detail::MembersOf<Sample>>() ==
        std::vector<std::string>{"name", "lastSeenAt", "innerOnes", "isNew", "other"});
  CHECK(names_of<detail::MembersWithout<Sample, &Sample::name, &Sample::is_new>>() ==
        std::vector<std::string>{"lastSeenAt", "innerOnes", "other"});
}

TEST_CASE("a member finds its namesake in another record") {
  detail::for_each_of<detail::MembersWithout<Draft, &Draft::conversation_id>>(
      []<class Member>(Member) { CHECK(std::string(detail::Namesake<Message, Member>::name) == Member::name); });
}

TEST_CASE("a described record is a JSON object, and what it does not have is null") {
  std::string json;
  wire::json::append_value(Sample{"a \"b\"", std::nullopt, {{1}, {2}}, true, std::nullopt}, json);
  CHECK(json ==
        R"({"name":"a \"b\"","lastSeenAt":null,"innerOnes":[{"soMany":1},{"soMany":2}],"isNew":true,"other":null})");
  json.clear();
  wire::json::append_object<detail::MembersWithout<Sample, &Sample::name, &Sample::inner_ones>>(
      Sample{{}, TimePoint{}, {}, false, Inner{3}}, json);
  CHECK(json == R"({"lastSeenAt":"1970-01-01T00:00:00.000Z","isNew":false,"other":{"soMany":3}})");
}

TEST_CASE("a storage's row of a conversation has one object's members in JSON") {
  ConversationRow row;
  row.value.org_id = "org";
  row.seen_seq = 7;
  std::string json;
  wire::json::append_value(row, json);
  CHECK(json == R"({"id":"00000000-0000-0000-0000-000000000000","orgId":"org","clientId":"",)"
                R"("createdAt":"1970-01-01T00:00:00.000Z","lastMessageAt":null,"lastSeq":0,"rev":0,"unreadCount":0,)"
                R"("unseenCount":0,"readSeq":0,"seenSeq":7})");
}

TEST_CASE("columns have the members' names and are read in their order") {
  using storage::ConversationColumns;
  CHECK(storage::count<ConversationColumns> == 11);
  CHECK(storage::names<ConversationColumns>("c.") ==
        "c.id, c.org_id, c.client_id, c.created_at, c.last_message_at, c.last_seq, c.rev, c.unread_count, "
        "c.unseen_count, c.read_seq, c.seen_seq");
  ConversationRow row;
  storage::read<ConversationColumns>(CountedRow(), 1, row);
  CHECK(row.value.id.bytes.back() == 1);
  CHECK(row.value.client_id == "3");
  CHECK(row.value.last_seq == 6);
  CHECK(row.seen_seq == 11);
}
