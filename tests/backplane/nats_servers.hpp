// Real NATS servers of a test's own, on loopback ports, in a temporary folder (tests/support/nats). They end with this
// object, and with the test's process however that ends.
#pragma once

#include <travelchat/nats_backplane.hpp>

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace travelchat::backplane_test {

class NatsServers {
 public:
  // `arguments` as `tests/support/nats run` takes them.
  explicit NatsServers(const std::vector<std::string>& arguments = {});
  NatsServers(const NatsServers&) = delete;
  NatsServers& operator=(const NatsServers&) = delete;
  ~NatsServers();

  const std::filesystem::path& folder() const noexcept { return folder_; }
  const std::vector<std::string>& urls() const noexcept { return urls_; }
  // With the URLs of all servers.
  NatsBackplaneOptions options() const;

  void kill(std::size_t server = 0);
  // On the same port; a running one is ended first.
  void restart(std::size_t server = 0);
  pid_t pid(std::size_t server = 0);
  // How many subscriptions it has.
  std::size_t subscriptions(std::size_t server = 0);

 private:
  std::string script(const std::string& command, std::size_t server) const;

  std::filesystem::path folder_;
  std::vector<std::string> urls_;
  pid_t runner_ = -1;
  int runner_input_ = -1;
};

}  // namespace travelchat::backplane_test
