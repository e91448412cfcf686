// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/condition.hpp"

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

struct Box {
  Mutex mutex;
  Condition changed;
  int jobs = 0;
  int done = 0;
  bool inside = false;  ///< somebody holds the lock
};

Task<> worker(Box& box) {
  auto lock = co_await box.mutex.lock();
  co_await box.changed.wait(lock, [&] { return box.jobs > 0; });
  EXPECT_FALSE(box.inside);
  box.inside = true;
  co_await checkpoint();
  --box.jobs;
  ++box.done;
  box.inside = false;
}

TEST(Condition, a_waiter_holds_the_lock_when_it_goes_on) {
  run_sync([]() -> Task<> {
    Box box;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 3; ++i) scope.start(worker, std::ref(box));
      co_await turns(3);
      EXPECT_EQ(box.changed.statistics().waiting, 3u);
      EXPECT_FALSE(box.mutex.statistics().locked) << "unlocked while they wait";
      {
        auto lock = co_await box.mutex.lock();
        box.jobs = 3;
        box.changed.notify_all();
        co_await sleep_for(1s);
        EXPECT_EQ(box.done, 0) << "the notifier still holds the lock";
      }
    });
    EXPECT_EQ(box.done, 3);
    EXPECT_EQ(box.changed.statistics().notified, 3u);
  });
}

TEST(Condition, notify_one_wakes_the_longest_waiter_only) {
  run_sync([]() -> Task<> {
    Mutex mutex;
    Condition changed;
    std::vector<int> order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        scope.start(
            [](Mutex& m, Condition& c, std::vector<int>& seen, int me) -> Task<> {
              auto lock = co_await m.lock();
              co_await c.wait(lock);
              seen.push_back(me);
            },
            std::ref(mutex), std::ref(changed), std::ref(order), i);
      }
      co_await turns(4);
      changed.notify_one();
      co_await turns(4);
      EXPECT_EQ(order, std::vector<int>{0});
      changed.notify_all();
    });
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  });
}

TEST(Condition, a_cancelled_wait_does_not_hold_the_lock) {
  run_sync([]() -> Task<> {
    Mutex mutex;
    Condition changed;
    auto waits = [&]() -> Task<> {
      auto lock = co_await mutex.lock();
      co_await changed.wait(lock);
    };
    EXPECT_FALSE((co_await with_timeout(1ms, waits())).has_value());
    EXPECT_FALSE(mutex.statistics().locked);
    EXPECT_EQ(changed.statistics().waiting, 0u);
  });
}

TEST(Condition, a_notification_of_one_cancelled_while_it_queues_for_the_lock_goes_to_the_next) {
  run_sync([]() -> Task<> {
    Mutex mutex;
    Condition changed;
    int woken = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto waits = [](Mutex& m, Condition& c, int& count) -> Task<> {
        auto lock = co_await m.lock();
        co_await c.wait(lock);
        ++count;
      };
      auto first = scope.start(waits, std::ref(mutex), std::ref(changed), std::ref(woken));
      scope.start(waits, std::ref(mutex), std::ref(changed), std::ref(woken));
      co_await turns(4);
      auto lock = co_await mutex.lock();
      changed.notify_one();  // The first is in the mutex's queue now.
      first.cancel();
      lock.release();
      co_await turns(5);
      EXPECT_EQ(woken, 1) << "the second took its place";
      EXPECT_EQ(changed.statistics().passed_on, 1u);
    });
    EXPECT_FALSE(mutex.statistics().locked);
  });
}

TEST(Condition, no_job_is_lost_or_done_twice_in_any_order_with_random_cancels) {
  run_seeds(100, [](std::uint64_t seed) -> Task<> {
    Box box;
    Dice dice(seed);
    const int jobs = 20;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < jobs; ++i) scope.start(worker, std::ref(box));
      for (int i = 0; i < 5; ++i) {  // Waiters that give up, some of them notified.
        scope.start(
            [](Box& b, Duration after) -> Task<> {
              (void)co_await with_timeout(after, [](Box& inner) -> Task<> {
                auto lock = co_await inner.mutex.lock();
                co_await inner.changed.wait(lock);
                inner.changed.notify_one();  // Not meant for it: passes it on.
              }(b));
            },
            std::ref(box), Duration(dice.below(30) * 100us));
      }
      for (int i = 0; i < jobs; ++i) {
        co_await sleep_for(Duration(dice.below(10) * 100us));
        auto lock = co_await box.mutex.lock();
        ++box.jobs;
        box.changed.notify_one();
      }
      co_await sleep_for(1s);
      for (int i = 0; i < 50 && box.done < jobs; ++i) {
        box.changed.notify_one();
        co_await turns(4);
      }
    });
    EXPECT_EQ(box.done, jobs);
    EXPECT_EQ(box.jobs, 0);
  });
}

TEST(Condition, a_predicate_that_holds_already_waits_for_nothing_but_is_a_checkpoint) {
  run_sync([]() -> Task<> {
    Mutex mutex;
    Condition changed;
    auto lock = co_await mutex.lock();
    co_await changed.wait(lock, [] { return true; });
    EXPECT_TRUE(mutex.statistics().locked);
    lock.release();
    bool passed = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope
          .start(
              [](Mutex& m, Condition& c, bool& through) -> Task<> {
                auto mine = co_await m.lock();
                co_await checkpoint();
                co_await c.wait(mine, [] { return true; });
                through = true;
              },
              std::ref(mutex), std::ref(changed), std::ref(passed))
          .cancel();
      co_return;
    });
    EXPECT_FALSE(passed);
    EXPECT_FALSE(mutex.statistics().locked);
    EXPECT_EQ(changed.statistics().notified, 0u);
  });
}

TEST(Condition, notified_and_locked_wins_over_a_cancel_in_the_same_instant) {
  run_sync([]() -> Task<> {
    Mutex mutex;
    Condition changed;
    bool woken = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto waiter = scope.start(
          [](Mutex& m, Condition& c, bool& through) -> Task<> {
            auto lock = co_await m.lock();
            co_await c.wait(lock);
            through = m.statistics().locked;
            co_await checkpoint();
            ADD_FAILURE() << "struck at its next checkpoint";
          },
          std::ref(mutex), std::ref(changed), std::ref(woken));
      co_await turns(3);
      changed.notify_one();
      waiter.cancel();
    });
    EXPECT_TRUE(woken);
    EXPECT_FALSE(mutex.statistics().locked);
  });
}

TEST(ConditionDeathTest, waiting_without_the_lock_is_an_assertion) {
  const auto misuse = [] {
    run_sync([]() -> Task<> {
      Mutex mutex;
      Condition changed;
      auto lock = co_await mutex.lock();
      lock.release();
      co_await changed.wait(lock);
    });
  };
  EXPECT_DEATH(misuse(), "needs the guard of a locked Mutex");
}

}  // namespace
}  // namespace rondo::testing
