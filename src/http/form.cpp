// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/form.hpp"

#include "base/text.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http {

using proto::MultipartEvent;

std::optional<std::string_view> Form::get(std::string_view name) const noexcept {
  for (const auto& [own, value] : pairs_) {
    if (own == name) return value;
  }
  return std::nullopt;
}

Task<Result<Form>> read_form(Request& request) {
  std::string_view type = request.header("Content-Type");
  type = trimmed(type.substr(0, type.find(';')));
  if (!proto::iequals(type, "application/x-www-form-urlencoded"))
    co_return Error(Errc::bad_message, "read_form", "the Content-Type is another");
  auto body = co_await request.read_all();
  if (!body) co_return body.error();
  std::vector<Form::Pair> pairs;
  for (proto::QueryReader left(*body); auto pair = left.next();) {
    auto name = proto::percent_decode(pair->name, proto::Plus::space);
    auto value = proto::percent_decode(pair->value, proto::Plus::space);
    if (!name || !value) co_return Error(Errc::bad_message, "read_form", "a pair does not decode");
    // A pair is two bytes of the body and two strings here.
    if (pairs.size() == limits::http_form_pairs_max.value)
      co_return Error(Errc::too_large, "read_form", "there are too many pairs");
    pairs.emplace_back(std::move(*name), std::move(*value));
  }
  co_return Form(std::move(pairs));
}

Result<Multipart> Multipart::of(Request& request, proto::MultipartLimits limits) {
  auto boundary = proto::multipart_boundary(request.header("Content-Type"));
  if (!boundary) return boundary.error();
  return Multipart(request, std::move(*boundary), limits);
}

/// What comes next; reads as much of the body as that takes.
Task<Result<MultipartEvent>> Multipart::event() {
  while (!failed_) {
    const MultipartEvent found = parser_.next(input_);
    if (found == MultipartEvent::error) {
      failed_ = parser_.code();
      co_return Error(*failed_, "multipart", parser_.reason());
    }
    if (found != MultipartEvent::need_more) co_return found;
    auto piece = co_await request_->read();
    if (!piece) {
      failed_ = piece.error().code();
      co_return piece.error();
    }
    if (piece->empty()) {
      failed_ = Errc::bad_message;
      co_return Error(*failed_, "multipart", "it ends without its last boundary");
    }
    input_ = *piece;
  }
  co_return Error(*failed_, "multipart");
}

Task<Result<bool>> Multipart::next() {
  while (!ended_) {
    const auto found = co_await event();
    if (!found) co_return found.error();
    in_part_ = *found == MultipartEvent::part || (in_part_ && *found == MultipartEvent::data);
    ended_ = *found == MultipartEvent::end;
    if (*found == MultipartEvent::part) co_return true;
  }
  co_return false;
}

Task<Result<ByteView>> Multipart::read() {
  if (!in_part_) co_return ByteView();
  const auto found = co_await event();
  if (!found) co_return found.error();
  if (*found == MultipartEvent::data) co_return parser_.data();
  in_part_ = false;
  co_return ByteView();
}

Task<Result<std::string>> Multipart::read_all(std::size_t max) {
  std::string text;
  while (true) {
    auto piece = co_await read();
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return text;
    if (text.size() + piece->size() > max) {
      failed_ = Errc::too_large;
      co_return Error(Errc::too_large, "multipart", "a part is too large");
    }
    text.append(as_text(*piece));
  }
}

}  // namespace rondo::http
