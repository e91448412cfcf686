// SPDX-License-Identifier: Apache-2.0
// Rules that hold for every synchronisation primitive: a task that was cancelled takes nothing,
// also when it is ready; ready awaits spend the budget; destruction with waiters is found.
#include <memory>
#include <thread>

#include "rondo/core/barrier.hpp"
#include "rondo/core/broadcast.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/condition.hpp"
#include "rondo/core/latch.hpp"
#include "rondo/core/once.hpp"
#include "rondo/core/oneshot.hpp"
#include "rondo/core/priority_queue.hpp"
#include "rondo/core/rate_limiter.hpp"
#include "rondo/core/rw_lock.hpp"
#include "rondo/core/thread_channel.hpp"
#include "rondo/core/watch.hpp"
#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

/// Runs `body()` in a task that has been cancelled while it runs, before its next await.
template <class F>
Task<> when_cancelled(F body) {
  co_await with_scope([&](Scope& scope) -> Task<> {
    std::optional<JoinHandle<void>> self;
    self = scope.start([&]() -> Task<> {
      self->cancel();
      co_await body();
      ADD_FAILURE() << "a cancelled task went past a checkpoint";
    });
    co_await sleep_for(1ms);
  });
}

TEST(SyncRules, a_cancelled_task_gets_no_lock_turn_or_token_even_when_it_is_ready) {
  run_sync([]() -> Task<> {
    RwLock lock;
    co_await when_cancelled([&]() -> Task<> { auto guard = co_await lock.read(); });
    co_await when_cancelled([&]() -> Task<> { auto guard = co_await lock.write(); });
    EXPECT_EQ(lock.statistics().read_locks + lock.statistics().write_locks, 0u);
    Barrier barrier(1);
    co_await when_cancelled([&]() -> Task<> { (void)co_await barrier.arrive_and_wait(); });
    EXPECT_EQ(barrier.statistics().generation, 0u);
    Latch open(0);
    co_await when_cancelled([&]() -> Task<> { co_await open.wait(); });
    OnceCell<int> cell;
    co_await when_cancelled(
        [&]() -> Task<> { (void)co_await cell.get_or_init([]() -> Task<int> { co_return 1; }); });
    EXPECT_EQ(cell.statistics().attempts, 0u);
    RateLimiter limiter({.tokens = 1, .per = 1s, .burst = 3});
    co_await when_cancelled([&]() -> Task<> { co_await limiter.acquire(2); });
    EXPECT_EQ(limiter.statistics().available, 3u);
    Condition changed;
    Mutex mutex;
    auto guard = co_await mutex.lock();
    co_await when_cancelled([&]() -> Task<> { co_await changed.wait(guard); });
    EXPECT_TRUE(mutex.statistics().locked) << "cancelled before the start: still locked";
  });
}

TEST(SyncRules, a_cancelled_task_takes_and_sends_no_item_even_when_it_is_ready) {
  run_sync([]() -> Task<> {
    Broadcast<int> news(2, OnLag::report);
    auto mine = news.subscribe();
    co_await when_cancelled([&]() -> Task<> { (void)co_await news.send(1); });
    EXPECT_TRUE(news.try_send(2));
    co_await when_cancelled([&]() -> Task<> { (void)co_await mine.receive(); });
    EXPECT_EQ(*co_await mine.receive(), 2);
    Watch<int> watch;
    auto reader = watch.subscribe();
    watch.set(1);
    co_await when_cancelled([&]() -> Task<> { (void)co_await reader.changed(); });
    EXPECT_TRUE(reader.has_changed());
    auto pair = make_oneshot<int>();
    EXPECT_TRUE(pair.sender.set(3));
    co_await when_cancelled([&]() -> Task<> { (void)co_await pair.receiver; });
    EXPECT_EQ(*co_await pair.receiver, 3);
    PriorityQueue<int> queue(2);
    co_await when_cancelled([&]() -> Task<> { (void)co_await queue.send(1); });
    EXPECT_TRUE(queue.try_send(2));
    co_await when_cancelled([&]() -> Task<> { (void)co_await queue.receive(); });
    EXPECT_EQ(queue.try_receive(), 2);
    ThreadChannel<int> channel(2);
    co_await when_cancelled([&]() -> Task<> { (void)co_await channel.send(1); });
    EXPECT_TRUE(channel.try_send(2));
    co_await when_cancelled([&]() -> Task<> { (void)co_await channel.receive(); });
    EXPECT_EQ(channel.try_receive(), 2);
  });
}

/// Runs `body()` a thousand times beside a task that counts its turns.
template <class F>
Task<int> turns_of_another(F body) {
  int turns_seen = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    bool over = false;
    scope.start([&]() -> Task<> {
      while (!over) {
        ++turns_seen;
        co_await checkpoint();
      }
    });
    for (int i = 0; i < 1'000; ++i) co_await body();
    over = true;
  });
  co_return turns_seen;
}

TEST(SyncRules, awaits_that_are_ready_spend_the_budget_so_that_others_run) {
  run_sync([]() -> Task<> {
    const int enough = 1'000 / static_cast<int>(limits::ready_awaits_per_resume.value) - 1;
    RwLock lock;
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> { auto g = co_await lock.write(); }),
              enough);
    Barrier barrier(1);
    EXPECT_GE(
        co_await turns_of_another([&]() -> Task<> { (void)co_await barrier.arrive_and_wait(); }),
        enough);
    RateLimiter limiter({.tokens = 1'000'000, .per = 1us, .burst = 1'000'000});
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> { co_await limiter.acquire(); }), enough);
    Broadcast<int> news(1, OnLag::report);
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> { (void)co_await news.send(1); }), enough);
    Watch<int> watch;
    auto reader = watch.subscribe();
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> {
                watch.set(1);
                (void)co_await reader.changed();
              }),
              enough);
    PriorityQueue<int> queue(1);
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> {
                queue.try_send(1);
                (void)co_await queue.receive();
              }),
              enough);
    ThreadChannel<int> channel(1);
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> {
                channel.try_send(1);
                (void)co_await channel.receive();
              }),
              enough);
    OnceCell<int> cell;
    EXPECT_GE(co_await turns_of_another([&]() -> Task<> {
                (void)co_await cell.get_or_init([]() -> Task<int> { co_return 1; });
              }),
              enough);
  });
}

/// Destroys a primitive in which a task waits.
template <class P, class F>
void destroy_with_waiter(std::unique_ptr<P> primitive, F wait) {
  run_sync([&]() -> Task<> {
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await wait(*primitive); });
      co_await turns(3);
      primitive.reset();
    });
  });
}

TEST(SyncRulesDeathTest, a_primitive_destroyed_while_a_task_waits_in_it_is_an_assertion) {
  const char* advice = "was destroyed while a task waits in it: declare it above the scope";
  EXPECT_DEATH(
      destroy_with_waiter(std::make_unique<Barrier>(2u),
                          [](Barrier& b) -> Task<> { (void)co_await b.arrive_and_wait(); }),
      advice);
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<Latch>(1u),
                                   [](Latch& l) -> Task<> { co_await l.wait(); }),
               advice);
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<PriorityQueue<int>>(1u),
                                   [](auto& q) -> Task<> { (void)co_await q.receive(); }),
               advice);
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<ThreadChannel<int>>(1u),
                                   [](auto& c) -> Task<> { (void)co_await c.receive(); }),
               "a ThreadChannel was destroyed while somebody waits in it");
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<Watch<int>>(),
                                   [](Watch<int>& w) -> Task<> {
                                     auto reader = w.subscribe();
                                     (void)co_await reader.changed();
                                   }),
               advice);
  EXPECT_DEATH(destroy_with_waiter(
                   std::make_unique<RateLimiter>(RateLimiterOptions{.tokens = 1, .burst = 1}),
                   [](RateLimiter& l) -> Task<> {
                     co_await l.acquire();
                     co_await l.acquire();
                   }),
               advice);
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<Broadcast<int>>(1u, OnLag::report),
                                   [](Broadcast<int>& b) -> Task<> {
                                     auto mine = b.subscribe();
                                     (void)co_await mine.receive();
                                   }),
               "destroyed before its subscriptions");
  EXPECT_DEATH(destroy_with_waiter(std::make_unique<RwLock>(),
                                   [](RwLock& l) -> Task<> {
                                     auto guard = co_await l.write();
                                     co_await sleep_for(1h);
                                   }),
               "destroyed while a guard lives");
}

#ifndef NDEBUG
TEST(SyncRulesDeathTest, a_primitive_used_on_two_threads_is_an_assertion_also_when_nobody_waits) {
  const char* advice = "belongs to the tasks of one loop; between threads use post()";
  const auto elsewhere = [](auto use) { std::thread([use] { use(); }).join(); };
  const auto on_another_loop = [](auto use) {
    std::thread([use] {
      run_sync([use]() -> Task<> {
        use();
        co_return;
      });
    }).join();
  };
  run_sync([&]() -> Task<> {
    Channel<int> channel(8);
    (void)co_await channel.send(1);
    EXPECT_DEATH(elsewhere([&] { channel.try_send(2); }), advice);
    EXPECT_DEATH(on_another_loop([&] { (void)channel.try_receive(); }), advice);
    Event event;
    event.set();
    EXPECT_DEATH(elsewhere([&] { event.set(); }), advice);
    Mutex mutex;
    (void)mutex.try_lock();
    EXPECT_DEATH(on_another_loop([&] { (void)mutex.try_lock(); }), advice);
    RwLock lock;
    (void)co_await lock.read();
    EXPECT_DEATH(on_another_loop([&] { (void)lock.try_write(); }), advice);
  });
}
#endif

TEST(SyncRules, what_is_made_and_filled_before_its_loop_runs_is_that_loops) {
  Channel<int> channel(8);
  EXPECT_TRUE(channel.try_send(1));
  std::thread([&] {
    run_sync([&]() -> Task<> {
      EXPECT_EQ(co_await channel.receive(), 1);
      EXPECT_TRUE(channel.try_send(2));
    });
  }).join();
}

}  // namespace
}  // namespace rondo::testing
