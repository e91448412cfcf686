// SPDX-License-Identifier: Apache-2.0
// Databases on a simulated disk: what a commit promised holds after every crash.
#include <gtest/gtest.h>

#include <optional>

#include "rondo/sqlite/connection.hpp"
#include "rondo/testing/sim_world.hpp"
#include "sim_vfs.hpp"

namespace rondo::sqlite {
namespace {

using namespace std::chrono_literals;

/// A server that counts in a database as fast as it can, and a test that crashes it.
struct Counter {
  explicit Counter(std::uint64_t seed) : world({.seed = seed}) {
    vfs.emplace(world.host("server", "10.0.0.1").disk());
    world.host("server").start([this] { return count(); });
  }

  static Result<std::int64_t> add_one(Database& d) {
    auto tx = d.begin();
    if (!tx) return tx.error();
    auto last = d.first<std::int64_t>("SELECT coalesce(max(n), 0) FROM t");
    if (!last) return last.error();
    const std::int64_t next = std::get<0>(**last) + 1;
    auto in = d.run("INSERT INTO t VALUES(?, ?)", next, std::string(3'000, 'x'));
    if (!in) return in.error();
    if (auto committed = tx->commit(); !committed) return committed.error();
    return next;
  }

  Task<> count() {
    auto db = co_await Connection::open({.path = "/n.db", .vfs = vfs->name()});
    if (!db) co_return;
    (void)co_await db->run(
        [](Database& d) { return d.script("CREATE TABLE IF NOT EXISTS t(n INTEGER, x TEXT)"); });
    while (true) {
      auto done = co_await db->run(add_one);
      if (!done) co_return;
      if (*done <= acknowledged) ++gone_back;
      acknowledged = *done;
    }
  }

  /// What a new process finds; -1 when the database is broken.
  std::int64_t stored() {
    auto db = Database::open({.path = "/n.db", .vfs = vfs->name()});
    if (!db) return -1;
    auto check = db->first<std::string>("PRAGMA integrity_check");
    if (!check || std::get<0>(**check) != "ok") return -1;
    auto counted =
        db->first<std::int64_t, std::int64_t>("SELECT coalesce(max(n), 0), count(*) FROM t");
    if (!counted) return 0;  // The table was not yet there.
    const auto [most, rows] = **counted;
    return most == rows ? most : -1;
  }

  std::int64_t acknowledged = 0;
  int gone_back = 0;
  std::optional<SimVfs> vfs;  // Outlives the world's tasks.
  testing::SimWorld world;
};

TEST(SqliteOnSim, a_commit_survives_a_power_loss_at_any_call) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    Counter counter(seed);
    counter.world.host("server").disk().before_call(10 + seed,
                                                    [&] { counter.world.power_off("server"); });
    counter.world.run_for(10s);
    ASSERT_FALSE(counter.world.host("server").is_up());
    const std::int64_t stored = counter.stored();
    ASSERT_GE(stored, counter.acknowledged) << "seed " << seed;
    ASSERT_LE(stored, counter.acknowledged + 1) << "seed " << seed;
  }
}

// Found by `rondo-sim chat-crash`: a process killed between the write of a commit and its sync left
// a transaction that the next process showed, and that a power loss then took.
TEST(SqliteOnSim, what_a_new_process_finds_survives_a_power_loss) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Counter counter(seed);
    counter.world.host("server").disk().before_call(40 + seed,
                                                    [&] { counter.world.crash("server"); });
    counter.world.run_for(10s);
    std::int64_t found = 0;
    {
      // Open until the power goes: the last connection's close would sync everything.
      auto db = Database::open({.path = "/n.db", .vfs = counter.vfs->name()});
      ASSERT_TRUE(db);
      auto most = db->first<std::int64_t>("SELECT max(n) FROM t");
      if (most && *most) found = std::get<0>(**most);
      counter.world.restart("server");
      counter.world.power_off("server");
    }
    ASSERT_GE(counter.stored(), found) << "seed " << seed;
  }
}

TEST(SqliteOnSim, a_commit_survives_the_end_of_its_process_again_and_again) {
  Counter counter(5);
  for (std::uint64_t crash = 0; crash < 60; ++crash) {
    counter.world.host("server").disk().before_call(40 + crash * 7 % 100,
                                                    [&] { counter.world.crash("server"); });
    counter.world.run_for(5s);
    ASSERT_FALSE(counter.world.host("server").is_up());
    ASSERT_GE(counter.stored(), counter.acknowledged);
    counter.world.restart("server");
    counter.world.run_for(20ms);
  }
  EXPECT_EQ(counter.gone_back, 0);
  EXPECT_GT(counter.acknowledged, 60);
}

TEST(SqliteOnSim, a_full_disk_refuses_a_commit_and_keeps_the_rest) {
  Counter counter(6);
  counter.world.run_for(100ms);
  io::SimFaults full;
  full.disk.size = counter.world.host("server").disk().used_bytes() + 30'000;
  counter.world.set_faults(full);
  counter.world.run_for(60s);
  counter.world.set_faults({});
  counter.world.crash("server");
  EXPECT_GT(counter.acknowledged, 0);
  // What was refused may stand in the log as a whole, only its padding did not fit: nobody was
  // promised anything of it, and a process that starts anew finds it.
  const std::int64_t stored = counter.stored();
  EXPECT_GE(stored, counter.acknowledged);
  EXPECT_LE(stored, counter.acknowledged + 1);
}

TEST(SqliteOnSim, two_connections_of_a_process_share_the_log_and_the_lock) {
  testing::SimWorld world({.seed = 7});
  SimVfs vfs(world.host("server", "10.0.0.1").disk());
  auto writer = Database::open({.path = "/a.db", .vfs = vfs.name()}).or_throw();
  ASSERT_TRUE(writer.script("CREATE TABLE t(n)"));
  auto reader =
      Database::open({.path = "/a.db", .mode = Mode::read_only, .vfs = vfs.name()}).or_throw();
  auto tx = writer.begin();
  ASSERT_TRUE(tx);
  ASSERT_TRUE(writer.run("INSERT INTO t VALUES(1)"));
  EXPECT_EQ(std::get<0>(**reader.first<std::int64_t>("SELECT count(*) FROM t")), 0);
  auto second = Database::open({.path = "/a.db", .busy_timeout = 10ms, .vfs = vfs.name()});
  ASSERT_TRUE(second);
  EXPECT_EQ(second->begin().error(), Errc::try_again);
  ASSERT_TRUE(tx->commit());
  EXPECT_EQ(std::get<0>(**reader.first<std::int64_t>("SELECT count(*) FROM t")), 1);
}

}  // namespace
}  // namespace rondo::sqlite
