#include "transport/client_address.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using travelchat::transport::AddressRange;
using travelchat::transport::client_address;

namespace {

std::string client(std::string_view peer, std::string_view forwarded_for, const std::vector<std::string>& proxies) {
  std::vector<AddressRange> trusted;
  for (const std::string& proxy : proxies) trusted.push_back(AddressRange::parse(proxy).value());
  return std::string(client_address(peer, forwarded_for, trusted));
}

}  // namespace

TEST_CASE("without a trusted proxy a request comes from whoever is connected, whatever its headers claim") {
  CHECK(client("192.0.2.1", "203.0.113.9", {}) == "192.0.2.1");
  CHECK(client("192.0.2.1", "203.0.113.9", {"192.0.2.2", "10.0.0.0/8"}) == "192.0.2.1");
  CHECK(client("192.0.2.1", "", {"192.0.2.1"}) == "192.0.2.1");
}

TEST_CASE("a trusted proxy says whose request it passes on") {
  CHECK(client("127.0.0.1", "203.0.113.9", {"127.0.0.1"}) == "203.0.113.9");
  CHECK(client("127.0.0.1", " 2001:db8::5 ", {"127.0.0.1"}) == "2001:db8::5");
}

TEST_CASE("what a client claims itself stands before what the proxy adds, and counts for nothing") {
  CHECK(client("127.0.0.1", "198.51.100.1, 203.0.113.9", {"127.0.0.1"}) == "203.0.113.9");
  CHECK(client("127.0.0.1", "127.0.0.1,203.0.113.9", {"127.0.0.1"}) == "203.0.113.9");
}

TEST_CASE("behind a chain of proxies the client is the nearest that is none of them") {
  CHECK(client("10.0.0.1", "203.0.113.9, 10.0.0.3, 10.0.0.2", {"10.0.0.0/8"}) == "203.0.113.9");
  CHECK(client("10.0.0.1", "10.0.0.3, 10.0.0.2", {"10.0.0.0/8"}) == "10.0.0.3");
  CHECK(client("10.0.0.1", "203.0.113.9, 10.0.0.2", {"10.0.0.1"}) == "10.0.0.2");
}

TEST_CASE("a proxy that passes on something else than an address is taken for the client") {
  CHECK(client("127.0.0.1", "unknown", {"127.0.0.1"}) == "127.0.0.1");
  CHECK(client("127.0.0.1", "203.0.113.9, ", {"127.0.0.1"}) == "127.0.0.1");
  CHECK(client("10.0.0.1", "_hidden, 10.0.0.2", {"10.0.0.0/8"}) == "10.0.0.2");
}

TEST_CASE("a network holds the addresses that begin like it, IPv4 in either form") {
  const auto in = [](const char* range, const char* address) { return AddressRange::parse(range)->contains(address); };
  CHECK(in("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(in("10.0.0.0/8", "11.0.0.1"));
  CHECK(in("172.16.0.0/12", "172.31.255.255"));
  CHECK_FALSE(in("172.16.0.0/12", "172.32.0.0"));
  CHECK(in("192.0.2.1", "::ffff:192.0.2.1"));
  CHECK(in("::ffff:192.0.2.0/120", "192.0.2.77"));
  CHECK(in("fd00::/8", "fdff::1"));
  CHECK_FALSE(in("fd00::/8", "fc00::1"));
  CHECK(in("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(in("0.0.0.0/0", "2001:db8::1"));
  CHECK_FALSE(in("192.0.2.1", "no address"));
}

TEST_CASE("what is neither an address nor a network is no range") {
  for (const char* text : {"", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0/8",
                           "fd00::/129", "/8", "10.0.0.0/8/8"}) {
    CAPTURE(text);
    CHECK_FALSE(AddressRange::parse(text));
  }
}
