// SPDX-License-Identifier: Apache-2.0
// multipart/form-data (RFC 7578 over RFC 2046): an incremental parser, and a writer.
//
//   auto boundary = multipart_boundary(content_type).or_throw();
//   MultipartParser parser(boundary);
//   for (ByteView input = received;;) switch (parser.next(input)) {   // takes from the front
//     case MultipartEvent::need_more: return receive_again();         // all of input was taken
//     case MultipartEvent::part:     begin(parser.head()); break;
//     case MultipartEvent::data:     take(parser.data()); break;
//     case MultipartEvent::part_end: finish(); break;
//     case MultipartEvent::end:      return done();                   // what follows is no part
//     case MultipartEvent::error:    return refuse(parser.reason());
//   }
//
// Data is a view of the input wherever that is possible: a body is not copied, and of a part no
// more is kept than a boundary's length. Any cut of the input gives the same parts and bytes.
// Lifetime: data() until the next call or the end of the input's memory; head() until the next
// part. Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"

namespace rondo::proto {

/// The boundary of a Content-Type. Errors: bad_message when it is no multipart type or has none
/// of 1 to 70 legal characters.
Result<std::string> multipart_boundary(std::string_view content_type);

/// What stands before a part's bytes.
struct PartHead {
  std::string name;      ///< of the form's field; "" when the part says none
  std::string filename;  ///< as the client says, with a path or worse in it: never open it
  bool has_filename = false;
  std::string content_type;  ///< "text/plain" unless the part says another
  /// The fields as they came, one "Name: value" a line.
  std::vector<std::string> fields;
};

enum class MultipartEvent : std::uint8_t { need_more, part, data, part_end, end, error };

struct MultipartLimits {
  std::size_t parts_max = limits::http_parts_max.value;
  std::size_t head_max = limits::http_part_head_max.value;
};

class MultipartParser {
 public:
  explicit MultipartParser(std::string_view boundary, MultipartLimits limits = {});

  MultipartEvent next(ByteView& input);
  const PartHead& head() const noexcept { return head_; }
  ByteView data() const noexcept { return data_; }
  /// After error: what was wrong, and too_large or bad_message.
  std::string_view reason() const noexcept { return reason_; }
  Errc code() const noexcept { return code_; }
  /// True when the body may end here.
  bool at_end() const noexcept { return state_ == State::epilogue; }

 private:
  enum class State : std::uint8_t { preamble, behind_mark, head, body, epilogue, failed };
  MultipartEvent fail(Errc code, std::string_view reason) noexcept;
  bool match_mark(ByteView& input) noexcept;
  MultipartEvent scan(ByteView& input, bool is_body);
  MultipartEvent read_behind_mark(ByteView& input);
  MultipartEvent read_head(ByteView& input);
  bool parse_head();

  std::string mark_;  ///< CR LF "--" boundary
  MultipartLimits limits_;
  State state_ = State::preamble;
  std::size_t matched_ = 2;  ///< bytes of mark_ seen; the first may lack its CR LF
  std::string line_;         ///< what stands behind a mark, or the head so far
  std::size_t parts_ = 0;
  PartHead head_;
  ByteView data_;
  std::string_view reason_;
  Errc code_ = Errc{0};
};

/// Puts a form together: `text` for a field, `file` for one that a file input sends.
class MultipartWriter {
 public:
  /// The boundary must not occur in any part: 32 random hex digits do.
  explicit MultipartWriter(std::string boundary) : boundary_(std::move(boundary)) {}
  MultipartWriter& text(std::string_view name, std::string_view value);
  MultipartWriter& file(std::string_view name, std::string_view filename,
                        std::string_view content_type, std::string_view bytes);
  std::string content_type() const { return "multipart/form-data; boundary=" + boundary_; }
  /// The whole body; the writer is used up.
  std::string finish();

 private:
  void begin(std::string_view name);
  std::string boundary_;
  std::string body_;
};

}  // namespace rondo::proto
