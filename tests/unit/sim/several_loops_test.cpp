// SPDX-License-Identifier: Apache-2.0
// A simulated process with several loops: deterministic, and it can crash as one.
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/on.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/testing/sim_world.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

/// A task that visits the loops in turn and computes in between.
Task<int> visit(int left) {
  if (left == 0) co_return 0;
  const LoopRef& next = loops()[static_cast<std::size_t>(left) % loops().size()];
  const int here = (co_await run_cpu([left] { return left; })).value_or(-1'000);
  const auto below = co_await with_timeout(Duration(left * 700us), on(next, visit, left - 1));
  co_return here + below.value_or(0);
}

struct Outcome {
  std::uint64_t hash = 0;
  int sum = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome run_with(std::uint64_t seed) {
  Outcome result;
  bool over = false;
  SimWorld world({.seed = seed, .faults = io::SimFaults::draw(seed)});
  world.host("server", "10.0.0.1", 4).start([&]() -> Task<> {
    for (const auto& each : co_await on_each(visit, 9)) result.sum += each.value_or(-1'000'000);
    over = true;
  });
  EXPECT_TRUE(world.run_until([&] { return over; }, 1h));
  result.hash = world.trace_hash();
  return result;
}

TEST(sim_several_loops, a_seed_replays_a_program_of_several_loops_exactly) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Outcome first = run_with(seed);
    EXPECT_EQ(first, run_with(seed)) << "seed " << seed;
    EXPECT_GT(first.sum, 0);
    hashes.insert(first.hash);
  }
  EXPECT_GT(hashes.size(), 50u) << "different seeds give different interleavings";
}

TEST(sim_several_loops, a_crash_takes_every_loop_of_the_process_and_a_restart_brings_them_back) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    int boots = 0;  // Before the world: its end destroys frames that refer to them.
    int living = 0;
    struct Alive {
      explicit Alive(int& n) : count(n) { ++count; }
      ~Alive() { --count; }
      int& count;
    };
    SimWorld world({.seed = seed});
    SimHost& server = world.host("server", "10.0.0.1", 3);
    server.start([&]() -> Task<> {
      ++boots;
      static_cast<void>(co_await on_each([&]() -> Task<> {
        Alive here(living);
        co_await on(loops()[1], []() -> Task<> { co_await sleep_for(1h); }).or_throw();
      }));
    });
    world.run_for(Duration(seed * 10us));
    world.crash("server");
    EXPECT_FALSE(server.is_up());
    world.run_for(1s);
    EXPECT_EQ(living, 0) << "seed " << seed;
    world.restart("server");
    world.run_for(1s);
    EXPECT_EQ(boots, 2);
    EXPECT_EQ(living, 3);
    EXPECT_GT(server.live_tasks(), 3u);
  }
}

TEST(sim_several_loops, a_stop_asked_of_the_host_reaches_every_loop) {
  int stopped = 0;
  SimWorld world;
  SimHost& server = world.host("server", "10.0.0.1", 3);
  server.start([&]() -> Task<> {
    for (auto& each : co_await on_each([]() -> Task<> { co_await until_stop_requested(); })) {
      stopped += each.has_value();
    }
  });
  world.run_for(1ms);
  EXPECT_EQ(stopped, 0);
  server.request_stop();
  world.run_for(1ms);
  EXPECT_EQ(stopped, 3);
}

Task<> serve(net::Endpoint where, std::set<std::size_t>* used) {
  auto listener = tcp::listen({.address = where.to_string(), .reuse_port = true}).or_throw();
  while (auto peer = co_await listener.accept()) {
    for (std::size_t i = 0; i < loops().size(); ++i) {
      if (loops()[i].is_current()) used->insert(i);
    }
    static_cast<void>(co_await peer->write_all("hello\n"));
  }
}

TEST(sim_several_loops, clients_of_other_hosts_are_spread_over_the_shards) {
  std::set<std::size_t> used;
  int answered = 0;
  SimWorld world({.seed = 3});
  world.host("server", "10.0.0.1", 4).start([&]() -> Task<> {
    const auto where = net::Endpoint::parse("10.0.0.1:7000").or_throw();
    static_cast<void>(co_await on_each(serve, where, &used));
  });
  world.host("client", "10.0.0.2").start([&]() -> Task<> {
    co_await sleep_for(1ms);
    for (int i = 0; i < 50; ++i) {
      auto peer = (co_await tcp::connect("10.0.0.1:7000")).or_throw();
      answered += (co_await peer.read_line()).or_throw().text() == "hello\n";
    }
  });
  world.run_for(10s);
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(used.size(), 4u);
}

#ifndef NDEBUG
TEST(sim_several_loops, using_a_thing_of_one_loop_on_another_is_an_assertion_also_in_one_thread) {
  EXPECT_DEATH(
      {
        Event event;
        SimWorld world;
        world.host("server", "10.0.0.1", 2).start([&]() -> Task<> {
          co_await with_scope([&](Scope& scope) -> Task<> {
            scope.start_on(loops()[1], [&event]() -> Task<> {
              co_await sleep_for(1ms);
              event.set();
            });
            co_await event.wait();
          });
        });
        world.run_for(1s);
      },
      "a task of one loop was woken or cancelled from another");
}
#endif

}  // namespace
}  // namespace rondo::testing
