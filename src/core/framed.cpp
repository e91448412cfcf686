// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/framed.hpp"

#include <algorithm>
#include <cstring>

namespace rondo {
namespace {

/// Up to here a message is put together in the frame, beyond in memory of its own.
constexpr std::size_t k_in_frame = 256;

/// Set as long as a write that may be cut in two is under way; a frame that is destroyed by a
/// cancellation leaves it set.
struct Cut {
  bool& broken;
  explicit Cut(bool& flag) noexcept : broken(flag) { broken = true; }
  void mended() noexcept { broken = false; }
};

/// Writes `head`, `body`, `tail` as one: small messages in one copied write.
Task<Result<>> write_together(ByteStream& to, std::array<ByteView, 3> parts, bool& broken) {
  if (broken) co_return Error(Errc::broken, "write");
  const std::size_t size = parts[0].size() + parts[1].size() + parts[2].size();
  if (size <= limits::cork_block.value) {
    std::array<std::byte, k_in_frame> small;
    Loan large = size > k_in_frame ? Loan::of_size(size) : Loan();
    const ByteSpan block = size > k_in_frame ? large.writable() : ByteSpan(small).first(size);
    std::byte* at = block.data();
    for (const ByteView part : parts) at = std::copy(part.begin(), part.end(), at);
    co_return co_await to.write_all(ByteView(block));
  }
  Cut cut(broken);
  for (const ByteView part : parts) {
    if (!part.empty()) co_await to.write_all(part).or_return();
  }
  cut.mended();
  co_return Result<>{};
}

}  // namespace

std::size_t Framed::length_max() const noexcept {
  switch (format_.length) {
    case FrameLength::u8:
      return std::min<std::size_t>(format_.max, 0xff);
    case FrameLength::u16:
      return std::min<std::size_t>(format_.max, 0xffff);
    default:
      return std::min<std::size_t>(format_.max, 0xffff'ffff);
  }
}

std::size_t Framed::encode(std::size_t size, std::byte* into) const noexcept {
  if (format_.length == FrameLength::varint) {
    std::size_t count = 0;
    for (; size > 0x7f; size >>= 7) into[count++] = static_cast<std::byte>(size | 0x80);
    into[count++] = static_cast<std::byte>(size);
    return count;
  }
  const std::size_t width = std::size_t{1} << static_cast<unsigned>(format_.length);
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t place = format_.little_endian ? i : width - 1 - i;
    into[place] = static_cast<std::byte>(size >> (8 * i));
  }
  return width;
}

/// The fixed-width length: false at an end between two frames.
Task<Result<bool>> Framed::read_fixed() {
  const std::size_t width = std::size_t{1} << static_cast<unsigned>(format_.length);
  std::array<std::byte, 4> bytes;
  auto got = co_await stream_.read_exact(ByteSpan(bytes).first(width));
  if (!got) {
    if (got.error() == Errc::end_of_stream && stream_.unread() == 0) co_return false;
    co_return got.error();
  }
  length_ = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const std::size_t place = format_.little_endian ? width - 1 - i : i;
    length_ = length_ << 8 | static_cast<std::uint8_t>(bytes[place]);
  }
  has_length_ = true;
  co_return true;
}

Task<Result<bool>> Framed::read_varint() {
  while (true) {
    std::array<std::byte, 1> byte;
    auto got = co_await stream_.read_exact(byte);
    if (!got) {
      if (got.error() == Errc::end_of_stream && varint_bits_ == 0) co_return false;
      co_return got.error();
    }
    const auto value = static_cast<std::uint64_t>(byte[0]);
    if (varint_bits_ == 0) length_ = 0;
    // The tenth byte has room for one bit.
    if (varint_bits_ == 63 && value > 1) {
      lost_ = Errc::protocol_error;
      co_return Error(Errc::protocol_error, "read");
    }
    length_ |= (value & 0x7f) << varint_bits_;
    varint_bits_ += 7;
    if (value < 0x80) break;
  }
  varint_bits_ = 0;
  has_length_ = true;
  co_return true;
}

Task<Result<bool>> Framed::read_length() {
  if (format_.length == FrameLength::varint) return read_varint();
  return read_fixed();
}

Task<Result<std::optional<Loan>>> Framed::read() {
  if (lost_) co_return Error(*lost_, "read");
  if (!has_length_ && !co_await read_length().or_return()) co_return std::optional<Loan>();
  if (length_ > format_.max) {
    lost_ = Errc::too_large;
    co_return Error(Errc::too_large, "read");
  }
  if (length_ > 0 && payload_.size() == 0) {
    payload_ = Loan::of_size(static_cast<std::size_t>(length_));
    filled_ = 0;
  }
  while (filled_ < length_) {
    const std::size_t got =
        co_await stream_.read_some(payload_.writable().subspan(filled_)).or_return();
    if (got == 0) co_return Error(Errc::end_of_stream, "read");
    filled_ += got;
  }
  has_length_ = false;
  filled_ = 0;
  co_return std::optional<Loan>(std::exchange(payload_, Loan()));
}

Task<Result<>> Framed::write(ByteView payload) {
  if (payload.size() > length_max()) co_return Error(Errc::too_large, "write");
  std::array<std::byte, 10> head;
  const std::size_t size = encode(payload.size(), head.data());
  co_return co_await write_together(stream_, {ByteView(head).first(size), payload, {}}, broken_);
}

Task<Result<std::optional<Loan>>> Delimited::read() {
  Loan got = co_await stream_.read_until(delimiter_, max_).or_return();
  if (got.empty()) co_return std::optional<Loan>();
  const bool ends = got.text().ends_with(delimiter_);
  if (ends) got.shrink(got.size() - delimiter_.size());
  co_return std::optional<Loan>(std::move(got));
}

Task<Result<>> Delimited::write(std::string_view message) {
  if (message.find(delimiter_) != std::string_view::npos) {
    co_return Error(Errc::bad_message, "write");
  }
  if (message.size() + delimiter_.size() > max_) co_return Error(Errc::too_large, "write");
  co_return co_await write_together(stream_, {as_bytes(message), as_bytes(delimiter_), {}},
                                    broken_);
}

}  // namespace rondo
