// SPDX-License-Identifier: Apache-2.0
// Random programs, cancelled at random points: whatever was struck wherever, nothing may be left.
//
// A round is one tree of nested scopes, time-outs, when_any, shields, finally, channels, TCP
// clients and servers, pipe reads and blocking calls, drawn from a seed and cancelled after a
// drawn number of iterations. After each round guards, frames, timers, buffers, sockets and
// clean-ups are counted. A failure names its seed: RONDO_TEST_SEED=N runs that round alone.
#include <array>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/when.hpp"
#include "rondo/io/file_ops.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::testing {
namespace {

constexpr std::uint64_t k_points = 10'000;
constexpr auto k_time_max = 15s;  // On a loaded machine fewer points, never an endless test.

struct World {
  std::mt19937_64 random;
  net::Endpoint where;
  tcp::Listener* listener = nullptr;
  bool accepting = false;
  Channel<int>* channel = nullptr;
  Semaphore* permits = nullptr;
  int pipe = -1;
  long guards = 0;
  long cleanups_due = 0;
  long cleanups_done = 0;
  long sent = 0;
  long received = 0;

  std::uint64_t below(std::uint64_t n) { return random() % n; }
  Duration moment(std::uint64_t max_us) { return std::chrono::microseconds(below(max_us)); }
};

Task<> program(World& w, int depth, int steps);

Task<> ticks(World& w, std::uint64_t n) {
  Guard guard(w.guards);
  for (std::uint64_t i = 0; i < n; ++i) co_await sleep_for(w.moment(30));
}

Task<> client(World& w) {
  Guard guard(w.guards);
  auto peer = co_await tcp::connect(w.where);
  if (!peer) co_return;
  const std::string text(1 + w.below(6'000), 'x');
  for (int i = 0; i < 2; ++i) {
    if (!co_await peer->write_all(text)) co_return;
    std::size_t echoed = 0;
    while (echoed < text.size()) {
      auto got = co_await peer->read();
      if (!got || got->empty()) co_return;
      echoed += got->size();
    }
  }
}

Task<> session(World& w, tcp::Stream peer) {
  Guard guard(w.guards);
  while (auto got = co_await peer.read()) {
    if (got->empty() || !co_await peer.write_all(got->bytes())) break;
  }
}

Task<> server(World& w) {
  Guard guard(w.guards);
  if (w.accepting) co_return;  // One task accepts at a time.
  w.accepting = true;
  AtExit done([&w] { w.accepting = false; });
  co_await with_scope([&w](Scope& sessions) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      auto peer = co_await w.listener->accept();
      if (!peer) break;
      sessions.start(session, std::ref(w), std::move(*peer));
    }
  });
}

Task<int> receive_one(World& w) {
  Guard guard(w.guards);
  const std::optional<int> item = co_await w.channel->receive();
  w.received += item.has_value();
  co_return item.value_or(-1);
}
Task<> send_one(World& w) {
  Guard guard(w.guards);
  if (co_await w.channel->send(1)) ++w.sent;
}
/// The buffer lives in the frame that is struck.
Task<int> read_pipe(World& w) {
  Guard guard(w.guards);
  std::array<std::byte, 64> buffer;
  co_return co_await BareOp<io::ReadOp>{[&](io::ReadOp& op) {
    op.fd = w.pipe;
    op.into = buffer;
  }};
}
Task<> hold_permit(World& w) {
  Guard guard(w.guards);
  auto permit = co_await w.permits->acquire();
  co_await sleep_for(w.moment(20));
}
Task<> block(World& w, bool abandon) {
  Guard guard(w.guards);
  const auto work = [text = std::string(100, 'b')](CancelToken stop) {
    return stop.requested() ? std::string() : text;
  };
  if (w.below(2) == 0) static_cast<void>(co_await run_blocking(work, {.abandon = abandon}));
  else static_cast<void>(co_await run_cpu(work, {.abandon = abandon}));
}
Task<> thrower(World& w) {
  Guard guard(w.guards);
  co_await checkpoint();
  throw 7;
}
Task<> with_cleanup(World& w, int depth) {
  Guard guard(w.guards);
  ++w.cleanups_due;
  co_await finally(program(w, depth, 2), [&w]() -> Task<> {
    Guard inner(w.guards);
    co_await sleep_for(5us);
    ++w.cleanups_done;
  });
}
Task<> any_of_three(World& w) {
  Guard guard(w.guards);
  auto any = co_await when_any(receive_one(w), read_pipe(w), sleep_for(w.moment(50)));
  const int values = std::get<0>(any.values).has_value() + std::get<1>(any.values).has_value() +
                     std::get<2>(any.values).has_value();
  EXPECT_GE(values, 1) << "when_any without a winner";
}
Task<> children(World& w, int depth) {
  Guard guard(w.guards);
  co_await with_scope([&w, depth](Scope& scope) -> Task<> {
    auto a = scope.start(program, std::ref(w), depth, 2);
    auto b = scope.start(
        [own = std::make_unique<Guard>(w.guards), &w]() -> Task<> { co_await client(w); });
    if (w.below(2)) a.cancel();
    if (w.below(3) == 0) scope.cancel();
    static_cast<void>(co_await b);
    static_cast<void>(co_await a);
  });
}
Task<> failing_scope(World& w, int depth) {
  Guard guard(w.guards);
  try {
    co_await with_scope([&w, depth](Scope& scope) -> Task<> {
      scope.start(thrower, std::ref(w));
      scope.start(thrower, std::ref(w));
      co_await program(w, depth, 2);
    });
  } catch (int) {
  }
}

Task<> leaf_step(World& w, std::uint64_t kind) {
  switch (kind) {
    case 0:
      co_await ticks(w, 1 + w.below(3));
      break;
    case 1:
      co_await client(w);
      break;
    case 2:
      static_cast<void>(co_await receive_one(w));
      break;
    case 3:
      co_await send_one(w);
      break;
    case 4:
      static_cast<void>(co_await read_pipe(w));
      break;
    case 5:
      co_await hold_permit(w);
      break;
    case 6:
      co_await block(w, w.below(2));
      break;
    default:
      co_await checkpoint();
      break;
  }
}
Task<> nested_step(World& w, int depth, std::uint64_t kind) {
  switch (kind) {
    case 0:
      static_cast<void>(co_await with_timeout(w.moment(60), program(w, depth, 2)));
      break;
    case 1:
      co_await any_of_three(w);
      break;
    case 2:
      co_await shield(ticks(w, 2));
      break;
    case 3:
      co_await with_cleanup(w, depth);
      break;
    case 4:
      co_await children(w, depth);
      break;
    case 5:
      co_await move_on_after(w.moment(60), [&w](Scope& scope) -> Task<> {
        scope.start(server, std::ref(w));
        co_await client(w);
      });
      break;
    case 6:
      co_await failing_scope(w, depth);
      break;
    default:
      co_await when_all(program(w, depth, 1), ticks(w, 1));
      break;
  }
}
Task<> program(World& w, int depth, int steps) {
  Guard guard(w.guards);
  for (int i = 0; i < steps; ++i) {
    const std::uint64_t kind = w.below(depth > 0 ? 16 : 8);
    if (kind < 8)
      co_await leaf_step(w, kind);
    else
      co_await nested_step(w, depth - 1, kind - 8);
  }
}
Task<> root(World& w, int depth) {
  co_await with_scope([&w, depth](Scope& scope) -> Task<> {
    scope.start(server, std::ref(w));
    for (int i = 0; i < 3; ++i) scope.start(program, std::ref(w), depth, 3);
    co_await program(w, depth, 2);
  });
}

/// Cancels everything after a number of iterations, and now and then feeds the pipe.
struct Ticker : detail::LoopHook {
  World* world = nullptr;
  int pipe = -1;
  std::uint64_t left = 0;
  Loop* at = nullptr;
  struct Feed : io::WriteOp {
    Feed() {
      on_complete = [](io::Operation&, const io::Completion&) noexcept {};
    }
  } feed;

  Ticker() {
    run = [](detail::LoopHook& hook) { static_cast<Ticker&>(hook).tick(); };
  }
  void tick() {
    if (world->below(16) == 0 && !feed.in_flight()) {
      feed.fd = pipe;
      feed.from = as_bytes(std::string_view("xyz"));
      at->driver().submit(feed);
    }
    if (left-- == 0) at->cancel_all();
  }
};

class RandomCancel : public EveryDriver {
 protected:
  /// One tree, cancelled at one point. True when it ended by the cancellation.
  bool round(Loop& at, std::uint64_t seed, Pipe pipe) {
    Loop::Entered entered(at);
    World w;
    w.random.seed(seed);
    w.pipe = pipe.in;
    auto listener = tcp::listen({.address = "127.0.0.1:0", .backlog = 64}).or_throw();
    w.listener = &listener;
    w.where = listener.local();
    Channel<int> channel{w.below(3)};
    const std::size_t permit_count = 1 + w.below(2);
    Semaphore permits(permit_count);
    w.channel = &channel;
    w.permits = &permits;
    Ticker ticker;
    ticker.world = &w;
    ticker.pipe = pipe.out;
    ticker.at = &at;
    ticker.left = w.below(50);
    at.add_prepare_hook(ticker);
    const int depth = 1 + static_cast<int>(w.below(3));
    Metronome beat(at, is_sim());
    const Result<> ended = at.run(root(w, depth));
    beat.stop();
    ticker.unlink();
    while (ticker.feed.in_flight()) at.poll();
    EXPECT_EQ(w.guards, 0) << "frames or captures that nobody destroyed";
    EXPECT_EQ(w.cleanups_due, w.cleanups_done);
    EXPECT_EQ(permits.statistics().available, permit_count) << "a permit was lost";
    EXPECT_FALSE(w.accepting);
    EXPECT_EQ(channel.statistics().senders_waiting + channel.statistics().receivers_waiting, 0u);
    EXPECT_EQ(static_cast<long>(channel.size()), w.sent - w.received) << "an item was lost";
    return !ended;
  }

  /// Keeps iterations coming while every task waits for something that never happens. Three of
  /// four do not wait; in virtual time all do, or it would stand still.
  struct Metronome {
    Metronome(Loop& loop, bool timed) : at(loop), always_timed(timed) { arm(); }
    void arm() {
      if (always_timed || ++beats % 4 == 0)
        next = at.call_later(20us, [this] { arm(); });
      else
        next = at.call_soon([this] { arm(); });
    }
    void stop() { next.cancel(); }
    Loop& at;
    bool always_timed;
    unsigned beats = 0;
    CallbackHandle next;
  };

  void expect_clean(Loop& at, long blocks) {
    expect_nothing_left(at);
    EXPECT_LE(detail::FramePool::live, blocks) << "frames or records leaked";
  }
};

TEST_P(RandomCancel, ten_thousand_random_points_leave_nothing_behind) {
  const char* only = std::getenv("RONDO_TEST_SEED");
  const std::uint64_t first = only ? std::strtoull(only, nullptr, 0) : 1;
  const std::uint64_t last = only ? first + 1 : first + k_points;
  const auto guard = std::chrono::steady_clock::now() + k_time_max;
  std::uint64_t struck = 0;
  std::uint64_t rounds = 0;
  {
    // Few small buffers: running out of them happens too.
    Loop at(loop_options({.ring_entries = 64, .buffer_count = 8, .buffer_size = 512}));
    const Pipe pipe = make_pipe();
    const long blocks = detail::FramePool::live + 1;  // The feeder of a round may be resting.
    for (std::uint64_t seed = first; seed < last; ++seed, ++rounds) {
      if (std::chrono::steady_clock::now() > guard) break;
      struck += round(at, seed, pipe);
      expect_clean(at, blocks);
      if (HasFailure()) {
        ADD_FAILURE() << "replay with RONDO_TEST_SEED=" << seed;
        break;
      }
    }
    EXPECT_TRUE(at.run(close_pipe(pipe)).has_value());
  }
  RecordProperty("rounds", std::to_string(rounds));
  RecordProperty("struck", std::to_string(struck));
  EXPECT_GE(rounds, only ? 1u : 50u) << "hardly anything was tried";
  if (!only) EXPECT_GT(struck, rounds / 10) << "most trees ended before their point";
}

ON_EVERY_DRIVER(RandomCancel);

}  // namespace
}  // namespace rondo::testing
