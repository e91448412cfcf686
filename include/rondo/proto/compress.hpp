// SPDX-License-Identifier: Apache-2.0
// Content codings: gzip (RFC 1952), br (RFC 7932) and zstd (RFC 8878), by zlib, brotli and zstd.
//
//   const std::string packed = pack(Coding::gzip, text).or_throw();
//   auto text = unpack(Coding::gzip, packed, 1'000'000);  // too_large: a bomb is not unpacked
//
//   Unpacker unpacker(Coding::zstd);                      // piece by piece, in bounded memory
//   while (auto size = unpacker.next(input, room).or_throw()) use(room.first(size));
//
// All take time that grows with the size: more than a few KiB at once belong into run_cpu.
// Lifetime: values. Thread rule: any thread, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"

namespace rondo::proto {

enum class Coding : std::uint8_t { gzip, brotli, zstd };

/// Names of Content-Encoding and Accept-Encoding: "gzip", "br", "zstd".
std::string_view name_of(Coding coding) noexcept;
/// The coding of a name in any case, "x-gzip" included; nothing for other names.
std::optional<Coding> coding_of(std::string_view name) noexcept;

/// `text` packed; the level is the library's own: gzip 1..9, brotli 0..11, zstd 1..19, and 0 for
/// one that suits what is packed while a client waits. Errors: no_memory.
Result<std::string> pack(Coding coding, std::string_view text, int level = 0);

/// What was packed, of one or several members. Errors: bad_message for what is not of this coding,
/// is cut short or has a wrong checksum; too_large when it is more than `max` bytes, or wants more
/// memory than a browser grants (a window over 8 MiB of zstd, 16 MiB of brotli).
Result<std::string> unpack(Coding coding, std::string_view packed, std::size_t max);

namespace detail {
class UnpackEngine;
}

/// Unpacks what comes in pieces.
class Unpacker {
 public:
  explicit Unpacker(Coding coding);
  Unpacker(Unpacker&& other) noexcept;
  ~Unpacker();

  /// Takes what it uses from the front of `input` and fills the front of `into` (not empty).
  /// Returns the bytes filled; 0 when it needs more input, and all of `input` was taken.
  /// Errors: as unpack(); each is final.
  Result<std::size_t> next(ByteView& input, ByteSpan into);
  /// True where the packed bytes may end: after a member, and before the first.
  bool at_end() const noexcept;

 private:
  Owned<detail::UnpackEngine> engine_;
  bool begun_ = false;
};

}  // namespace rondo::proto
