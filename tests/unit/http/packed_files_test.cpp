// SPDX-License-Identifier: Apache-2.0
#include "http/packed_files.hpp"

#include <gtest/gtest.h>

#include "rondo/base/limits.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/fs/file.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {
namespace {

using http::PackedFiles;

TEST(PackedFiles, packsOnlySoMuchAtOnceAndReadsNothingBeyond) {
  SimLoop().run([]() -> Task<> {
    constexpr std::uint64_t k_size = http::k_packed_max;
    co_await fs::write_file("/large", std::string(k_size, 'x')).or_throw();
    PackedFiles kept;
    std::size_t packed = 0, as_they_are = 0;
    const auto ask = [&](std::string tag) -> Task<> {
      auto file = co_await fs::File::open("/large").or_throw();
      const auto answer = co_await kept.get(tag, proto::Coding::gzip, file, k_size);
      ++(answer ? packed : as_they_are);
    };
    constexpr std::size_t k_fitting = limits::http_packing_max.value / k_size;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (std::size_t i = 0; i < k_fitting + 2; ++i) scope.start(ask, "tag" + std::to_string(i));
      co_return;
    });
    EXPECT_EQ(packed, k_fitting);
    EXPECT_EQ(as_they_are, 2U);
    EXPECT_EQ(kept.statistics().packings, k_fitting);
    co_await ask("later");
    EXPECT_EQ(packed, k_fitting + 1) << "what was over made room again";
  });
}

TEST(PackedFiles, aFileThatIsNotAsLargeAsItWasIsNotKept) {
  SimLoop().run([]() -> Task<> {
    co_await fs::write_file("/a", std::string(2'000, 'x')).or_throw();
    PackedFiles kept;
    auto file = co_await fs::File::open("/a").or_throw();
    EXPECT_FALSE(co_await kept.get("tag", proto::Coding::gzip, file, 3'000));
    EXPECT_EQ(kept.find("tag"), nullptr);
    auto again = co_await fs::File::open("/a").or_throw();
    EXPECT_TRUE(co_await kept.get("tag", proto::Coding::gzip, again, 2'000));
    EXPECT_TRUE(kept.find("tag") && *kept.find("tag"));
  });
}

}  // namespace
}  // namespace rondo::testing
