// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/thread_channel.hpp"

#include <algorithm>
#include <atomic>
#include <stop_token>
#include <thread>

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

TEST(ThreadChannel, works_between_tasks_of_one_loop_like_a_channel) {
  run_sync([]() -> Task<> {
    ThreadChannel<int> channel(2);
    std::vector<int> got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(
          [](ThreadChannel<int>& to) -> Task<> {
            for (int i = 0; i < 200; ++i) (co_await to.send(i)).or_throw();
            to.close();
          },
          std::ref(channel));
      while (auto item = co_await channel.receive()) got.push_back(*item);
    });
    EXPECT_EQ(got.size(), 200u);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<int>(i));
    EXPECT_EQ(channel.statistics().sent, 200u);
    EXPECT_EQ((co_await channel.send(1)).error().code(), Errc::closed);
  });
}

TEST(ThreadChannel, when_full_does_what_it_was_told) {
  ThreadChannel<int> reject(1, OnFull::reject);
  EXPECT_TRUE(reject.send_blocking(1).has_value());
  EXPECT_EQ(reject.send_blocking(2).error().code(), Errc::would_exceed);
  ThreadChannel<int> oldest(2, OnFull::drop_oldest);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(oldest.send_blocking(i).has_value());
  EXPECT_EQ(oldest.receive_blocking(), 3);
  EXPECT_EQ(oldest.statistics().dropped, 3u);
  ThreadChannel<int> newest(1, OnFull::drop_newest);
  EXPECT_TRUE(newest.send_blocking(1).has_value());
  EXPECT_TRUE(newest.send_blocking(2).has_value());
  EXPECT_EQ(newest.try_receive(), 1);
  EXPECT_FALSE(newest.try_receive().has_value());
  ThreadChannel<int> close(1, OnFull::close);
  EXPECT_TRUE(close.try_send(1));
  EXPECT_FALSE(close.try_send(2));
  EXPECT_EQ(close.send_blocking(2).error().code(), Errc::closed);
  EXPECT_EQ(close.receive_blocking(), 1);
  EXPECT_FALSE(close.receive_blocking().has_value());
}

TEST(ThreadChannel, push_never_waits_and_does_what_it_was_told_when_full) {
  ThreadChannel<int> oldest(2, OnFull::drop_oldest);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(oldest.push(i));
  EXPECT_EQ(oldest.try_receive(), 3);
  ThreadChannel<int> wait(1);
  EXPECT_TRUE(wait.push(1));
  EXPECT_EQ(wait.push(2).error().code(), Errc::would_exceed);
  ThreadChannel<int> close(1, OnFull::close);
  EXPECT_TRUE(close.push(1));
  EXPECT_EQ(close.push(2).error().code(), Errc::closed);
  EXPECT_TRUE(close.statistics().closed);
}

TEST(ThreadChannel, a_cancelled_task_neither_takes_nor_sends) {
  run_sync([]() -> Task<> {
    ThreadChannel<int> channel(1);
    EXPECT_FALSE((co_await with_timeout(1ms, channel.receive())).has_value());
    EXPECT_TRUE(channel.try_send(1));
    EXPECT_FALSE((co_await with_timeout(1ms, channel.send(2))).has_value());
    EXPECT_EQ(channel.statistics().receivers_waiting + channel.statistics().senders_waiting, 0u);
    EXPECT_EQ(channel.try_receive(), 1);
    EXPECT_EQ(channel.statistics().size, 0u);
  });
}

TEST(ThreadChannel, an_item_handed_over_while_its_receiver_is_cancelled_is_delivered) {
  run_sync([]() -> Task<> {
    ThreadChannel<int> channel(1);
    int got = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto receiver = scope.start(
          [](ThreadChannel<int>& from, int& into) -> Task<> { into = *co_await from.receive(); },
          std::ref(channel), std::ref(got));
      co_await turns(2);
      EXPECT_TRUE(channel.try_send(7));  // Posted to the loop, not yet run.
      receiver.cancel();
      co_await turns(3);
    });
    EXPECT_EQ(got, 7) << "data wins";
  });
}

TEST(ThreadChannelDeathTest, blocking_on_a_loops_thread_is_an_assertion) {
  const auto blocks = [] {
    run_sync([]() -> Task<> {
      ThreadChannel<int> channel(1);
      (void)channel.receive_blocking();
      co_return;
    });
  };
  EXPECT_DEATH(blocks(), "on a loop's thread");
}

TEST(ThreadChannel, a_stop_request_ends_a_blocking_wait_and_loses_nothing) {
  ThreadChannel<int> channel(1);
  std::stop_source stop;
  std::thread receiver([&] { EXPECT_FALSE(channel.receive_blocking(stop.get_token())); });
  while (channel.statistics().receivers_waiting == 0) std::this_thread::yield();
  stop.request_stop();
  receiver.join();
  EXPECT_EQ(channel.statistics().receivers_waiting, 0u);
  EXPECT_TRUE(channel.try_send(1));
  std::stop_source other;
  std::thread sender([&] {
    EXPECT_EQ(channel.send_blocking(2, other.get_token()).error().code(), Errc::stopping);
  });
  while (channel.statistics().senders_waiting == 0) std::this_thread::yield();
  other.request_stop();
  sender.join();
  EXPECT_EQ(channel.receive_blocking(other.get_token()), 1) << "what is there is taken";
  EXPECT_FALSE(channel.receive_blocking(other.get_token())) << "requested before the wait";
  EXPECT_EQ(channel.statistics().sent, 1u);
}

TEST(ThreadChannel, closing_ends_blocking_waits) {
  ThreadChannel<int> channel(1);
  std::thread receiver([&] { EXPECT_FALSE(channel.receive_blocking()); });
  while (channel.statistics().receivers_waiting == 0) std::this_thread::yield();
  channel.close();
  receiver.join();
}

TEST(ThreadChannel, nothing_is_lost_or_doubled_in_any_order_with_random_cancels) {
  run_seeds(60, [](std::uint64_t seed) -> Task<> {
    ThreadChannel<int> channel(1 + seed % 3);
    Dice dice(seed);
    std::vector<int> sent;
    std::vector<std::vector<int>> received(2);
    co_await with_scope([&](Scope& all) -> Task<> {
      for (std::size_t who = 0; who < 2; ++who) {
        all.start([&, who]() -> Task<> {
          while (true) {
            auto item =
                co_await with_timeout(Duration((1 + dice.below(3)) * 1ms), channel.receive());
            if (!item) continue;
            if (!*item) co_return;
            received[who].push_back(**item);
            co_await sleep_for(Duration(dice.below(3) * 1ms));
          }
        });
      }
      co_await with_scope([&](Scope& senders) -> Task<> {
        for (int who = 0; who < 4; ++who) {
          senders.start([&, who]() -> Task<> {
            for (int i = 0; i < 10; ++i) {
              const int item = who * 100 + i;
              auto done = co_await with_timeout(Duration(dice.below(4) * 1ms), channel.send(item));
              if (done) sent.push_back(item);
            }
          });
        }
        co_return;
      });
      channel.close();
    });
    std::vector<int> got;
    for (const std::vector<int>& each : received) {
      std::vector<int> last(4, -1);
      for (const int item : each) {
        int& before = last[static_cast<std::size_t>(item / 100)];
        EXPECT_GT(item, before) << "a receiver sees one sender's items in their order";
        before = item;
        got.push_back(item);
      }
    }
    std::ranges::sort(sent);
    std::ranges::sort(got);
    EXPECT_EQ(got, sent);
  });
}

/// Two loops and two plain threads send and receive at once; some receives are cancelled.
TEST(ThreadChannel, loses_and_doubles_nothing_between_threads_and_loops) {
  constexpr int k_each = 500;
  ThreadChannel<int> channel(4);
  std::atomic<int> senders{4};
  std::atomic<long> sum{0};
  std::atomic<int> count{0};
  const auto sent_all = [&] {
    if (senders.fetch_sub(1) == 1) channel.close();
  };
  const auto took = [&](int item) {
    sum += item;
    ++count;
  };
  std::vector<std::thread> threads;
  for (int who = 0; who < 2; ++who) {
    threads.emplace_back([&, who] {
      for (int i = 0; i < k_each; ++i) (void)channel.send_blocking(who * k_each + i);
      sent_all();
    });
    threads.emplace_back([&] {
      while (auto item = channel.receive_blocking()) took(*item);
    });
    threads.emplace_back([&, who] {
      Loop loop;
      (void)loop.run([](auto& ch, auto& done, auto& take, int me) -> Task<> {
        co_await with_scope([&](Scope& scope) -> Task<> {
          scope.start([&]() -> Task<> {
            for (int i = 0; i < k_each; ++i) (co_await ch.send((2 + me) * k_each + i)).or_throw();
            done();
          });
          scope.start([&]() -> Task<> {
            while (true) {
              auto item = co_await with_timeout(100us, ch.receive());
              if (!item) continue;
              if (!*item) co_return;
              take(**item);
            }
          });
          co_return;
        });
      }(channel, sent_all, took, who));
    });
  }
  for (auto& thread : threads) thread.join();
  constexpr long k_all = 4L * k_each;
  EXPECT_EQ(count, k_all);
  EXPECT_EQ(sum, k_all * (k_all - 1) / 2);
  EXPECT_EQ(channel.statistics().sent, static_cast<std::uint64_t>(k_all));
}

}  // namespace
}  // namespace rondo::testing
