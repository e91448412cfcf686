// SPDX-License-Identifier: Apache-2.0
// Rooms, sessions and the log, without doors: on virtual time, with a database in a file.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <set>

#include "chat/server/json_session.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::chat {
namespace {

using namespace literals;
namespace bj = boost::json;

/// A session whose peer takes bytes only while `open`; keeps every frame it was told.
class FakeSession : public JsonSession {
 public:
  explicit FakeSession(Hub& hub) : JsonSession(hub) {}

  bool push(Outbound& out, std::size_t budget) override {
    if (!open_.is_set() && waiting_ + out.json().size() > budget) return false;
    if (!open_.is_set()) waiting_ += out.json().size();
    highest = std::max(highest, waiting_);
    frames.push_back(bj::parse(out.json()).as_object());
    return true;
  }
  void stop_reading() { open_.reset(); }
  void read_on() {
    waiting_ = 0;
    open_.set();
  }
  std::vector<bj::object> of_kind(std::string_view kind) const {
    std::vector<bj::object> found;
    for (const bj::object& frame : frames) {
      if (frame.at("t").as_string() == bj::string_view(kind.data(), kind.size())) {
        found.push_back(frame);
      }
    }
    return found;
  }
  /// The client's rule: what lies behind the cursor is dropped, what follows it is applied.
  std::vector<std::string> applied() const {
    std::vector<std::string> bodies;
    std::int64_t last = 0;
    const auto apply = [&](const bj::object& event) {
      const std::int64_t seq = event.at("seq").as_int64();
      if (seq <= last) return;
      EXPECT_LE(event.at("prev").as_int64(), last) << "a gap before " << seq;
      last = seq;
      bodies.emplace_back(event.at("body").as_string());
    };
    for (const bj::object& frame : frames) {
      if (frame.at("t").as_string() == "ev") apply(frame);
      if (frame.at("t").as_string() != "page") continue;
      for (const bj::value& event : frame.at("events").as_array()) apply(event.as_object());
    }
    return bodies;
  }

  std::vector<bj::object> frames;
  std::size_t highest = 0;

 protected:
  Task<bool> push_slowly(Outbound& out) override {
    while (!push(out, k_answer_budget)) co_await open_.wait();
    co_return true;
  }

 private:
  rondo::Event open_;
  std::size_t waiting_ = 0;
};

/// A hub with a log in a fresh folder; `body` runs with it, then everything is stopped.
class HubTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  HubTest() : folder_(::testing::TempDir() + "/rondo-hub-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~HubTest() override { std::filesystem::remove_all(folder_); }

  template <class F>
  void with_hub(F body) {
    rondo::testing::SimLoop sim{{.seed = GetParam(), .order = rondo::testing::SimOrder::by_seed}};
    sim.run([&]() -> Task<> {
      auto log = (co_await EventLog::open(folder_ + "/chat.db")).or_throw();
      Hub hub(*log, {.send_limit = limit_});
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([](EventLog& at) { return at.run(); }, std::ref(*log));
        co_await with_scope([&](Scope& sessions) -> Task<> {
          co_await body(hub, sessions);
          sessions.cancel();
        });
        hub.flush_reads();
        log->close();
      });
    });
  }
  std::string folder_;
  std::size_t limit_ = 0;
};

Task<> enter(FakeSession& session, Scope& scope, std::string name) {
  session.attach(&scope);
  session.read_on();
  session.greet();
  co_await session.receive(R"({"t":"auth","guest":")" + name + R"("})");
  co_await session.receive(R"({"t":"join","room":"lobby"})");
}

std::string send_frame(int number, std::string body = "") {
  const std::string n = std::to_string(number);
  return R"({"t":"send","room":"lobby","cid":"c)" + n + R"(","body":")" + n + body + R"("})";
}

/// Lets everything that is on its way arrive.
Task<> settle() { co_await sleep_for(5s); }

TEST_P(HubTest, EveryMemberSeesEveryMessageOnceInOneOrder) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    FakeSession rahul(hub);
    co_await enter(ada, scope, "Ada");
    co_await enter(rahul, scope, "Rahul");
    for (int n = 0; n < 30; ++n) {
      co_await (n % 2 ? ada : rahul).receive(send_frame(n));
      if (n % 7 == 0) co_await checkpoint();
    }
    co_await settle();
    EXPECT_EQ(ada.applied().size(), 30u);
    EXPECT_EQ(ada.applied(), rahul.applied());
    EXPECT_EQ(ada.of_kind("ack").size(), 15u);
    EXPECT_EQ(hub.find_room("lobby")->head, 30);
  });
}

TEST_P(HubTest, ARepeatedMessageIsAcknowledgedAgainAndStoredOnce) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    co_await enter(ada, scope, "Ada");
    for (int again = 0; again < 3; ++again) co_await ada.receive(send_frame(1));
    co_await settle();
    const auto acks = ada.of_kind("ack");
    EXPECT_EQ(acks.size(), 3u);
    for (const auto& ack : acks) EXPECT_EQ(ack.at("seq").as_int64(), 1);
    EXPECT_EQ(ada.applied().size(), 1u);
    EXPECT_EQ(hub.log().statistics().duplicates, 2u);
  });
}

TEST_P(HubTest, ASlowReaderHoldsItsBudgetAndCatchesUpWithoutAGap) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession fast(hub);
    FakeSession slow(hub);
    co_await enter(fast, scope, "Fast");
    co_await enter(slow, scope, "Slow");
    slow.stop_reading();
    for (int n = 0; n < 200; ++n) co_await fast.receive(send_frame(n, std::string(4'000, 'x')));
    co_await settle();
    EXPECT_EQ(fast.applied().size(), 200u);
    EXPECT_LT(slow.applied().size(), 200u);
    EXPECT_LE(slow.highest, k_answer_budget);
    slow.read_on();
    co_await settle();
    EXPECT_EQ(slow.applied(), fast.applied());
    EXPECT_EQ(slow.of_kind("resumed").size(), 1u);
    co_await fast.receive(send_frame(200));
    co_await settle();
    EXPECT_EQ(slow.frames.back().at("t").as_string(), "ev") << "live again";
  });
}

TEST_P(HubTest, LiveEventsWaitBehindTheReplay) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    FakeSession late(hub);
    co_await enter(ada, scope, "Ada");
    for (int n = 0; n < 100; ++n) co_await ada.receive(send_frame(n, std::string(2'000, 'y')));
    co_await settle();
    co_await enter(late, scope, "Late");
    const std::string epoch = hub.log().epoch();
    co_await late.receive(R"({"t":"resume","epoch":")" + epoch + R"(","cursors":{"lobby":0}})");
    for (int n = 100; n < 120; ++n) {
      co_await ada.receive(send_frame(n));
      co_await sleep_for(1ms);
    }
    co_await settle();
    EXPECT_EQ(late.applied(), ada.applied());
    EXPECT_EQ(late.applied().size(), 120u);
  });
}

TEST_P(HubTest, CursorsOfAnotherEpochAndBeyondTheHeadAreReset) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    co_await enter(ada, scope, "Ada");
    co_await ada.receive(R"({"t":"resume","epoch":"old","cursors":{"lobby":0,"nowhere":1}})");
    co_await ada.receive(R"({"t":"sync","room":"lobby","after":5})");
    EXPECT_EQ(ada.of_kind("reset").size(), 2u);
    EXPECT_EQ(ada.of_kind("gone").size(), 1u);
  });
}

TEST_P(HubTest, ATokenKeepsAUserAndNamesAreUniqueAmongThoseHere) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    std::string token;
    std::string id;
    {
      FakeSession ada(hub);
      co_await enter(ada, scope, "Ada");
      const auto welcome = ada.of_kind("welcome").at(0);
      token = welcome.at("token").as_string().c_str();
      id = welcome.at("user").at("id").as_string().c_str();
      ada.attach(nullptr);
    }
    FakeSession other(hub);
    co_await enter(other, scope, "ADA");
    FakeSession back(hub);
    back.attach(&scope);
    back.read_on();
    co_await back.receive(R"({"t":"auth","token":")" + token + R"("})");
    const auto user = back.of_kind("welcome").at(0).at("user").as_object();
    EXPECT_EQ(user.at("id").as_string(), id.c_str());
    EXPECT_EQ(user.at("name").as_string(), "Ada-2") << "somebody else is called so now";
    co_await back.receive(R"({"t":"auth","token":")" + token + R"("})");
    FakeSession wrong(hub);
    wrong.read_on();
    co_await wrong.receive(R"({"t":"auth","token":"00"})");
    EXPECT_EQ(wrong.of_kind("error").at(0).at("code").as_string(), "bad_token");
  });
}

TEST_P(HubTest, TheLimitOfASenderIsCountedInTenSecondsOfTheLoopsClock) {
  limit_ = 5;
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    co_await enter(ada, scope, "Ada");
    for (int n = 0; n < 6; ++n) co_await ada.receive(send_frame(n));
    EXPECT_EQ(ada.of_kind("nack").size(), 1u);
    EXPECT_EQ(ada.of_kind("nack").at(0).at("retry_after").as_int64(), 10);
    co_await sleep_for(10s);
    co_await ada.receive(send_frame(6));
    co_await settle();
    EXPECT_EQ(ada.of_kind("ack").size(), 6u);
  });
}

TEST_P(HubTest, BadFramesAreAnsweredAndTheTenthClosesTheDoor) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    co_await enter(ada, scope, "Ada");
    for (int n = 0; n < 9; ++n) EXPECT_TRUE(co_await ada.receive("{"));
    EXPECT_FALSE(co_await ada.receive("{"));
    EXPECT_EQ(ada.of_kind("error").size(), 10u);
  });
}

TEST_P(HubTest, PresenceCountsUsersNotSessions) {
  with_hub([](Hub& hub, Scope& scope) -> Task<> {
    FakeSession watcher(hub);
    co_await enter(watcher, scope, "Watcher");
    {
      FakeSession first(hub);
      co_await enter(first, scope, "Ada");
      const std::string token = first.of_kind("welcome").at(0).at("token").as_string().c_str();
      {
        FakeSession second(hub);
        second.attach(&scope);
        second.read_on();
        co_await second.receive(R"({"t":"auth","token":")" + token + R"("})");
        co_await second.receive(R"({"t":"join","room":"lobby"})");
        EXPECT_EQ(second.of_kind("joined").at(0).at("members").as_array().size(), 2u);
      }
      EXPECT_EQ(watcher.of_kind("presence").size(), 1u);
    }
    const auto told = watcher.of_kind("presence");
    EXPECT_EQ(told.size(), 2u);
    EXPECT_EQ(told.back().at("state").as_string(), "left");
  });
}

TEST_P(HubTest, ReadMarkersNeverGoBackAndAreKept) {
  std::string token;
  with_hub([&](Hub& hub, Scope& scope) -> Task<> {
    FakeSession ada(hub);
    co_await enter(ada, scope, "Ada");
    token = ada.of_kind("welcome").at(0).at("token").as_string().c_str();
    for (int n = 0; n < 3; ++n) co_await ada.receive(send_frame(n));
    co_await settle();
    for (const char* seq : {"2", "1", "99"}) {
      co_await ada.receive(std::string(R"({"t":"read","room":"lobby","seq":)") + seq + "}");
    }
    co_await ada.receive(R"({"t":"read","room":"lobby","seq":0})");
  });
  with_hub([&](Hub& hub, Scope&) -> Task<> {
    FakeSession back(hub);
    back.read_on();
    co_await back.receive(R"({"t":"auth","token":")" + token + R"("})");
    const auto room = back.of_kind("welcome").at(0).at("rooms").as_array().at(0).as_object();
    EXPECT_EQ(room.at("read").as_int64(), 3) << "99 is no message: up to the head";
    EXPECT_EQ(room.at("head").as_int64(), 3);
  });
}

INSTANTIATE_TEST_SUITE_P(Seeds, HubTest, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace rondo::chat
