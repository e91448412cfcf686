// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol: both versions, whole and byte by byte, and everything that is not one.
#include "rondo/proto/proxy_protocol.hpp"

#include <gtest/gtest.h>

#include <string>

namespace rondo::proto {
namespace {

using namespace std::string_literals;
using State = ProxyParser::State;
using Family = ProxyHeader::Family;

const std::string k_signature = "\r\n\r\n\0\r\nQUIT\n"s;

State parse(ProxyParser& parser, std::string_view text) { return parser.feed(as_bytes(text)); }

State parse(std::string_view text) {
  ProxyParser parser;
  return parse(parser, text);
}

/// A header of version 2 with a body of this content.
std::string v2(char command, char protocol, const std::string& body) {
  const auto size = static_cast<unsigned>(body.size());
  return k_signature + command + protocol + static_cast<char>(size >> 8) +
         static_cast<char>(size) + body;
}

const std::string k_v4_body = "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"s;

TEST(ProxyProtocol, a_text_header_names_both_ends_and_leaves_the_rest) {
  ProxyParser parser;
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";
  EXPECT_EQ(parse(parser, line + "GET / HTTP/1.1\r\n"), State::done);
  EXPECT_EQ(parser.consumed(), line.size());
  EXPECT_EQ(parser.header().version, 1);
  EXPECT_EQ(parser.header().family, Family::v4);
  EXPECT_EQ(parser.header().source.port, 56'324);
  EXPECT_EQ(parser.header().destination.port, 443);
  const std::array<std::uint8_t, 4> client{192, 0, 2, 1};
  EXPECT_TRUE(std::equal(client.begin(), client.end(), parser.header().source.ip.begin()));
}

TEST(ProxyProtocol, ipv6_in_text_is_read_in_all_its_forms) {
  struct Row {
    const char* text;
    std::array<std::uint8_t, 16> ip;
  };
  const Row rows[] = {
      {"::", {}},
      {"::1", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
      {"2001:db8::1", {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
      {"1:2:3:4:5:6:7:8", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
      {"fe80::", {0xfe, 0x80}},
  };
  for (const Row& row : rows) {
    ProxyParser parser;
    EXPECT_EQ(parse(parser, "PROXY TCP6 "s + row.text + " ::2 1 2\r\n"), State::done) << row.text;
    EXPECT_EQ(parser.header().source.ip, row.ip) << row.text;
  }
}

TEST(ProxyProtocol, an_unknown_client_is_no_error) {
  for (const char* line : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f::1 nonsense 1 2\r\n"}) {
    ProxyParser parser;
    EXPECT_EQ(parse(parser, line), State::done);
    EXPECT_EQ(parser.header().family, Family::unknown);
  }
}

TEST(ProxyProtocol, a_binary_header_names_both_ends) {
  ProxyParser parser;
  const std::string header = v2('\x21', '\x11', k_v4_body);
  EXPECT_EQ(parse(parser, header + "rest"), State::done);
  EXPECT_EQ(parser.consumed(), header.size());
  EXPECT_EQ(parser.header().version, 2);
  EXPECT_EQ(parser.header().family, Family::v4);
  EXPECT_EQ(parser.header().source.port, 56'324);
  EXPECT_FALSE(parser.header().is_local);
  EXPECT_EQ(parse(parser, v2('\x21', '\x12', k_v4_body)), State::done);
  EXPECT_TRUE(parser.header().is_datagram);
}

TEST(ProxyProtocol, a_local_connection_and_unix_clients_name_nobody) {
  ProxyParser parser;
  EXPECT_EQ(parse(parser, v2('\x20', '\x00', "")), State::done);
  EXPECT_TRUE(parser.header().is_local);
  EXPECT_EQ(parse(parser, v2('\x20', '\x11', "")), State::done);
  EXPECT_EQ(parse(parser, v2('\x21', '\x31', std::string(216, '\0'))), State::done);
  EXPECT_EQ(parser.header().family, Family::unknown);
}

TEST(ProxyProtocol, extensions_are_walked_over_and_their_checksum_is_verified) {
  const std::string alpn = "\x01\x00\x02h2"s;
  EXPECT_EQ(parse(v2('\x21', '\x11', k_v4_body + alpn)), State::done);
  EXPECT_EQ(parse(v2('\x21', '\x11', k_v4_body + "\x01\x00\x03h2"s)), State::bad);
  EXPECT_EQ(parse(v2('\x21', '\x11', k_v4_body + "\x01\x00"s)), State::bad);
  // The checksum of this header, computed by another implementation of CRC-32C.
  EXPECT_EQ(parse(v2('\x21', '\x11', k_v4_body + "\x03\x00\x04\x00\x00\x00\x00"s)), State::bad);
  EXPECT_EQ(parse(v2('\x21', '\x11', k_v4_body + "\x03\x00\x04\xd4\x5a\x11\xb9"s)), State::done);
}

TEST(ProxyProtocol, byte_by_byte_is_the_same_and_nothing_is_decided_too_early) {
  for (const std::string& header :
       {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"s, v2('\x21', '\x11', k_v4_body)}) {
    ProxyParser parser;
    for (std::size_t size = 0; size < header.size(); ++size) {
      EXPECT_EQ(parse(parser, header.substr(0, size)), State::more) << size;
      EXPECT_GE(parser.wanted(), 1u);
      EXPECT_LE(parser.wanted(), header.size() - size);
    }
    EXPECT_EQ(parse(parser, header), State::done);
  }
}

TEST(ProxyProtocol, what_is_not_a_header_is_bad) {
  const std::string bad[] = {
      "GET / HTTP/1.1\r\n",
      "PROXI",
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
      "PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n",
      "PROXY TCP4 192.0.2.256 198.51.100.7 56324 443\r\n",
      "PROXY TCP4 192.0.2 198.51.100.7 56324 443\r\n",
      "PROXY TCP4 192.0.02.1 198.51.100.7 56324 443\r\n",
      "PROXY TCP4 ::1 ::2 56324 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
      "PROXY TCP4 192.0.2.1 198.51.100.7 -1 443\r\n",
      "PROXY TCP6 1::2::3 ::2 1 2\r\n",
      "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::2 1 2\r\n",
      "PROXY TCP6 12345:: ::2 1 2\r\n",
      "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n",
      "PROXY UNKNOWN " + std::string(100, 'x'),
      v2('\x11', '\x11', k_v4_body),               // another version
      v2('\x22', '\x11', k_v4_body),               // another command
      v2('\x21', '\x41', k_v4_body),               // another family
      v2('\x21', '\x13', k_v4_body),               // another transport
      v2('\x21', '\x11', k_v4_body.substr(0, 11)), // shorter than its addresses
      v2('\x21', '\x21', k_v4_body),
      v2('\x21', '\x11', k_v4_body + std::string(5'000, 'x')),  // over the limit
  };
  for (const std::string& text : bad) EXPECT_EQ(parse(text), State::bad) << text;
}

TEST(ProxyProtocol, what_is_written_is_read) {
  ProxyHeader header;
  header.family = Family::v6;
  header.source = {.ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, .port = 1'234};
  header.destination = {.ip = {1, 2, 3}, .port = 80};
  for (const std::uint8_t version : {std::uint8_t{1}, std::uint8_t{2}}) {
    header.version = version;
    ProxyParser parser;
    EXPECT_EQ(parse(parser, write_proxy_header(header)), State::done);
    EXPECT_EQ(parser.header().version, version);
    EXPECT_EQ(parser.header().source.ip, header.source.ip);
    EXPECT_EQ(parser.header().destination.port, 80);
  }
  header.family = Family::unknown;
  EXPECT_EQ(parse(write_proxy_header(header)), State::done);
}

}  // namespace
}  // namespace rondo::proto
