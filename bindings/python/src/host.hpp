// A host written in Python, as the server sees it.
#pragma once

#include "arrival_queue.hpp"

#include <travelchat/host.hpp>

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

namespace travelchat::python {

// Passes the server's questions to the event loop that answers them; no thread of the server's touches Python.
//
// Bounded: with `max_calls` unanswered, a further question is answered `errc::overloaded` and a notification is
// dropped. While no loop is there to answer, `errc::closed`.
class PythonHost final : public Host {
 public:
  explicit PythonHost(std::size_t max_calls);
  ~PythonHost() override;

  // From now on the questions go to this loop, in place of an earlier one. `http_token`: for the application's
  // requests.
  void answer_at(const std::shared_ptr<ArrivalQueue>& queue, std::uint64_t token, std::uint64_t http_token);
  // A request for the application around the chat; the same rules.
  void http(HttpRequest request, HttpRespond respond);

  void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) override;
  void find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) override;
  void find_clients(std::string org_id, std::vector<std::string> client_ids,
                    Reply<std::vector<ClientCard>> reply) override;
  void search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) override;
  void check_sessions(std::vector<std::string> session_ids, Reply<std::vector<std::string>> reply) override;
  void notify(PushNotification notification) override;

 private:
  class Calls;

  // Asks, or says why not.
  template <class T, class Make>
  void ask(Reply<T> reply, Make make);
  // False: nobody is there to take it.
  template <class Content>
  bool put(Content content);

  std::mutex mutex_;
  std::weak_ptr<ArrivalQueue> queue_;
  std::uint64_t token_ = 0;
  std::uint64_t http_token_ = 0;
  std::shared_ptr<Calls> calls_;
};

// (method, arguments, reply): what the package calls on the host, and what it then does with the outcome.
py::object to_python(HostCall& call);
py::object to_python(HttpCall& call);

void bind_host(py::module_& module);

}  // namespace travelchat::python
