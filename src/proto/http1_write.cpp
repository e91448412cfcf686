// SPDX-License-Identifier: Apache-2.0
#include "rondo/proto/http1_write.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "http1_chars.hpp"
#include "rondo/base/assert.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::proto {
namespace {

constexpr std::string_view k_days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::string_view k_months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct StatusText {
  int code;
  std::string_view text;
};
constexpr StatusText k_status_texts[] = {  // RFC 9110, section 15, and the IANA registry.
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

void put_two(char* into, unsigned value) noexcept {
  into[0] = static_cast<char>('0' + value / 10 % 10);
  into[1] = static_cast<char>('0' + value % 10);
}

/// The number of `digits` decimal digits, or -1.
int number(std::string_view digits) noexcept {
  int value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// Index of `text` among `names`, or their count.
template <std::size_t N>
unsigned index_of(const std::string_view (&names)[N], std::string_view text) noexcept {
  return static_cast<unsigned>(std::ranges::find(names, text) - names);
}

bool is_target(std::string_view text) noexcept {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return in_class(c, k_is_target); });
}

}  // namespace

std::string_view status_text(int code) noexcept {
  const auto* found = std::ranges::lower_bound(k_status_texts, code, {}, &StatusText::code);
  if (found == std::end(k_status_texts) || found->code != code) return "Unknown";
  return found->text;
}

HeadWriter::HeadWriter(ByteSpan into) noexcept
    : begin_(reinterpret_cast<char*>(into.data())), at_(begin_), end_(begin_ + into.size()) {}

void HeadWriter::put(std::string_view text) noexcept {
  if (text.empty()) return;
  if (static_cast<std::size_t>(end_ - at_) < text.size()) {
    fail(Errc::too_large);
    return;
  }
  std::memcpy(at_, text.data(), text.size());
  at_ += text.size();
}

HeadWriter& HeadWriter::status(int code, std::string_view reason) noexcept {
  if (code == 200 && reason.empty()) {
    put("HTTP/1.1 200 OK\r\n");
    return *this;
  }
  if (code < 100 || code > 999 || !is_field_value(reason)) {
    fail(Errc::invalid_argument);
    return *this;
  }
  char digits[4] = {static_cast<char>('0' + code / 100), '0', '0', ' '};
  put_two(digits + 1, static_cast<unsigned>(code % 100));
  put("HTTP/1.1 ");
  put({digits, sizeof digits});
  put(reason.empty() ? status_text(code) : reason);
  put("\r\n");
  return *this;
}

HeadWriter& HeadWriter::request(std::string_view method, std::string_view target) noexcept {
  if (!is_token(method) || !is_target(target)) {
    fail(Errc::invalid_argument);
    return *this;
  }
  put(method);
  put(" ");
  put(target);
  put(" HTTP/1.1\r\n");
  return *this;
}

HeadWriter& HeadWriter::field(std::string_view name, std::string_view value) noexcept {
  if (!is_token(name) || !is_field_value(value)) {
    fail(Errc::invalid_argument);
    return *this;
  }
  put(name);
  put(": ");
  put(value);
  put("\r\n");
  return *this;
}

HeadWriter& HeadWriter::field(std::string_view name, std::uint64_t value) noexcept {
  char digits[20];
  const auto made = std::to_chars(digits, digits + sizeof digits, value);
  return field(name, std::string_view(digits, static_cast<std::size_t>(made.ptr - digits)));
}

HeadWriter& HeadWriter::raw(std::string_view lines) noexcept {
  put(lines);
  return *this;
}

Result<std::size_t> HeadWriter::finish() noexcept {
  put("\r\n");
  if (error_ != Errc{0}) return Error(error_, "write head");
  return static_cast<std::size_t>(at_ - begin_);
}

std::string_view write_chunk_head(char (&into)[k_chunk_head_max], std::uint64_t size) noexcept {
  RONDO_ASSERT(size > 0, "a chunk of 0 bytes ends the body: write k_last_chunk for that");
  char* end = std::to_chars(into, into + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return {into, static_cast<std::size_t>(end - into)};
}

std::string_view format_http_date(WallTime when, char (&into)[k_http_date_size]) noexcept {
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(when - day).count();
  const auto of_day = static_cast<unsigned>(seconds);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  std::memcpy(into, "Xxx, 00 Xxx 0000 00:00:00 GMT", k_http_date_size);
  std::memcpy(into, k_days[std::chrono::weekday(day).c_encoding()].data(), 3);
  put_two(into + 5, static_cast<unsigned>(date.day()));
  std::memcpy(into + 8, k_months[static_cast<unsigned>(date.month()) - 1].data(), 3);
  put_two(into + 12, year / 100);
  put_two(into + 14, year % 100);
  put_two(into + 17, of_day / 3600);
  put_two(into + 20, of_day / 60 % 60);
  put_two(into + 23, of_day % 60);
  return {into, k_http_date_size};
}

Result<WallTime> parse_http_date(std::string_view text) noexcept {
  using namespace std::chrono;
  const Error bad(Errc::invalid_argument, "parse date");
  if (text.size() != k_http_date_size || text.substr(3, 2) != ", " || text[7] != ' ' ||
      text[11] != ' ' || text[16] != ' ' || text[19] != ':' || text[22] != ':' ||
      text.substr(25) != " GMT")
    return bad;
  const int numbers[] = {number(text.substr(5, 2)), number(text.substr(12, 4)),
                         number(text.substr(17, 2)), number(text.substr(20, 2)),
                         number(text.substr(23, 2))};
  if (std::ranges::any_of(numbers, [](int n) { return n < 0; })) return bad;
  const unsigned month_index = index_of(k_months, text.substr(8, 3));
  const year_month_day date(year(numbers[1]), month(month_index + 1),
                            day(static_cast<unsigned>(numbers[0])));
  // 1677..2262 is what 64 bits of nanoseconds hold.
  if (!date.ok() || numbers[1] < 1678 || numbers[1] > 2261) return bad;
  if (numbers[2] > 23 || numbers[3] > 59 || numbers[4] > 60) return bad;
  const sys_days days_since(date);
  if (index_of(k_days, text.substr(0, 3)) != weekday(days_since).c_encoding()) return bad;
  return WallTime(days_since) + hours(numbers[2]) + minutes(numbers[3]) + seconds(numbers[4]);
}

}  // namespace rondo::proto
