// SPDX-License-Identifier: Apache-2.0
// PROXY headers: the same answer whole and piece by piece, and a header that was understood is
// understood again when it is written.
#include "cuts.hpp"
#include "rondo/proto/proxy_protocol.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

bool same(const ProxyAddress& a, const ProxyAddress& b) { return a.ip == b.ip && a.port == b.port; }

bool same(const ProxyHeader& a, const ProxyHeader& b) {
  return a.family == b.family && same(a.source, b.source) && same(a.destination, b.destination);
}

void check_writing(ProxyHeader header) {
  for (const std::uint8_t version : {std::uint8_t{1}, std::uint8_t{2}}) {
    header.version = version;
    if (version == 1 && header.is_datagram) continue;  // Version 1 has no word for it.
    ProxyParser parser;
    require(parser.feed(as_bytes(write_proxy_header(header))) == ProxyParser::State::done);
    require(header.is_local || same(parser.header(), header));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView all(reinterpret_cast<const std::byte*>(data), size);
  ProxyParser whole;
  const auto state = whole.feed(all);
  if (state == ProxyParser::State::more) require(whole.wanted() > 0);
  ProxyParser pieces;
  auto so_far = ProxyParser::State::more;
  Cuts cuts(static_cast<std::uint32_t>(size * 2654435761U));
  for (std::size_t have = 0; have < size && so_far == ProxyParser::State::more;) {
    have += cuts.next(size - have);
    so_far = pieces.feed(all.first(have));
  }
  if (size > 0) require(so_far == state);
  if (state != ProxyParser::State::done) return 0;
  require(whole.consumed() <= size && whole.consumed() == pieces.consumed());
  require(same(whole.header(), pieces.header()));
  check_writing(whole.header());
  return 0;
}
