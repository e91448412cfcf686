// SPDX-License-Identifier: Apache-2.0
// Options -> folder, certificate, log -> listener -> "ready on". A soft stop ends it with 0.
#include "serve/serve.hpp"

#include <memory>
#include <optional>

#include "cli/command.hpp"
#include "cli/server.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/watch.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/notify.hpp"
#include "rondo/http/server.hpp"
#include "rondo/http/sse.hpp"
#include "rondo/http/static_files.hpp"
#include "rondo/net/tcp.hpp"
#include "serve/access_log.hpp"
#include "serve/listing.hpp"

namespace rondo::serve {
namespace {

using namespace std::chrono_literals;

constexpr const char* k_command = "rondo serve";
constexpr const char* k_live_path = "/.rondo/live";
constexpr const char* k_live_script =
    "\n<script>new EventSource('/.rondo/live').onmessage = () => location.reload();</script>\n";

void add_options(cli::Options& options, ServeOptions& serve) {
  options.text("--listen", "ADDRESS", serve.listen, "where it is served (127.0.0.1:8000)");
  options.text("--tls-cert", "FILE", serve.tls_cert,
               "over https: a certificate and those that sign it, PEM; read again at SIGHUP");
  options.text("--tls-key", "FILE", serve.tls_key, "its key, PEM");
  options.flag("--no-list", serve.no_list, "folders without an index.html are not listed");
  options.flag("--compress", serve.compress, "text is packed (br, zstd, gzip) for who takes it");
  options.flag("--spa", serve.spa, "index.html for every path without a file");
  options.flag("--live", serve.live, "pages reload by themselves when a file has changed");
  options.flag("--hidden", serve.hidden, "also names that begin with a dot");
  options.text("--access-log", "FILE", serve.access_log,
               "a line for each GET and HEAD answered; - : standard output");
}

Result<> check(ServeOptions& serve, const cli::Arguments& rest) {
  if (rest.size() > 1) return cli::usage(rest[1] + ": one folder is enough");
  if (!rest.empty()) serve.folder = rest[0];
  if (auto good = cli::check_tls(serve.tls_cert, serve.tls_key); !good) return good;
  return cli::check_address("--listen", serve.listen);
}

int fail(const Error& error, std::string_view advice = {}) {
  cli::complain(k_command, cli::words_of(error) + std::string(advice));
  return 1;
}

/// The folder served, and what is done beside sending its files.
class Site {
 public:
  explicit Site(const ServeOptions& options) : options_(options) {}

  Task<Result<>> open() {
    http::StaticFilesOptions files{.fallback = options_.spa ? "index.html" : "",
                                   .compress = options_.compress,
                                   .append_html = options_.live ? k_live_script : "",
                                   .hidden = options_.hidden};
    if (!options_.no_list) {
      files.listing = [this](http::Request& request, http::Response& response, std::string path) {
        return list(request, response, std::move(path));
      };
    }
    auto opened = co_await http::StaticFiles::open(options_.folder, std::move(files));
    if (!opened) co_return opened.error();
    files_.emplace(std::move(*opened));
    if (!options_.access_log.empty()) {
      auto log = co_await AccessLog::open(options_.access_log);
      if (!log) co_return log.error();
      log_ = std::move(*log);
    }
    co_return Result<>();
  }
  http::Router router() {
    http::Router made;
    if (options_.live) {
      made.get(k_live_path, [this](http::Request& request, http::Response& response) {
        return tell_changes(request, response);
      });
    }
    made.get("/{path...}", [this](http::Request& request, http::Response& response) -> Task<> {
      // At the end of the frame: a stream of HTTP/2 that its client resets destroys it.
      struct Noted {
        AccessLog* log;
        http::Request& request;
        http::Response& response;
        ~Noted() {
          if (log && response.started()) log->note(request, response);
        }
      } noted{log_.get(), request, response};
      co_await files_->serve(request, response, request.param("path"));
    });
    return made;
  }
  AccessLog* access_log() noexcept { return log_.get(); }

  /// Tells who watches once for each burst of changes.
  Task<> watch() {
    auto watcher = fs::Watcher::open();
    if (!watcher) co_return log(LogLevel::error, watcher.error().message());
    auto added = co_await watcher->add(options_.folder, {.recursive = true, .modified = false});
    if (!added) log(LogLevel::error, added.error().message());
    for (int bursts = 0; true;) {
      auto change = co_await watcher->next();
      if (!change) log(LogLevel::error, change.error().message());
      if (!change && change.error() != Errc::no_space) co_return;
      while (co_await with_timeout(100ms, watcher->next())) {
      }
      changes_.set(++bursts);
    }
  }

 private:
  Task<> list(http::Request&, http::Response& response, std::string path) {
    const std::string folder = options_.folder + "/" + path;
    auto found = co_await fs::list(folder);
    if (!found) co_return response.send_error(404);
    std::vector<ListedEntry> entries;
    for (const auto& entry : *found) {
      if (!options_.hidden && entry.name.starts_with('.')) continue;
      auto about = co_await fs::link_status(folder + entry.name);
      if (!about) continue;  // It is gone.
      entries.push_back({.name = entry.name,
                         .is_folder = about->type == fs::FileType::directory,
                         .size = about->size,
                         .modified_ns = about->modified_ns});
    }
    response.header("Cache-Control", "no-store").content_type("text/html; charset=utf-8");
    response.send_owned(listing_page(path, std::move(entries)));
  }

  Task<> tell_changes(http::Request&, http::Response& response) {
    http::EventStream events(response);
    auto news = changes_.subscribe();
    if (!co_await events.keep_alive() || !co_await response.flush()) co_return;
    while (true) {
      auto one = co_await select(news.changed(), sleep_for(15s), until_stop_requested());
      if (one.index == 2) co_return;
      auto sent =
          one.index == 0 ? co_await events.send({.data = "changed"}) : co_await events.keep_alive();
      if (!sent) co_return;
    }
  }

  const ServeOptions& options_;
  std::optional<http::StaticFiles> files_;
  std::unique_ptr<AccessLog> log_;
  Watch<int> changes_{0};  ///< counts bursts of changes
};

Task<> serve_site(Site& site, tcp::Listener& listener, std::optional<tls::Context> tls,
                  const ServeOptions& options) {
  http::Server server(site.router());
  AccessLog* lines = site.access_log();
  co_await with_scope([&](Scope& logging) -> Task<> {
    if (lines) {
      logging.start(
          Named{"access log"},
          [](AccessLog& at) -> Task<> {
            auto written = co_await at.run();
            if (!written) log(LogLevel::error, written.error().message());
          },
          std::ref(*lines));
    }
    co_await with_scope([&](Scope& others) -> Task<> {
      if (options.live) {
        others.start(Named{"watcher"}, [](Site& at) { return at.watch(); }, std::ref(site));
      }
      if (tls) others.start(Named{"certificates"}, cli::reload_at_hang_up, *tls);
      cli::say_ready(tls.has_value(), listener.local().to_string());
      auto ended = tls ? co_await server.run(listener, *tls) : co_await server.run(listener);
      if (!ended) log(LogLevel::error, ended.error().message());
      others.cancel();
    });
    if (lines) lines->close();  // What was noted is written to the end.
  });
}

Task<int> serve_main(ServeOptions options) {
  Site site(options);
  if (auto opened = co_await site.open(); !opened) co_return fail(opened.error());
  auto tls = cli::server_tls(options.tls_cert, options.tls_key);
  if (!tls) co_return fail(tls.error());
  auto listener = tcp::listen({.address = options.listen});
  if (!listener) co_return fail(listener.error(), " (choose another address with --listen)");
  co_await serve_site(site, *listener, std::move(*tls), options);
  co_return 0;
}

constexpr cli::Command<ServeOptions> k_serve = {
    .name = k_command,
    .environment = "RONDO_SERVE_",
    .add_options = add_options,
    .check = check,
    .main = serve_main,
    .about =
        "rondo serve [DIR]: a folder over HTTP\n\n"
        "  rondo serve                       this folder on http://127.0.0.1:8000\n"
        "  rondo serve dist --spa --live     while one works on a page\n"
        "  rondo serve /srv --compress --listen 0.0.0.0:443 --tls-cert a.pem --tls-key a.key\n\n",
    .notes =
        "Files with .br, .zst or .gz beside them are sent packed to who takes it. Nothing\n"
        "outside of the folder is sent, whatever a path or a symbolic link says.\n"
        "Environment: RONDO_SERVE_LISTEN and so on; RONDO_DRIVER=uring|epoll.\n"};

}  // namespace

std::string serve_help() { return k_serve.help(); }
int run_serve(const cli::Arguments& arguments) { return k_serve.run(arguments); }

}  // namespace rondo::serve
