#include "responses.hpp"

#include <travelchat/wire.hpp>

#include <utility>

namespace travel_lab {

travelchat::HttpResponse json_response(std::string body, int status) {
  travelchat::HttpResponse response;
  response.status = status;
  response.headers = {
      {"Content-Type", "application/json"}, {"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}};
  response.body = std::move(body);
  return response;
}

travelchat::HttpResponse error_response(travelchat::errc code) {
  const travelchat::ErrorInfo& error = travelchat::describe(code);
  return json_response(travelchat::wire::error_body(error), error.http_status);
}

travelchat::HttpResponse error_response(const travelchat::error_code& ec) {
  return error_response(travelchat::describe(ec).code);
}

travelchat::HttpResponse error_response(travelchat::errc code, std::string_view message) {
  travelchat::ErrorInfo error = travelchat::describe(code);
  error.message = message;
  return json_response(travelchat::wire::error_body(error), error.http_status);
}

}  // namespace travel_lab
