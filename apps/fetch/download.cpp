// SPDX-License-Identifier: Apache-2.0
// One item: the request, with what is known from a run before, and its answer into a file.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "fetch/loader.hpp"
#include "fetch/names.hpp"
#include "rondo/fs/dir.hpp"
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

/// "bytes 100-999/1000": where the part begins.
std::optional<std::uint64_t> range_begin(std::string_view field) {
  if (!field.starts_with("bytes ")) return std::nullopt;
  field.remove_prefix(6);
  std::uint64_t begin = 0;
  const auto read = std::from_chars(field.data(), field.data() + field.size(), begin);
  if (read.ec != std::errc() || read.ptr == field.data() + field.size() || *read.ptr != '-')
    return std::nullopt;
  return begin;
}

std::uint64_t length_of(const http::Answer& answer) {
  const std::string_view field = answer.header("Content-Length");
  std::uint64_t length = 0;
  std::from_chars(field.data(), field.data() + field.size(), length);
  return length;
}

/// A page whose encoding only the answer's head tells keeps it by a byte order mark.
bool needs_mark(std::string_view type, std::string_view text) {
  const auto has = [](std::string_view in, std::string_view what) {
    return std::ranges::search(in, what, [](char a, char b) {
             return proto::iequals({&a, 1}, {&b, 1});
           }).size() > 0;
  };
  return has(type, "utf-8") && !has(text.substr(0, 1'024), "charset") &&
         !text.starts_with("\xef\xbb\xbf");
}

}  // namespace

/// Decided when the answer's head is there; no other item has it.
std::string Loader::name_for(const Item& item) {
  std::string name = local_name(item.url, ending_of(item.type));
  if (item.is_page() && !ends_as_page(name)) name += ".html";
  if (item.is_style() && !name.ends_with(".css")) name += ".css";
  for (int n = 2; !files_.insert(name).second; ++n) {
    const std::size_t slash = name.rfind('/');
    const std::size_t dot = std::min(name.rfind('.'), name.size());
    name.insert(dot > slash ? dot : name.size(), fmt::format("-{}", n));
  }
  return name;
}

Task<Result<>> Loader::make_parent(const std::string& file) {
  const std::string parent = file.substr(0, file.rfind('/'));
  if (!folders_.insert(parent).second) co_return Result<>();
  auto made = co_await fs::make_directories(options_.folder + "/" + parent);
  if (!made) folders_.erase(parent);
  co_return made;
}

Task<Result<>> Loader::download(Item& item) {
  http::ClientRequest request{.url = item.url};
  const Known* before = journal_->find(item.url);
  std::uint64_t part = 0;
  if (before && (!before->etag.empty() || !before->last_modified.empty())) {
    const std::string path = options_.folder + "/" + before->file + (before->whole ? "" : ".part");
    auto status = co_await fs::status(path);
    const bool tagged = !before->etag.empty();
    const std::string& version = tagged ? before->etag : before->last_modified;
    if (status && before->whole) {
      request.headers.push_back({tagged ? "If-None-Match" : "If-Modified-Since", version});
      item.size = status->size;
    } else if (status && status->size > 0) {
      part = status->size;
      request.headers.push_back({"Range", fmt::format("bytes={}-", part)});
      request.headers.push_back({"If-Range", version});
    }
  }
  item.state = Item::State::loading;
  const Duration sent_at = elapsed();
  auto answer = co_await client_.send(std::move(request));
  if (!answer) co_return answer.error();
  item.began = sent_at;
  item.timings = answer->timings();
  item.http2 = answer->version() == "HTTP/2";
  item.status = answer->status();
  item.final_url = answer->url();
  item.type = answer->header("Content-Type");
  if (item.status == 304 && before) {
    item.file = before->file;
    files_.insert(item.file);
    item.state = Item::State::kept;
    item.received = item.resumed = item.size;
    co_await journal_->note(item.url, *before).or_return();
    co_return Result<>();
  }
  if (!answer->good()) {
    (void)co_await answer->read_all(65'536);
    item.error = fmt::format("the server answered {}", item.status);
    co_return Error(Errc::bad_message);
  }
  const bool goes_on =
      item.status == 206 && part > 0 && range_begin(answer->header("Content-Range")) == part;
  if (item.status == 206 && !goes_on)
    co_return Error(Errc::protocol_error, "the server sent another part than was asked for");
  item.size = answer->was_packed() ? 0 : length_of(*answer) + (goes_on ? part : 0);
  item.received = item.resumed = goes_on ? part : 0;
  item.file = goes_on ? before->file : name_for(item);
  if (goes_on) files_.insert(item.file);
  auto done = item.is_page() || item.is_style()
                  ? co_await keep_text(item, *answer)
                  : co_await store(item, *answer,
                                   {.file = item.file,
                                    .etag = strong_tag(answer->header("ETag")),
                                    .last_modified = std::string(answer->header("Last-Modified"))},
                                   goes_on);
  if (done) item.state = Item::State::done;
  co_return done;
}

/// A page or style sheet: in memory, since it is written with other links.
Task<Result<>> Loader::keep_text(Item& item, http::Answer& answer) {
  while (true) {
    auto piece = co_await answer.read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    item.text.append(as_text(*piece));
    item.received = item.text.size();
    if (item.text.size() > limits::http_answer_max.value)
      co_return Error(Errc::too_large, "a page of more than 64 MiB");
  }
  if (item.is_page() && needs_mark(item.type, item.text)) item.text.insert(0, "\xef\xbb\xbf");
  co_return Result<>();
}

Task<Result<>> Loader::store(Item& item, http::Answer& answer, const Known& known, bool append) {
  co_await make_parent(item.file).or_return();
  const std::string path = options_.folder + "/" + item.file;
  const std::string part = path + ".part";
  // A part that was packed on its way has no place in the packed bytes to go on from.
  if (!answer.was_packed()) co_await journal_->note(item.url, known).or_return();
  auto file = co_await fs::File::open(
      part, {.read = false, .write = true, .append = append, .create = true, .truncate = !append});
  if (!file) co_return file.error();
  while (true) {
    auto piece = co_await answer.read();
    if (!piece) co_return piece.error();
    if (piece->empty()) break;
    co_await file->write_all(*piece).or_return();
    item.received += piece->size();
  }
  co_await file->close().or_return();
  co_await fs::rename(part, path).or_return();
  Known whole = known;
  whole.whole = true;
  co_return co_await journal_->note(item.url, whole);
}

}  // namespace rondo::fetch
