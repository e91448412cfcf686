// SPDX-License-Identifier: Apache-2.0
// StaticFiles: a folder's files as answers (RFC 9110: conditions, ranges).
//
//   auto files = co_await http::StaticFiles::open("public").or_throw();
//   router.get("/{path...}", [&](http::Request& in, http::Response& out) -> Task<> {
//     co_await files.serve(in, out, in.param("path"));
//   });
//
// A file is sent with ETag and Last-Modified, answers If-None-Match and its kin with 304 or 412,
// and one range of bytes with 206. `page.html.br`, `.zst` or `.gz` beside `page.html` is sent to
// who takes it. Large files go from the page cache to the socket without passing through the
// process.
// Nothing outside of the folder is served, whatever the path or a symbolic link says
// (fs/directory.hpp), nor names that begin with a dot.
// It refuses to list folders: a handler of its own does (`listing`).
// Lifetime: outlives its requests. Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/http/message.hpp"

namespace rondo::http {

/// The media type of a file's name by its ending: "text/html; charset=utf-8" for "a.html";
/// "application/octet-stream" for endings nobody here knows.
std::string_view content_type_of(std::string_view name) noexcept;

struct StaticFilesOptions {
  std::string index = "index.html";       ///< of a folder; empty: folders have none
  std::string cache_control = "no-cache"; ///< ask again each time, and be told 304
  std::string fallback = {};              ///< sent with 200 where there is no file: for pages
                                          ///< that have their routes in the browser
  bool precompressed = true;
  /// Text that nobody has packed beside is packed (br, zstd or gzip, as the client takes it) when
  /// it is asked for first, on a thread of run_cpu, and kept (limits::http_packed_max in all). All
  /// who ask meanwhile wait for it; beyond limits::http_packing_max, and for a HEAD, a file that
  /// was not packed before answers as it is.
  bool compress = false;
  std::string append_html = {};           ///< put behind every page: a script, say
  bool hidden = false;                    ///< also names that begin with a dot
  /// Answers for a folder without an index; the path ends in "/".
  MoveFn<Task<>(Request&, Response&, std::string path)> listing = {};
};

/// Of what was packed by us; plain numbers, copied. The last only grows.
struct StaticFilesStatistics {
  std::size_t known = 0;       ///< files that are kept packed, or known not to get smaller
  std::size_t kept_bytes = 0;  ///< of them, with what stands around them
  std::uint64_t packings = 0;  ///< times a file was read and packed
};

class StaticFiles {
 public:
  /// Errors: no_such_file, ENOTDIR, access_denied, with the path.
  static Task<Result<StaticFiles>> open(std::string root, StaticFilesOptions options = {});
  StaticFiles(StaticFiles&& other) noexcept;
  StaticFiles& operator=(StaticFiles&& other) noexcept;
  ~StaticFiles();

  /// Answers a GET or HEAD for `path`, decoded, below the folder: "" or "css/page.css".
  /// 404 for what is not there, or not to be seen; a folder's path without its slash is redirected.
  /// - **Completes** when the answer is accepted. **Returns** nothing. **Errors** none: they are
  ///   answers. **Cancel** closes the connection. **Lifetime** request and answer outlive it.
  /// - **Concurrency** any number. **Thread** the loop's.
  Task<> serve(Request& request, Response& response, std::string_view path);
  StaticFilesStatistics statistics() const noexcept;

 private:
  struct State;
  explicit StaticFiles(Owned<State> state) noexcept;
  Owned<State> state_;
};

}  // namespace rondo::http
