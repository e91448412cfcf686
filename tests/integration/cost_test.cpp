// SPDX-License-Identifier: Apache-2.0
// The cost contract: exact counters per operation, never times. System calls are the driver's
// own count, allocations are every call of operator new plus every refill of the frame pool.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "http2_peer.hpp"
#include "net_pairs.hpp"
#include "rondo/core/barrier.hpp"
#include "rondo/core/broadcast.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/condition.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/once.hpp"
#include "rondo/core/oneshot.hpp"
#include "rondo/core/priority_queue.hpp"
#include "rondo/core/rate_limiter.hpp"
#include "rondo/core/rw_lock.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/thread_channel.hpp"
#include "rondo/core/watch.hpp"
#include "rondo/http/server.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/testing/memory_stream.hpp"
#include "rondo/ws/socket.hpp"

namespace {

// Counted for this program only; one thread.
unsigned long g_allocations = 0;

[[maybe_unused]] void* counted(std::size_t size) {
  ++g_allocations;
  if (void* block = std::malloc(size == 0 ? 1 : size)) return block;
  throw std::bad_alloc();
}

}  // namespace

#if !__has_feature(thread_sanitizer)  // It defines these itself; nothing is counted then.
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
#endif

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

/// What has been spent so far.
struct Cost {
  std::uint64_t calls = rondo::loop().driver().statistics().kernel_entries;
  std::uint64_t sends = rondo::loop().driver().statistics().submissions;
  unsigned long allocations = g_allocations + detail::FramePool::refills;

  Cost since(const Cost& before) const {
    Cost spent = *this;
    spent.calls -= before.calls;
    spent.sends -= before.sends;
    spent.allocations -= before.allocations;
    return spent;
  }
};

class CostTest : public ::testing::Test {
 protected:
  template <class F>
  void run(F body) {
    Loop loop({.driver = {.kind = io::DriverKind::uring}});
    EXPECT_TRUE(loop.run(body()).has_value());
  }
};

// Under AddressSanitizer every pooled block is an allocation: only the other counters hold.
#ifdef RONDO_POOL_OFF
constexpr bool k_pooled = false;
#else
constexpr bool k_pooled = true;
#endif

void expect_no_allocations(const Cost& spent) {
  if (k_pooled) EXPECT_EQ(spent.allocations, 0u);
}

Task<> serve_echo(tcp::Stream peer) {
  while (true) {
    auto got = co_await peer.read();
    if (!got || got->empty() || !co_await peer.write_all(got->bytes())) co_return;
  }
}

Task<> echo(tcp::Stream& stream, std::size_t times) {
  constexpr std::string_view k_message =
      "sixty-four bytes, the size of a line that people say in a chat.\n";
  static_assert(k_message.size() == 64);
  for (std::size_t i = 0; i < times; ++i) {
    (co_await stream.write_all(k_message)).or_throw();
    std::byte heard[64];
    (co_await stream.read_exact(heard)).or_throw();
  }
}

TEST_F(CostTest, an_echo_costs_hardly_a_system_call_and_no_allocation) {
  run([]() -> Task<> {
    constexpr std::size_t k_connections = 64;
    constexpr std::size_t k_echoes = 100;
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& servers) -> Task<> {
      std::vector<tcp::Stream> clients;
      for (std::size_t i = 0; i < k_connections; ++i) {
        Ends ends = co_await joined(listener);
        servers.start(&serve_echo, std::move(ends.far));
        clients.push_back(std::move(ends.near));
      }
      const auto all = [&](std::size_t times) -> Task<> {
        co_await with_scope([&](Scope& scope) -> Task<> {
          for (tcp::Stream& stream : clients) scope.start(&echo, std::ref(stream), times);
          co_return;
        });
      };
      co_await all(k_echoes);  // Pools fill.
      const Cost before;
      co_await all(k_echoes);
      const Cost spent = Cost().since(before);
      constexpr double k_total = k_connections * k_echoes;
      // Client and server share the loop: the calls are those of both.
      EXPECT_LE(static_cast<double>(spent.calls) / k_total, 0.05);
      EXPECT_EQ(spent.sends, 2 * k_total) << "one send each way, and no other submission";
      expect_no_allocations(spent);
      clients.clear();
    });
  });
}

constexpr std::string_view k_get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

http::Router hello() {
  http::Router router;
  router.get("/", [](http::Request&, http::Response& out) { out.send("Hello, World!"); });
  return router;
}

/// Asks `count` times in one write and reads that many answers.
Task<> ask(ByteStream& peer, const std::string& requests, std::size_t count) {
  (co_await peer.write_all(std::string_view(requests))).or_throw();
  std::size_t answers = 0;
  while (answers < count) {
    Loan got = co_await peer.read().or_throw();
    if (got.empty()) throw SystemError(Error(Errc::end_of_stream, "ask"));
    const std::string_view text = got.text();
    for (auto at = text.find("World!"); at != text.npos; at = text.find("World!", at + 1)) {
      ++answers;
    }
  }
}

TEST_F(CostTest, an_http_request_costs_no_allocation) {
  run([]() -> Task<> {
    http::Server server(hello());
    Ends ends = co_await tcp_pair();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&](tcp::Stream far) -> Task<> { co_await server.serve(far); },
                  std::move(ends.far));
      const std::string request(k_get);
      for (int i = 0; i < 50; ++i) co_await ask(ends.near, request, 1);
      const Cost before;
      for (int i = 0; i < 200; ++i) co_await ask(ends.near, request, 1);
      const Cost spent = Cost().since(before);
      expect_no_allocations(spent);
      EXPECT_EQ(spent.sends, 400u) << "one send for a request, one for its answer";
      ends.near.close();
    });
  });
}

TEST_F(CostTest, sixteen_pipelined_requests_are_answered_in_one_send) {
  run([]() -> Task<> {
    http::Server server(hello());
    MemoryPair pair;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { co_await server.serve(pair.first()); });
      std::string requests;
      for (int i = 0; i < 16; ++i) requests.append(k_get);
      for (int i = 0; i < 20; ++i) co_await ask(pair.second(), requests, 16);
      const std::uint64_t before = pair.sends_of_first();
      const Cost start;
      for (int i = 0; i < 50; ++i) co_await ask(pair.second(), requests, 16);
      EXPECT_EQ(pair.sends_of_first() - before, 50u);
      expect_no_allocations(Cost().since(start));
      pair.second().shutdown_write();
    });
  });
}

TEST_F(CostTest, ten_streams_of_http2_are_answered_in_one_send) {
  run([]() -> Task<> {
    http::Server server(hello());
    Ends ends = co_await tcp_pair();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&](tcp::Stream far) -> Task<> { co_await server.serve(far); },
                  std::move(ends.far));
      std::vector<std::string> batches;
      for (std::uint32_t id = 1; batches.size() < 250;) {
        std::string& batch = batches.emplace_back();
        for (int i = 0; i < 10; ++i, id += 2) batch += h2::get(id, "/");
      }
      batches[0].insert(0, h2::preface());
      for (std::size_t i = 0; i < 50; ++i) co_await ask(ends.near, batches[i], 10);
      const Cost before;
      for (std::size_t i = 50; i < 250; ++i) co_await ask(ends.near, batches[i], 10);
      const Cost spent = Cost().since(before);
      expect_no_allocations(spent);
      EXPECT_EQ(spent.sends, 400u) << "one send for ten requests, one for their answers";
      ends.near.close();
    });
  });
}

/// A raw client of a WebSocket: it counts the bytes of the frames it gets.
Task<tcp::Stream> open_socket(net::Endpoint where) {
  auto peer = co_await tcp::connect(where).or_throw();
  (co_await peer.write_all(
       "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
      .or_throw();
  while (true) {
    Loan line = co_await peer.read_line().or_throw();
    if (line.empty()) throw SystemError(Error(Errc::end_of_stream, "open_socket"));
    if (chomp(line.text()).empty()) co_return peer;
  }
}

http::Router hall(std::vector<ws::Socket*>& members, std::size_t& heard) {
  http::Router router;
  router.get("/ws", [&](http::Request& request, http::Response& response) -> Task<> {
    auto socket = co_await ws::accept(request, response);
    if (!socket) co_return;
    members.push_back(&*socket);
    while (auto message = co_await socket->receive()) ++heard;
    std::erase(members, &*socket);
  });
  return router;
}

/// Sends `times` frames to all members and waits until every client has got them.
Task<> deliver(std::vector<ws::Socket*>& members, std::vector<tcp::Stream>& clients,
               const SharedBytes& frame, std::size_t times) {
  std::byte room[256];
  for (std::size_t i = 0; i < times; ++i) {
    for (ws::Socket* member : members) member->try_send(frame).or_throw();
    for (tcp::Stream& client : clients) {
      for (std::size_t left = frame.size(); left > 0;) {
        left -=
            co_await client.read_some(ByteSpan(room).first(std::min(left, sizeof room))).or_throw();
      }
    }
  }
}

class FanOutCost : public CostTest, public ::testing::WithParamInterface<std::size_t> {};

TEST_P(FanOutCost, a_delivery_costs_no_allocation_and_one_send) {
  run([]() -> Task<> {
    constexpr std::size_t k_members = 20;
    constexpr std::size_t k_times = 50;
    std::vector<ws::Socket*> members;
    std::size_t heard = 0;
    http::Server server(hall(members, heard));
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      std::vector<tcp::Stream> clients;
      while (clients.size() < k_members) clients.push_back(co_await open_socket(listener.local()));
      const SharedBytes frame = ws::encode_text(std::string(GetParam(), 'f'));
      co_await deliver(members, clients, frame, k_times);
      const Cost before;
      co_await deliver(members, clients, frame, k_times);
      const Cost spent = Cost().since(before);
      expect_no_allocations(spent);
      EXPECT_EQ(spent.sends, k_members * k_times);
      EXPECT_LE(static_cast<double>(spent.calls) / (k_members * k_times), 0.1);
      clients.clear();
      rondo::loop().request_stop();
    });
  });
}
INSTANTIATE_TEST_SUITE_P(copied_and_shared, FanOutCost, ::testing::Values(100u, 3'000u));

TEST_F(CostTest, a_websocket_message_costs_no_allocation) {
  run([]() -> Task<> {
    std::vector<ws::Socket*> members;
    std::size_t heard = 0;
    http::Server server(hall(members, heard));
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> { (void)co_await server.run(listener); });
      auto client = co_await open_socket(listener.local());
      const SharedBytes frame = proto::make_masked_frame(
          proto::WebSocketOpcode::text, as_bytes(std::string_view("hello, hall")),
          {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}});
      const auto say = [&](std::size_t until) -> Task<> {
        while (heard < until) {
          const std::size_t next = heard + 1;
          (co_await client.write_all(frame.bytes())).or_throw();
          while (heard < next) co_await checkpoint();
        }
      };
      co_await say(50);
      const Cost before;
      co_await say(250);
      expect_no_allocations(Cost().since(before));
      client.close();
      rondo::loop().request_stop();
    });
  });
}

TEST_F(CostTest, an_idle_connection_with_its_coroutine_is_small) {
  run([]() -> Task<> {
    constexpr std::size_t k_connections = 200;
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    co_await with_scope([&](Scope& servers) -> Task<> {
      std::vector<tcp::Stream> clients;
      clients.reserve(k_connections);
      const long before = detail::FramePool::live;
      for (std::size_t i = 0; i < k_connections; ++i) {
        Ends ends = co_await joined(listener);
        servers.start(&serve_echo, std::move(ends.far));
        clients.push_back(std::move(ends.near));
        co_await echo(clients.back(), 1);
      }
      for (int i = 0; i < 10; ++i) co_await sleep_for(1ms);
      // The client's socket; the server's socket, its frame and its record.
      EXPECT_EQ(detail::FramePool::live - before, static_cast<long>(4 * k_connections));
      EXPECT_EQ(rondo::loop().driver().buffers().free_count(),
                rondo::loop().driver().buffers().count());
      clients.clear();
    });
  });
}

/// A round of every synchronisation primitive; those that suspend hand over to `other`.
struct Primitives {
  RwLock lock;
  Mutex mutex;
  Condition changed;
  Barrier barrier{2};
  RateLimiter limiter{{.tokens = 1'000'000, .per = 1ms, .burst = 1'000'000}};
  Broadcast<int> news{4, OnLag::wait};
  Watch<int> level;
  PriorityQueue<int> queue{2};
  ThreadChannel<int> frames{2};
  OnceCell<int> cell;
  int turn = 0;
};

Task<> first_half(Primitives& p, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    {
      auto reading = co_await p.lock.read();
    }
    {
      auto writing = co_await p.lock.write();
    }
    co_await p.limiter.acquire();
    static_cast<void>(co_await p.cell.get_or_init([]() -> Task<int> { co_return 1; }));
    (co_await p.news.send(i)).or_throw();
    (co_await p.queue.send(i)).or_throw();
    (co_await p.frames.send(i)).or_throw();
    p.level.set(i);
    {
      auto guard = co_await p.mutex.lock();
      p.turn = 1;
      p.changed.notify_one();
      co_await p.changed.wait(guard, [&p] { return p.turn == 0; });
    }
    auto [sender, receiver] = make_oneshot<int>();
    sender.set(1);
    static_cast<void>(co_await receiver);
    static_cast<void>(co_await p.barrier.arrive_and_wait());
  }
}

Task<> second_half(Primitives& p, int rounds) {
  auto news = p.news.subscribe();
  auto level = p.level.subscribe();
  for (int i = 0; i < rounds; ++i) {
    {
      auto reading = co_await p.lock.read();
    }
    static_cast<void>(co_await news.receive());
    static_cast<void>(co_await p.queue.receive());
    static_cast<void>(co_await p.frames.receive());
    static_cast<void>(co_await level.changed());
    {
      auto guard = co_await p.mutex.lock();
      co_await p.changed.wait(guard, [&p] { return p.turn == 1; });
      p.turn = 0;
      p.changed.notify_one();
    }
    static_cast<void>(co_await p.barrier.arrive_and_wait());
  }
}

TEST_F(CostTest, synchronisation_costs_neither_an_allocation_nor_a_system_call) {
  run([]() -> Task<> {
    Primitives all;
    const auto both = [&all](int rounds) -> Task<> {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start(second_half, std::ref(all), rounds);
        co_await checkpoint();
        scope.start(first_half, std::ref(all), rounds);
      });
    };
    co_await both(10);
    const Cost before;
    co_await both(1'000);
    const Cost spent = Cost().since(before);
    expect_no_allocations(spent);
    EXPECT_EQ(spent.sends, 0u);
  });
}

}  // namespace
}  // namespace rondo::testing
