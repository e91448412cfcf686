// SPDX-License-Identifier: Apache-2.0
// One item: the request, with what is known from a run before, and its answer into a file.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fetch/loader.hpp"
#include "fetch/names.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::fetch {
namespace {

struct TypeEnding {
  std::string_view type;
  std::string_view ending;
};
constexpr TypeEnding k_endings[] = {
    {"text/html", ".html"},
    {"application/xhtml+xml", ".xhtml"},
    {"text/css", ".css"},
    {"text/javascript", ".js"},
    {"application/javascript", ".js"},
    {"application/json", ".json"},
    {"image/png", ".png"},
    {"image/jpeg", ".jpg"},
    {"image/gif", ".gif"},
    {"image/webp", ".webp"},
    {"image/avif", ".avif"},
    {"image/svg+xml", ".svg"},
    {"image/x-icon", ".ico"},
    {"font/woff2", ".woff2"},
    {"font/woff", ".woff"},
    {"application/pdf", ".pdf"},
    {"text/plain", ".txt"},
    {"video/mp4", ".mp4"},
};

std::string_view ending_of(std::string_view type) {
  const std::string_view name = type.substr(0, std::min(type.find(';'), type.size()));
  for (const TypeEnding& each : k_endings) {
    if (proto::iequals(each.type, name)) return each.ending;
  }
  return ".bin";
}

bool ends_as_page(std::string_view file) {
  return file.ends_with(".html") || file.ends_with(".htm") || file.ends_with(".xhtml");
}

/// A tag that may be compared byte by byte (RFC 9110, section 8.8.3).
std::string strong_tag(std::string_view etag) {
  return etag.starts_with('"') ? std::string(etag) : std::string();
}

/// Whether an answer is all from `begin` on: "bytes 100-999/1000". A server may send less than was
/// asked for (RFC 9110, section 15.3.7); that counts as another part.
bool is_rest_from(std::string_view field, std::uint64_t begin) {
  std::uint64_t numbers[3] = {};
  const std::string_view ends = "-/";
  if (!field.starts_with("bytes ")) return false;
  field.remove_prefix(6);
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == 2 && field == "*") return numbers[0] == begin;
    const auto read = std::from_chars(field.data(), field.data() + field.size(), numbers[i]);
    if (read.ec != std::errc()) return false;
    field.remove_prefix(static_cast<std::size_t>(read.ptr - field.data()));
    if (i == 2) break;
    if (!field.starts_with(ends[i])) return false;
    field.remove_prefix(1);
  }
  return field.empty() && numbers[0] == begin && numbers[1] + 1 == numbers[2];
}

std::uint64_t length_of(const http::Answer& answer) {
  const std::string_view field = answer.header("Content-Length");
  std::uint64_t length = 0;
  std::from_chars(field.data(), field.data() + field.size(), length);
  return length;
}

}  // namespace

/// Decided when the answer's head is there; no other item has it.
std::string Loader::name_for(const Item& item) {
  std::string name = local_name(item.url, ending_of(item.type));
  if (item.is_page() && !ends_as_page(name)) name += ".html";
  if (item.is_style() && !name.ends_with(".css")) name += ".css";
  return names_.take(std::move(name), item.url);
}

Task<Result<>> Loader::make_parent(const std::string& file) {
  const std::string parent = file.substr(0, file.rfind('/'));
  if (folders_.contains(parent)) co_return Result<>();
  co_await folder_->make_directories(parent).or_return();
  folders_.insert(parent);
  co_return Result<>();
}

Task<Result<>> Loader::download(Item& item) {
  const Before before = co_await look_for(item.url);
  item.state = Item::State::loading;
  auto done = co_await ask(item, before);
  if (done && !*done) {
    // The part is as long as what is there now, or longer, or no beginning of it.
    co_await folder_->remove(part_name(before.known.file)).or_return();
    done = co_await ask(item, {});
  }
  if (!done) co_return done.error();
  co_return Result<>();
}

Task<Loader::Before> Loader::look_for(const std::string& url) {
  const Known* known = journal_->find(url);
  if (!known || (known->etag.empty() && known->last_modified.empty())) co_return Before();
  if (!names_.reserve(known->file, url)) co_return Before();  // It cannot stand beside the others.
  const std::string name = known->whole ? known->file : part_name(known->file);
  auto file = co_await folder_->open_file(name, {.follow = false});
  if (!file) co_return Before();
  auto status = co_await file->status();
  if (!status || (!known->whole && status->size == 0)) co_return Before();
  co_return Before{.known = *known, .whole = known->whole, .size = status->size};
}

http::ClientRequest Loader::request_for(const std::string& url, const Before& before) {
  http::ClientRequest request{.url = url};
  const bool tagged = !before.known.etag.empty();
  const std::string& version = tagged ? before.known.etag : before.known.last_modified;
  if (before.whole) {
    request.headers.push_back({tagged ? "If-None-Match" : "If-Modified-Since", version});
  } else if (before.size > 0) {
    request.headers.push_back({"Range", fmt::format("bytes={}-", before.size)});
    request.headers.push_back({"If-Range", version});
  }
  return request;
}

/// One request and its answer. False when the part of a run before is of no use.
Task<Result<bool>> Loader::ask(Item& item, Before before) {
  const std::uint64_t part = before.whole ? 0 : before.size;
  const Duration sent_at = elapsed();
  auto answer = co_await client_.send(request_for(item.url, before)).or_return();
  item.began = sent_at;
  item.timings = answer.timings();
  item.status = answer.status();
  item.http2 = answer.version() == "HTTP/2";
  item.final_url = answer.url();
  item.type = answer.header("Content-Type");
  if (item.status == 304 && before.whole) {
    item.file = before.known.file;
    item.received = item.resumed = item.size = before.size;
    item.state = Item::State::kept;
    co_await journal_->note(item.url, before.known).or_return();
    co_return true;
  }
  const bool goes_on = item.status == 206 && part > 0 && !answer.was_packed() &&
                       is_rest_from(answer.header("Content-Range"), part);
  const bool wrong_part = (item.status == 206 && !goes_on) || item.status == 416;
  if (wrong_part || !answer.good()) {
    (void)co_await answer.read_all(65'536);
    if (wrong_part && part > 0) co_return false;
    item.error = fmt::format("the server answered {}", item.status);
    co_return Error(Errc::bad_message);
  }
  item.size = answer.was_packed() ? 0 : length_of(answer) + (goes_on ? part : 0);
  item.received = item.resumed = goes_on ? part : 0;
  item.file = goes_on ? before.known.file : name_for(item);
  co_await store(item, answer, goes_on).or_return();
  co_return true;
}

/// Into the part, which takes its name when it is whole; that of a page or style sheet does at the
/// end of the run.
Task<Result<>> Loader::store(Item& item, http::Answer& answer, bool append) {
  co_await make_parent(item.file).or_return();
  const std::string part = part_name(item.file);
  auto file = co_await folder_->open_file(part, append ? k_behind : k_anew).or_return();
  Known whole{.file = item.file,
              .etag = strong_tag(answer.header("ETag")),
              .last_modified = std::string(answer.header("Last-Modified")),
              .whole = true};
  // A part that was packed on its way has no place in the packed bytes to go on from, and what will
  // be written with other links is no part of anything.
  const bool can_go_on = !answer.was_packed() && !item.has_links();
  Known begun = can_go_on ? whole : Known{.file = item.file};
  begun.whole = false;
  // Behind the truncation: the other way round, a crash between the two would leave the old bytes
  // under the new version's tag, and the next run would put the new rest behind them.
  co_await journal_->note(item.url, begun).or_return();
  while (true) {
    const ByteView piece = co_await answer.read().or_return();
    if (piece.empty()) break;
    co_await file.write_all(piece).or_return();
    item.received += piece.size();
  }
  co_await file.close().or_return();
  if (!item.has_links()) {
    co_await folder_->rename(part, item.file).or_return();
    co_await journal_->note(item.url, whole).or_return();
  }
  item.state = Item::State::done;
  co_return Result<>();
}

}  // namespace rondo::fetch
