// SPDX-License-Identifier: Apache-2.0
// Story: four ways in which the end of a loop went wrong, found by reading.
// A thread that set the last promise was still inside Driver::wake() when the loop that it had
// ended freed the driver. What a service set or closed in its destructor stood behind the last
// drain: never delivered, or an abort. A signal that came in between main's end and the end of
// the signal watch armed a timer that nobody disarmed: an abort (seen on epoll). Closing a stream
// a second time went through a null pointer.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <thread>
#include <utility>

#include "rondo/core/future.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo {
namespace {

using namespace std::chrono_literals;

struct Seen {
  std::atomic<int> inside{0};
  std::atomic<bool> died_under_a_waker{false};
};

/// A driver in which other threads stay a while.
class SlowToWake final : public io::Driver {
 public:
  explicit SlowToWake(Seen& seen) : Driver(16, 64), seen_(seen), inner_(io::make_driver({})) {}
  ~SlowToWake() override {
    if (seen_.inside > 0) seen_.died_under_a_waker = true;
  }
  void submit(io::Operation& op) override { inner_->submit(op); }
  void cancel(io::Operation& op) override { inner_->cancel(op); }
  std::size_t wait(io::Wait how, TimePoint deadline) override {
    return inner_->wait(how, deadline);
  }
  void wake() noexcept override {
    Seen& seen = seen_;
    ++seen.inside;
    inner_->wake();
    std::this_thread::sleep_for(20ms);
    --seen.inside;
  }
  std::int64_t time(io::Clock clock) noexcept override { return inner_->time(clock); }
  void random(ByteSpan into) noexcept override { inner_->random(into); }
  io::Probe probe() const override { return inner_->probe(); }

 private:
  Seen& seen_;
  Owned<io::Driver> inner_;
};

Task<Result<int>> take(Future<int> future) { co_return co_await future; }

TEST(LoopEnd, WaitsForTheThreadWhosePostEndedIt) {
  Seen seen;
  std::thread thread;
  {
    Loop loop(LoopOptions{.own_driver = Owned<io::Driver>(new SlowToWake(seen))});
    Loop::Entered entered(loop);
    auto [promise, future] = make_promise<int>();
    thread = std::thread([p = std::move(promise)]() mutable { p.set(7); });
    EXPECT_EQ(loop.run(take(std::move(future))).or_throw(), 7);
  }
  EXPECT_FALSE(seen.died_under_a_waker);
  thread.join();
}

struct SetsAPromise final : detail::LoopService {
  explicit SetsAPromise(Loop&) {}
  std::unique_ptr<Promise<int>> promise;
};

Task<> leave_a_promise(std::unique_ptr<Future<int>>& future) {
  auto pair = make_promise<int>();
  Loop::current().service<SetsAPromise>().promise =
      std::make_unique<Promise<int>>(std::move(pair.promise));
  future = std::make_unique<Future<int>>(std::move(pair.future));
  co_return;
}

TEST(LoopEnd, DeliversWhatAServiceSetsInItsDestructor) {
  std::unique_ptr<Future<int>> future;
  {
    Loop loop;
    EXPECT_TRUE(loop.run(leave_a_promise(future)));
  }
  EXPECT_TRUE(future->ready());
}

struct RaisesAtItsEnd {
  bool armed = true;
  RaisesAtItsEnd() = default;
  RaisesAtItsEnd(RaisesAtItsEnd&& other) noexcept : armed(std::exchange(other.armed, false)) {}
  ~RaisesAtItsEnd() {
    if (armed) ::raise(SIGTERM);
  }
};

Task<int> stops_and_is_signalled_again(RaisesAtItsEnd) {
  ::raise(SIGTERM);
  co_await until_stop_requested();
  co_return 3;
}

TEST(LoopEnd, ASignalBehindMainsEndChangesNothing) {
  // On io_uring the cancel request of the watch wins; on epoll the signal does.
  for (const io::DriverKind kind : {io::DriverKind::best, io::DriverKind::epoll}) {
    RunOptions options{.loop = {.driver = {.kind = kind}}};
    EXPECT_EQ(run(stops_and_is_signalled_again({}), std::move(options)), 3);
  }
}

Task<> close_twice() {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  auto stream = co_await tcp::connect(listener.local()).or_throw();
  stream.close();
  stream.close();
  listener.close();
  listener.close();
  EXPECT_FALSE(stream.is_open());
}

TEST(LoopEnd, AHandleMayBeClosedTwice) {
  Loop loop;
  EXPECT_TRUE(loop.run(close_twice()));
}

}  // namespace
}  // namespace rondo
