// SPDX-License-Identifier: Apache-2.0
// Every stream of the library against the contract of ByteStream, on every driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/testing/conformance.hpp"
#include "rondo/testing/memory_stream.hpp"

namespace rondo::testing {
namespace {

struct Memory : StreamPair {
  MemoryPair pair;
  ByteStream& first() override { return pair.first(); }
  ByteStream& second() override { return pair.second(); }
};

struct Connected : StreamPair {
  explicit Connected(Ends made) : ends(std::move(made)) {}
  Ends ends;
  ByteStream& first() override { return ends.near; }
  ByteStream& second() override { return ends.far; }
};

class StreamContractTest : public EveryDriver {
 protected:
  void check(MakeStreamPair make, std::uint32_t buffer_count = 64) {
    run_on(loop_options({.buffer_count = buffer_count}), [&]() -> Task<> {
      const auto found = co_await check_stream(std::move(make));
      EXPECT_THAT(found, ::testing::IsEmpty());
    });
  }
};

Task<Owned<StreamPair>> over_tcp() { co_return std::make_unique<Connected>(co_await tcp_pair()); }
Task<Owned<StreamPair>> over_unix() { co_return std::make_unique<Connected>(co_await unix_pair()); }
Task<Owned<StreamPair>> in_memory() { co_return std::make_unique<Memory>(); }

TEST_P(StreamContractTest, tcp_keeps_the_contract) { check(&over_tcp); }

TEST_P(StreamContractTest, unix_streams_keep_the_contract) { check(&over_unix); }

TEST_P(StreamContractTest, memory_streams_keep_the_contract) { check(&in_memory); }

TEST_P(StreamContractTest, tcp_keeps_the_contract_with_hardly_any_buffers) { check(&over_tcp, 4); }

/// What is wrong with it: its ends belong to different pairs.
struct Torn : StreamPair {
  MemoryPair one;
  MemoryPair other;
  ByteStream& first() override { return one.first(); }
  ByteStream& second() override { return other.second(); }
};

TEST_P(StreamContractTest, a_stream_that_delivers_nothing_is_found_out) {
  run([]() -> Task<> {
    auto make = []() -> Task<Owned<StreamPair>> { co_return std::make_unique<Torn>(); };
    const auto found =
        co_await check_stream(make, {.bytes = 1'000, .too_much = 1'000'000, .rule_max = 20ms});
    EXPECT_THAT(found, ::testing::Contains("read: it did not end in time"));
    EXPECT_THAT(found, ::testing::Contains("order: it did not end in time"));
  });
}

using StreamMisuse = EveryDriver;

TEST_P(StreamMisuse, a_second_reader_is_an_assertion) {
  const auto two_readers = [this] {
    run([]() -> Task<> {
      Ends ends = co_await tcp_pair();
      (void)co_await when_all(ends.far.read(), ends.far.read());
    });
  };
  EXPECT_DEATH(two_readers(), "one task at a time reads a stream");
}

TEST_P(StreamMisuse, a_reader_robbed_by_another_is_an_assertion_not_an_end_of_stream) {
  const auto robbed = [this] {
    run([]() -> Task<> {
      MemoryPair pair;
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await pair.second().read(); });
        co_await turns(3);
        (co_await pair.first().write_all("x")).or_throw();
        while (pair.second().unread() == 0) co_await turns(1);
        (void)co_await pair.second().read();
        co_await turns(3);
      });
    });
  };
  EXPECT_DEATH(robbed(), "one task at a time reads a stream");
}

TEST_P(StreamMisuse, a_second_writer_is_an_assertion) {
  const auto two_writers = [this] {
    run([]() -> Task<> {
      Ends ends = co_await tcp_pair();
      const std::string large(1'000'000, 'x');
      (void)co_await when_all(ends.near.write_all(std::string_view(large)),
                              ends.near.write_all(std::string_view(large)));
    });
  };
  EXPECT_DEATH(two_writers(), "one task at a time writes a stream");
}

TEST_P(StreamMisuse, closing_under_a_reader_is_an_assertion) {
  const auto closed = [this] {
    run([]() -> Task<> {
      Ends ends = co_await tcp_pair();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await ends.far.read(); });
        co_await turns(3);
        ends.far.close();
      });
    });
  };
  EXPECT_DEATH(closed(), "a stream was closed while a task waits in it");
}

ON_EVERY_DRIVER(StreamContractTest);
ON_EVERY_DRIVER(StreamMisuse);

}  // namespace
}  // namespace rondo::testing
