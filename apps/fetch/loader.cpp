// SPDX-License-Identifier: Apache-2.0
// The run as a whole: items become tasks, pages are written when all of them have ended.
#include "fetch/loader.hpp"

#include <algorithm>
#include <utility>

#include "rondo/core/offload.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/proto/url.hpp"

namespace rondo::fetch {

Loader::Loader(const FetchOptions& options) : options_(options), client_(client_options()) {}

http::ClientOptions Loader::client_options() const {
  http::ClientOptions made{.connections_max = options_.concurrency,
                           .per_origin_max = options_.per_host,
                           .connect_timeout = options_.timeout,
                           .answer_timeout = options_.timeout,
                           .body_timeout = options_.timeout,
                           .user_agent = options_.user_agent};
  if (!options_.authorities_file.empty()) {
    made.tls = tls::Context::client({.authorities_file = options_.authorities_file}).or_throw();
  }
  made.proxies_from_environment();
  return made;
}

Task<Result<>> Loader::run() {
  start_ = now();
  co_await fs::make_directories(options_.folder).or_return();
  auto journal = co_await Journal::open(options_.folder, options_.resume);
  if (!journal) co_return journal.error();
  journal_.emplace(std::move(*journal));
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope_ = &scope;
    for (const std::string& url : options_.urls) {
      if (const auto parts = proto::parse_url(url)) hosts_given_.emplace(parts->authority.host);
    }
    for (const std::string& url : options_.urls) add(url, Use::link, 0, 0);
    auto first = co_await select(all_ended_.wait(), until_stop_requested());
    interrupted_ = first.index == 1;
    if (interrupted_) scope.cancel({"interrupted"});
  });
  for (Item& item : items_) {
    if (!item.is_over()) {
      item.state = Item::State::failed;
      item.error = "interrupted";
    }
    if (item.state == Item::State::done && !item.text.empty()) {
      co_await write_page(item).or_return();
    }
  }
  co_return Result<>();
}

Task<> Loader::load(Item& item) {
  item.began = elapsed();
  Result<> done;
  if (item.use == Use::link && item.links > 0 && !co_await may_follow(item)) {
    item.error = "robots.txt does not allow it (see --no-robots)";
    done = Error(Errc::access_denied);
  } else {
    done = co_await download(item);
  }
  item.ended = elapsed();
  if (done && item.is_page() && !item.text.empty()) {
    auto page = co_await run_cpu([&item] { return parse_page(item.text); });
    if (page)
      item.page = std::move(*page);
    else
      done = page.error();
  }
  if (done) {
    if (!item.text.empty()) discover_page(item);
  } else {
    item.state = Item::State::failed;
    if (item.error.empty()) item.error = done.error().message();
  }
  if (on_end) on_end(item);
  if (--under_way_ == 0) all_ended_.set();
}

/// Asks robots.txt of the item's host, once for each, and waits for its turn there.
Task<bool> Loader::may_follow(const Item& item) {
  if (!options_.obey_robots) co_return true;
  const auto parts = proto::parse_url(item.url);
  if (!parts) co_return false;
  const std::string root(item.url.substr(0, item.url.find('/', item.url.find("://") + 3)));
  auto& host = hosts_[root];
  if (!host) host = std::make_unique<Host>();
  if (!host->robots && !std::exchange(host->asking, true)) {
    auto answer = co_await client_.get(root + "/robots.txt");
    // RFC 9309, section 2.3.1: what is not there allows, what cannot be reached does not.
    Robots rules = !answer || answer->status() >= 500 ? Robots::none_allowed() : Robots();
    if (answer && answer->good()) {
      auto text = co_await answer->read_all(1'000'000);
      if (text) rules = parse_robots(*text, "rondo");
    }
    host->robots = std::move(rules);
    host->known.set();
  }
  co_await host->known.wait();
  std::string path(parts->path);
  if (!parts->query.empty()) path.append("?").append(parts->query);
  if (!host->robots->allows(path)) co_return false;
  if (host->robots->delay > Duration::zero()) {
    const TimePoint turn = std::max(host->next_request, now());
    host->next_request = turn + host->robots->delay;
    co_await sleep_until(turn);
  }
  co_return true;
}

Task<Result<>> Loader::write_page(Item& item) {
  auto base = std::string(item.final_url);
  if (auto own = url_in_page(base, item.page.base); own && !item.page.base.empty()) base = *own;
  const Rename rename = [&](std::string_view url, Use) { return link_for(item, base, url); };
  std::string text =
      item.is_page() ? rewrite(item.text, item.page, rename) : rewrite_css(item.text, rename);
  co_await make_parent(item.file).or_return();
  co_await fs::write_file_atomic(options_.folder + "/" + item.file, std::string_view(text))
      .or_return();
  co_return Result<>();
}

Task<Duration> Loader::time_sequential() {
  http::ClientOptions one = client_options();
  one.connections_max = one.per_origin_max = 1;
  http::Client client(std::move(one));
  const TimePoint begin = now();
  for (const Item& item : items_) {
    if (!item.is_good() || stop_requested()) continue;
    auto answer = co_await client.get(item.url);
    while (answer) {
      auto piece = co_await answer->read();
      if (!piece || piece->empty()) break;
    }
  }
  co_return now() - begin;
}

}  // namespace rondo::fetch
