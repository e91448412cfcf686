// SPDX-License-Identifier: Apache-2.0
// The chat's tables: order, deduplication, what a roll-back leaves, later versions.
#include <gtest/gtest.h>

#include "chat/server/log.hpp"
#include "chat/server/store.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::chat {
namespace {

struct Fixture {
  sqlite::Database database = sqlite::Database::open({.path = ":memory:"}).or_throw();
  Store store{database};
  User ada;

  Fixture() {
    Store::create_schema(database, "epoch1").or_throw();
    const std::byte hash[32] = {};
    ada = store.make_user({{0, "Ada"}, UserKind::guest}, hash, 5).or_throw().user;
  }
  Appended append(std::string cid, std::int64_t now_ms, RoomId room = 1) {
    return store.append({room, ada, std::move(cid), "body"}, now_ms).or_throw();
  }
};

TEST(Store, NumbersAreDenseAndTimesIncreaseWhateverTheClockSays) {
  Fixture at;
  EXPECT_EQ(at.append("a", 100).ts, 100);
  EXPECT_EQ(at.append("b", 100).ts, 101);
  EXPECT_EQ(at.append("c", 50).ts, 102) << "the clock went back";
  const Appended last = at.append("d", 200);
  EXPECT_EQ(last.seq, 4);
  EXPECT_EQ(last.ts, 200);
}

TEST(Store, ACidIsTakenForEverByItsSenderOnly) {
  Fixture at;
  const Appended first = at.append("a", 100);
  const RoomRow build = at.store.make_room("build", 1).or_throw();
  const Appended again = at.append("a", 900, build.id);
  EXPECT_TRUE(again.dup);
  EXPECT_EQ(again.room, 1) << "where it stands, not where it was sent now";
  EXPECT_EQ(again.ts, first.ts);
  const std::byte other[32] = {std::byte{1}};
  const User rahul = at.store.make_user({{0, "Rahul"}, UserKind::guest}, other, 5).or_throw().user;
  EXPECT_FALSE(at.store.append({1, rahul, "a", "x"}, 1).or_throw().dup);
}

TEST(Store, ARollBackTakesTheNumbersBack) {
  Fixture at;
  (void)at.append("a", 100);
  {
    auto tx = at.database.begin().or_throw();
    EXPECT_EQ(at.append("b", 100).seq, 2);
  }
  at.store.forget();
  EXPECT_EQ(at.append("c", 100).seq, 2);
}

TEST(Store, PagesAreWhatWasAskedForAndNeverEmptyForOneLargeBody) {
  Fixture at;
  for (int n = 0; n < 10; ++n) (void)at.append(std::to_string(n), n);
  const auto seqs = [&](PageQuery query) {
    query.room = 1;
    std::vector<Seq> found;
    for (const Event& event : at.store.page(query).or_throw()) found.push_back(event.seq);
    return found;
  };
  EXPECT_EQ(seqs({.after = 7}), (std::vector<Seq>{8, 9, 10}));
  EXPECT_EQ(seqs({.before = 4, .limit = 2}), (std::vector<Seq>{2, 3}));
  EXPECT_EQ(seqs({.limit = 1}), (std::vector<Seq>{10}));
  EXPECT_EQ(seqs({.after = 0, .bytes = 1}), (std::vector<Seq>{1}));
  EXPECT_EQ(seqs({.after = 10}), std::vector<Seq>{});
}

TEST(Store, AClassicNameIsAnIdentityAndAGuestsNameIsNot) {
  Fixture at;
  const Account classic{{0, "Ada"}, UserKind::classic};
  const Account first = at.store.make_user(classic, {}, 1).or_throw();
  EXPECT_EQ(at.store.make_user(classic, {}, 2).or_throw().user.id, first.user.id);
  EXPECT_NE(first.user.id, at.ada.id);
}

TEST(Store, DataOfALaterVersionIsRefused) {
  auto database = sqlite::Database::open({.path = ":memory:"}).or_throw();
  database.script("PRAGMA user_version=99").or_throw();
  EXPECT_EQ(Store::create_schema(database, "e").error(), Errc::bad_message);
}

TEST(EventLog, AFailedCommitRefusesAllOfItsBatchAndTheNextOneGoesOn) {
  const std::string path = ::testing::TempDir() + "/rondo-log-test.db";
  for (const char* tail : {"", "-wal", "-shm"}) std::remove((path + tail).c_str());
  rondo::testing::SimLoop sim;
  sim.run([&]() -> Task<> {
    auto log = (co_await EventLog::open(path)).or_throw();
    int refused = 0;
    std::vector<Seq> stored;
    const auto note = [&](const Append&, const Result<Appended>& where) {
      if (where)
        stored.push_back(where->seq);
      else
        refused += where.error() == Errc::try_again;
    };
    const User server{k_server_user, "Server"};
    // The second of the batch breaks a rule of the tables: there is no such room.
    log->append({1, server, "a", "x"}, note);
    log->append({777, server, "b", "x"}, note);
    log->append({1, server, "c", "x"}, note);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([](EventLog& at) { return at.run(); }, std::ref(*log));
      EXPECT_FALSE(co_await log->write([](Store&, std::int64_t) -> Result<int> { return 1; }));
      log->append({1, server, "a", "x"}, note);
      EXPECT_TRUE(co_await log->write([](Store&, std::int64_t) -> Result<int> { return 1; }));
      log->close();
    });
    EXPECT_EQ(refused, 3) << "never half";
    EXPECT_EQ(stored, std::vector<Seq>{1});
  });
}

}  // namespace
}  // namespace rondo::chat
