// SPDX-License-Identifier: Apache-2.0
// Loader: everything a set of pages needs, at once, and then the pages with links to the copies.
//
//   Loader loader(options);
//   (co_await loader.run()).or_throw();
//   for (const Item& item : loader.items()) report(item);
//
// Every URL is one item, loaded once and by a task of its own; the HTTP client's limits say how
// many are under way. Everything streams into part_name(FILE), which takes its name when it is
// whole: pages and style sheets at the end, with the URLs of what was loaded replaced by relative
// links. Only those that are looked into or written stand in memory (k_pages_at_once). Nothing is
// written outside of the folder, also when somebody has put symbolic links into it.
// A soft stop ends what is under way and writes the pages all the same.
// Lifetime: one run. Thread rule: the loop's thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/item.hpp"
#include "fetch/journal.hpp"
#include "fetch/limits.hpp"
#include "fetch/names.hpp"
#include "fetch/robots.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/fs/directory.hpp"
#include "rondo/http/client.hpp"

namespace rondo::fetch {

struct FetchOptions {
  std::vector<std::string> urls;
  std::string folder = ".";
  std::uint64_t concurrency = 32;
  std::uint64_t per_host = 6;
  std::uint64_t depth = 0;                      ///< links followed, on the hosts of `urls` only
  Duration timeout = std::chrono::seconds(30);  ///< of silence
  std::string user_agent;
  std::string authorities_file;  ///< PEM; empty: whom the system believes
  bool resume = false;
  bool obey_robots = true;
  ParseBounds parse;  ///< of a page or style sheet that is looked into
};

class Loader {
 public:
  explicit Loader(const FetchOptions& options);

  /// Loads, then writes the pages. Errors: the folder cannot be made or written. What could not be
  /// loaded is no error here: its item says so.
  Task<Result<>> run();
  /// The same files once more, one after another, thrown away. Returns what that took.
  Task<Duration> time_sequential();

  const std::deque<Item>& items() const noexcept { return items_; }
  Duration elapsed() const noexcept { return now() - start_; }
  bool interrupted() const noexcept { return interrupted_; }
  std::size_t left_out() const noexcept { return left_out_; }

  /// Called with each item that has ended.
  MoveFn<void(const Item&)> on_end;

 private:
  /// What lies there of an item from a run before; of no size: nothing to go on with.
  struct Before {
    Known known;
    bool whole = false;      ///< a condition is sent, else a range
    std::uint64_t size = 0;  ///< of the file, or of the part
  };
  /// A page or style sheet as it came, and what it names.
  struct Source {
    std::string text;
    Page page;
  };
  /// How a part is opened: links are not followed, see also fs::Directory.
  static constexpr fs::OpenOptions k_anew = {
      .read = false, .write = true, .create = true, .truncate = true, .follow = false};
  static constexpr fs::OpenOptions k_behind = {
      .read = false, .write = true, .append = true, .create = true, .follow = false};

  http::ClientOptions client_options() const;
  // Discovery.
  void discover(const Item& from, std::string_view base, std::string_view written, Use use);
  void add(std::string url, Use use, std::uint32_t links, std::uint32_t frames);
  void discover_all(const Item& item, const Page& page);
  // One item.
  Task<> load(Item& item);
  Task<Result<>> download(Item& item);
  Task<Before> look_for(const std::string& url);
  static http::ClientRequest request_for(const std::string& url, const Before& before);
  Task<Result<bool>> ask(Item& item, Before before);
  Task<Result<>> store(Item& item, http::Answer& answer, bool append);
  Task<bool> may_follow(const Item& item);
  Task<Robots> ask_robots(std::string root);
  std::string name_for(const Item& item);
  Task<Result<>> make_parent(const std::string& file);
  // Pages and style sheets.
  Task<Result<Source>> read_source(const Item& item);
  Task<Result<>> look_into(Item& item);
  Task<> finish(Item& item);
  Task<Result<>> write_page(Item& item);
  std::string rewritten(const Item& item, const Source& source) const;
  static std::string base_of(const Item& item, const Page& page);
  std::optional<std::string> link_for(const Item& from, std::string_view base,
                                      std::string_view written) const;

  struct Host {
    std::optional<Robots> robots;
    bool asking = false;
    Event known;
    TimePoint next_request = TimePoint::min();
  };

  const FetchOptions& options_;
  http::Client client_;
  std::optional<fs::Directory> folder_;
  std::optional<Journal> journal_;
  NamePool names_;
  std::deque<Item> items_;
  std::map<std::string, Item*, std::less<>> by_url_;
  std::set<std::string, std::less<>> hosts_given_;  ///< "http://host:port" of the URLs given
  std::map<std::string, std::unique_ptr<Host>> hosts_;
  std::set<std::string> folders_;  ///< that are there
  Semaphore pages_{k_pages_at_once.value};
  Scope* scope_ = nullptr;
  std::size_t under_way_ = 0;
  Event all_ended_;
  TimePoint start_{};
  std::size_t left_out_ = 0;
  bool interrupted_ = false;
};

/// What a user may mean: "example.org" is http://example.org/. Errors: invalid_argument.
Result<std::string> url_given(std::string_view text);

/// `written` in a page as browsers read it, against `base`: spaces and other bytes that a URL may
/// not hold are encoded. Errors: invalid_argument for what is no http or https URL.
Result<std::string> url_in_page(std::string_view base, std::string_view written);

}  // namespace rondo::fetch
