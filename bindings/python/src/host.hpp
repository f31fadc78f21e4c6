// A host written in Python, and the server inside the process that asks it.
#pragma once

#include "doorbell.hpp"

#include <travelchat/host.hpp>

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstddef>
#include <memory>

namespace travelchat::python {

// Puts the server's questions at the bell of the event loop that answers them; no thread of the server's touches
// Python.
//
// Bounded: with `max_calls` unanswered, a further question is answered `errc::overloaded` and a notification is
// dropped.
class PythonHost final : public Host {
 public:
  PythonHost(std::shared_ptr<Doorbell> bell, std::uint64_t token, std::size_t max_calls);
  ~PythonHost() override;

  void authenticate(RequestCredentials credentials, Reply<std::optional<Advisor>> reply) override;
  void find_trip(std::string trip_id, Reply<std::optional<SharedTrip>> reply) override;
  void find_clients(std::string org_id, std::vector<std::string> client_ids,
                    Reply<std::vector<ClientCard>> reply) override;
  void search_clients(std::string org_id, std::string text, Reply<std::vector<std::string>> reply) override;
  void notify(PushNotification notification) override;

 private:
  class Calls;
  std::shared_ptr<Doorbell> bell_;
  const std::uint64_t token_;
  std::shared_ptr<Calls> calls_;
};

// (method, arguments, reply): what the package calls on the host, and what it then does with the outcome.
py::object to_python(HostCall& call);

void bind_host(py::module_& module);

}  // namespace travelchat::python
