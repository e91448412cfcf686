// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/priority_queue.hpp"

#include <algorithm>

#include "sync_fixture.hpp"

namespace rondo::testing {
namespace {

struct Job {
  int priority;
  int number;
  bool operator<(const Job& other) const { return priority < other.priority; }
};

TEST(PriorityQueue, gives_the_smallest_first_and_equals_in_their_order) {
  run_sync([]() -> Task<> {
    PriorityQueue<Job> jobs(100);
    Dice dice(7);
    for (int i = 0; i < 100; ++i) {
      (co_await jobs.send({static_cast<int>(dice.below(5)), i})).or_throw();
    }
    jobs.close();
    Job last{-1, -1};
    int count = 0;
    while (auto job = co_await jobs.receive()) {
      EXPECT_TRUE(job->priority > last.priority ||
                  (job->priority == last.priority && job->number > last.number));
      last = *job;
      ++count;
    }
    EXPECT_EQ(count, 100);
  });
}

struct ByMore {
  bool operator()(int a, int b) const { return a > b; }
};

TEST(PriorityQueue, takes_another_order) {
  run_sync([]() -> Task<> {
    PriorityQueue<int, ByMore> numbers(3);
    for (int n : {1, 3, 2}) EXPECT_TRUE(numbers.try_send(n));
    EXPECT_FALSE(numbers.try_send(4));
    EXPECT_EQ(*numbers.try_receive(), 3);
    EXPECT_EQ(*co_await numbers.receive(), 2);
    EXPECT_EQ(*co_await numbers.receive(), 1);
    EXPECT_FALSE(numbers.try_receive().has_value());
  });
}

TEST(PriorityQueue, when_full_does_what_it_was_told) {
  run_sync([]() -> Task<> {
    PriorityQueue<int> reject(1, OnFull::reject);
    (co_await reject.send(1)).or_throw();
    EXPECT_EQ((co_await reject.send(2)).error().code(), Errc::would_exceed);
    PriorityQueue<int> drop(1, OnFull::drop_newest);
    (co_await drop.send(1)).or_throw();
    EXPECT_TRUE((co_await drop.send(0)).has_value());
    EXPECT_EQ(drop.statistics().dropped, 1u);
    EXPECT_EQ(*co_await drop.receive(), 1);
    PriorityQueue<int> close(1, OnFull::close);
    (co_await close.send(1)).or_throw();
    EXPECT_EQ((co_await close.send(2)).error().code(), Errc::closed);
    EXPECT_EQ(*co_await close.receive(), 1);
    EXPECT_FALSE((co_await close.receive()).has_value());
  });
}

TEST(PriorityQueue, a_cancelled_sender_or_receiver_leaves_nothing_behind) {
  run_sync([]() -> Task<> {
    PriorityQueue<int> queue(1);
    EXPECT_FALSE((co_await with_timeout(1ms, queue.receive())).has_value());
    (co_await queue.send(1)).or_throw();
    EXPECT_FALSE((co_await with_timeout(1ms, queue.send(0))).has_value());
    EXPECT_EQ(queue.statistics().senders_waiting + queue.statistics().receivers_waiting, 0u);
    EXPECT_EQ(*co_await queue.receive(), 1);
    EXPECT_EQ(queue.size(), 0u);
  });
}

TEST(PriorityQueue, drop_oldest_drops_the_least_urgent_and_among_equals_the_oldest) {
  run_sync([]() -> Task<> {
    PriorityQueue<Job> jobs(3, OnFull::drop_oldest);
    for (const Job job : {Job{1, 0}, Job{5, 1}, Job{5, 2}}) (co_await jobs.send(job)).or_throw();
    (co_await jobs.send({3, 3})).or_throw();  // For the older of the two with 5.
    (co_await jobs.send({9, 4})).or_throw();  // Less urgent than all: it is the one dropped.
    EXPECT_EQ(jobs.statistics().dropped, 2u);
    EXPECT_EQ(jobs.statistics().sent, 4u);
    std::vector<int> numbers;
    while (auto job = jobs.try_receive()) numbers.push_back(job->number);
    EXPECT_EQ(numbers, (std::vector<int>{0, 3, 2}));
  });
}

TEST(PriorityQueue, push_never_waits_and_does_what_it_was_told_when_full) {
  run_sync([]() -> Task<> {
    PriorityQueue<int> oldest(2, OnFull::drop_oldest);
    for (const int n : {5, 3, 4}) EXPECT_TRUE(oldest.push(n));
    EXPECT_EQ(oldest.try_receive(), 3);
    EXPECT_EQ(oldest.try_receive(), 4);
    PriorityQueue<int> wait(1);
    EXPECT_TRUE(wait.push(1));
    EXPECT_EQ(wait.push(0).error().code(), Errc::would_exceed);
    PriorityQueue<int> close(1, OnFull::close);
    EXPECT_TRUE(close.push(1));
    EXPECT_EQ(close.push(0).error().code(), Errc::closed);
    EXPECT_TRUE(close.closed());
    co_return;
  });
}

TEST(PriorityQueue, nothing_is_lost_or_doubled_in_any_order_with_random_cancels) {
  run_seeds(80, [](std::uint64_t seed) -> Task<> {
    PriorityQueue<int> queue(3);
    Dice dice(seed);
    std::vector<int> sent;
    std::vector<int> got;
    co_await with_scope([&](Scope& all) -> Task<> {
      co_await with_scope([&](Scope& senders) -> Task<> {
        for (int who = 0; who < 4; ++who) {
          senders.start(
              [](PriorityQueue<int>& q, Dice& d, std::vector<int>& s, int me) -> Task<> {
                for (int i = 0; i < 10; ++i) {
                  const int item = me * 100 + i;
                  auto done = co_await with_timeout(Duration(d.below(4) * 1ms), q.send(item));
                  if (done) s.push_back(item);
                }
              },
              std::ref(queue), std::ref(dice), std::ref(sent), who);
        }
        for (int who = 0; who < 2; ++who) {
          all.start(
              [](PriorityQueue<int>& q, Dice& d, std::vector<int>& g) -> Task<> {
                while (true) {
                  auto item = co_await with_timeout(Duration((1 + d.below(3)) * 1ms), q.receive());
                  if (!item) continue;
                  if (!*item) co_return;
                  g.push_back(**item);
                  co_await sleep_for(Duration(d.below(3) * 1ms));
                }
              },
              std::ref(queue), std::ref(dice), std::ref(got));
        }
        co_return;
      });
      queue.close();
    });
    std::ranges::sort(sent);
    std::ranges::sort(got);
    EXPECT_EQ(got, sent);
  });
}

}  // namespace
}  // namespace rondo::testing
