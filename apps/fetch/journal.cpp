// SPDX-License-Identifier: Apache-2.0
#include "fetch/journal.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "fetch/names.hpp"

namespace rondo::fetch {
namespace {

constexpr const char* k_name = ".rondo-fetch";
constexpr std::size_t k_journal_max = 64'000'000;

std::string_view text_at(const boost::json::object& line, std::string_view name) {
  const boost::json::value* found = line.if_contains(name);
  return found && found->is_string() ? std::string_view(found->get_string()) : std::string_view();
}

/// A file that a line names lies below the folder and is none of ours, whoever wrote the line.
bool is_below(std::string_view file) {
  if (file.starts_with('/') || file.starts_with('.') || file.ends_with('/')) return false;
  return file.find('/') != file.npos && file.find("/.") == file.npos &&
         file.find("..") == file.npos && file.find('#') == file.npos;
}

/// What a run before has noted; nothing when there was none.
Task<Result<std::string>> read_notes(const fs::Directory& folder) {
  auto file = co_await folder.open_file(k_name, {.follow = false});
  if (!file && file.error() == Errc::no_such_file) co_return std::string();
  if (!file) co_return file.error();
  co_return co_await file->read_to_end(k_journal_max);
}

void read_line(std::string_view text, std::map<std::string, Known>& into) {
  boost::system::error_code failed;
  const boost::json::value parsed = boost::json::parse(text, failed);
  if (failed || !parsed.is_object()) return;
  const boost::json::object& line = parsed.get_object();
  const std::string url(text_at(line, "url"));
  if (url.empty() || !is_below(text_at(line, "file"))) return;
  const boost::json::value* whole = line.if_contains("whole");
  into[url] = {.file = std::string(text_at(line, "file")),
               .etag = std::string(text_at(line, "etag")),
               .last_modified = std::string(text_at(line, "last_modified")),
               .whole = whole && whole->is_bool() && whole->get_bool()};
}

}  // namespace

Task<Result<Journal>> Journal::open(const fs::Directory& folder, bool resume) {
  std::map<std::string, Known> known;
  if (resume) {
    const std::string before = co_await read_notes(folder).or_return();
    std::string_view rest = before;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      read_line(rest.substr(0, end), known);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  const std::string part = part_name(k_name);
  auto file = co_await folder.open_file(
      part, {.read = false, .write = true, .create = true, .truncate = true, .follow = false});
  if (!file) co_return file.error();
  Journal journal(std::move(*file));
  for (const auto& [url, each] : known) co_await journal.note(url, each).or_return();
  co_await folder.rename(part, k_name).or_return();
  journal.known_ = std::move(known);
  co_return std::move(journal);
}

const Known* Journal::find(const std::string& url) const {
  const auto at = known_.find(url);
  return at == known_.end() ? nullptr : &at->second;
}

Task<Result<>> Journal::note(const std::string& url, const Known& known) {
  const boost::json::object line{{"url", url},
                                 {"file", known.file},
                                 {"etag", known.etag},
                                 {"last_modified", known.last_modified},
                                 {"whole", known.whole}};
  const std::string text = boost::json::serialize(line) + "\n";
  auto turn = co_await writing_.lock();
  co_return co_await file_.write_all(std::string_view(text));
}

}  // namespace rondo::fetch
