// SPDX-License-Identifier: Apache-2.0
// Pages and style sheets, which lie in their parts until the run's end: read once for what they
// name, and once more to be written with other links.
#include <fmt/format.h>

#include <algorithm>

#include "fetch/loader.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/proto/http1.hpp"

namespace rondo::fetch {
namespace {

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

/// Errors: too_large, whose object says in words which bound it is beyond; those of files.
Task<Result<Loader::Source>> Loader::read_source(const Item& item) {
  auto file = co_await folder_->open_file(part_name(item.file), {.follow = false}).or_return();
  auto text = co_await file.read_to_end(options_.parse.size_max);
  if (!text && text.error() == Errc::too_large) {
    co_return Error(Errc::too_large, "parse",
                    fmt::format("it has more than {} bytes", options_.parse.size_max));
  }
  if (!text) co_return text.error();
  Source source{.text = std::move(*text), .page = {}};
  auto page = co_await run_cpu([&] {
    return item.is_page() ? parse_page(source.text, options_.parse)
                          : parse_style(source.text, options_.parse);
  });
  if (!page) co_return page.error();
  source.page = std::move(*page);
  co_return std::move(source);
}

/// What it names becomes items. Beyond a bound it is a file like any other.
Task<Result<>> Loader::look_into(Item& item) {
  const auto permit = co_await pages_.acquire();
  const auto source = co_await read_source(item);
  if (source) {
    discover_all(item, source->page);
    co_return Result<>();
  }
  if (source.error() != Errc::too_large) co_return source.error();
  item.note = fmt::format("kept as it came, without what it needs: {}", source.error().object());
  co_return Result<>();
}

/// The last thing that is done for an item. A page that cannot be written has failed, as any other
/// file would have; the rest goes on.
Task<> Loader::finish(Item& item) {
  if (!item.is_over()) {
    item.state = Item::State::failed;
    item.error = "interrupted";
  }
  if (item.file.empty() || !item.has_links() || item.state == Item::State::kept) co_return;
  if (item.state == Item::State::done) {
    auto written = co_await write_page(item);
    if (written) co_return;
    item.state = Item::State::failed;
    item.error = written.error().message();
    if (on_end) on_end(item);
  }
  // No run to come could go on from it: it is noted without what tells its version.
  (void)co_await folder_->remove(part_name(item.file));
}

Task<Result<>> Loader::write_page(Item& item) {
  const std::string part = part_name(item.file);
  if (item.note.empty()) {
    const auto source = co_await read_source(item).or_return();
    const std::string text = rewritten(item, source);
    auto file = co_await folder_->open_file(part, k_anew).or_return();
    co_await file.write_all(text).or_return();
    co_await file.sync_data().or_return();
    co_await file.close().or_return();
  }
  co_return co_await folder_->rename(part, item.file);
}

std::string Loader::rewritten(const Item& item, const Source& source) const {
  const std::string base = base_of(item, source.page);
  const Rename rename = [&](std::string_view url, Use) { return link_for(item, base, url); };
  std::string text = rewrite(source.text, source.page, rename);
  if (item.is_page() && needs_mark(item.type, source.text)) text.insert(0, "\xef\xbb\xbf");
  return text;
}

std::string Loader::base_of(const Item& item, const Page& page) {
  if (page.base.empty()) return item.final_url;
  auto own = url_in_page(item.final_url, page.base);
  return own ? *own : item.final_url;
}

}  // namespace rondo::fetch
