// SPDX-License-Identifier: Apache-2.0
// HeadJudge: what llhttp reported of a head, line after line, judged and kept as offsets.
//
// llhttp finds the parts of a line and refuses most that is malformed; each check here names what
// it lets pass and the section of RFC 9112 (or 9110) that does not. `base` is the head's first
// byte: a head may still lie in the input, and is copied once, when it is complete. Lines come
// without their CRLF. Internal to src/proto.
#pragma once

#include <string_view>

#include "rondo/proto/http1.hpp"

namespace rondo::proto {

/// Status 0: accepted. Else the status to answer with and why.
struct Verdict {
  int status = 0;
  const char* reason = "";
  bool ok() const noexcept { return status == 0; }
};

class HeadJudge {
 public:
  /// The method of a request line, before llhttp is fed the line.
  static Verdict method(RequestHead& head, const char* base, std::string_view line);
  static Verdict request_line(RequestHead& head, const char* base, std::string_view line,
                              const Heard& heard, const HttpLimits& limits);
  static Verdict status_line(ResponseHead& head, const char* base, std::string_view line,
                             const Heard& heard);
  static Verdict field_line(MessageHead& head, const char* base, const Heard& heard);
  /// The head as a whole once its fields are known.
  static Verdict complete(RequestHead& head);
  static Verdict complete(ResponseHead& head, bool no_body);

 private:
  friend class Http2Head;
  using Span = MessageHead::Span;
  static Span span(const char* base, std::string_view text) noexcept {
    return {static_cast<std::uint32_t>(text.data() - base),
            static_cast<std::uint32_t>(text.size())};
  }
  static Verdict known_field(MessageHead& head, const char* base, Field field);
  static void connection(MessageHead& head, std::string_view value);
  static Verdict version(MessageHead& head, std::string_view text);
  static Verdict target(RequestHead& head, const char* base, std::string_view text);
  static Verdict absolute_target(RequestHead& head, const char* base, std::string_view text);
  static void path_and_query(RequestHead& head, const char* base, std::string_view text);
};

}  // namespace rondo::proto
