// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/proxy_protocol.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

namespace rondo::proto {
namespace {

using Family = ProxyHeader::Family;
using State = ProxyParser::State;

constexpr std::string_view k_signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view k_text = "PROXY ";
constexpr std::size_t k_v1_max = 107;  // Longest line of version 1, with its CR LF.
constexpr std::size_t k_fixed = 16;    // Of version 2: signature, command, family, length.
constexpr std::uint8_t k_type_crc = 0x03;

std::uint8_t byte_at(ByteView bytes, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(bytes[at]);
}
std::uint16_t u16_at(ByteView bytes, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

// ---- Version 1

/// The next word of a line, with the space behind it taken.
std::string_view next_word(std::string_view& line) noexcept {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
  return word;
}

/// Decimal without a sign or a leading zero.
std::optional<unsigned> number(std::string_view text, unsigned max) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return {};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > max) return {};
  return value;
}

bool parse_v4(std::string_view text, std::array<std::uint8_t, 16>& ip) noexcept {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == 3)) return false;
    const auto part = number(text.substr(0, dot), 255);
    if (!part) return false;
    ip[i] = static_cast<std::uint8_t>(*part);
    if (i < 3) text.remove_prefix(dot + 1);
  }
  return true;
}

/// One to four hexadecimal digits.
std::optional<unsigned> group(std::string_view text) noexcept {
  if (text.empty() || text.size() > 4) return {};
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

/// Groups from `text` into `into`; how many, or none for text that is not groups.
std::optional<std::size_t> groups(std::string_view text, std::array<std::uint16_t, 8>& into) {
  if (text.empty()) return 0;
  std::size_t count = 0;
  while (true) {
    const std::size_t colon = text.find(':');
    const auto value = group(text.substr(0, colon));
    if (!value || count == into.size()) return {};
    into[count++] = static_cast<std::uint16_t>(*value);
    if (colon == std::string_view::npos) return count;
    text.remove_prefix(colon + 1);
  }
}

bool parse_v6(std::string_view text, std::array<std::uint8_t, 16>& ip) {
  std::array<std::uint16_t, 8> head{};
  std::array<std::uint16_t, 8> tail{};
  const std::size_t gap = text.find("::");
  const auto before = groups(text.substr(0, gap), head);
  if (!before) return false;
  if (gap == std::string_view::npos) {
    if (*before != 8) return false;
  } else {
    const auto after = groups(text.substr(gap + 2), tail);
    if (!after || *before + *after > 7) return false;
    std::copy_n(tail.begin(), *after, head.end() - static_cast<std::ptrdiff_t>(*after));
  }
  for (std::size_t i = 0; i < 8; ++i) {
    ip[2 * i] = static_cast<std::uint8_t>(head[i] >> 8);
    ip[2 * i + 1] = static_cast<std::uint8_t>(head[i]);
  }
  return true;
}

/// The line behind "PROXY ", without its end.
bool parse_line(std::string_view line, ProxyHeader& header) {
  const std::string_view protocol = next_word(line);
  header.version = 1;
  if (protocol == "UNKNOWN") return true;  // What follows is to be ignored.
  const bool v4 = protocol == "TCP4";
  if (!v4 && protocol != "TCP6") return false;
  header.family = v4 ? Family::v4 : Family::v6;
  for (ProxyAddress* address : {&header.source, &header.destination}) {
    const std::string_view text = next_word(line);
    if (!(v4 ? parse_v4(text, address->ip) : parse_v6(text, address->ip))) return false;
  }
  const auto source = number(next_word(line), 65'535);
  const auto destination = number(line, 65'535);
  if (!source || !destination) return false;
  header.source.port = static_cast<std::uint16_t>(*source);
  header.destination.port = static_cast<std::uint16_t>(*destination);
  return true;
}

// ---- Version 2

std::uint32_t crc32c(ByteView bytes, std::size_t zero_at) noexcept {
  std::uint32_t crc = ~0U;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    // The checksum counts as four zero bytes in itself.
    const bool is_own = i >= zero_at && i < zero_at + 4;
    crc ^= is_own ? 0U : byte_at(bytes, i);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82f6'3b78U & (0U - (crc & 1U)));
  }
  return ~crc;
}

bool check_extensions(ByteView whole, std::size_t at) noexcept {
  while (at < whole.size()) {
    if (whole.size() - at < 3) return false;
    const std::size_t size = u16_at(whole, at + 1);
    if (whole.size() - at - 3 < size) return false;
    if (byte_at(whole, at) == k_type_crc) {
      if (size != 4) return false;
      const std::uint32_t told = std::uint32_t{u16_at(whole, at + 3)} << 16 | u16_at(whole, at + 5);
      if (told != crc32c(whole, at + 3)) return false;
    }
    at += 3 + size;
  }
  return true;
}

void put_u16(std::string& out, std::size_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

std::string text_of(Family family, const ProxyAddress& address) {
  std::string text;
  char digits[8];
  const auto put = [&](unsigned value, int base) {
    const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    text.append(digits, end);
  };
  if (family == Family::v4) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) text += '.';
      put(address.ip[i], 10);
    }
    return text;
  }
  for (std::size_t i = 0; i < 16; i += 2) {
    if (i > 0) text += ':';
    put(static_cast<unsigned>(address.ip[i] << 8 | address.ip[i + 1]), 16);
  }
  return text;
}

std::string write_v1(const ProxyHeader& header) {
  if (header.family == Family::unknown || header.is_local) return "PROXY UNKNOWN\r\n";
  const bool v4 = header.family == Family::v4;
  return std::string("PROXY ") + (v4 ? "TCP4 " : "TCP6 ") + text_of(header.family, header.source) +
         " " + text_of(header.family, header.destination) + " " +
         std::to_string(header.source.port) + " " + std::to_string(header.destination.port) +
         "\r\n";
}

}  // namespace

State ProxyParser::feed(ByteView bytes) noexcept {
  header_ = {};
  const std::string_view text = as_text(bytes);
  if (text.empty()) return want(1);
  const std::size_t of_v2 = std::min(text.size(), k_signature.size());
  if (text.substr(0, of_v2) == k_signature.substr(0, of_v2)) return feed_v2(bytes);
  const std::size_t of_v1 = std::min(text.size(), k_text.size());
  if (text.substr(0, of_v1) == k_text.substr(0, of_v1)) return feed_v1(bytes);
  return State::bad;
}

State ProxyParser::feed_v1(ByteView bytes) noexcept {
  const std::string_view text = as_text(bytes.first(std::min(bytes.size(), k_v1_max)));
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) {
    return bytes.size() >= k_v1_max ? State::bad : want(1);
  }
  if (end < k_text.size() || text[end - 1] != '\r' || end + 1 > max_) return State::bad;
  consumed_ = end + 1;
  const std::string_view line = text.substr(k_text.size(), end - 1 - k_text.size());
  return parse_line(line, header_) ? State::done : State::bad;
}

State ProxyParser::feed_v2(ByteView bytes) noexcept {
  if (bytes.size() < k_fixed) return want(k_fixed - bytes.size());
  const std::size_t whole = k_fixed + u16_at(bytes, 14);
  if (whole > max_) return State::bad;
  if (bytes.size() < whole) return want(whole - bytes.size());
  return finish_v2(bytes.first(whole));
}

State ProxyParser::finish_v2(ByteView whole) noexcept {
  const std::uint8_t command = byte_at(whole, 12);
  const std::uint8_t protocol = byte_at(whole, 13);
  if (command != 0x20 && command != 0x21) return State::bad;
  consumed_ = whole.size();
  header_.is_local = command == 0x20;
  const std::uint8_t family = protocol >> 4;
  const std::uint8_t transport = protocol & 0xf;
  if (family > 3 || transport > 2) return State::bad;
  // Of a local connection the addresses are to be ignored, and so may be missing.
  if (header_.is_local || family == 0 || transport == 0) return State::done;
  const std::size_t sizes[] = {0, 4, 16, 108};
  const std::size_t size = sizes[family];
  const std::size_t ports = family == 3 ? 0 : 4;
  const std::size_t end = k_fixed + 2 * size + ports;
  if (whole.size() < end || !check_extensions(whole, end)) return State::bad;
  header_.is_datagram = transport == 2;
  if (family == 3) return State::done;  // Unix sockets: somebody on the proxy's machine.
  header_.family = family == 1 ? Family::v4 : Family::v6;
  std::memcpy(header_.source.ip.data(), whole.data() + k_fixed, size);
  std::memcpy(header_.destination.ip.data(), whole.data() + k_fixed + size, size);
  header_.source.port = u16_at(whole, k_fixed + 2 * size);
  header_.destination.port = u16_at(whole, k_fixed + 2 * size + 2);
  return State::done;
}

std::string write_proxy_header(const ProxyHeader& header) {
  if (header.version == 1) return write_v1(header);
  std::string out(k_signature);
  out += header.is_local ? '\x20' : '\x21';
  const bool named = !header.is_local && header.family != Family::unknown;
  const bool v4 = header.family == Family::v4;
  const int transport = header.is_datagram ? 2 : 1;
  out += static_cast<char>(named ? (v4 ? 0x10 : 0x20) | transport : 0);
  const std::size_t size = v4 ? 4 : 16;
  put_u16(out, named ? 2 * size + 4 : 0);
  if (!named) return out;
  for (const ProxyAddress* address : {&header.source, &header.destination}) {
    out.append(reinterpret_cast<const char*>(address->ip.data()), size);
  }
  put_u16(out, header.source.port);
  put_u16(out, header.destination.port);
  return out;
}

}  // namespace rondo::proto
