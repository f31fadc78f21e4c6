// The host in JavaScript: its questions and answers cross between the shards and JavaScript's thread.
#pragma once

#include "loop.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/host.hpp>

#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>

namespace travelchat::node {

class JsHost final : public Host {
 public:
  // `ask(method, json, context, answer)`; `answer(errorName | null, value)`, not called for "notify". `context` is what
  // JavaScript gave with the request, or undefined. JavaScript's thread.
  JsHost(std::shared_ptr<Loop> loop, Napi::Function ask);
  ~JsHost() override;

  void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) override;
  void find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) override;
  void find_clients(std::string org_id, std::vector<std::string> client_ids,
                    Reply<std::vector<ClientCard>> reply) override;
  void search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) override;
  void notify(PushNotification notification) override;

 private:
  template <class T, class Read>
  void ask(const char* method, std::string json, std::shared_ptr<void> context, Reply<T> reply, Read read);

  std::shared_ptr<Loop> loop_;
  std::uint64_t ask_;
};

// A value of JavaScript's that may be kept and dropped on any thread.
std::shared_ptr<void> to_context(const std::shared_ptr<Loop>& loop, Napi::Value value);

// {method, target, headers: [name, value, ...], body?, remoteAddress, isSecure, context}
HttpRequest to_request(const std::shared_ptr<Loop>& loop, Napi::Value value);

BeastServerOptions to_server_options(Napi::Value value);

}  // namespace travelchat::node
