// SPDX-License-Identifier: Apache-2.0
// Media types by the ending of a name. Source: the IANA registry, for what is found in folders
// that are served; what is missing here goes out as a stream of bytes, which browsers save.
#include <algorithm>
#include <iterator>

#include "base/text.hpp"
#include "rondo/http/static_files.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::http {
namespace {

struct Known {
  std::string_view ending;
  std::string_view type;
};

constexpr std::string_view k_text = "text/plain; charset=utf-8";
constexpr Known k_known[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", k_text},
    {"cc", k_text},
    {"conf", k_text},
    {"cpp", k_text},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", k_text},
    {"hpp", k_text},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonl", "application/jsonl"},
    {"jxl", "image/jxl"},
    {"log", k_text},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mkv", "video/matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"py", k_text},
    {"rs", k_text},
    {"rss", "application/rss+xml"},
    {"sh", k_text},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"toml", "application/toml"},
    {"ts", k_text},
    {"ttf", "font/ttf"},
    {"txt", k_text},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};
static_assert(std::ranges::is_sorted(k_known, {}, &Known::ending));

}  // namespace

std::string_view content_type_of(std::string_view name) noexcept {
  constexpr std::string_view k_bytes = "application/octet-stream";
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > 16) return k_bytes;
  char ending[16];
  std::size_t size = 0;
  for (const char c : name.substr(dot + 1)) ending[size++] = lower(c);
  const std::string_view wanted(ending, size);
  const auto found = std::ranges::lower_bound(k_known, wanted, {}, &Known::ending);
  return found != std::end(k_known) && found->ending == wanted ? found->type : k_bytes;
}

}  // namespace rondo::http
