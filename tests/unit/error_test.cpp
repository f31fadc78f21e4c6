#include <travelchat/error.hpp>

#include "catch.hpp"

#include <set>
#include <string>

using namespace travelchat;

TEST_CASE("every error has one row, in the order of the enumerators, under a name of its own") {
  const auto table = error_table();
  REQUIRE(table.size() == static_cast<std::size_t>(errc::upgrade_required));
  std::set<std::string_view> names;
  int value = 1;
  for (const ErrorInfo& row : table) {
    INFO(row.name);
    CHECK(static_cast<int>(row.code) == value++);
    CHECK(&describe(row.code) == &row);
    CHECK(names.insert(row.name).second);
    CHECK_FALSE(row.message.empty());
    CHECK((row.http_status >= 400 && row.http_status < 600));
    const bool registered = row.close_code >= 1000 && row.close_code <= 1014;
    const bool ours = row.close_code >= 4400 && row.close_code <= 4499;
    CHECK((registered || ours));
    // Codes that may not travel in a close frame (RFC 6455 section 7.4.1).
    CHECK((row.close_code != 1004 && row.close_code != 1005 && row.close_code != 1006));
  }
}

TEST_CASE("each error is answered as the contract says") {
  struct Expected {
    errc code;
    std::string_view name;
    int http_status;
    int close_code;
  };
  const auto expected = {
      Expected{errc::invalid_argument, "invalid_argument", 400, 4400},
      Expected{errc::missing_field, "missing_field", 400, 4400},
      Expected{errc::malformed_json, "malformed_json", 400, 1008},
      Expected{errc::invalid_content, "invalid_content", 400, 4400},
      Expected{errc::invalid_emoji, "invalid_emoji", 400, 4400},
      Expected{errc::trip_without_client, "trip_without_client", 400, 4400},
      Expected{errc::unauthenticated, "unauthenticated", 401, 4401},
      Expected{errc::forbidden, "forbidden", 403, 4403},
      Expected{errc::cross_origin, "cross_origin", 403, 4403},
      Expected{errc::sharing_disabled, "sharing_disabled", 403, 4403},
      Expected{errc::not_found, "not_found", 404, 4404},
      Expected{errc::method_not_allowed, "method_not_allowed", 405, 4400},
      Expected{errc::request_timeout, "request_timeout", 408, 1008},
      Expected{errc::idempotency_conflict, "idempotency_conflict", 409, 4400},
      Expected{errc::epoch_changed, "epoch_changed", 409, 4400},
      Expected{errc::payload_too_large, "payload_too_large", 413, 1009},
      Expected{errc::unsupported_media_type, "unsupported_media_type", 415, 1003},
      Expected{errc::rate_limited, "rate_limited", 429, 4429},
      Expected{errc::headers_too_large, "headers_too_large", 431, 4400},
      Expected{errc::too_slow, "too_slow", 503, 4408},
      Expected{errc::storage_failed, "storage_failed", 500, 1011},
      Expected{errc::storage_full, "storage_full", 507, 1011},
      Expected{errc::overloaded, "overloaded", 503, 1013},
      Expected{errc::closed, "closed", 503, 1012},
      Expected{errc::internal, "internal", 500, 1011},
      Expected{errc::too_many_changes, "too_many_changes", 409, 4400},
      Expected{errc::upgrade_required, "upgrade_required", 426, 4400},
  };
  for (const Expected& row : expected) {
    INFO(row.name);
    CHECK(describe(row.code).name == row.name);
    CHECK(describe(row.code).http_status == row.http_status);
    CHECK(describe(row.code).close_code == row.close_code);
  }
}

TEST_CASE("an error code of ours carries its kind, its category and its message") {
  const error_code ec = errc::not_found;
  CHECK(ec.failed());
  CHECK(ec == errc::not_found);
  CHECK(ec != errc::forbidden);
  CHECK(std::string(ec.category().name()) == "travelchat");
  CHECK(ec.message() == describe(errc::not_found).message);
  char buffer[8];
  CHECK(std::string(category().message(ec.value(), buffer, sizeof(buffer))) == ec.message());
  CHECK(describe(ec).code == errc::not_found);
}

TEST_CASE("a closed engine is called that to the embedder, and a restart to people") {
  CHECK(describe(errc::closed).message == "The server is restarting.");
  CHECK(make_error_code(errc::closed).message() == "The engine or the server is closed, or was not started.");
}

TEST_CASE("what is not an error of ours is described as internal and tells nothing") {
  CHECK(describe(static_cast<errc>(0)).code == errc::internal);
  CHECK(describe(static_cast<errc>(-7)).code == errc::internal);
  CHECK(describe(static_cast<errc>(static_cast<int>(errc::upgrade_required) + 1)).code == errc::internal);
  CHECK(describe(static_cast<errc>(10'000)).code == errc::internal);
  CHECK(describe(error_code()).code == errc::internal);
  const error_code foreign(2, boost::system::system_category());
  CHECK(describe(foreign).code == errc::internal);
  CHECK(category().message(999) == describe(errc::internal).message);
}

TEST_CASE("a result carries an error of ours") {
  const result<int> failed = errc::storage_full;
  REQUIRE(failed.has_error());
  CHECK(failed.error() == errc::storage_full);
}
