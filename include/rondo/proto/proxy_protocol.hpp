// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol: how a proxy tells a server who its client really is. Bytes in, header out.
//
//   proto::ProxyParser parser;
//   switch (parser.feed(bytes)) {
//     case proto::ProxyParser::State::done: use(parser.header()); break;
//     case proto::ProxyParser::State::more: ...                  // feed all again, longer
//     case proto::ProxyParser::State::bad: ...                   // close
//   }
//
// Version 1 is a line of text, version 2 binary; which one it is the first bytes say. Addresses of
// families other than TCP and UDP over IP count as unknown; extensions (TLVs) are walked over
// and their bounds checked, a CRC-32C among them is verified.
// Source: haproxy.org/download/2.9/doc/proxy-protocol.txt. Thread rule: a value.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"

namespace rondo::proto {

struct ProxyAddress {
  std::array<std::uint8_t, 16> ip{};  ///< network order; the first four for IPv4
  std::uint16_t port = 0;
};

struct ProxyHeader {
  enum class Family : std::uint8_t {
    unknown,  ///< nobody is named: a check of the proxy's own, or something we have no address for
    v4,
    v6,
  };
  std::uint8_t version = 2;
  bool is_local = false;  ///< the proxy itself connects (health check): its own address counts
  bool is_datagram = false;
  Family family = Family::unknown;
  ProxyAddress source;       ///< the client
  ProxyAddress destination;  ///< what the client connected to
};

class ProxyParser {
 public:
  enum class State : std::uint8_t { more, done, bad };

  /// `max`: bytes of a whole header; more is bad.
  explicit ProxyParser(std::size_t max = limits::proxy_header_max.value) noexcept : max_(max) {}

  /// Looks at the stream from its first byte. Feed everything so far again when `more` is said.
  State feed(ByteView bytes) noexcept;

  /// After done: the header, and how many bytes of the stream were it.
  const ProxyHeader& header() const noexcept { return header_; }
  std::size_t consumed() const noexcept { return consumed_; }
  /// While more: bytes that are missing at least.
  std::size_t wanted() const noexcept { return wanted_; }

 private:
  State feed_v1(ByteView bytes) noexcept;
  State feed_v2(ByteView bytes) noexcept;
  State finish_v2(ByteView whole) noexcept;
  State want(std::size_t bytes) noexcept {
    wanted_ = bytes;
    return State::more;
  }

  std::size_t max_;
  ProxyHeader header_;
  std::size_t consumed_ = 0;
  std::size_t wanted_ = 0;
};

/// A header as a proxy sends it: version 2, or 1 when `header.version` is 1.
std::string write_proxy_header(const ProxyHeader& header);

}  // namespace rondo::proto
