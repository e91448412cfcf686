// SPDX-License-Identifier: Apache-2.0
// `cancel`: random trees of scopes, time-outs, channels, streams and jobs, each struck at a random
// moment of virtual time, under drawn orders of everything that is ready or due.
//
// Whatever was struck wherever: every frame and capture is destroyed, every clean-up has run, no
// item of a channel is lost or doubled, and no timer, socket, buffer or permit is left.
#include <memory>
#include <optional>

#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/when.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/testing/sim_loop.hpp"
#include "sim/scenario.hpp"

namespace rondo::sim {

namespace {

using namespace std::chrono_literals;

constexpr int k_rounds = 100;        // Trees of a seed.
constexpr Duration k_settle = 120s;  // For sockets whose output lingers.

/// Counts its living instances: what frames and captures hold.
struct Guard {
  explicit Guard(long& counter) noexcept : count(&counter) { ++*count; }
  Guard(const Guard& other) noexcept : count(other.count) { ++*count; }
  Guard& operator=(const Guard&) = delete;
  ~Guard() { --*count; }
  long* count;
};

struct Round {
  Dice& dice;
  tcp::Listener& listener;
  Channel<int>& channel;
  Semaphore& permits;
  bool accepting = false;
  long guards = 0;
  long cleanups_due = 0;
  long cleanups_done = 0;
  long sent = 0;
  long received = 0;

  Duration moment(Duration most) { return dice.moment(0s, most); }
};

Task<> program(Round& round, int depth, int steps);

Task<> sleeps(Round& round) {
  Guard guard(round.guards);
  for (std::uint64_t left = 1 + round.dice.below(3); left > 0; --left) {
    co_await sleep_for(round.moment(3ms));
  }
}

Task<> session(Round& round, tcp::Stream peer) {
  Guard guard(round.guards);
  while (true) {
    auto got = co_await peer.read();
    if (!got || got->empty() || !co_await peer.write_all(got->bytes())) co_return;
  }
}

struct Accepting {
  bool& flag;
  explicit Accepting(bool& f) : flag(f) { flag = true; }
  Accepting(const Accepting&) = delete;
  ~Accepting() { flag = false; }
};

Task<> server(Round& round) {
  Guard guard(round.guards);
  if (round.accepting) co_return;  // One task accepts at a time.
  Accepting accepting(round.accepting);
  co_await with_scope([&round](Scope& sessions) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      auto peer = co_await round.listener.accept();
      if (!peer) break;
      sessions.start(session, std::ref(round), std::move(*peer));
    }
  });
}

Task<> client(Round& round) {
  Guard guard(round.guards);
  auto peer = co_await tcp::connect(round.listener.local());
  if (!peer) co_return;
  const std::string text(1 + round.dice.below(9'000), 'x');
  if (!co_await peer->write_all(text)) co_return;
  std::size_t echoed = 0;
  while (echoed < text.size()) {
    auto got = co_await peer->read();
    if (!got || got->empty()) co_return;
    echoed += got->size();
  }
}

Task<int> receive_one(Round& round) {
  Guard guard(round.guards);
  const std::optional<int> item = co_await round.channel.receive();
  round.received += item.has_value();
  co_return item.value_or(-1);
}

Task<> send_one(Round& round) {
  Guard guard(round.guards);
  if (co_await round.channel.send(1)) ++round.sent;
}

Task<> hold_permit(Round& round) {
  Guard guard(round.guards);
  auto permit = co_await round.permits.acquire();
  co_await sleep_for(round.moment(2ms));
}

Task<> block(Round& round, bool abandon) {
  Guard guard(round.guards);
  (void)co_await run_blocking([text = std::string(100, 'b')] { return text; },
                              {.abandon = abandon});
}

Task<> thrower(Round& round) {
  Guard guard(round.guards);
  co_await sleep_for(round.moment(1ms));
  throw 7;
}

Task<> with_cleanup(Round& round, int depth) {
  Guard guard(round.guards);
  ++round.cleanups_due;
  co_await finally(program(round, depth, 2), [&round]() -> Task<> {
    Guard inner(round.guards);
    co_await sleep_for(500us);
    ++round.cleanups_done;
  });
}

Task<> children(Round& round, int depth) {
  Guard guard(round.guards);
  co_await with_scope([&round, depth](Scope& scope) -> Task<> {
    auto first = scope.start(program, std::ref(round), depth, 2);
    auto second = scope.start([own = std::make_unique<Guard>(round.guards), &round]() -> Task<> {
      co_await client(round);
    });
    if (round.dice.one_in(2)) first.cancel();
    if (round.dice.one_in(3)) scope.cancel();
    (void)co_await second;
    (void)co_await first;
  });
}

Task<> failing_scope(Round& round, int depth) {
  Guard guard(round.guards);
  try {
    co_await with_scope([&round, depth](Scope& scope) -> Task<> {
      scope.start(thrower, std::ref(round));
      scope.start(thrower, std::ref(round));
      co_await program(round, depth, 2);
    });
  } catch (int) {
    co_return;
  }
}

Task<> client_and_server(Round& round) {
  co_await move_on_after(round.moment(20ms), [&round](Scope& scope) -> Task<> {
    scope.start(server, std::ref(round));
    co_await client(round);
  });
}

Task<> leaf_step(Round& round, std::uint64_t kind) {
  switch (kind) {
    case 0:
      co_await sleeps(round);
      break;
    case 1:
      co_await client(round);
      break;
    case 2:
      (void)co_await receive_one(round);
      break;
    case 3:
      co_await send_one(round);
      break;
    case 4:
      co_await hold_permit(round);
      break;
    case 5:
      co_await block(round, round.dice.one_in(2));
      break;
    default:
      co_await checkpoint();
      break;
  }
}

Task<> nested_step(Round& round, int depth, std::uint64_t kind) {
  switch (kind) {
    case 0:
      (void)co_await with_timeout(round.moment(6ms), program(round, depth, 2));
      break;
    case 1:
      (void)co_await when_any(receive_one(round), sleeps(round));
      break;
    case 2:
      co_await shield(sleeps(round));
      break;
    case 3:
      co_await with_cleanup(round, depth);
      break;
    case 4:
      co_await children(round, depth);
      break;
    case 5:
      co_await client_and_server(round);
      break;
    case 6:
      co_await failing_scope(round, depth);
      break;
    default:
      co_await when_all(program(round, depth, 1), sleeps(round));
      break;
  }
}

Task<> program(Round& round, int depth, int steps) {
  Guard guard(round.guards);
  for (int i = 0; i < steps; ++i) {
    const std::uint64_t kind = round.dice.below(depth > 0 ? 15 : 7);
    if (kind < 7)
      co_await leaf_step(round, kind);
    else
      co_await nested_step(round, depth - 1, kind - 7);
  }
}

Task<> tree(Round& round, int depth) {
  co_await with_scope([&round, depth](Scope& scope) -> Task<> {
    scope.start(server, std::ref(round));
    for (int i = 0; i < 3; ++i) scope.start(program, std::ref(round), depth, 3);
    co_await program(round, depth, 2);
  });
}

void check(const Round& round, Outcome& outcome, std::size_t permits) {
  if (round.guards != 0) outcome.fail("frames or captures that nobody destroyed");
  if (round.cleanups_due != round.cleanups_done) outcome.fail("a clean-up did not run");
  if (round.accepting) outcome.fail("the server's frame was not left");
  if (round.permits.statistics().available != permits) outcome.fail("a permit was lost");
  const ChannelStatistics channel = round.channel.statistics();
  if (channel.senders_waiting + channel.receivers_waiting > 0) {
    outcome.fail("somebody waits in a channel without being there");
  }
  if (static_cast<long>(channel.size) != round.sent - round.received) {
    outcome.fail("an item of a channel was lost or doubled");
  }
}

/// True when the tree was struck before it had ended.
Task<bool> one_round(Dice& dice, Outcome& outcome) {
  auto listener = tcp::listen({.address = "127.0.0.1:0", .backlog = 64}).or_throw();
  Channel<int> channel{dice.below(3)};
  const std::size_t permits = 1 + dice.below(2);
  Semaphore semaphore(permits);
  Round round{dice, listener, channel, semaphore};
  const int depth = 1 + static_cast<int>(dice.below(3));
  const auto ended = co_await move_on_after(dice.moment(0ms, dice.one_in(2) ? 5ms : 200ms),
                                            [&](Scope&) -> Task<> { co_await tree(round, depth); });
  check(round, outcome, permits);
  co_return ended.cancelled;
}

Task<int> rounds(Dice& dice, Outcome& outcome) {
  int struck = 0;
  for (int i = 0; i < k_rounds; ++i) struck += co_await one_round(dice, outcome);
  co_await sleep_for(k_settle);
  const net::SocketStatistics sockets = net::socket_statistics();
  if (sockets.open > 0) outcome.fail("sockets left: " + std::to_string(sockets.open));
  const io::BufferPool& pool = loop().driver().buffers();
  if (pool.free_count() != pool.count()) outcome.fail("receive buffers are missing");
  const LoopStatistics left = loop().statistics();
  if (left.live_tasks != 1) outcome.fail("tasks left: " + loop().describe_tasks());
  if (left.armed_timers != 0) outcome.fail("timers left: " + std::to_string(left.armed_timers));
  co_return struck;
}

}  // namespace

Outcome run_cancel(std::uint64_t seed) {
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  const long blocks = detail::FramePool::live;
  Outcome outcome;
  {
    Dice dice(seed, 0);
    testing::SimLoop sim({.seed = seed,
                          .faults = io::SimFaults::draw(seed),
                          .order = testing::SimOrder::by_seed,
                          .buffer_count = 4U << dice.below(5),
                          .buffer_size = 512});
    const int struck = sim.run([&] { return rounds(dice, outcome); });
    outcome.hash = sim.trace_hash();
    outcome.note = std::to_string(struck) + " of " + std::to_string(k_rounds) + " trees struck";
  }
  if (detail::FramePool::live > blocks) outcome.fail("frames or records leaked");
  set_log_sink(before);
  return outcome;
}

}  // namespace rondo::sim
