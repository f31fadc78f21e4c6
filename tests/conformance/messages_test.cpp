#include "fixture.hpp"

#include <limits>

namespace travelchat::conformance {
namespace {

std::vector<std::uint64_t> seqs(const MessagePage& page) {
  std::vector<std::uint64_t> list;
  for (const auto& message : page.messages) list.push_back(message.seq);
  return list;
}

std::vector<std::uint64_t> range(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> list;
  for (std::uint64_t n = first; n <= last; ++n) list.push_back(n);
  return list;
}

}  // namespace

TEST_CASE("a message is answered and read back as it was written") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  auto draft = chat.draft(conversation.id, client(), "Grüße 👋 <b>'\";", "c-1");
  draft.attachment_url = "https://example.org/a.pdf";
  draft.attachment_type = "application/pdf";
  draft.attachment_name = "a.pdf";
  const auto sent = chat.write(draft);
  REQUIRE(sent);
  CHECK(sent->changed);

  Message expected;
  expected.id = draft.message_id;
  expected.conversation_id = conversation.id;
  expected.org_id = "org-1";
  expected.sender_type = Role::client;
  expected.sender_id = "client-1";
  expected.sender_name = "Clio Client";
  expected.content = draft.content;
  expected.created_at = draft.now;
  expected.attachment_url = draft.attachment_url;
  expected.attachment_type = draft.attachment_type;
  expected.attachment_name = draft.attachment_name;
  expected.seq = 1;
  expected.rev = 1;
  expected.client_message_id = "c-1";
  CHECK(sent->message == expected);
  CHECK(chat.messages(conversation.id) == std::vector{expected});

  auto row = conversation;
  row.last_seq = 1;
  row.rev = 1;
  row.unread_count = 1;
  row.last_message_at = draft.now;
  CHECK(sent->conversation == row);
  CHECK(chat.conversation(conversation.id) == row);
}

TEST_CASE("seq and rev rise by one with every message, also within a batch") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b");
  std::vector<Write> batch;
  for (int i = 0; i < 10; ++i) batch.emplace_back(chat.draft(i % 2 == 0 ? a.id : b.id, advisor(), "x"));
  const auto sent = chat.commit(batch);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    REQUIRE(sent[i]);
    CHECK(sent[i]->message->seq == i / 2 + 1);
    CHECK(sent[i]->message->rev == i / 2 + 1);
    CHECK(sent[i]->conversation.last_seq == i / 2 + 1);
    CHECK(sent[i]->conversation.rev == i / 2 + 1);
  }
}

TEST_CASE("only a client's message raises the unread count") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "hello");
  CHECK(chat.conversation(conversation.id).unread_count == 0);
  chat.send(conversation.id, client(), "hi");
  chat.send(conversation.id, client(), "there");
  CHECK(chat.conversation(conversation.id).unread_count == 2);
}

TEST_CASE("a write that fails alone leaves the rest of its batch untouched") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto first = chat.send(conversation.id, client(), "first", "c-1");
  auto taken_id = chat.draft(conversation.id, client(), "id taken", "c-9");
  taken_id.message_id = first.id;
  const auto results = chat.commit({
      chat.draft(conversation.id, advisor(), "second"),
      chat.draft(make_uuid(chat.tick()), advisor(), "no such conversation"),
      chat.draft(conversation.id, client(), "other content", "c-1"),
      taken_id,
      chat.draft(conversation.id, client("client-2"), "not this client's"),
      chat.draft(conversation.id, client(), "third", "c-9"),
  });
  REQUIRE(results[0]);
  CHECK(failed_with(results[1], errc::not_found));
  CHECK(failed_with(results[2], errc::idempotency_conflict));
  CHECK(failed_with(results[3], errc::internal));
  CHECK(failed_with(results[4], errc::not_found));
  REQUIRE(results[5]);
  CHECK(results[5]->message->seq == 3);
  CHECK(results[5]->conversation.rev == 3);
  CHECK(results[5]->conversation.unread_count == 2);
  const auto all = chat.messages(conversation.id);
  REQUIRE(all.size() == 3);
  CHECK(all[0] == first);
  CHECK(all[1] == *results[0]->message);
  CHECK(all[2] == *results[5]->message);
}

TEST_CASE("an advisor reaches every conversation of the organization and no other") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-a");
  const auto b = chat.open("client-b");
  CHECK(chat.write(chat.draft(a.id, advisor("advisor-1"), "x")));
  CHECK(chat.write(chat.draft(b.id, advisor("advisor-2"), "x")));
  CHECK(failed_with(chat.write(chat.draft(a.id, advisor("advisor-1", "org-2"), "x")), errc::not_found));
  CHECK(chat.conversation(a.id).rev == 1);
}

TEST_CASE("a client reaches the one conversation that is its own") {
  ON_EVERY_BACKEND(chat);
  const auto own = chat.open("client-1");
  const auto other = chat.open("client-2");
  const auto same_name = chat.open("client-1", "org-2");
  CHECK(chat.write(chat.draft(own.id, client(), "x")));
  CHECK(failed_with(chat.write(chat.draft(other.id, client(), "x")), errc::not_found));
  CHECK(failed_with(chat.write(chat.draft(same_name.id, client(), "x")), errc::not_found));
  CHECK(chat.conversation(other.id).rev == 0);
  CHECK(chat.conversation(same_name.id).rev == 0);
}

TEST_CASE("a repeated client message id brings the first message again, with its reactions") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto first = chat.send(conversation.id, client(), "once", "c-1");
  REQUIRE(chat.react(first, advisor(), Emoji::thumbs_up));
  const auto before = chat.conversation(conversation.id);
  if (GENERATE(false, true)) chat.reopen();

  const auto again = chat.write(chat.draft(conversation.id, client(), "once", "c-1"));
  REQUIRE(again);
  CHECK_FALSE(again->changed);
  CHECK(again->message == chat.message(conversation.id, 1));
  CHECK(again->message->id == first.id);
  CHECK(again->message->reactions.size() == 1);
  CHECK(again->conversation == before);
  CHECK(chat.conversation(conversation.id) == before);
}

TEST_CASE("a repeat within one batch brings the first message again") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto results = chat.commit(
      {chat.draft(conversation.id, client(), "once", "c-1"), chat.draft(conversation.id, client(), "once", "c-1")});
  REQUIRE(results[0]);
  REQUIRE(results[1]);
  CHECK(results[0]->changed);
  CHECK_FALSE(results[1]->changed);
  CHECK(results[0]->message == results[1]->message);
  CHECK(chat.messages(conversation.id).size() == 1);
}

TEST_CASE("a repeated client message id with another content or attachment is a conflict") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  auto first = chat.draft(conversation.id, client(), "once", "c-1");
  first.attachment_url = "https://example.org/a";
  first.attachment_type = "image/png";
  first.attachment_name = "a.png";
  REQUIRE(chat.write(first));
  const auto before = chat.conversation(conversation.id);

  auto other_content = first;
  other_content.content = "twice";
  auto other_url = first;
  other_url.attachment_url = "https://example.org/b";
  auto other_type = first;
  other_type.attachment_type = "image/jpeg";
  auto other_name = first;
  other_name.attachment_name = std::nullopt;
  for (const auto& write : {other_content, other_url, other_type, other_name}) {
    CHECK(failed_with(chat.write(write), errc::idempotency_conflict));
  }
  CHECK(chat.conversation(conversation.id) == before);
}

TEST_CASE("a client message id belongs to one sender of one conversation") {
  ON_EVERY_BACKEND(chat);
  const auto a = chat.open("client-1");
  const auto b = chat.open("client-2");
  chat.send(a.id, client("client-1"), "from the client", "same");
  chat.send(a.id, advisor("advisor-1"), "from an advisor", "same");
  chat.send(a.id, advisor("advisor-2"), "from another", "same");
  chat.send(a.id, advisor("client-1"), "from an advisor who is called as the client is", "same");
  chat.send(b.id, advisor("advisor-1"), "in another conversation", "same");
  CHECK(chat.messages(a.id).size() == 4);
  CHECK(chat.messages(b.id).size() == 1);
}

TEST_CASE("messages without a client message id never repeat") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, client(), "same");
  chat.send(conversation.id, client(), "same");
  CHECK(chat.messages(conversation.id).size() == 2);
}

TEST_CASE("a repeat by somebody who may not reach the conversation is not found") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  chat.send(conversation.id, advisor(), "once", "c-1");
  CHECK(failed_with(chat.write(chat.draft(conversation.id, advisor("advisor-1", "org-2"), "once", "c-1")),
                    errc::not_found));
}

TEST_CASE("a page has the newest messages by seq and says whether older ones are left") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  CHECK(chat.page({conversation.id, std::nullopt, std::nullopt, 3}).messages.empty());
  CHECK_FALSE(chat.page({conversation.id, std::nullopt, std::nullopt, 3}).has_more);
  for (int i = 1; i <= 7; ++i) chat.send(conversation.id, advisor(), std::to_string(i));

  struct Expectation {
    std::optional<std::uint64_t> before;
    std::size_t limit;
    std::uint64_t first, last;
    bool has_more;
  };
  constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  const auto expected =
      GENERATE(Expectation{std::nullopt, 3, 5, 7, true}, Expectation{std::nullopt, 6, 2, 7, true},
               Expectation{std::nullopt, 7, 1, 7, false}, Expectation{std::nullopt, 200, 1, 7, false},
               Expectation{5, 3, 2, 4, true}, Expectation{5, 4, 1, 4, false}, Expectation{8, 2, 6, 7, true},
               Expectation{huge, 2, 6, 7, true}, Expectation{2, 1, 1, 1, false}, Expectation{1, 5, 1, 0, false});
  const auto page = chat.page({conversation.id, expected.before, std::nullopt, expected.limit});
  CHECK(seqs(page) == range(expected.first, expected.last));
  CHECK(page.has_more == expected.has_more);
}

TEST_CASE("a page since a revision has what changed after it, by seq") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto one = chat.send(conversation.id, advisor(), "1");    // rev 1
  const auto two = chat.send(conversation.id, client(), "2");     // rev 2
  const auto three = chat.send(conversation.id, advisor(), "3");  // rev 3
  REQUIRE(chat.react(one, client(), Emoji::joy));                 // rev 4
  const auto since = [&](std::uint64_t rev, std::size_t limit) {
    return chat.page({conversation.id, std::nullopt, rev, limit});
  };
  CHECK(seqs(since(0, 10)) == range(1, 3));
  CHECK(seqs(since(2, 10)) == std::vector<std::uint64_t>{1, 3});
  CHECK(since(2, 10).messages.front().reactions.size() == 1);
  CHECK(seqs(since(3, 10)) == range(1, 1));
  CHECK(since(4, 10).messages.empty());
  CHECK(since(99, 10).messages.empty());
  CHECK(since(std::numeric_limits<std::uint64_t>::max(), 10).messages.empty());

  const auto first = since(1, 1);
  CHECK(seqs(first) == range(2, 2));
  CHECK(first.has_more);
  const auto second = since(2, 1);
  CHECK(seqs(second) == range(3, 3));
  CHECK(second.has_more);
  const auto third = since(3, 1);
  CHECK(seqs(third) == range(1, 1));
  CHECK_FALSE(third.has_more);
}

TEST_CASE("paging by revision to the end meets every changed message, also those that one mark changed") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  for (int i = 0; i < 20; ++i) chat.send(conversation.id, i % 2 == 0 ? advisor() : client(), std::to_string(i));
  REQUIRE(chat.mark(conversation.id, advisor()));
  chat.send(conversation.id, client(), "after the mark");
  REQUIRE(chat.react(chat.message(conversation.id, 4), advisor(), Emoji::sad));
  REQUIRE(chat.mark(conversation.id, client()));

  const std::size_t limit = GENERATE(1, 3, 7, 200);
  std::vector<bool> met(22, false);
  std::uint64_t rev = 0;
  for (;;) {
    const auto page = chat.page({conversation.id, std::nullopt, rev, limit});
    for (const auto& message : page.messages) {
      CHECK_FALSE(met[message.seq]);
      met[message.seq] = true;
      CHECK(message == chat.message(conversation.id, message.seq));
    }
    for (const auto& message : page.messages) rev = std::max(rev, message.rev);
    if (!page.has_more) break;
    REQUIRE(page.messages.size() >= limit);
  }
  for (std::size_t seq = 1; seq <= 21; ++seq) CHECK(met[seq]);
}

TEST_CASE("what one mark changed is one page of up to 1,000 messages") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto since = [&](std::uint64_t rev, std::size_t limit) {
    return MessageQuery{conversation.id, std::nullopt, rev, limit};
  };
  chat.send(conversation.id, client(), "before");                                      // 1
  REQUIRE(chat.send_many(conversation.id, advisor(), max_changed_messages) == 1'001);  // 2 to 1,001
  REQUIRE(chat.react(chat.message(conversation.id, 7), client(), Emoji::joy));         // 1,002
  REQUIRE(chat.mark(conversation.id, client()));                                       // 1,003: all but the first
  for (const std::size_t limit : {1, 200}) {
    const auto page = chat.page(since(1, limit));
    CHECK(seqs(page) == range(2, 1'001));
    CHECK_FALSE(page.has_more);
    CHECK(page.messages[5].reactions.size() == 1);
    CHECK(std::all_of(page.messages.begin(), page.messages.end(), [](const Message& m) { return m.rev == 1'003; }));
  }
  chat.send(conversation.id, client(), "after");  // 1,004
  const auto first = chat.page(since(0, 1));
  CHECK(seqs(first) == range(1, 1));
  CHECK(first.has_more);
  for (const std::size_t limit : {1, 200}) {
    const auto second = chat.page(since(1, limit));
    CHECK(seqs(second) == range(2, 1'001));
    CHECK(second.has_more);
  }
  const auto third = chat.page(since(1'003, 1));
  CHECK(seqs(third) == range(1'002, 1'002));
  CHECK_FALSE(third.has_more);
  // With the one before it there are 1,001.
  CHECK(failed_with(chat.storage().list_messages(since(0, 2)), errc::too_many_changes));
  CHECK(failed_with(chat.storage().list_messages(since(0, 200)), errc::too_many_changes));
}

TEST_CASE("a page since a revision is refused when one mark has changed more than 1,000 messages") {
  ON_EVERY_BACKEND(chat);
  const auto conversation = chat.open();
  const auto since = [&](std::uint64_t rev, std::size_t limit) {
    return MessageQuery{conversation.id, std::nullopt, rev, limit};
  };
  REQUIRE(chat.send_many(conversation.id, client(), max_changed_messages + 1) == 1'001);
  CHECK(seqs(chat.page(since(0, 200))) == range(1, 200));
  REQUIRE(chat.mark(conversation.id, advisor()));  // 1,002
  chat.send(conversation.id, advisor(), "after");  // 1,003
  for (const std::uint64_t rev : {0, 500, 1'001}) {
    for (const std::size_t limit : {1, 200}) {
      CHECK(failed_with(chat.storage().list_messages(since(rev, limit)), errc::too_many_changes));
    }
  }
  const auto rest = chat.page(since(1'002, 1));
  CHECK(seqs(rest) == range(1'002, 1'002));
  CHECK_FALSE(rest.has_more);
  // What the refused one loads instead.
  const auto newest = chat.page({conversation.id, std::nullopt, std::nullopt, 200});
  CHECK(seqs(newest) == range(803, 1'002));
  CHECK(newest.has_more);
}

TEST_CASE("a long content and long ids are kept whole") {
  ON_EVERY_BACKEND(chat);
  const std::string long_id(128, '~');
  const auto conversation = chat.open(long_id, long_id);
  std::string content;
  for (int i = 0; i < 10'000; ++i) content += "😮";
  const auto sent = chat.send(conversation.id, client(long_id, long_id), content, std::string(64, 'z'));
  CHECK(chat.messages(conversation.id) == std::vector{sent});
  CHECK(sent.content == content);
}

}  // namespace travelchat::conformance
