// Answers of the host's own routes, in the one shape that the chat's routes have too.
#pragma once

#include <travelchat/beast_server.hpp>
#include <travelchat/error.hpp>

#include <string>
#include <string_view>

namespace travel_lab {

// `body` is JSON text. Never cached: every such answer depends on who asks.
travelchat::HttpResponse json_response(std::string body, int status = 200);
// {"message", "code"} with the error's status.
travelchat::HttpResponse error_response(travelchat::errc code);
travelchat::HttpResponse error_response(const travelchat::error_code& ec);
// The same with another message for people.
travelchat::HttpResponse error_response(travelchat::errc code, std::string_view message);

}  // namespace travel_lab
