// A running engine over a memory storage, with the calls of the tests turned into plain ones.
#pragma once

#include "catch.hpp"
#include "recorder.hpp"

#include <travelchat/engine.hpp>
#include <travelchat/memory_storage.hpp>

#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <string>
#include <utility>

namespace travelchat::test {

inline const Participant advisor{"org-1", Role::advisor, "advisor-1", "Ada"};
inline const Participant client{"org-1", Role::client, "client-1", "Clara"};

template <class T>
T get(std::future<T> future) {
  if (future.wait_for(std::chrono::seconds{20}) != std::future_status::ready) throw std::runtime_error("no answer");
  return future.get();
}

inline Draft draft(const Uuid& conversation, std::string content, std::optional<std::string> key = std::nullopt) {
  Draft out;
  out.conversation_id = conversation;
  out.content = std::move(content);
  out.client_message_id = std::move(key);
  return out;
}

struct Running {
  explicit Running(EngineOptions options = {}, std::unique_ptr<Storage> storage = make_memory_storage())
      : engine(std::move(storage), with_two_shards(options)) {}

  static EngineOptions with_two_shards(EngineOptions options) {
    if (options.shards == 0) options.shards = 2;
    return options;
  }

  Uuid open(std::string client_id = "client-1") {
    return get(engine.async_open_conversation("org-1", std::move(client_id), use_future)).value().id;
  }
  result<Sent> send(const Participant& sender, Draft what) {
    return get(engine.async_send(sender, std::move(what), use_future));
  }
  Subscription subscribe(const Participant& who, const Uuid& conversation, std::shared_ptr<Subscriber> subscriber,
                         std::optional<std::uint64_t> since = std::nullopt) {
    return get(engine.async_subscribe(who, conversation, std::move(subscriber), SubscribeOptions{since}, use_future))
        .value();
  }
  std::vector<Message> messages(const Uuid& conversation) {
    MessageQuery query;
    query.conversation_id = conversation;
    query.limit = 200;
    return get(engine.async_list_messages(advisor, query, use_future)).value().messages;
  }

  static constexpr boost::asio::use_future_t<> use_future{};
  ChatEngine engine;
};

}  // namespace travelchat::test
