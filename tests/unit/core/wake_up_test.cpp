// SPDX-License-Identifier: Apache-2.0
// The wake-up queue in every interleaving of up to two preemptions (reliability of the scheduler):
// the real PostQueue, Gate and WakeFlag on the explorer's atomics.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "interleavings.hpp"
#include "io/wake_flag.hpp"
#include "rondo/core/detail/post_queue.hpp"

namespace rondo::testing {
namespace {

template <class T>
using Strong = Model<T>;
template <class T>
using Relaxed = Model<T, true>;

struct Entry : detail::Ready {
  Cell payload;
  int number = 0;
};

/// How it may be built wrongly; the explorer has to notice.
enum class Fault { none, wakes_before_pushing, clears_after_taking, ends_without_waiting };

/// A loop and its driver, as far as waking goes.
template <template <class> class Atomic>
struct WakeableLoop {
  detail::BasicPostQueue<Atomic> queue;
  io::BasicWakeFlag<Atomic> flag;
  Signal signal;
  Atomic<bool> stop_asked{false};

  void wake() {
    flag.fire([this] { signal.raise(); });
  }
  void post(Entry& entry, Fault fault) {
    if (fault == Fault::wakes_before_pushing) {
      wake();
      return queue.push(entry, [] {});
    }
    queue.push(entry, [this] { wake(); });
  }
  void request_stop() {
    queue.waking([this] {
      if (!stop_asked.exchange(true, std::memory_order_release)) wake();
    });
  }

  /// Turns until `count` entries have run and, if one will come, a stop was seen.
  std::vector<int> run(std::size_t count, bool until_stop, Fault fault) {
    Explorer& explorer = Explorer::current();
    std::vector<int> ran;
    bool stopped = !until_stop;
    while (!explorer.failed() && (ran.size() < count || !stopped)) {
      if (!stopped) stopped = stop_asked.load(std::memory_order_acquire);
      if (fault != Fault::clears_after_taking && !queue.seems_empty()) take(ran);
      if (ran.size() == count && stopped) break;
      if (fault != Fault::clears_after_taking && !queue.empty()) continue;
      signal.sleep();
      if (fault == Fault::clears_after_taking) take(ran);
      flag.clear();
    }
    while (fault != Fault::ends_without_waiting && !explorer.failed() && !queue.settled()) {
      explorer.pause();
    }
    return ran;
  }
  void take(std::vector<int>& ran) {
    for (detail::Ready* at = queue.take_all(); at;) {
      auto& entry = static_cast<Entry&>(*at);
      at = at->queue_next;
      entry.payload.read();
      ran.push_back(entry.number);
    }
  }
};

struct Scenario {
  int posts = 2;            ///< of one thread
  bool other_posts = true;  ///< another thread posts as well
  bool other_stops = false;
  Fault fault = Fault::none;
};

/// A loop that ends when all that was sent to it has come.
template <template <class> class Atomic>
std::string explore_posts(Explorer& explorer, Scenario with) {
  return explorer.explore([with](Explorer::Run& run) {
    struct Shared {
      WakeableLoop<Atomic> loop;
      Entry entries[3];
    };
    auto shared = std::make_shared<Shared>();
    run.thread([shared, with] {
      const std::size_t count = static_cast<std::size_t>(with.posts + with.other_posts);
      const std::vector<int> ran = shared->loop.run(count, with.other_stops, with.fault);
      Explorer::current().retire(shared->loop);  // Whoever touches it from here on is found out.
      std::vector<int> first = ran;
      std::erase(first, 0);
      if (!std::is_sorted(first.begin(), first.end())) {
        Explorer::current().fail("posts changed places");
      }
    });
    run.thread([shared, with] {
      for (int number = 1; number <= with.posts; ++number) {
        Entry& entry = shared->entries[number];
        entry.number = number;
        entry.payload.write();
        shared->loop.post(entry, with.fault);
      }
    });
    if (with.other_posts) {
      run.thread([shared, with] {
        shared->entries[0].payload.write();
        shared->loop.post(shared->entries[0], with.fault);
      });
    }
    if (with.other_stops) run.thread([shared] { shared->loop.request_stop(); });
  });
}

TEST(wake_up, no_interleaving_loses_an_entry_or_its_order_or_touches_a_loop_that_ended) {
  Explorer explorer;
  EXPECT_EQ(explore_posts<Strong>(explorer, {}), "");
  EXPECT_GT(explorer.runs(), 500u);
}

TEST(wake_up, no_interleaving_loses_a_stop_among_posts) {
  Explorer explorer;
  EXPECT_EQ(explore_posts<Strong>(explorer, {.other_posts = false, .other_stops = true}), "");
  EXPECT_GT(explorer.runs(), 500u);
}

TEST(wake_up, the_explorer_finds_a_post_that_wakes_too_early) {
  Explorer explorer;
  const std::string found = explore_posts<Strong>(explorer, {.fault = Fault::wakes_before_pushing});
  EXPECT_NE(found.find("deadlock"), std::string::npos) << found;
}

TEST(wake_up, the_explorer_finds_a_wake_up_that_is_cleared_too_late) {
  Explorer explorer;
  const std::string found = explore_posts<Strong>(explorer, {.fault = Fault::clears_after_taking});
  EXPECT_NE(found.find("deadlock"), std::string::npos) << found;
}

TEST(wake_up, the_explorer_finds_a_loop_that_ends_under_a_thread_that_wakes_it) {
  Explorer explorer;
  const std::string found = explore_posts<Strong>(explorer, {.fault = Fault::ends_without_waiting});
  EXPECT_NE(found.find("had ended"), std::string::npos) << found;
}

TEST(wake_up, the_explorer_finds_missing_memory_orders) {
  Explorer explorer;
  const std::string found = explore_posts<Relaxed>(explorer, {});
  EXPECT_NE(found.find("race"), std::string::npos) << found;
}

/// Threads post through a gate while the owner closes it and ends.
template <template <class> class Atomic>
std::string explore_gate(Explorer& explorer, bool waits_for_leavers = true) {
  return explorer.explore([=](Explorer::Run& run) {
    struct Guarded {
      Cell inside;
      Atomic<int> taken{0};
    };
    struct Shared {
      detail::BasicGate<Atomic> gate;
      Guarded guarded;
    };
    auto shared = std::make_shared<Shared>();
    run.thread([=] {
      shared->gate.close();
      while (waits_for_leavers && !Explorer::current().failed() && !shared->gate.settled()) {
        Explorer::current().pause();
      }
      shared->guarded.inside.write();  // Alone from here on.
      Explorer::current().retire(shared->guarded);
      if (!shared->gate.closed()) Explorer::current().fail("a closed gate is open");
    });
    for (int i = 0; i < 2; ++i) {
      run.thread([shared] {
        if (!shared->gate.enter()) return;
        shared->guarded.inside.read();
        shared->guarded.taken.fetch_add(1, std::memory_order_relaxed);
        shared->gate.leave();
        if (shared->gate.enter()) shared->gate.leave();
      });
    }
  });
}

TEST(wake_up, whoever_a_gate_lets_in_is_waited_for_in_every_interleaving) {
  Explorer explorer;
  EXPECT_EQ(explore_gate<Strong>(explorer), "");
  EXPECT_GT(explorer.runs(), 100u);
  EXPECT_NE(explore_gate<Strong>(explorer, false), "") << "and one that does not wait is found";
  EXPECT_NE(explore_gate<Relaxed>(explorer), "") << "and one without its orders";
}

}  // namespace
}  // namespace rondo::testing
