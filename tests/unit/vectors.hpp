// The shared test vectors of tests/vectors, as JSON.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace travelchat::test {

// Ends the test case when the file is missing or is not JSON.
boost::json::value load_vectors(const std::string& file);

std::string_view text_of(const boost::json::value& value);

}  // namespace travelchat::test
