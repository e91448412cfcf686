// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/message_deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/text.hpp"
#include "proto/parameters.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr int k_level = 1;  // What is sent while somebody waits: fast.
constexpr std::size_t k_step = 16'384;
constexpr std::byte k_tail[] = {std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}};

Bytef* bytes_of(const std::byte* bytes) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes));
}

/// 8..15 (section 7.1.2).
std::optional<int> window_bits(std::string_view value) noexcept {
  int bits = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), bits);
  const bool whole = read.ec == std::errc() && read.ptr == value.data() + value.size();
  const bool good = whole && bits >= 8 && bits <= 15 && !value.starts_with('0');
  return good ? std::optional(bits) : std::nullopt;
}

/// One offer; nothing when it is another extension, broken, or more than we can do.
std::optional<MessageDeflate> judge_offer(std::string_view offer) {
  Parameters parameters(offer);
  if (!iequals(parameters.value(), "permessage-deflate")) return std::nullopt;
  MessageDeflate made;
  unsigned seen = 0;
  while (auto each = parameters.next()) {
    unsigned bit = 0;
    if (each->name == "server_no_context_takeover" || each->name == "client_no_context_takeover") {
      bit = each->name.starts_with('s') ? 1 : 2;
      if (!each->value.empty()) return std::nullopt;
    } else if (each->name == "server_max_window_bits") {
      bit = 4;
      const auto bits = window_bits(each->value);
      if (!bits || *bits == 8) return std::nullopt;  // zlib has no raw window of 256 bytes.
      made.server_window = *bits;
    } else if (each->name == "client_max_window_bits") {
      bit = 8;
      if (!each->value.empty() && !window_bits(each->value)) return std::nullopt;
    }
    if (bit == 0 || (seen & bit) != 0) return std::nullopt;
    seen |= bit;
  }
  return made;
}

}  // namespace

Result<std::string> deflate_message(ByteView payload, int window) {
  z_stream stream{};
  if (::deflateInit2(&stream, k_level, Z_DEFLATED, -window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return Error(Errc::no_memory, "deflate");
  std::string packed;
  int status = Z_OK;
  while (status == Z_OK && (stream.avail_out == 0 || !payload.empty() || stream.avail_in > 0)) {
    if (stream.avail_in == 0 && !payload.empty()) {
      const std::size_t part = std::min<std::size_t>(payload.size(), 1U << 30);
      stream.next_in = bytes_of(payload.data());
      stream.avail_in = static_cast<uInt>(part);
      payload = payload.subspan(part);
    }
    const std::size_t had = packed.size();
    packed.resize(had + k_step);
    stream.next_out = reinterpret_cast<Bytef*>(packed.data() + had);
    stream.avail_out = k_step;
    status = ::deflate(&stream, payload.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    packed.resize(packed.size() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  if (status != Z_OK && status != Z_BUF_ERROR) return Error(Errc::no_memory, "deflate");
  packed.resize(packed.size() - std::min(packed.size(), sizeof k_tail));  // Section 7.2.1.
  return packed;
}

struct MessageInflater::State {
  z_stream stream{};
  std::optional<Errc> failed;
  State() {
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) failed = Errc::no_memory;
  }
  ~State() { ::inflateEnd(&stream); }
};

MessageInflater::MessageInflater() : state_(new State) {}
MessageInflater::MessageInflater(MessageInflater&&) noexcept = default;
MessageInflater::~MessageInflater() = default;

Result<> MessageInflater::feed(ByteView piece, std::string& into, std::size_t max) {
  State& state = *state_;
  z_stream& stream = state.stream;
  while (!state.failed && !piece.empty()) {
    const std::size_t part = std::min<std::size_t>(piece.size(), 1U << 30);
    stream.next_in = bytes_of(piece.data());
    stream.avail_in = static_cast<uInt>(part);
    piece = piece.subspan(part);
    do {
      const std::size_t had = into.size();
      // One byte beyond the limit tells "just as large" from "larger".
      const std::size_t room = std::min(k_step, max - std::min(max, had)) + 1;
      into.resize(had + room);
      stream.next_out = reinterpret_cast<Bytef*>(into.data() + had);
      stream.avail_out = static_cast<uInt>(room);
      const int status = ::inflate(&stream, Z_SYNC_FLUSH);
      into.resize(had + room - stream.avail_out);
      if (into.size() > max) {
        state.failed = Errc::too_large;
      } else if (status == Z_STREAM_END) {
        // Section 7.2.3.4: a final block is allowed, another stream may follow it.
        if (::inflateReset(&stream) != Z_OK) state.failed = Errc::no_memory;
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        state.failed = status == Z_MEM_ERROR ? Errc::no_memory : Errc::bad_message;
      }
    } while (!state.failed && (stream.avail_in > 0 || stream.avail_out == 0));
  }
  if (state.failed) return Error(*state.failed, "inflate");
  return {};
}

Result<> MessageInflater::finish(std::string& into, std::size_t max) {
  return feed(k_tail, into, max);
}

std::optional<MessageDeflate> choose_deflate(std::string_view offers) {
  while (!offers.empty()) {
    const std::size_t end = std::min(offers.find(','), offers.size());
    if (auto good = judge_offer(trimmed(offers.substr(0, end)))) return good;
    offers.remove_prefix(std::min(end + 1, offers.size()));
  }
  return std::nullopt;
}

std::string deflate_answer(const MessageDeflate& agreed) {
  std::string text(k_deflate_offer);
  if (agreed.server_window < 15)
    text += "; server_max_window_bits=" + std::to_string(agreed.server_window);
  return text;
}

Result<std::optional<MessageDeflate>> check_deflate_answer(std::string_view answer) {
  answer = trimmed(answer);
  if (answer.empty()) return std::optional<MessageDeflate>();
  Parameters parameters(answer);
  bool forgets = false;
  bool good = iequals(parameters.value(), "permessage-deflate") && answer.find(',') == answer.npos;
  while (auto each = good ? parameters.next() : std::nullopt) {
    if (each->name == "server_no_context_takeover")
      forgets = true;
    else if (each->name == "server_max_window_bits")
      good = window_bits(each->value).has_value();
    else
      good = each->name == "client_no_context_takeover";
  }
  if (!good || !forgets) return Error(Errc::protocol_error, "websocket extensions", answer);
  return std::optional(MessageDeflate());
}

}  // namespace rondo::proto
