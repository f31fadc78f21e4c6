#include "push_endpoint.hpp"

#include <catch.hpp>

#include <string>
#include <string_view>

namespace {

using namespace travel_lab;

bool is_public(std::string_view address) {
  return is_public_address(boost::asio::ip::make_address(address));
}

}  // namespace

TEST_CASE("an endpoint is taken apart") {
  const auto endpoint = parse_push_endpoint("https://Push.Example/wpush/v2/gAAA?x=1", false);
  REQUIRE(endpoint);
  CHECK(endpoint->origin == "https://push.example");
  CHECK(endpoint->host == "push.example");
  CHECK(endpoint->port == "443");
  CHECK(endpoint->target == "/wpush/v2/gAAA?x=1");
  CHECK_FALSE(endpoint->is_address);

  CHECK(parse_push_endpoint("https://push.example:443/a", false)->origin == "https://push.example");
  const auto with_port = parse_push_endpoint("https://push.example:8443", false);
  REQUIRE(with_port);
  CHECK(with_port->origin == "https://push.example:8443");
  CHECK(with_port->port == "8443");
  CHECK(with_port->target == "/");
  CHECK(parse_push_endpoint("https://push.example?a/b", false)->target == "/?a/b");

  const auto six = parse_push_endpoint("https://[2A00:1450:4001::1]:8443/x", false);
  REQUIRE(six);
  CHECK(six->host == "2a00:1450:4001::1");
  CHECK(six->origin == "https://[2a00:1450:4001::1]:8443");
  CHECK(six->is_address);
  CHECK(parse_push_endpoint("https://93.184.215.14/x", false)->is_address);
}

TEST_CASE("what is no https URL of a push service is refused") {
  for (const std::string_view url : {"",
                                     "push.example",
                                     "/path",
                                     "http://push.example/x",
                                     "HTTPS://push.example/x",
                                     "ftp://push.example/x",
                                     "https:/push.example",
                                     "https://",
                                     "https:///x",
                                     "https://@push.example/x",
                                     "https://u:p@push.example/x",
                                     "https://push.example@evil.example/x",
                                     "https://push.example/#x",
                                     "https://push.example\\@evil.example/",
                                     "https://push.example/a b",
                                     "https://push.example/\r\nX: y",
                                     "https://push.example/\x7f",
                                     "https://push.example/\xc3\xa9",
                                     "https://push.example:/x",
                                     "https://push.example:0/x",
                                     "https://push.example:65536/x",
                                     "https://push.example:+1/x",
                                     "https://push.example:443:443/x",
                                     "https://[::1",
                                     "https://::1/x",
                                     "https://[push.example]/x",
                                     "https://.push.example/x",
                                     "https://push.example./x",
                                     "https://push..example/x",
                                     "https://push%2eexample/x"}) {
    for (const bool allow_private : {false, true}) {
      CAPTURE(url, allow_private);
      CHECK_FALSE(parse_push_endpoint(url, allow_private));
    }
  }
  const std::string start = "https://push.example/";
  CHECK(parse_push_endpoint(start + std::string(max_endpoint_bytes - start.size(), 'x'), false));
  CHECK_FALSE(parse_push_endpoint(start + std::string(max_endpoint_bytes - start.size() + 1, 'x'), false));
  CHECK_FALSE(parse_push_endpoint("https://" + std::string(250, 'x') + ".example/", false));
}

TEST_CASE("an endpoint within the network is refused unless it is allowed") {
  for (const std::string_view url :
       {"https://localhost/x", "https://LOCALHOST:8443/x", "https://a.localhost/x", "https://intranet/x",
        "https://printer.local/x", "https://metadata.google.internal/x", "https://127.0.0.1/x", "https://10.1.2.3/x",
        "https://169.254.169.254/latest", "https://192.168.0.1:8443/", "https://0.0.0.0/", "https://[::1]/x",
        "https://[::ffff:93.184.215.14]/x", "https://[fe80::1]/x", "https://[fd00::1]/x", "https://[::]/x"}) {
    CAPTURE(url);
    CHECK_FALSE(parse_push_endpoint(url, false));
    CHECK(parse_push_endpoint(url, true));
  }
}

TEST_CASE("an address in an old spelling is neither a name nor an address") {
  for (const std::string_view host : {"127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "1.2.3.4.5",
                                      "push.example.1", "127.0.0.256", "push.0x7f"}) {
    CAPTURE(host);
    CHECK_FALSE(parse_push_endpoint("https://" + std::string(host) + "/x", true));
  }
}

TEST_CASE("public addresses are public") {
  for (const std::string_view address : {"1.1.1.1",         "9.255.255.255",     "11.0.0.0",
                                         "100.63.255.255",  "100.128.0.0",       "126.255.255.255",
                                         "128.0.0.0",       "169.253.255.255",   "169.255.0.0",
                                         "172.15.255.255",  "172.32.0.0",        "192.0.1.0",
                                         "192.167.255.255", "192.169.0.0",       "198.17.255.255",
                                         "198.20.0.0",      "203.0.114.0",       "223.255.255.255",
                                         "2000::",          "2001:200::",        "2001:4860:4860::8888",
                                         "2003::1",         "2a00:1450:4001::1", "3ffe::1",
                                         "3fff:1000::1"}) {
    CAPTURE(address);
    CHECK(is_public(address));
  }
}

TEST_CASE("private, local, shared, reserved and translated addresses are not") {
  for (const std::string_view address : {"0.0.0.0",
                                         "0.255.255.255",
                                         "10.0.0.0",
                                         "10.255.255.255",
                                         "100.64.0.0",
                                         "100.127.255.255",
                                         "127.0.0.1",
                                         "127.255.255.255",
                                         "169.254.0.0",
                                         "169.254.169.254",
                                         "172.16.0.0",
                                         "172.31.255.255",
                                         "192.0.0.1",
                                         "192.0.2.1",
                                         "192.88.99.1",
                                         "192.168.0.0",
                                         "192.168.255.255",
                                         "198.18.0.0",
                                         "198.19.255.255",
                                         "198.51.100.1",
                                         "203.0.113.1",
                                         "224.0.0.1",
                                         "239.255.255.255",
                                         "240.0.0.1",
                                         "255.255.255.255",
                                         "::",
                                         "::1",
                                         "::ffff:8.8.8.8",
                                         "::8.8.8.8",
                                         "64:ff9b::808:808",
                                         "100::1",
                                         "2001::1",
                                         "2001:10::1",
                                         "2001:1ff::1",
                                         "2001:db8::1",
                                         "2002:808:808::1",
                                         "3fff::1",
                                         "3fff:fff::1",
                                         "fc00::1",
                                         "fdff::1",
                                         "fe80::1",
                                         "fe80::1%1",
                                         "fec0::1",
                                         "ff02::1",
                                         "4000::1"}) {
    CAPTURE(address);
    CHECK_FALSE(is_public(address));
  }
}
