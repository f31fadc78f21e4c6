// Every operation of the engine, awaited with arguments that are made within the `co_await` expression, as
// docs/library.md shows it. g++ 12 destroys the members of an aggregate twice there; so no argument is one that has any
// to destroy. Built without optimization and with it: what the compiler makes of such an expression differs.
#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace travelchat;
using boost::asio::use_awaitable;

// Longer than a string keeps in itself, and as long as it does.
const std::string long_text = "The hotel has a pool, and breakfast is from seven to ten.";
std::string made(const std::string& text) {
  return text + "-made-at-run-time";
}

#define CHECK(...) \
  if (!(__VA_ARGS__)) (std::cerr << __LINE__ << ": " << #__VA_ARGS__ << '\n', std::exit(1))

class Silent final : public Subscriber {
  void deliver(const std::shared_ptr<const EventBatch>&) noexcept override {}
  void close(errc) noexcept override {}
};

boost::asio::awaitable<void> use(ChatEngine& engine) {
  const Conversation chat =
      (co_await engine.async_open_conversation("org-1", "client-7-with-a-long-name", use_awaitable)).value();
  const Uuid id = chat.id;
  CHECK((co_await engine.async_find_conversation(id, use_awaitable)).value() == chat);

  // A draft by its members' names, of literals, of temporaries and of variables; a participant by its constructor.
  const Sent first = (co_await engine.async_send({"org-1", Role::advisor, "advisor-3", "Ana"},
                                                 {.conversation_id = id, .content = "Welcome!"}, use_awaitable))
                         .value();
  CHECK(first.message.content == "Welcome!" && first.message.sender_name == "Ana");
  const Sent second =
      (co_await engine.async_send({std::string("org-1"), Role::client, "client-7-with-a-long-name", made("Carl")},
                                  {.conversation_id = id,
                                   .content = made(long_text),
                                   .client_message_id = std::string("a-key-of-more-than-sixteen-characters"),
                                   .attachment_url = "https://files.example/a-rather-long-path.pdf",
                                   .attachment_name = first.message.content},
                                  use_awaitable))
          .value();
  CHECK(second.message.content == made(long_text) && second.message.sender_name == made("Carl"));
  CHECK(second.message.client_message_id == "a-key-of-more-than-sixteen-characters");
  CHECK(second.message.attachment_url == "https://files.example/a-rather-long-path.pdf");
  CHECK(!second.message.attachment_type && second.message.attachment_name == "Welcome!");
  const Sent third = (co_await engine.async_send(Participant{"org-1", Role::advisor, "advisor-3", long_text},
                                                 Draft({.conversation_id = id, .content = long_text}), use_awaitable))
                         .value();
  CHECK(third.message.content == long_text && third.message.seq == 3);

  CHECK((co_await engine.async_list_conversations({"org-1"}, use_awaitable)).value().size() == 1);
  CHECK((co_await engine.async_list_conversations({"org-1", "pool"}, use_awaitable)).value().size() == 1);
  CHECK((co_await engine.async_list_conversations(
             {"org-1", made(long_text) + "?", std::vector(1, std::string("client-7-with-a-long-name"))}, use_awaitable))
            .value()
            .size() == 1);
  CHECK((co_await engine.async_count_unread("org-1", use_awaitable)).value() == 1);
  CHECK((co_await engine.async_list_messages({"org-1", Role::advisor, "advisor-3", made("Ana")},
                                             {.conversation_id = id, .limit = 2}, use_awaitable))
            .value()
            .messages.size() == 2);
  CHECK((co_await engine.async_react({"org-1", Role::client, "client-7-with-a-long-name", made("Carl")}, id,
                                     first.message.id, Emoji::heart, use_awaitable))
            .value()
            .size() == 1);
  CHECK((co_await engine.async_unreact({"org-1", Role::client, "client-7-with-a-long-name", made("Carl")}, id,
                                       first.message.id, use_awaitable))
            .value()
            .empty());
  CHECK((co_await engine.async_mark({"org-1", Role::client, "client-7-with-a-long-name", "Carl"}, id, use_awaitable))
            .value()
            .count == 2);

  const IssuedToken issued =
      (co_await engine.async_issue_token({"org-1", "client-7-with-a-long-name", made("trip"), id}, use_awaitable))
          .value();
  CHECK((co_await engine.async_authenticate_token(std::string(issued.token), use_awaitable)).value().trip_id ==
        made("trip"));
  CHECK((co_await engine.async_revoke_token(std::string(issued.token), use_awaitable)).value());
  CHECK((co_await engine.async_revoke_tokens({"org-1", made("client"), made("trip")}, use_awaitable)).value() == 0);
  CHECK((co_await engine.async_sweep_tokens(use_awaitable)).value() == 0);
  CHECK((co_await engine.async_prune_changes(use_awaitable)).value() == 0);

  CHECK((co_await engine.async_subscribe({"org-1", Role::advisor, "advisor-3", made("Ana")}, id,
                                         std::make_shared<Silent>(), {.since_rev = 1}, use_awaitable))
            .has_value());
  CHECK((co_await engine.async_subscribe_inbox(made("org"), std::make_shared<Silent>(), use_awaitable)).has_value());
  // A row of a list is the engine's to make; whoever has one hands it back by its name.
  const ConversationSummary row{chat, third.message};
  CHECK((co_await engine.async_subscribe_inbox(made("org"), std::make_shared<Silent>(),
                                               InboxOptions(std::vector(1, row)), use_awaitable))
            .has_value());
  CHECK((co_await engine.async_ping(use_awaitable)).value());
}

}  // namespace

int main() {
  boost::asio::io_context context;  // outlives the engine, whose threads post to it
  ChatEngine engine(make_memory_storage(), {.shards = 2});
  auto done = boost::asio::co_spawn(context, use(engine), boost::asio::use_future);
  context.run();
  done.get();
}
