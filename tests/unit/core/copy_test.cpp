// SPDX-License-Identifier: Apache-2.0
// copy, copy_bidirectional and split, on streams in memory.
#include "rondo/core/copy.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/memory_stream.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/split.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

Task<std::string> read_all(ByteStream& from) {
  std::string text;
  while (true) {
    const Loan piece = co_await from.read().or_throw();
    if (piece.empty()) co_return text;
    text += piece.text();
  }
}

/// client <-> [left] proxy [right] <-> server
struct Proxy {
  MemoryPair left;
  MemoryPair right;
  ByteStream& client() { return left.first(); }
  ByteStream& server() { return right.second(); }
  auto copy(Copied* progress = nullptr) {
    return copy_bidirectional(left.second(), right.first(), progress);
  }
};

TEST(Copy, one_way_ends_with_its_source_and_leaves_the_target_open) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    MemoryPair in;
    MemoryPair out;
    (co_await in.first().write_all("some words")).or_throw();
    in.first().shutdown_write();
    EXPECT_EQ((co_await copy(in.second(), out.first())).or_throw(), 10u);
    (co_await out.first().write_all(" and more")).or_throw();
    out.first().shutdown_write();
    EXPECT_EQ(co_await read_all(out.second()), "some words and more");
  });
}

TEST(Copy, both_ways_carry_every_byte_and_count_them) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Proxy proxy;
    const std::string up(500'000, 'u');
    const std::string down(300'000, 'd');
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto copied = scope.start([&]() -> Task<Copied> {
        co_return (co_await proxy.copy()).or_throw();
      });
      scope.start([&]() -> Task<> {
        (co_await proxy.client().write_all(std::string_view(up))).or_throw();
        proxy.client().shutdown_write();
      });
      scope.start([&]() -> Task<> {
        (co_await proxy.server().write_all(std::string_view(down))).or_throw();
        proxy.server().shutdown_write();
      });
      auto at_server = scope.start([&]() -> Task<std::string> {
        co_return co_await read_all(proxy.server());
      });
      EXPECT_EQ(co_await read_all(proxy.client()), down);
      EXPECT_EQ((co_await at_server).or_throw(), up);
      const Copied counts = (co_await copied).or_throw();
      EXPECT_EQ(counts.forth, up.size());
      EXPECT_EQ(counts.back, down.size());
    });
  });
}

TEST(Copy, a_half_closed_connection_goes_on_the_other_way) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Proxy proxy;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)(co_await proxy.copy()).or_throw(); });
      (co_await proxy.client().write_all("question")).or_throw();
      proxy.client().shutdown_write();
      EXPECT_EQ(co_await read_all(proxy.server()), "question");  // Its end was passed on.
      co_await sleep_for(1s);
      (co_await proxy.server().write_all("answer")).or_throw();
      proxy.server().shutdown_write();
      EXPECT_EQ(co_await read_all(proxy.client()), "answer");
    });
  });
}

TEST(Copy, an_error_of_one_side_ends_both_directions_and_is_told_with_the_progress) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Proxy proxy;
    Copied progress;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto copied = scope.start([&]() -> Task<Result<Copied>> {
        co_return co_await proxy.copy(&progress);
      });
      (co_await proxy.client().write_all("12345")).or_throw();
      co_await sleep_for(1ms);
      proxy.right.reset();
      const auto result = co_await copied;
      EXPECT_FALSE(result.has_value());
      if (!result) EXPECT_EQ(result.error().code(), Errc::connection_reset);
    });
    EXPECT_EQ(progress.forth, 5u);
    EXPECT_EQ(progress.back, 0u);
  });
}

TEST(Copy, a_reader_that_does_not_read_stops_the_writer_at_the_other_end) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    Proxy proxy;
    std::size_t written = 0;
    co_await move_on_after(1s, [&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await proxy.copy(); });
      const std::string block(1'000, 'x');
      while (co_await proxy.client().write_all(std::string_view(block))) written += block.size();
    });
    EXPECT_LT(written, 600'000u);  // Two streams' buffers, not without a bound.
    EXPECT_GT(written, 100'000u);
  });
}

TEST(Copy, a_cancel_ends_both_directions) {
  SimLoop sim;
  sim.run([&]() -> Task<> {
    Proxy proxy;
    auto copied = co_await with_timeout(10ms, proxy.copy());
    EXPECT_FALSE(copied.has_value());
    (co_await proxy.client().write_all("x")).or_throw();
  });
  EXPECT_EQ(sim.now(), 10ms);
}

/// An owner of one end of a pair, as a net::Stream owns its socket.
struct End {
  std::shared_ptr<MemoryPair> pair;
  operator ByteStream&() noexcept { return pair->first(); }  // NOLINT
};

TEST(Split, halves_work_in_two_tasks_and_the_end_of_the_writer_is_told) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto pair = std::make_shared<MemoryPair>();
    std::weak_ptr<MemoryPair> alive = pair;
    ByteStream& far = pair->second();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto [in, out] = split(End{pair});
      scope.start([](WriteHalf<End> half) -> Task<> {
        (co_await half.write_all("hello")).or_throw();
      }, std::move(out));
      auto heard = scope.start([](ReadHalf<End> half) -> Task<std::string> {
        const Loan got = co_await half.read().or_throw();
        co_return std::string(got.text());
      }, std::move(in));
      EXPECT_EQ(co_await read_all(far), "hello");
      (co_await far.write_all("back")).or_throw();
      EXPECT_EQ((co_await heard).or_throw(), "back");
    });
    pair.reset();
    EXPECT_TRUE(alive.expired()) << "the last half closes the stream";
  });
}

TEST(Split, halves_can_be_put_together_again) {
  SimLoop sim;
  sim.run([]() -> Task<> {
    auto pair = std::make_shared<MemoryPair>();
    auto halves = split(End{pair});
    (co_await halves.write.write_all("a")).or_throw();
    End whole = std::move(halves.write).reunite(std::move(halves.read));
    ByteStream& stream = whole;
    (co_await stream.write_all("b")).or_throw();
    stream.shutdown_write();
    EXPECT_EQ(co_await read_all(pair->second()), "ab");
  });
}

}  // namespace
}  // namespace rondo
