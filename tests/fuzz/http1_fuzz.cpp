// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 requests and responses: whole and cut at random give the same record, and each head
// that is accepted, read again from its bytes by the plain grammar of RFC 9112, is the same head.
#include <string>

#include "cuts.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/url.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

constexpr HttpLimits k_limits{.head_max = 600, .fields_max = 8, .target_max = 120,
                              .body_max = 300, .chunk_extensions_max = 20};

/// Takes the next line; a head that was accepted has CRLF at the end of each.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find("\r\n");
  require(end != rest.npos);
  const std::string_view line = rest.substr(0, end);
  require(line.find_first_of("\r\n") == line.npos);
  rest.remove_prefix(end + 2);
  return line;
}

std::string_view strip(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

/// The head's first line, after the one empty line that may come before it.
std::string_view take_first_line(const MessageHead& head, std::string_view& rest) {
  rest = head.text();
  std::string_view line = take_line(rest);
  if (line.empty()) line = take_line(rest);
  require(!line.empty());
  return line;
}

/// What decides where a message ends and whether another follows, by the strict grammar.
void check_field(const MessageHead& head, Field field) {
  require(is_token(field.name) && is_field_value(field.value));
  if (iequals(field.name, "connection") && has_token(field.value, "close"))
    require(!head.keep_alive());
  if (iequals(field.name, "transfer-encoding"))
    require(head.chunked() && iequals(field.value, "chunked"));
  if (iequals(field.name, "content-length")) {
    require(field.value.find_first_not_of("0123456789") == field.value.npos);
    require(std::stoull(std::string(field.value)) == head.content_length());
  }
}

void check_fields(const MessageHead& head, std::string_view rest) {
  std::size_t lengths = 0;
  std::size_t codings = 0;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const std::string_view line = take_line(rest);
    const Field field = head.field(i);
    require(line.substr(0, line.find(':')) == field.name);
    require(strip(line.substr(field.name.size() + 1)) == field.value);
    check_field(head, field);
    lengths += iequals(field.name, "content-length") ? 1U : 0U;
    codings += iequals(field.name, "transfer-encoding") ? 1U : 0U;
  }
  require(rest == "\r\n");
  require(lengths == (head.has_content_length() ? 1U : 0U));
  require(codings == (head.chunked() ? 1U : 0U));
  require(lengths + codings < 2);
}

void check_head(const RequestHead& head) {
  std::string_view rest;
  const std::string_view line = take_first_line(head, rest);
  const std::string start = std::string(head.method_text()) + " " + std::string(head.target());
  require(is_token(head.method_text()) && !head.target().empty());
  require(line.size() == start.size() + 9 && line.starts_with(start + " HTTP/1."));
  require(head.minor_version() == (line.ends_with('0') ? 0 : 1));
  require(head.minor_version() == 0 || head.has("host"));
  require(bool(parse_authority(head.authority())));
  require(head.path().empty() == (head.method() == Method::connect));
  check_fields(head, rest);
}

void check_head(const ResponseHead& head) {
  std::string_view rest;
  const std::string_view line = take_first_line(head, rest);
  require(head.status() >= 100 && head.status() < 1000);
  require(line.substr(0, 7) == "HTTP/1." && line.substr(9, 3) == std::to_string(head.status()));
  require(line.size() <= 13 ? head.reason().empty() : head.reason() == line.substr(13));
  check_fields(head, rest);
}

template <class Parser>
class Run {
 public:
  bool feed(ByteView input) {
    for (;;) {
      switch (parser_.next(input)) {
        case HttpEvent::need_more: require(input.empty()); return true;
        case HttpEvent::head:
          check_head(parser_.head());
          record.append("<head ").append(parser_.head().text()).append(">");
          break;
        case HttpEvent::body:
          require(!parser_.body().empty());
          record += as_text(parser_.body());
          break;
        case HttpEvent::end: record += "<end>"; break;
        case HttpEvent::error:
          record += "<" + std::to_string(parser_.status()) + parser_.reason() + ">";
          return false;
      }
    }
  }
  std::string record;  // Heads, bodies, ends and the error.

 private:
  Parser parser_{k_limits};
};

template <class Parser>
void check_cuts(ByteView text, std::uint32_t seed) {
  Run<Parser> whole;
  whole.feed(text);
  Run<Parser> pieces;
  Cuts cuts(seed);
  for (ByteView left = text; !left.empty();) {
    const std::size_t size = cuts.next(left.size());
    const std::string copy(as_text(left.first(size)));
    left = left.subspan(size);
    if (!pieces.feed(as_bytes(copy))) break;
  }
  require(whole.record == pieces.record);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint32_t seed = data[0];
  const ByteView text = std::as_bytes(std::span(data + 1, size - 1));
  check_cuts<ResponseParser>(text, seed);
  check_cuts<RequestParser>(text, seed);
  return 0;
}
