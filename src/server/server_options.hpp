// The options of the server, looked over before anything is made of them.
#pragma once

#include <travelchat/beast_server.hpp>

namespace travelchat::transport {

// Throws OptionError.
BeastServerOptions checked(BeastServerOptions options);

}  // namespace travelchat::transport
