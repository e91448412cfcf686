// SPDX-License-Identifier: Apache-2.0
// What a request's conditions and its Range mean for a file (RFC 9110, sections 13 and 14).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/time.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http {

/// What is served, as far as conditions see it.
struct Representation {
  std::string etag;        ///< with its quotes; strong
  WallTime modified{};     ///< whole seconds
  std::uint64_t size = 0;
};

struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

/// 200: send it; 304, 412: do not (section 13.2.2).
int judge(const proto::RequestHead& head, const Representation& what);

struct RangeAnswer {
  int status = 200;  ///< 200: all of it; 206: `range` of it; 416: none
  ByteRange range;
};
/// One range of bytes is given, of several none: the whole is sent (section 14.2).
RangeAnswer choose_range(const proto::RequestHead& head, const Representation& what);

/// Whether Accept-Encoding takes `coding` (section 12.5.3): named, not with q=0.
bool accepts(const proto::RequestHead& head, std::string_view coding) noexcept;

}  // namespace rondo::http
