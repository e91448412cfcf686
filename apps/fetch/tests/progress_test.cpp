// SPDX-License-Identifier: Apache-2.0
#include "fetch/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rondo::fetch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Progress, aServersWordsAreFitForATerminalInJsonToo) {
  Item item;
  item.url = "http://h/";
  item.type = "text/\u009b2J\x9b";
  item.error = "said \x1b]0;x\x07 and \u009b2J \x7f";
  item.note = "\xff";
  const std::string line = json_of(item);
  EXPECT_THAT(line, HasSubstr("\"type\":\"text/2J?\""));
  EXPECT_THAT(line, HasSubstr("\"error\":\"said ]0;x and 2J \""));
  EXPECT_THAT(line, HasSubstr("\"note\":\"?\""));
}

}  // namespace
}  // namespace rondo::fetch
