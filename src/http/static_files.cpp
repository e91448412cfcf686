// SPDX-License-Identifier: Apache-2.0
#include "rondo/http/static_files.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <utility>

#include "http/conditions.hpp"
#include "http/packed_files.hpp"
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

/// One of the representations that a file has, and whether it is sent.
struct Choice {
  Representation what;
  std::string_view coding;    ///< empty: as it is
  PackedFiles::Answer bytes;  ///< packed by us; nothing: the file is sent
  int status = 200;           ///< what the request's conditions say
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
  Task<Choice> choose(const Request& request, std::string_view type, std::string_view coding,
                      fs::OpenedFile& found);

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

/// Which representation answers, before anything is read: who is told 304 or 412 gets no body.
Task<Choice> StaticFiles::State::choose(const Request& request, std::string_view type,
                                        std::string_view coding, fs::OpenedFile& found) {
  const proto::RequestHead& head = request.head();
  Choice plain{.what = representation_of(found.about, coding), .coding = coding, .bytes = {}};
  plain.status = judge(head, plain.what);
  const std::uint64_t size = found.about.size;
  const bool wanted = options.compress && coding.empty() && is_text(type) &&
                      size >= k_packed_min && size <= k_packed_max && !head.has("Range");
  const auto best = wanted ? best_for(head) : std::nullopt;
  if (!best) co_return plain;
  const std::string_view name = proto::name_of(*best);
  Choice packed{.what = representation_of(found.about, name), .coding = name, .bytes = {}};
  packed.status = judge(head, packed.what);
  if (const PackedFiles::Answer* known = kept.find(packed.what.etag)) {
    packed.bytes = *known;
    co_return packed.bytes ? packed : plain;
  }
  if (packed.status == 304) co_return packed;
  // A file is good enough as it is for who has it so, asks for it so, or wants no body.
  const bool needless = packed.status != 200 || plain.status == 304;
  if (needless || request.method() == Method::head) co_return plain;
  packed.bytes = co_await kept.get(packed.what.etag, *best, found.file, size);
  co_return packed.bytes ? packed : plain;
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
  Choice choice = co_await choose(request, type, coding, found);
  const Representation& what = choice.what;
  char date[proto::k_http_date_size];
  response.header("ETag", what.etag)
      .header("Last-Modified", proto::format_http_date(what.modified, date))
      .header("Cache-Control", options.cache_control);
  if (options.precompressed || options.compress) response.header("Vary", "Accept-Encoding");
  if (choice.status != 200) co_return response.status(choice.status).send();
  // A browser that guesses types would take a page out of anybody's upload.
  response.header("X-Content-Type-Options", "nosniff")
      .header("Accept-Ranges", "bytes")
      .content_type(type);
  if (!choice.coding.empty()) response.header("Content-Encoding", choice.coding);
  if (choice.bytes) co_return response.send(std::move(*choice.bytes));
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

StaticFilesStatistics StaticFiles::statistics() const noexcept { return state_->kept.statistics(); }

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
