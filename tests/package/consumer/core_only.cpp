// An embedder of the engine alone: one message in memory.
#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>
#include <travelchat/version.hpp>

#include <boost/asio/use_future.hpp>

#include <iostream>

int main() {
  travelchat::ChatEngine engine(travelchat::make_memory_storage());
  const auto conversation = engine.async_open_conversation("org", "client", boost::asio::use_future).get().value();
  travelchat::Participant client{"org", travelchat::Role::client, "client", "Maya"};
  const auto sent =
      engine.async_send(client, {.conversation_id = conversation.id, .content = "hello"}, boost::asio::use_future)
          .get()
          .value();
  engine.close();
  std::cout << "core " << travelchat::version << ": message " << sent.message.seq << " " << sent.message.content
            << '\n';
  return sent.message.seq == 1 && travelchat::version == PACKAGE_VERSION ? 0 : 1;
}
