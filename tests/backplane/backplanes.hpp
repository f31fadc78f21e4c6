// The backplanes that must behave as backplane.hpp says. A new one is added to `backplanes()`, and the contract runs on
// it.
#pragma once

#include "catch.hpp"

#include <travelchat/backplane.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace travelchat::backplane_test {

// What the backplanes of one deployment share.
class Network {
 public:
  virtual ~Network() = default;
  // One for a further node. Not started.
  virtual std::unique_ptr<Backplane> make() = 0;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Network>()> make;
};

std::vector<const Kind*> backplanes();

}  // namespace travelchat::backplane_test

// Begins a test that runs once for each backplane, on a network without nodes.
#define ON_EVERY_BACKPLANE(network)                                                            \
  const auto* const kind = GENERATE(from_range(::travelchat::backplane_test::backplanes()));   \
  INFO("backplane: " << kind->name);                                                           \
  const std::unique_ptr<::travelchat::backplane_test::Network> network##_owner = kind->make(); \
  ::travelchat::backplane_test::Network& network = *network##_owner
