// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/static_files.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <list>
#include <optional>
#include <utility>

#include "http/conditions.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/fs/directory.hpp"
#include "rondo/proto/compress.hpp"
#include "rondo/proto/http1_write.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::http {

namespace {

using proto::Coding;

struct Packed {
  Coding coding;
  std::string_view ending;  ///< of the file beside
};
/// Best first: what takes the least bytes.
constexpr Packed k_packed[] = {
    {Coding::brotli, ".br"}, {Coding::zstd, ".zst"}, {Coding::gzip, ".gz"}};

/// What the client takes of what we make, if anything.
std::optional<Coding> best_for(const proto::RequestHead& head) noexcept {
  for (const Packed& each : k_packed) {
    if (accepts(head, proto::name_of(each.coding))) return each.coding;
  }
  return std::nullopt;
}

bool is_hidden(std::string_view path) noexcept {
  return path.starts_with('.') || path.find("/.") != std::string_view::npos;
}

std::string hex(std::uint64_t value) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  return std::string(digits, end);
}

/// Size and time: whoever writes a file anew changes one of them.
Representation representation_of(const fs::FileStatus& about, std::string_view coding) {
  const auto modified = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::nanoseconds(about.modified_ns));
  std::string etag = "\"" + hex(about.size) + "-" +
                     hex(static_cast<std::uint64_t>(about.modified_ns)) + "-" + hex(about.inode);
  if (!coding.empty()) etag.append("-").append(coding);
  return {.etag = etag + "\"", .modified = WallTime(modified), .size = about.size};
}

bool is_text(std::string_view type) noexcept {
  return type.starts_with("text/") || type.ends_with("json") || type.ends_with("xml") ||
         type == "application/wasm" || type == "application/toml" || type == "application/yaml";
}

constexpr std::uint64_t k_packed_min = 1'024;      // Less is not worth the header.
constexpr std::uint64_t k_packed_max = 8'388'608;  // More takes a processor for too long.

/// What was packed, by its ETag; what was asked for longest ago goes first.
class PackedFiles {
 public:
  const SharedBytes* find(const std::string& etag) {
    const auto found = std::ranges::find(entries_, etag, &Entry::etag);
    if (found == entries_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found);
    return &entries_.front().bytes;
  }
  void put(std::string etag, SharedBytes bytes) {
    size_ += bytes.size();
    entries_.push_front({std::move(etag), std::move(bytes)});
    while (size_ > limits::http_packed_max.value) {
      size_ -= entries_.back().bytes.size();
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    std::string etag;
    SharedBytes bytes;
  };
  std::list<Entry> entries_;
  std::size_t size_ = 0;
};

}  // namespace

struct StaticFiles::State {
  State(fs::Directory opened, StaticFilesOptions given)
      : root(std::move(opened)), options(std::move(given)) {}

  Task<Result<fs::OpenedFile>> find(std::string path);
  Task<> serve_folder(Request& request, Response& response, std::string path);
  Task<> serve_missing(Request& request, Response& response);
  Task<> send(Request& request, Response& response, std::string name, fs::OpenedFile found);
  Task<> send_page(Request& request, Response& response, fs::OpenedFile found);
  Task<std::optional<SharedBytes>> pack(const Request& request, std::string_view type,
                                        Coding coding,
                                        std::string etag, fs::OpenedFile& found);

  fs::Directory root;
  StaticFilesOptions options;
  PackedFiles kept;
};

Task<Result<fs::OpenedFile>> StaticFiles::State::find(std::string path) {
  return root.open_with_status(path.empty() ? "." : std::move(path));
}

Task<> StaticFiles::State::serve_folder(Request& request, Response& response, std::string path) {
  if (!request.path().ends_with('/')) {
    std::string target = std::string(request.path()) + "/";
    if (!request.query().empty()) target.append("?").append(request.query());
    co_return response.redirect(target, 308);
  }
  if (!path.empty() && !path.ends_with('/')) path += '/';
  if (!options.index.empty()) {
    auto index = co_await find(path + options.index);
    if (index && index->about.type == fs::FileType::regular)
      co_return co_await send(request, response, path + options.index, std::move(*index));
  }
  if (options.listing) co_return co_await options.listing(request, response, std::move(path));
  co_await serve_missing(request, response);
}

Task<> StaticFiles::State::serve_missing(Request& request, Response& response) {
  if (!options.fallback.empty()) {
    auto page = co_await find(options.fallback);
    if (page && page->about.type == fs::FileType::regular)
      co_return co_await send(request, response, options.fallback, std::move(*page));
  }
  response.send_error(404);
}

/// A page with what is put behind it: made for each answer, so it has neither tag nor ranges.
Task<> StaticFiles::State::send_page(Request&, Response& response, fs::OpenedFile found) {
  auto text = co_await found.file.read_to_end(limits::read_file_max.value);
  if (!text) co_return response.send_error(500);
  response.header("Cache-Control", "no-store").content_type("text/html; charset=utf-8");
  response.send_owned(std::move(*text) + options.append_html);
}

/// The file packed, from what is kept or anew; nothing when it goes out as it is.
Task<std::optional<SharedBytes>> StaticFiles::State::pack(const Request& request,
                                                          std::string_view type, Coding coding,
                                                          std::string etag,
                                                          fs::OpenedFile& found) {
  const std::uint64_t size = found.about.size;
  const bool wanted = options.compress && is_text(type) && size >= k_packed_min &&
                      size <= k_packed_max && !request.head().has("Range");
  if (!wanted) co_return std::nullopt;
  if (const SharedBytes* before = kept.find(etag)) co_return *before;
  auto text = co_await found.file.read_to_end(k_packed_max);
  if (!text) co_return std::nullopt;
  auto made = co_await run_cpu([&] { return proto::pack(coding, *text); });
  if (!made || made->size() >= size) co_return std::nullopt;
  SharedBytes bytes = SharedBytes::copy(*made);
  kept.put(std::move(etag), bytes);
  co_return bytes;
}

Task<> StaticFiles::State::send(Request& request, Response& response, std::string name,
                                fs::OpenedFile found) {
  const std::string_view type = content_type_of(name);
  if (!options.append_html.empty() && type.starts_with("text/html"))
    co_return co_await send_page(request, response, std::move(found));
  std::string_view coding;
  for (const Packed& each : k_packed) {
    if (!options.precompressed || !accepts(request.head(), proto::name_of(each.coding))) continue;
    auto packed = co_await find(name + std::string(each.ending));
    if (!packed || packed->about.type != fs::FileType::regular) continue;
    found = std::move(*packed);
    coding = proto::name_of(each.coding);
    break;
  }
  Representation what = representation_of(found.about, coding);
  std::optional<SharedBytes> made;
  const auto best = coding.empty() ? best_for(request.head()) : std::nullopt;
  if (best) {
    const Representation other = representation_of(found.about, proto::name_of(*best));
    made = co_await pack(request, type, *best, other.etag, found);
    if (made) {
      what = other;
      coding = proto::name_of(*best);
    }
  }
  char date[proto::k_http_date_size];
  response.header("ETag", what.etag)
      .header("Last-Modified", proto::format_http_date(what.modified, date))
      .header("Cache-Control", options.cache_control);
  if (options.precompressed || options.compress) response.header("Vary", "Accept-Encoding");
  if (const int status = judge(request.head(), what); status != 200)
    co_return response.status(status).send();
  // A browser that guesses types would take a page out of anybody's upload.
  response.header("X-Content-Type-Options", "nosniff")
      .header("Accept-Ranges", "bytes")
      .content_type(type);
  if (!coding.empty()) response.header("Content-Encoding", coding);
  if (made) co_return response.send(std::move(*made));
  const RangeAnswer chosen = choose_range(request.head(), what);
  const std::string size = std::to_string(what.size);
  if (chosen.status == 416)
    co_return response.status(416).header("Content-Range", "bytes */" + size).send();
  const auto [first, length] = chosen.range;
  if (chosen.status == 206) {
    response.status(206).header("Content-Range", "bytes " + std::to_string(first) + "-" +
                                                     std::to_string(first + length - 1) + "/" +
                                                     size);
  }
  (void)co_await response.send_file(found.file.fd(), first, length);
}

// ---- StaticFiles

StaticFiles::StaticFiles(Owned<State> state) noexcept : state_(std::move(state)) {}
StaticFiles::StaticFiles(StaticFiles&& other) noexcept = default;
StaticFiles& StaticFiles::operator=(StaticFiles&& other) noexcept = default;
StaticFiles::~StaticFiles() = default;

Task<Result<StaticFiles>> StaticFiles::open(std::string root, StaticFilesOptions options) {
  auto opened = co_await fs::Directory::open(std::move(root));
  if (!opened) co_return opened.error();
  co_return StaticFiles(Owned<State>(new State(std::move(*opened), std::move(options))));
}

Task<> StaticFiles::serve(Request& request, Response& response, std::string_view path) {
  if (request.method() != Method::get && request.method() != Method::head) {
    response.header("Allow", "GET, HEAD");
    co_return response.send_error(405);
  }
  std::string below(path);
  while (below.ends_with('/')) below.pop_back();
  if (!state_->options.hidden && is_hidden(below)) co_return response.send_error(404);
  auto found = co_await state_->find(below);
  if (!found) {
    const Errc why = found.error().code();
    const bool missing = why == Errc::no_such_file || why == Errc::access_denied ||
                         why == static_cast<Errc>(ENOTDIR) || why == static_cast<Errc>(ELOOP) ||
                         why == static_cast<Errc>(ENAMETOOLONG) || why == Errc::invalid_argument;
    if (!missing) co_return response.send_error(why == Errc::too_many_descriptors ? 503 : 500);
    co_return co_await state_->serve_missing(request, response);
  }
  if (found->about.type == fs::FileType::directory)
    co_return co_await state_->serve_folder(request, response, std::move(below));
  // Pipes, sockets and devices are nobody's business; "name/" of a file is no name.
  const bool regular = found->about.type == fs::FileType::regular;
  if (!regular || path.ends_with('/')) co_return response.send_error(404);
  co_await state_->send(request, response, std::move(below), std::move(*found));
}

}  // namespace rondo::http
