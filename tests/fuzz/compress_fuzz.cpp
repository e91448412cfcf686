// SPDX-License-Identifier: Apache-2.0
// gzip: what is packed comes back; anything else is refused, and nothing grows beyond its limit.
#include <string>

#include "cuts.hpp"
#include "rondo/proto/compress.hpp"

using namespace rondo;
using namespace rondo::proto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto packed = gzip(text, 1 + static_cast<int>(size % 9));
  require(packed.has_value());
  const auto back = gunzip(*packed, size);
  require(back && *back == text);
  if (size > 0) require(!gunzip(*packed, size - 1).has_value());
  const auto any = gunzip(text, 100'000);
  require(!any || any->size() <= 100'000);
  return 0;
}
