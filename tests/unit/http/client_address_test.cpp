#include "http/client_address.hpp"

#include "catch.hpp"

#include <string>
#include <vector>

using travelchat::http::Address;
using travelchat::http::address_key;
using travelchat::http::AddressRange;
using travelchat::http::client_address;

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
  const auto in = [](const char* range, const char* text) {
    const auto address = Address::parse(text);
    return address && AddressRange::parse(range)->contains(*address);
  };
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

TEST_CASE("what a proxy writes with a port is that address") {
  CHECK(client("127.0.0.1", "203.0.113.9:50000", {"127.0.0.1"}) == "203.0.113.9");
  CHECK(client("127.0.0.1", "[2001:db8::5]:443", {"127.0.0.1"}) == "2001:db8::5");
  CHECK(client("127.0.0.1", "[2001:db8::5]", {"127.0.0.1"}) == "2001:db8::5");
  CHECK(client("127.0.0.1", "198.51.100.1:1, 203.0.113.9:2, 10.0.0.2:3", {"127.0.0.1", "10.0.0.0/8"}) == "203.0.113.9");
  for (const char* text : {"203.0.113.9:", "203.0.113.9:x", "203.0.113.9:65536", "[2001:db8::5", "[2001:db8::5]443",
                           "[2001:db8::5]:", "[203.0.113.9]:1", "[]", "1.2.3:4"}) {
    CAPTURE(text);
    CHECK_FALSE(Address::parse(text));
    CHECK(client("127.0.0.1", text, {"127.0.0.1"}) == "127.0.0.1");
  }
}

TEST_CASE("an address has one text, however it is written") {
  const auto text = [](const char* written) { return Address::parse(written).value().text(); };
  CHECK(text("::ffff:192.0.2.1") == "192.0.2.1");
  CHECK(text("::FFFF:c000:0201") == "192.0.2.1");
  CHECK(text("[::ffff:192.0.2.1]:80") == "192.0.2.1");
  CHECK(text("2001:0DB8:0:0:0:0:0:1") == "2001:db8::1");
  CHECK(text("fe80::1%eth0") == "fe80::1");
  CHECK(client("::ffff:127.0.0.1", "::ffff:203.0.113.9", {"127.0.0.1"}) == "203.0.113.9");
}

TEST_CASE("limits count an IPv6 host by its /64, wherever its text has a gap, and an IPv4 host by itself") {
  CHECK(address_key("2a01:4f8::1") == address_key("2a01:4f8::2"));
  CHECK(address_key("2a01:4f8::1") == address_key("2a01:4f8:0:0:ffff::1"));
  CHECK(address_key("2a01:4f8:1:2:3:4:5:6") == address_key("2a01:4f8:1:2::"));
  CHECK(address_key("2a01:4f8::1") != address_key("2a01:4f8:0:1::1"));
  CHECK(address_key("::2") == address_key("::3"));
  CHECK(address_key("192.0.2.1") == address_key("::ffff:192.0.2.1"));
  CHECK(address_key("192.0.2.1") == address_key("192.0.2.1:443"));
  CHECK(address_key("192.0.2.1") != address_key("192.0.2.2"));
  CHECK(address_key("no address") == "no address");
  CHECK(address_key("") == "");
}
