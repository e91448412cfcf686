// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/compress.hpp"

#include <zlib.h>

#include <algorithm>

namespace rondo::proto {
namespace {

constexpr int k_gzip = 16;  // Added to the window: a gzip header and trailer, not zlib's.
constexpr std::size_t k_step = 65'536;

Bytef* bytes_of(const char* text) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text));
}

/// zlib counts in 32 bits.
uInt clamped(std::size_t size) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(size, 1U << 30));
}

}  // namespace

Result<std::string> gzip(std::string_view text, int level) {
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + k_gzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return Error(Errc::no_memory, "gzip");
  std::string packed;
  std::size_t taken = 0;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (stream.avail_in == 0 && taken < text.size()) {
      stream.next_in = bytes_of(text.data() + taken);
      stream.avail_in = clamped(text.size() - taken);
      taken += stream.avail_in;
    }
    const std::size_t had = packed.size();
    packed.resize(had + k_step);
    stream.next_out = bytes_of(packed.data() + had);
    stream.avail_out = k_step;
    status = ::deflate(&stream, taken == text.size() ? Z_FINISH : Z_NO_FLUSH);
    packed.resize(packed.size() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  return packed;
}

Result<std::string> gunzip(std::string_view packed, std::size_t max) {
  z_stream stream{};
  if (::inflateInit2(&stream, MAX_WBITS + k_gzip) != Z_OK) return Error(Errc::no_memory, "gunzip");
  std::string text;
  Errc failed = Errc{0};
  std::size_t taken = 0;
  bool inside = true;  // Of a member: input may not end there.
  while (failed == Errc{0} && (inside || taken < packed.size() || stream.avail_in > 0)) {
    if (stream.avail_in == 0) {
      stream.next_in = bytes_of(packed.data() + taken);
      stream.avail_in = clamped(packed.size() - taken);
      taken += stream.avail_in;
    }
    const std::size_t had = text.size();
    // One byte beyond the limit tells "just as large" from "larger".
    const std::size_t room = std::min(k_step, max - had + 1);
    text.resize(had + room);
    stream.next_out = bytes_of(text.data() + had);
    stream.avail_out = static_cast<uInt>(room);
    const int status = ::inflate(&stream, Z_NO_FLUSH);
    text.resize(text.size() - stream.avail_out);
    if (text.size() > max) {
      failed = Errc::too_large;
    } else if (status == Z_STREAM_END) {
      inside = false;
      if (stream.avail_in > 0 || taken < packed.size()) inside = ::inflateReset(&stream) == Z_OK;
    } else {
      const bool starved =
          stream.avail_in == 0 && taken == packed.size() && text.size() < had + room;
      if (status != Z_OK || starved) failed = Errc::bad_message;
    }
  }
  ::inflateEnd(&stream);
  if (failed != Errc{0}) return Error(failed, "gunzip");
  return text;
}

}  // namespace rondo::proto
