// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/compress.hpp"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <span>

#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr int k_gzip = 16;  // Added to the window: a gzip header and trailer, not zlib's.
constexpr std::size_t k_step = 65'536;

/// zlib counts in 32 bits.
uInt clamped(std::size_t size) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(size, 1U << 30));
}

Result<std::string> gzip(std::string_view text, int level) {
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + k_gzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return Error(Errc::no_memory, "gzip");
  std::string packed;
  std::size_t taken = 0;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (stream.avail_in == 0 && taken < text.size()) {
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data() + taken));
      stream.avail_in = clamped(text.size() - taken);
      taken += stream.avail_in;
    }
    const std::size_t had = packed.size();
    packed.resize(had + k_step);
    stream.next_out = reinterpret_cast<Bytef*>(packed.data() + had);
    stream.avail_out = k_step;
    status = ::deflate(&stream, taken == text.size() ? Z_FINISH : Z_NO_FLUSH);
    packed.resize(packed.size() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  return packed;
}

Result<std::string> brotli(std::string_view text, int level) {
  std::size_t size = ::BrotliEncoderMaxCompressedSize(text.size());
  std::string packed(size, '\0');
  const auto done =
      ::BrotliEncoderCompress(level, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, text.size(),
                              reinterpret_cast<const std::uint8_t*>(text.data()), &size,
                              reinterpret_cast<std::uint8_t*>(packed.data()));
  if (!done) return Error(Errc::no_memory, "brotli");
  packed.resize(size);
  return packed;
}

Result<std::string> zstd(std::string_view text, int level) {
  std::string packed(::ZSTD_compressBound(text.size()), '\0');
  const std::size_t size =
      ::ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), level);
  if (::ZSTD_isError(size)) return Error(Errc::no_memory, "zstd");
  packed.resize(size);
  return packed;
}

}  // namespace

std::string_view name_of(Coding coding) noexcept {
  switch (coding) {
    case Coding::gzip:
      return "gzip";
    case Coding::brotli:
      return "br";
    case Coding::zstd:
      return "zstd";
  }
  return "";
}

std::optional<Coding> coding_of(std::string_view name) noexcept {
  for (const Coding coding : {Coding::gzip, Coding::brotli, Coding::zstd}) {
    if (iequals(name, name_of(coding))) return coding;
  }
  if (iequals(name, "x-gzip")) return Coding::gzip;  // RFC 9110, section 8.4.1.3.
  return std::nullopt;
}

Result<std::string> pack(Coding coding, std::string_view text, int level) {
  switch (coding) {
    case Coding::gzip:
      return gzip(text, level == 0 ? 6 : level);
    case Coding::brotli:
      return brotli(text, level == 0 ? 5 : level);
    case Coding::zstd:
      return zstd(text, level == 0 ? 3 : level);
  }
  return Error(Errc::invalid_argument, "pack");
}

Result<std::string> unpack(Coding coding, std::string_view packed, std::size_t max) {
  Unpacker unpacker(coding);
  ByteView input = as_bytes(packed);
  std::string text;
  while (true) {
    // One byte beyond the limit tells "just as large" from "larger".
    const std::size_t had = text.size();
    const std::size_t room = std::min(k_step, max - had) + 1;
    text.resize(had + room);
    auto size = unpacker.next(input, std::as_writable_bytes(std::span(text)).subspan(had));
    if (!size) return size.error();
    text.resize(had + *size);
    if (text.size() > max) return Error(Errc::too_large, "unpack");
    if (*size > 0) continue;
    if (packed.empty() || !unpacker.at_end()) return Error(Errc::bad_message, "unpack");
    return text;
  }
}

}  // namespace rondo::proto
