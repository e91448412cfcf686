// SPDX-License-Identifier: Apache-2.0
// The awaited half, on a real loop with its thread and in virtual time.
#include <gtest/gtest.h>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/sqlite/connection.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::sqlite {
namespace {

using namespace literals;

Task<> count_to(Connection& db, int count) {
  for (int n = 0; n < count; ++n) {
    auto in = co_await db.run([n](Database& d) { return d.run("INSERT INTO t VALUES(?)", n); });
    EXPECT_TRUE(in);
  }
}

Task<> two_writers_and_a_sum() {
  auto db = (co_await Connection::open({.path = ":memory:"})).or_throw();
  (co_await db.run([](Database& d) { return d.script("CREATE TABLE t(a)"); })).or_throw();
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(count_to, std::ref(db), 20);
    scope.start(count_to, std::ref(db), 20);
    co_return;
  });
  auto sum = co_await db.run([](Database& d) {
    return d.first<std::int64_t, std::int64_t>("SELECT count(*), sum(a) FROM t");
  });
  EXPECT_EQ(**sum, std::make_tuple(std::int64_t{40}, std::int64_t{380}));
}

TEST(Connection, RunsWhatTasksHandOverInOrderOnARealLoop) {
  Loop loop;
  EXPECT_TRUE(loop.run(two_writers_and_a_sum()));
}

TEST(Connection, RunsTheSameInVirtualTime) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    testing::SimLoop sim{{.seed = seed, .order = testing::SimOrder::by_seed}};
    sim.run(two_writers_and_a_sum);
  }
}

TEST(Connection, AnErrorOfOpeningIsTheResult) {
  testing::SimLoop sim;
  sim.run([]() -> Task<> {
    auto db = co_await Connection::open({.path = "/nowhere/at/all.db"});
    EXPECT_FALSE(db);
    if (!db) EXPECT_EQ(db.error(), Errc::no_such_file);
  });
}

Task<> cancelled_runs() {
  auto db = (co_await Connection::open({.path = ":memory:"})).or_throw();
  (co_await db.run([](Database& d) { return d.script("CREATE TABLE t(a)"); })).or_throw();
  auto end = co_await move_on_after(1ms, [&](Scope&) -> Task<> {
    for (;;) co_await count_to(db, 1);
  });
  EXPECT_TRUE(end.cancelled);
  // Whatever was cut off, the connection goes on and holds no open transaction.
  auto rows = co_await db.run([](Database& d) -> Result<std::int64_t> {
    auto tx = d.begin();
    if (!tx) return tx.error();
    auto count = d.first<std::int64_t>("SELECT count(*) FROM t");
    if (!count) return count.error();
    if (auto done = tx->commit(); !done) return done.error();
    return std::get<0>(**count);
  });
  EXPECT_TRUE(rows);
}

TEST(Connection, ACancelledRunLeavesTheConnectionUsable) {
  Loop loop;
  EXPECT_TRUE(loop.run(cancelled_runs()));
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    testing::SimLoop sim{{.seed = seed, .order = testing::SimOrder::by_seed}};
    sim.run(cancelled_runs);
  }
}

}  // namespace
}  // namespace rondo::sqlite
