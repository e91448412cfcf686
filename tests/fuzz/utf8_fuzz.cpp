// SPDX-License-Identifier: Apache-2.0
// UTF-8: whole and cut agree with each other and with a decoder written from the definition.
#include <string_view>

#include "cuts.hpp"
#include "rondo/proto/utf8.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

/// Decodes code points and encodes nothing: slow and plain, from RFC 3629, section 3.
bool is_valid_slow(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const unsigned more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : 3;
    if (more == 3 && lead >> 3 != 30) return false;
    if (text.size() - i <= more) return false;
    std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (unsigned k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3FU);
    }
    constexpr std::uint32_t lowest[] = {0, 0x80, 0x800, 0x10000};
    if (point < lowest[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      return false;
    i += more + 1;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const ByteView text = std::as_bytes(std::span(data + 1, size - 1));
  Utf8Validator check;
  Cuts cuts(data[0]);
  bool good = true;
  for (ByteView left = text; !left.empty();) {
    const std::size_t piece = cuts.next(left.size());
    good = check.feed(left.first(piece)) && good;
    left = left.subspan(piece);
  }
  require((good && check.complete()) == is_valid_slow(as_text(text)));
  require(is_valid_utf8(as_text(text)) == is_valid_slow(as_text(text)));
  return 0;
}
