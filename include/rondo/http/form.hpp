// SPDX-License-Identifier: Apache-2.0
// Bodies of forms: `application/x-www-form-urlencoded` whole, `multipart/form-data` as it comes.
//
//   const http::Form form = (co_await http::read_form(request)).or_throw();
//   auto name = form.get("name");
//
//   auto parts = http::Multipart::of(request).or_throw();
//   while ((co_await parts.next()).or_throw()) {
//     if (!parts.head().has_filename) { fields[parts.head().name] = co_await parts.read_all(); ...
//     } else while (auto piece = (co_await parts.read()).or_throw(); !piece.empty()) store(piece);
//   }
//
// A file of a form streams: it is never whole in memory. Its filename is the client's text: use it
// to show, not to open.
// Errors go into an answer by status_of(): 400, 408 or 413. The body as a whole is bounded by
// ServerOptions::body_max; Request::set_body_max raises it for a handler that takes files.
// Lifetime: inside the handler. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/message.hpp"
#include "rondo/proto/multipart.hpp"

namespace rondo::http {

/// The pairs of a form, decoded, in the order in which they came.
class Form {
 public:
  using Pair = std::pair<std::string, std::string>;
  explicit Form(std::vector<Pair> pairs) : pairs_(std::move(pairs)) {}

  /// The first value of that name.
  std::optional<std::string_view> get(std::string_view name) const noexcept;
  const std::vector<Pair>& pairs() const noexcept { return pairs_; }

 private:
  std::vector<Pair> pairs_;
};

/// Reads a urlencoded body. As Request::read_all, and bad_message when the Content-Type is another
/// or a pair does not decode, too_large beyond limits::http_form_pairs_max pairs.
Task<Result<Form>> read_form(Request& request);

/// The parts of a multipart body, one after the other.
class [[nodiscard("go through its parts by next()")]] Multipart {
 public:
  /// Errors: bad_message when the Content-Type is no multipart/form-data with a boundary.
  static Result<Multipart> of(Request& request, proto::MultipartLimits limits = {});

  /// Goes on to the next part; what is left of this one is skipped.
  /// - **Completes** when its head is there, or behind the last. **Returns** false behind the last.
  /// - **Errors** those of Request::read; bad_message, too_large (limits::http_parts_max,
  ///   limits::http_part_head_max). Each is final. **Cancel** loses nothing.
  /// - **Lifetime** request and this outlive the await. **Concurrency** one reader.
  /// - **Thread** the loop's.
  Task<Result<bool>> next();
  /// Of the part that next() went to.
  const proto::PartHead& head() const noexcept { return parser_.head(); }
  /// Waits for the part's next piece: 1..n bytes, valid until the next call; empty at its end,
  /// again and again. Otherwise as next().
  Task<Result<ByteView>> read();
  /// The rest of the part. Errors as read(); too_large beyond `max`, which is final.
  Task<Result<std::string>> read_all(std::size_t max = limits::http_body_max.value);

 private:
  Multipart(Request& request, std::string boundary, proto::MultipartLimits limits)
      : request_(&request), parser_(boundary, limits) {}
  Task<Result<proto::MultipartEvent>> event();

  Request* request_;
  proto::MultipartParser parser_;
  ByteView input_;
  bool in_part_ = false;
  bool ended_ = false;
  std::optional<Errc> failed_;
};

}  // namespace rondo::http
