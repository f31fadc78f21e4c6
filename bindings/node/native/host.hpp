// The host in JavaScript: its questions and answers cross between the shards and JavaScript's thread.
#pragma once

#include "loop.hpp"

#include <travelchat/beast_server.hpp>
#include <travelchat/host.hpp>

#include <napi.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace travelchat::node {

class EngineState;

class JsHost final : public Host {
 public:
  // `ask(question, method, json, request)`: JavaScript answers by calling `answer` with the number `question`, except
  // for "notify". `request` is the number that JavaScript gave with the request, or 0. A question without an answer
  // within `timeout` is dropped; 0: never. JavaScript's thread; `state` owns this.
  JsHost(EngineState& state, Napi::Function ask, std::chrono::milliseconds timeout);
  ~JsHost() override;

  // answer(question, errorName | null, value). Only the first one counts. A value of another type than asked for throws
  // a TypeError, and is answered as `errc::internal`. JavaScript's thread.
  void answer(const Napi::CallbackInfo& info);

  void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) override;
  void find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) override;
  void find_clients(std::string org_id, std::vector<std::string> client_ids,
                    Reply<std::vector<ClientCard>> reply) override;
  void search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) override;
  void check_sessions(std::vector<std::string> session_ids, Reply<std::vector<std::string>> reply) override;
  void notify(PushNotification notification) override;

 private:
  // The questions that wait for an answer. JavaScript's thread.
  struct Questions;

  template <class T, class Read>
  void ask(const char* method, std::string json, const std::shared_ptr<void>& context, Reply<T> reply, Read read);

  EngineState& state_;
  std::chrono::milliseconds timeout_;
  std::shared_ptr<Loop> loop_;
  Listening ask_;
  std::shared_ptr<Questions> questions_;
};

// The `RequestCredentials::context` of a request that JavaScript has under this number.
std::shared_ptr<void> to_context(std::uint64_t request);
// Calls `forget(request)` when nobody needs it any more.
std::shared_ptr<void> to_context(std::uint64_t request, std::shared_ptr<Loop> loop, Listening forget);

// From the arguments of a call, `at` and behind it: method, target, headers (names and values by turns, each in a line
// of its own), body (a Buffer), remote address, whether it came over TLS. Texts are bytes, one in each character, as
// Node's parser makes them.
HttpRequest to_request(const Napi::CallbackInfo& info, std::size_t at);

BeastServerOptions to_server_options(Napi::Value value);

}  // namespace travelchat::node
