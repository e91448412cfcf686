// SPDX-License-Identifier: Apache-2.0
// Generators, select, race, map_concurrent and TaskLocal cancelled at random points, on every
// driver: nothing is left, no item is lost. A failure names its seed.
#include <random>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/generator.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/race.hpp"
#include "rondo/core/select.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/task_local.hpp"

namespace rondo::testing {
namespace {

TaskLocal<std::string> t_who;

struct World {
  std::mt19937_64 random;
  long guards = 0;
  long sent = 0;
  long got = 0;
  Channel<int>* a = nullptr;
  Channel<int>* b = nullptr;
  Semaphore* permits = nullptr;
  int pipe = -1;

  std::uint64_t below(std::uint64_t n) { return random() % n; }
  Duration moment() { return std::chrono::microseconds(below(40)); }
};

AsyncGenerator<int> numbers(World& w, std::uint64_t kind) {
  Guard guard(w.guards);
  for (int i = 0; i < 4; ++i) {
    if (kind == 0)
      co_await sleep_for(w.moment());
    else if (kind == 1)
      co_await read_text(w.pipe, 8);  // Nothing comes: a kernel operation.
    else if (kind == 2)
      (void)co_await run_blocking([] { return 1; });
    else
      co_await checkpoint();
    Guard inner(w.guards);
    co_yield i;
  }
}
AsyncGenerator<int> passed_on(World& w, AsyncGenerator<int> from) {
  Guard guard(w.guards);
  while (auto n = co_await from.next()) co_yield *n;
}
Task<> consume(World& w) {
  Guard guard(w.guards);
  auto all = passed_on(w, numbers(w, w.below(4)));
  const std::uint64_t most = w.below(6);
  for (std::uint64_t i = 0; i < most; ++i) {
    if (!co_await all.next()) break;
  }
}
Task<> choose(World& w) {
  Guard guard(w.guards);
  for (int i = 0; i < 4; ++i) {
    auto one = co_await select(w.a->receive(), w.permits->acquire(), w.b->receive(), consume(w),
                               sleep_for(w.moment()));
    w.got += std::get<0>(one.values).has_value() && std::get<0>(one.values)->has_value();
    w.got += std::get<2>(one.values).has_value() && std::get<2>(one.values)->has_value();
  }
}
Task<> produce(World& w, Channel<int>& to) {
  Guard guard(w.guards);
  for (int i = 0; i < 8; ++i) {
    if (co_await to.send(i)) ++w.sent;
    co_await sleep_for(w.moment());
  }
}
Task<Result<int>> attempt(World& w) {
  Guard guard(w.guards);
  co_await consume(w);
  if (w.below(2) == 0) co_return Errc::closed;
  co_return 1;
}
Task<> together(World& w) {
  Guard guard(w.guards);
  (void)co_await race(attempt(w), attempt(w), attempt(w));
  std::vector<int> items{1, 2, 3, 4, 5};
  (void)co_await map_concurrent(items, 1 + w.below(3), [&w](int) { return attempt(w); });
}
Task<> named(World& w) {
  Guard guard(w.guards);
  auto inside = [](World& world) -> Task<> {
    EXPECT_EQ(t_who.value_or("?"), "named");
    co_await together(world);
    EXPECT_EQ(t_who.value_or("?"), "named");
  };
  co_await t_who.with("named", inside(w));
  EXPECT_EQ(t_who.get(), nullptr);
}

class StructureCancel : public EveryDriver {};

TEST_P(StructureCancel, random_points_leave_nothing_behind) {
  const auto guard = std::chrono::steady_clock::now() + 6s;  // Never an endless test.
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    if (std::chrono::steady_clock::now() > guard) break;
    SCOPED_TRACE("seed " + std::to_string(seed));
    run([&]() -> Task<> {
      World w;
      w.random.seed(seed);
      Channel<int> a{w.below(3)};
      Channel<int> b{w.below(3)};
      Semaphore permits{1};
      const Pipe pipe = make_pipe();
      w.a = &a;
      w.b = &b;
      w.permits = &permits;
      w.pipe = pipe.in;
      co_await move_on_after(std::chrono::microseconds(w.below(400)), [&](Scope& scope) -> Task<> {
        scope.start(produce, std::ref(w), std::ref(a));
        scope.start_now(produce, std::ref(w), std::ref(b));
        for (int i = 0; i < 2; ++i) scope.start(choose, std::ref(w));
        scope.start_now(named, std::ref(w));
        scope.start(consume, std::ref(w));
        co_return;
      });
      EXPECT_EQ(w.guards, 0) << "frames that nobody destroyed";
      EXPECT_EQ(w.sent, w.got + static_cast<long>(a.size() + b.size())) << "an item was lost";
      EXPECT_EQ(permits.statistics().available, 1u) << "a permit was lost";
      EXPECT_EQ(a.statistics().receivers_waiting + b.statistics().senders_waiting, 0u);
      co_await close_pipe(pipe);
    });
    if (HasFailure()) return;
  }
}

ON_EVERY_DRIVER(StructureCancel);

}  // namespace
}  // namespace rondo::testing
