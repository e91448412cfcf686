// SPDX-License-Identifier: Apache-2.0
// Content codings: what is packed comes back, also in pieces; anything else is refused, and
// nothing grows beyond its limit.
#include <string>

#include "cuts.hpp"
#include "rondo/proto/compress.hpp"

using namespace rondo;
using namespace rondo::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const Coding coding : {Coding::gzip, Coding::brotli, Coding::zstd}) {
    const auto packed = pack(coding, text, 1 + static_cast<int>(size % 9));
    require(packed.has_value());
    const auto back = unpack(coding, *packed, size);
    require(back && *back == text);
    if (size > 0) require(!unpack(coding, *packed, size - 1).has_value());
    const auto any = unpack(coding, text, 100'000);
    require(!any || any->size() <= 100'000);
  }
  return 0;
}
