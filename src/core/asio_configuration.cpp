#include <travelchat/asio_configuration.hpp>

namespace travelchat::detail {

const char AsioConfiguration::of_travelchat = 0;

}  // namespace travelchat::detail
