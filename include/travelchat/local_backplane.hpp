// A backplane between engines of one process: several workers on one shared storage, and tests.
#pragma once

#include <travelchat/backplane.hpp>

#include <memory>

namespace travelchat {

// Connects the backplanes that are made with it: any number of nodes. Shared by them; any thread.
class LocalBus;
std::shared_ptr<LocalBus> make_local_bus();

// One node on the bus. It has a thread of its own and is up from `start` to `stop`. When its listener is 65,536
// messages behind, the rest is dropped and the listener told (`missed`).
std::unique_ptr<Backplane> make_local_backplane(std::shared_ptr<LocalBus> bus);

}  // namespace travelchat
