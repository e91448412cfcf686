// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "rondo/base/limits.hpp"

namespace rondo {
namespace {

const char* name_of(AtLimit at) {
  switch (at) {
    case AtLimit::wait: return "wait";
    case AtLimit::reject: return "reject";
    case AtLimit::drop: return "drop";
    case AtLimit::close: return "close";
    case AtLimit::copy: return "copy";
    case AtLimit::report: return "report";
  }
  return "unknown";
}

std::string draw() {
  std::ostringstream out;
  out << "# Limits\n\nEvery bound of the library, drawn from `include/rondo/base/limits.hpp`. "
         "Where an options struct has a field of the same name, the field overrides the default."
         "\n\n| name | default | unit | at the limit | meaning |\n|---|---:|---|---|---|\n";
  for (const Limit& limit : limits::all()) {
    out << "| `" << limit.name << "` | " << limit.value << " | " << limit.unit << " | "
        << name_of(limit.at) << " | " << limit.meaning << " |\n";
  }
  return out.str();
}

// RONDO_WRITE_DOCS=1 draws the document anew.
TEST(limits, the_reference_shows_exactly_the_table) {
  const std::string path = RONDO_SOURCE_DIR "/docs/reference/limits.md";
  if (std::getenv("RONDO_WRITE_DOCS") != nullptr) std::ofstream(path) << draw();
  std::ifstream file(path);
  std::stringstream shown;
  shown << file.rdbuf();
  EXPECT_EQ(shown.str(), draw()) << "run this test with RONDO_WRITE_DOCS=1 and commit " << path;
}

TEST(limits, the_table_has_every_limit_of_the_header_once) {
  std::ifstream header(RONDO_SOURCE_DIR "/include/rondo/base/limits.hpp");
  std::multiset<std::string> declared;
  const std::string mark = "inline constexpr Limit ";
  for (std::string line; std::getline(header, line);) {
    if (!line.starts_with(mark)) continue;
    declared.insert(line.substr(mark.size(), line.find('{') - mark.size()));
  }
  std::multiset<std::string> listed;
  for (const Limit& limit : limits::all()) listed.emplace(limit.name);
  EXPECT_EQ(listed, declared);
}

}  // namespace
}  // namespace rondo
