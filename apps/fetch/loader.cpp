// SPDX-License-Identifier: Apache-2.0
// The run as a whole: items become tasks, and when all of them have ended pages are written.
#include "fetch/loader.hpp"

#include <algorithm>
#include <utility>

#include "rondo/core/map_concurrent.hpp"
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
  folder_.emplace(co_await fs::Directory::open(options_.folder).or_return());
  journal_.emplace(co_await Journal::open(*folder_, options_.resume).or_return());
  for (const auto& [url, known] : journal_->all()) (void)names_.reserve(known.file, url);
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
  std::vector<Item*> all;
  for (Item& item : items_) all.push_back(&item);
  co_await for_each_concurrent(all, k_pages_at_once.value,
                               [this](Item* item) { return finish(*item); });
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
  if (done && item.state == Item::State::done && item.has_links()) done = co_await look_into(item);
  if (!done) {
    item.state = Item::State::failed;
    if (item.error.empty()) item.error = done.error().message();
  }
  if (on_end) on_end(item);
  if (--under_way_ == 0) all_ended_.set();
}

/// What a robots.txt says. RFC 9309, section 2.3.1: what is not there allows, what cannot be
/// reached does not.
Task<Robots> Loader::ask_robots(std::string root) {
  auto answer = co_await client_.get(root + "/robots.txt");
  if (!answer || answer->status() >= 500) co_return Robots::none_allowed();
  if (!answer->good()) co_return Robots();
  std::string text;
  while (text.size() < k_robots_max.value) {
    auto piece = co_await answer->read();
    if (!piece) co_return Robots::none_allowed();
    if (piece->empty()) break;
    text.append(as_text(*piece));
  }
  co_return parse_robots(text, "rondo");
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
    host->robots = co_await ask_robots(root);
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
