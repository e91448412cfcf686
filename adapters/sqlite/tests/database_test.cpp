// SPDX-License-Identifier: Apache-2.0
// The blocking half: values, transactions, errors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "rondo/sqlite/database.hpp"

namespace rondo::sqlite {
namespace {

Database memory() { return Database::open({.path = ":memory:"}).or_throw(); }

TEST(Database, EveryKindOfValueComesBackAsItWentIn) {
  auto db = memory();
  db.script("CREATE TABLE t(a, b, c, d, e)").or_throw();
  const std::string text("nul\0 inside, ü", 15);
  const std::vector<std::byte> blob{std::byte{0}, std::byte{255}};
  db.run("INSERT INTO t VALUES(?, ?, ?, ?, ?)", std::int64_t{-5}, 2.5, text, blob, std::nullopt)
      .or_throw();
  const auto row = db.first<std::int64_t, double, std::string, std::vector<std::byte>,
                            std::optional<std::int64_t>>("SELECT * FROM t")
                       .or_throw();
  ASSERT_TRUE(row);
  EXPECT_EQ(*row,
            std::make_tuple(std::int64_t{-5}, 2.5, text, blob, std::optional<std::int64_t>()));
}

TEST(Database, TextIsBoundAndNeverPartOfTheStatement) {
  auto db = memory();
  db.script("CREATE TABLE t(a TEXT)").or_throw();
  const std::string nasty = "'); DROP TABLE t; --";
  EXPECT_EQ(db.run("INSERT INTO t VALUES(?)", nasty).or_throw(), 1);
  EXPECT_EQ((std::get<0>(*db.first<std::string>("SELECT a FROM t").or_throw())), nasty);
}

TEST(Database, ATransactionWithoutCommitIsRolledBack) {
  auto db = memory();
  db.script("CREATE TABLE t(a)").or_throw();
  {
    auto tx = db.begin().or_throw();
    db.run("INSERT INTO t VALUES(1)").or_throw();
  }
  EXPECT_FALSE(db.in_transaction());
  EXPECT_FALSE(db.first<std::int64_t>("SELECT a FROM t").or_throw());
  auto tx = db.begin().or_throw();
  db.run("INSERT INTO t VALUES(2)").or_throw();
  tx.commit().or_throw();
  EXPECT_EQ(std::get<0>(*db.first<std::int64_t>("SELECT a FROM t").or_throw()), 2);
}

TEST(Database, ErrorsCarryACodeAndTheWordsOfSqlite) {
  auto db = memory();
  db.script("CREATE TABLE t(a UNIQUE)").or_throw();
  db.run("INSERT INTO t VALUES(1)").or_throw();
  auto twice = db.run("INSERT INTO t VALUES(1)");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error(), Errc::exists);
  EXPECT_NE(twice.error().object().find("UNIQUE constraint failed"), std::string_view::npos);
  EXPECT_FALSE(db.run("SELECT nonsense FROM nowhere"));
  EXPECT_FALSE(db.run("INSERT INTO t VALUES(?)", 1, 2)) << "more values than places";
}

TEST(Database, WhatIsNoDatabaseIsRefusedAtOpen) {
  const std::string path = testing::TempDir() + "/no.db";
  std::ofstream(path) << std::string(4096, 'x');
  auto opened = Database::open({.path = path});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), Errc::bad_message);
  EXPECT_EQ(Database::open({.path = path + ".missing", .mode = Mode::read_write}).error(),
            Errc::no_such_file);
  std::filesystem::remove(path);
}

TEST(Database, AStatementUsedInsideItselfIsCompiledTwice) {
  auto db = memory();
  db.script("CREATE TABLE t(a); INSERT INTO t VALUES(1), (2)").or_throw();
  int pairs = 0;
  const std::string_view all = "SELECT a FROM t";
  db.each(
        [&](Row&) {
          db.each([&](Row&) { return ++pairs, true; }, all).or_throw();
          return true;
        },
        all)
      .or_throw();
  EXPECT_EQ(pairs, 4);
}

TEST(Database, MoreStatementsThanTheCacheHoldsStillRun) {
  auto db = Database::open({.path = ":memory:", .statements_max = 2}).or_throw();
  for (int round = 0; round < 2; ++round) {
    for (int n = 0; n < 10; ++n) {
      const std::string sql = "SELECT " + std::to_string(n);
      EXPECT_EQ(std::get<0>(*db.first<std::int64_t>(sql).or_throw()), n);
    }
  }
}

}  // namespace
}  // namespace rondo::sqlite
