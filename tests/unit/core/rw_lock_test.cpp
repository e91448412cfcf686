// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/rw_lock.hpp"

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

Task<> read_a_while(RwLock& lock, std::string& story, char name) {
  auto guard = co_await lock.read();
  story += name;
  co_await sleep_for(10ms);
  story += '.';
}

Task<> write_a_while(RwLock& lock, std::string& story, char name) {
  auto guard = co_await lock.write();
  story += name;
  co_await sleep_for(10ms);
  story += '.';
}

TEST(RwLock, readers_share_and_a_writer_is_alone) {
  run_sync([]() -> Task<> {
    RwLock lock;
    std::string story;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(read_a_while, std::ref(lock), std::ref(story), 'a');
      scope.start(read_a_while, std::ref(lock), std::ref(story), 'b');
      scope.start(write_a_while, std::ref(lock), std::ref(story), 'W');
      scope.start(read_a_while, std::ref(lock), std::ref(story), 'c');
      co_await sleep_for(1ms);
      EXPECT_EQ(lock.statistics().readers, 2u);
      EXPECT_EQ(lock.statistics().waiting, 2u) << "a reader does not overtake a waiting writer";
    });
    EXPECT_EQ(story, "ab..W.c.");
    EXPECT_EQ(lock.statistics().read_locks, 3u);
    EXPECT_EQ(lock.statistics().write_locks, 1u);
  });
}

TEST(RwLock, a_waiting_writer_that_gives_up_lets_the_readers_behind_it_in) {
  run_sync([]() -> Task<> {
    RwLock lock;
    std::string story;
    auto held = co_await lock.read();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto writer = scope.start(write_a_while, std::ref(lock), std::ref(story), 'W');
      scope.start(read_a_while, std::ref(lock), std::ref(story), 'r');
      co_await sleep_for(1ms);
      EXPECT_EQ(story, "");
      writer.cancel();
      co_await sleep_for(1ms);
      EXPECT_EQ(story, "r");
    });
  });
}

TEST(RwLock, a_writer_may_go_on_as_a_reader) {
  run_sync([]() -> Task<> {
    RwLock lock;
    std::string story;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto writing = co_await lock.write();
      scope.start(read_a_while, std::ref(lock), std::ref(story), 'r');
      scope.start(write_a_while, std::ref(lock), std::ref(story), 'W');
      co_await sleep_for(1ms);
      auto reading = std::move(writing).downgrade();
      co_await sleep_for(1ms);
      EXPECT_EQ(story, "r") << "readers come in, the writer does not";
      co_await sleep_for(20ms);
      EXPECT_EQ(story, "r.");
      reading.release();
    });
    EXPECT_EQ(story, "r.W.");
  });
}

TEST(RwLock, excludes_in_any_order_with_random_cancels_and_loses_no_turn) {
  run_seeds(100, [](std::uint64_t seed) -> Task<> {
    RwLock lock;
    Dice dice(seed);
    int readers = 0;
    int writers = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 30; ++i) {
        const bool writes = dice.below(3) == 0;
        const Duration limit = dice.below(3) == 0 ? Duration(dice.below(20) * 100us) : Duration(1h);
        scope.start(
            [](RwLock& l, Dice& d, int& r, int& w, bool write, Duration most) -> Task<> {
              (void)co_await with_timeout(
                  most, [](RwLock& at, Dice& dd, int& rr, int& ww, bool write_it) -> Task<> {
                    struct Count {
                      int& n;
                      explicit Count(int& at_n) : n(at_n) { ++n; }
                      ~Count() { --n; }
                    };
                    if (write_it) {
                      auto guard = co_await at.write();
                      Count in(ww);
                      EXPECT_TRUE(ww == 1 && rr == 0);
                      co_await sleep_for(Duration(dd.below(5) * 100us));
                    } else {
                      auto guard = co_await at.read();
                      Count in(rr);
                      EXPECT_EQ(ww, 0);
                      co_await sleep_for(Duration(dd.below(5) * 100us));
                    }
                  }(l, d, r, w, write));
            },
            std::ref(lock), std::ref(dice), std::ref(readers), std::ref(writers), writes, limit);
      }
      co_return;
    });
    EXPECT_EQ(lock.statistics().readers, 0u);
    EXPECT_FALSE(lock.statistics().writing);
    EXPECT_EQ(lock.statistics().waiting, 0u);
  });
}

}  // namespace
}  // namespace rondo::testing
