// SPDX-License-Identifier: Apache-2.0
// `echo`: streams against a server that sends everything back, with few small receive buffers.
//
// Every connection writes bytes of its own and compares what returns: always a prefix of what was
// sent, whatever the network does. Two minutes with faults, then none: every exchange must then be
// complete, and when all have ended no task, socket or buffer may be left.
#include <memory>

#include "rondo/base/log.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/testing/sim_world.hpp"
#include "sim/scenario.hpp"

namespace rondo::sim {

namespace {

using namespace std::chrono_literals;
using testing::SimWorld;

constexpr Duration k_faulty_time = 120s;
constexpr Duration k_exchange_max = 40s;
constexpr Duration k_recovery_max = 300s;
constexpr int k_good_exchanges = 4;  // Of each client without faults.

/// Byte `at` of connection `key`.
std::byte byte_of(std::uint64_t key, std::size_t at) noexcept {
  return static_cast<std::byte>((key * 31 + at * 7 + (at >> 8)) & 0xff);
}

struct Shared {
  Outcome& outcome;
  bool calm = false;
  std::uint64_t large = 0;  ///< bytes of a large exchange
  std::uint64_t exchanges = 0;
  std::uint64_t complete = 0;
  std::uint64_t bytes = 0;
};

bool g_interrupted = false;

// --- The server ---

/// Programs are never told of EINTR: whoever sees it retries.
template <class T>
bool good(const Result<T>& result) {
  if (!result && result.error() == Errc::interrupted) g_interrupted = true;
  return result.has_value();
}

Task<> echo_session(tcp::Stream peer, std::uint64_t style) {
  // Some sessions keep a loan for a while, some copy.
  std::byte room[700];
  while (true) {
    if (style % 3 == 0) {
      auto got = co_await peer.read_some(room);
      if (!good(got) || *got == 0) co_return;
      if (!good(co_await peer.write_all(ByteView(room, *got)))) co_return;
      continue;
    }
    auto got = co_await peer.read();
    if (!good(got) || got->empty()) co_return;
    if (style % 3 == 2) co_await sleep_for(1ms);
    if (!good(co_await peer.write_all(got->bytes()))) co_return;
  }
}

Task<> echo_server() {
  auto listener = tcp::listen({.address = "0.0.0.0:7000"}).or_throw();
  co_await with_scope([&](Scope& sessions) -> Task<> {
    for (std::uint64_t number = 0;; ++number) {
      auto peer = co_await listener.accept();
      if (!peer) break;
      sessions.start(Named{"echo"}, echo_session, std::move(*peer), number);
    }
  });
}

// --- The clients ---

struct Exchange {
  std::uint64_t key = 0;
  std::size_t size = 0;
  std::size_t piece = 0;
  std::size_t seen = 0;
  bool right = true;
};

Task<> send_all(tcp::Stream& peer, const Exchange& exchange) {
  std::vector<std::byte> piece;
  for (std::size_t at = 0; at < exchange.size; at += piece.size()) {
    piece.resize(std::min(exchange.piece, exchange.size - at));
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = byte_of(exchange.key, at + i);
    if (!good(co_await peer.write_all(ByteView(piece)))) co_return;
  }
  peer.shutdown_write();
}

Task<> receive_all(tcp::Stream& peer, Exchange& exchange) {
  while (true) {
    auto got = co_await peer.read();
    if (!good(got) || got->empty()) co_return;
    for (const std::byte byte : got->bytes()) {
      const bool more = exchange.seen < exchange.size;
      exchange.right = exchange.right && more && byte == byte_of(exchange.key, exchange.seen);
      ++exchange.seen;
    }
  }
}

Task<> talk(tcp::Stream& peer, Exchange& exchange) {
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(send_all, std::ref(peer), std::cref(exchange));
    co_await receive_all(peer, exchange);
    scope.cancel();
  });
}

/// A queue takes what it was told to, and no more.
void flood(Shared& shared, tcp::Stream& peer) {
  constexpr std::size_t k_limit = 40'000;
  const SharedBytes message = SharedBytes::copy(std::string(10'000, 'f'));
  std::size_t taken = 0;
  while (taken <= k_limit && peer.try_write(message, k_limit)) taken += message.size();
  if (taken > k_limit) shared.outcome.fail("a queue took more than its limit");
}

/// One connection; true when everything came back.
Task<bool> exchange_once(Shared& shared, Dice& dice) {
  Exchange exchange{.key = dice.next(),
                    .size = 1 + dice.below(dice.one_in(4) ? shared.large : 4'000)};
  exchange.piece = 1 + dice.below(dice.one_in(3) ? 100'000 : 3'000);
  ++shared.exchanges;
  auto peer = co_await with_timeout(k_exchange_max, tcp::connect("server:7000"));
  if (!peer) co_return false;
  if (!shared.calm && exchange.key % 8 == 0) {
    flood(shared, *peer);
    co_return false;
  }
  const Result<> ended = co_await with_timeout(k_exchange_max, talk(*peer, exchange));
  shared.bytes += exchange.seen;
  if (!exchange.right) shared.outcome.fail("what came back is not what was sent");
  const bool complete = ended && exchange.seen == exchange.size;
  shared.complete += complete;
  co_return complete;
}

Task<> client(Shared& shared, Dice& dice) {
  while (!shared.calm) {
    (void)co_await exchange_once(shared, dice);
    co_await sleep_for(dice.moment(1ms, 3s));
  }
  for (int i = 0; i < k_good_exchanges; ++i) {
    if (!co_await exchange_once(shared, dice)) {
      shared.outcome.fail("an exchange failed though there was no fault any more");
    }
  }
}

// --- The run ---

class EchoRun {
 public:
  static io::SimFaults faults_of(std::uint64_t seed) {
    io::SimFaults faults = io::SimFaults::draw(seed);
    Dice dice(seed, 9);
    if (dice.one_in(2)) faults.interrupt_per_mille = 1 + static_cast<std::uint32_t>(dice.below(50));
    return faults;
  }
  explicit EchoRun(std::uint64_t seed)
      : dice_(seed, 0),
        world_({.seed = seed,
                .faults = faults_of(seed),
                .buffer_count = 8U << dice_.below(5),
                .buffer_size = 256U << dice_.below(5)}) {
    // Where bandwidth and capacity are small, bytes trickle one by one: an event for each.
    const io::SimLink link = io::SimFaults::draw(seed).link;
    shared_.large = link.bandwidth > 0 || link.capacity < 16'384 ? 12'000 : 200'000;
    world_.host("server", "10.0.0.1").start(echo_server);
    const std::uint64_t count = 2 + dice_.below(4);
    for (std::uint64_t i = 0; i < count; ++i) {
      names_.push_back("client" + std::to_string(i));
      Dice& dice = *dices_.emplace_back(std::make_unique<Dice>(seed, 100 + i));
      world_.host(names_.back(), "10.0.1." + std::to_string(i + 1)).start([this, &dice] {
        return client(shared_, dice);
      });
    }
  }

  Outcome run() {
    while (world_.now() < k_faulty_time) {
      world_.run_for(dice_.moment(1s, 10s));
      strike();
    }
    world_.calm();
    shared_.calm = true;
    const auto clients_ended = [this] {
      for (const std::string& name : names_) {
        if (world_.host(name).live_tasks() > 0) return false;
      }
      return true;
    };
    if (!world_.run_until(clients_ended, k_recovery_max)) outcome_.fail("a client never ends");
    world_.host("server").request_stop();
    world_.run_for(60s);
    check_nothing_left("server");
    for (const std::string& name : names_) check_nothing_left(name);
    outcome_.hash = world_.trace_hash();
    outcome_.note = std::to_string(names_.size()) + " clients, " +
                    std::to_string(shared_.complete) + " of " + std::to_string(shared_.exchanges) +
                    " exchanges complete, " + std::to_string(shared_.bytes) + " bytes";
    return std::move(outcome_);
  }

 private:
  void strike() {
    const std::string& client = names_[dice_.below(names_.size())];
    switch (dice_.below(8)) {
      case 0:
        world_.partition("server", client);
        break;
      case 1:
        world_.cut("server", client);
        break;
      case 2:
        world_.reset_connections("server", client);
        break;
      case 3:
        world_.half_close("server", client);
        break;
      case 4:
        world_.stall("server", client, dice_.moment(1s, 20s));
        break;
      case 5:
        world_.crash("server");
        break;
      case 6:
        world_.crash(client);
        break;
      default:
        return;
    }
    world_.run_for(dice_.moment(100ms, 8s));
    world_.heal();
    for (const std::string& host : {std::string("server"), client}) {
      if (!world_.host(host).is_up()) world_.restart(host);
    }
  }
  void check_nothing_left(const std::string& name) {
    testing::SimHost& host = world_.host(name);
    Loop::Entered entered(host.loop());
    if (host.live_tasks() > 0) {
      outcome_.fail(name + " still has tasks: " + host.loop().describe_tasks());
    }
    const net::SocketStatistics sockets = net::socket_statistics();
    if (sockets.open > 0) outcome_.fail(name + ": sockets left: " + std::to_string(sockets.open));
    if (sockets.starved > 0) outcome_.fail(name + ": a socket waits for a buffer for ever");
    const io::BufferPool& pool = host.loop().driver().buffers();
    if (pool.free_count() != pool.count()) outcome_.fail(name + ": receive buffers are missing");
  }

  Outcome outcome_;
  Dice dice_;
  Shared shared_{outcome_};
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Dice>> dices_;
  SimWorld world_;
};

}  // namespace

Outcome run_echo(std::uint64_t seed) {
  const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
  const long blocks = detail::FramePool::live;
  g_interrupted = false;
  Outcome outcome = EchoRun(seed).run();
  if (g_interrupted) outcome.fail("a program was told of an interrupted call");
  set_log_sink(before);
  if (detail::FramePool::live > blocks) outcome.fail("frames or records leaked");
  return outcome;
}

}  // namespace rondo::sim
