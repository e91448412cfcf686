// SPDX-License-Identifier: Apache-2.0
// Channel, Semaphore, Mutex and Event in virtual time: order, fairness, closing, cancelling.
#include "rondo/core/channel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;
using testing::SimLoop;

template <class F>
void run(F body) {
  SimLoop sim;
  sim.run(std::move(body));
}
Task<> turns(int n) {
  for (int i = 0; i < n; ++i) co_await checkpoint();
}

// --- Channel -------------------------------------------------------------------------------

TEST(Channel, hands_items_over_in_order_through_any_capacity) {
  for (const std::size_t capacity : {0u, 1u, 2u, 7u, 100u}) {
    run([&]() -> Task<> {
      Channel<int> channel{capacity};
      std::vector<int> got;
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start(
            [](Channel<int>* to) -> Task<> {
              for (int i = 0; i < 50; ++i) EXPECT_TRUE((co_await to->send(i)).has_value());
              to->close();
            },
            &channel);
        while (auto item = co_await channel.receive()) got.push_back(*item);
      });
      EXPECT_EQ(got.size(), 50u);
      for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<int>(i));
      EXPECT_EQ(channel.statistics().sent, 50u);
      EXPECT_EQ(channel.statistics().capacity, capacity);
    });
  }
}

TEST(Channel, push_never_waits_and_does_what_it_was_told_when_full) {
  run([]() -> Task<> {
    const auto fill = [](OnFull on_full) {
      Channel<int> channel(2, on_full);
      std::string outcomes;
      for (int i = 1; i <= 3; ++i) {
        const Result<> outcome = channel.push(i);
        outcomes += outcome ? "taken " : outcome.error().message() + " ";
      }
      outcomes += ":";
      while (auto item = channel.try_receive()) outcomes += " " + std::to_string(*item);
      return outcomes;
    };
    EXPECT_EQ(fill(OnFull::wait), "taken taken push: the queue is full : 1 2");
    EXPECT_EQ(fill(OnFull::reject), "taken taken push: the queue is full : 1 2");
    EXPECT_EQ(fill(OnFull::drop_oldest), "taken taken taken : 2 3");
    EXPECT_EQ(fill(OnFull::drop_newest), "taken taken taken : 1 2");
    EXPECT_EQ(fill(OnFull::close), "taken taken push: closed on this side : 1 2");
    co_return;
  });
}

TEST(Channel, of_capacity_0_is_a_rendezvous) {
  run([]() -> Task<> {
    Channel<int> channel{0};
    EXPECT_FALSE(channel.try_send(1)) << "nobody receives";
    EXPECT_FALSE(channel.try_receive().has_value());
    bool sent = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](Channel<int>* to, bool* flag) -> Task<> {
            EXPECT_TRUE((co_await to->send(5)).has_value());
            *flag = true;
          },
          &channel, &sent);
      co_await sleep_for(1s);
      EXPECT_FALSE(sent);
      EXPECT_EQ(channel.statistics().senders_waiting, 1u);
      EXPECT_EQ(channel.try_receive(), 5) << "straight from the waiting sender";
    });
    EXPECT_TRUE(sent);
  });
}

TEST(Channel, of_capacity_0_follows_its_policy_too) {
  run([]() -> Task<> {
    Channel<int> rejects{0, OnFull::reject};
    EXPECT_EQ((co_await rejects.send(1)).error(), Errc::would_exceed);
    Channel<int> oldest{0, OnFull::drop_oldest};
    EXPECT_TRUE((co_await oldest.send(1)).has_value());
    EXPECT_EQ(oldest.statistics().dropped, 1u);
    Channel<int> newest{0, OnFull::drop_newest};
    EXPECT_TRUE((co_await newest.send(1)).has_value());
    EXPECT_EQ(newest.statistics().dropped, 1u);
    Channel<int> closes{0, OnFull::close};
    EXPECT_EQ((co_await closes.send(1)).error(), Errc::closed);
    EXPECT_FALSE((co_await closes.receive()).has_value());
  });
}

TEST(Channel, waiting_receivers_are_served_first_in_first_out) {
  run([]() -> Task<> {
    Channel<int> channel{4};
    std::vector<std::pair<int, int>> got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int who = 0; who < 3; ++who) {
        scope.start([](Channel<int>* from, std::vector<std::pair<int, int>>* to,
                       int me) -> Task<> { to->emplace_back(me, *co_await from->receive()); },
                    &channel, &got, who);
      }
      co_await turns(5);
      for (int i = 10; i < 13; ++i) EXPECT_TRUE(channel.try_send(i));
    });
    EXPECT_EQ(got, (std::vector<std::pair<int, int>>{{0, 10}, {1, 11}, {2, 12}}));
  });
}

TEST(Channel, a_newcomer_does_not_pass_a_waiting_sender) {
  run([]() -> Task<> {
    Channel<int> channel{1};
    EXPECT_TRUE(channel.try_send(1));
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([](Channel<int>* to) -> Task<> { static_cast<void>(co_await to->send(2)); },
                  &channel);
      co_await turns(3);
      EXPECT_EQ(channel.try_receive(), 1);
      EXPECT_FALSE(channel.try_send(3)) << "the room is the waiting sender's";
      EXPECT_EQ(channel.try_receive(), 2);
    });
  });
}

TEST(Channel, closing_wakes_everybody_and_keeps_what_is_in) {
  run([]() -> Task<> {
    Channel<int> full{1};
    Channel<int> empty{1};
    EXPECT_TRUE(full.try_send(1));
    int closed_sends = 0;
    int ended_receives = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 3; ++i) {
        scope.start(
            [&]() -> Task<> { closed_sends += (co_await full.send(2)).error() == Errc::closed; });
        scope.start([&]() -> Task<> { ended_receives += !(co_await empty.receive()).has_value(); });
      }
      co_await turns(9);
      full.close();
      empty.close();
      full.close();
    });
    EXPECT_EQ(closed_sends, 3);
    EXPECT_EQ(ended_receives, 3);
    EXPECT_FALSE(full.try_send(4));
    EXPECT_EQ(co_await full.receive(), 1);
    EXPECT_EQ(co_await full.receive(), std::nullopt);
  });
}

TEST(Channel, a_cancelled_sender_or_receiver_leaves_the_queue) {
  run([]() -> Task<> {
    Channel<std::unique_ptr<int>> channel{1};
    EXPECT_TRUE(channel.try_send(std::make_unique<int>(1)));
    auto send = [&]() -> Task<> {
      static_cast<void>(co_await channel.send(std::make_unique<int>(9)));
    };
    EXPECT_FALSE((co_await with_timeout(1ms, send())).has_value());
    EXPECT_EQ(channel.statistics().senders_waiting, 0u);
    EXPECT_EQ(**co_await channel.receive(), 1);
    EXPECT_FALSE((co_await with_timeout(1ms, channel.receive())).has_value());
    EXPECT_EQ(channel.statistics().receivers_waiting, 0u);
    EXPECT_EQ(channel.size(), 0u);
  });
}

TEST(Channel, destroys_what_was_never_received) {
  auto counted = std::make_shared<int>(0);
  run([&]() -> Task<> {
    Channel<std::shared_ptr<int>> channel{3, OnFull::drop_oldest};
    for (int i = 0; i < 5; ++i) EXPECT_TRUE((co_await channel.send(counted)).has_value());
    EXPECT_EQ(counted.use_count(), 4);
  });
  EXPECT_EQ(counted.use_count(), 1);
}

// --- Semaphore, Mutex ----------------------------------------------------------------------

TEST(SemaphoreDeathTest, without_a_permit_is_an_assertion) {
  EXPECT_DEATH(Semaphore(0), "lets nobody in, ever");
}

TEST(Semaphore, hands_permits_over_in_order_and_never_past_a_waiter) {
  run([]() -> Task<> {
    Semaphore one(1);
    std::vector<int> order;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto permit = co_await one.acquire();
      for (int i = 0; i < 4; ++i) {
        scope.start(
            [](Semaphore* s, std::vector<int>* to, int me) -> Task<> {
              auto mine = co_await s->acquire();
              to->push_back(me);
              co_await sleep_for(1ms);
            },
            &one, &order, i);
      }
      co_await turns(6);
      EXPECT_EQ(one.statistics().waiting, 4u);
      permit.release();
      EXPECT_FALSE(one.try_acquire().has_value()) << "it was handed to the first waiter";
    });
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_EQ(one.statistics().available, 1u);
    EXPECT_EQ(one.statistics().acquired, 5u);
  });
}

TEST(Semaphore, a_cancelled_waiter_takes_no_permit) {
  run([]() -> Task<> {
    Semaphore two(2);
    auto a = co_await two.acquire();
    auto b = co_await two.acquire();
    EXPECT_FALSE((co_await with_timeout(1ms, two.acquire())).has_value());
    EXPECT_EQ(two.statistics().waiting, 0u);
    a.release();
    a.release();  // Once is enough.
    EXPECT_EQ(two.statistics().available, 1u);
    Semaphore::Permit moved = std::move(b);
    {
      auto c = two.try_acquire();
    }
    EXPECT_EQ(two.statistics().available, 1u);
    moved.release();
    EXPECT_EQ(two.statistics().available, 2u);
  });
}

TEST(Semaphore, a_permit_handed_to_a_task_that_is_cancelled_goes_on_to_the_next) {
  run([]() -> Task<> {
    Semaphore one(1);
    bool second_ran = false;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto permit = co_await one.acquire();
      auto first = scope.start(
          [](Semaphore* s) -> Task<> {
            auto mine = co_await s->acquire();
            co_await sleep_for(1h);
          },
          &one);
      scope.start(
          [](Semaphore* s, bool* ran) -> Task<> {
            auto mine = co_await s->acquire();
            *ran = true;
          },
          &one, &second_ran);
      co_await turns(4);
      permit.release();
      first.cancel();
    });
    EXPECT_TRUE(second_ran);
    EXPECT_EQ(one.statistics().available, 1u);
  });
}

TEST(Mutex, excludes_over_an_await_and_unlocks_when_its_holder_is_cancelled) {
  run([]() -> Task<> {
    Mutex mutex;
    int inside = 0;
    int most = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 5; ++i) {
        scope.start([&]() -> Task<> {
          auto lock = co_await mutex.lock();
          most = std::max(most, ++inside);
          co_await sleep_for(1ms);
          --inside;
        });
      }
      co_return;
    });
    EXPECT_EQ(most, 1);
    EXPECT_EQ(mutex.statistics().locks, 5u);
    co_await move_on_after(1ms, [&](Scope&) -> Task<> {
      auto lock = co_await mutex.lock();
      EXPECT_FALSE(mutex.try_lock().has_value());
      co_await sleep_for(1h);
    });
    EXPECT_TRUE(mutex.try_lock().has_value()) << "the lock died with its holder's frame";
    EXPECT_FALSE(mutex.statistics().locked);
  });
}

// --- Event ---------------------------------------------------------------------------------

TEST(Event, wakes_all_waiters_and_stays_set_until_reset) {
  run([]() -> Task<> {
    Event event;
    int woken = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (int i = 0; i < 10; ++i) {
        scope.start([&]() -> Task<> {
          co_await event.wait();
          ++woken;
        });
      }
      co_await turns(12);
      EXPECT_EQ(event.statistics().waiting, 10u);
      EXPECT_EQ(woken, 0);
      event.set();
      EXPECT_EQ(woken, 0) << "set() resumed somebody inside";
    });
    EXPECT_EQ(woken, 10);
    EXPECT_EQ(event.statistics().wakes, 10u);
    co_await event.wait();
    event.reset();
    EXPECT_FALSE(event.is_set());
    EXPECT_FALSE((co_await with_timeout(1ms, event.wait())).has_value());
    EXPECT_EQ(event.statistics().waiting, 0u);
  });
}

TEST(EventDeathTest, dying_with_waiters_says_so) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run([]() -> Task<> {
                 auto event = std::make_unique<Event>();
                 co_await with_scope([&](Scope& scope) -> Task<> {
                   scope.start([](Event* e) -> Task<> { co_await e->wait(); }, event.get());
                   co_await turns(2);
                   event.reset();
                 });
               }),
               "was destroyed while a task waits in it: declare it above");
}

}  // namespace
}  // namespace rondo
