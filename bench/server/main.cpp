// SPDX-License-Identifier: Apache-2.0
// rondo-bench-server MODE PORT: the contender of bench/peers, written as a user would write it.
// One loop on one thread; prints READY once it accepts; ends on SIGTERM.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "modes.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/tcp.hpp"

namespace bench {

using namespace rondo;

void ready() {
  // What the recorder costs is the difference between the two.
  if (std::getenv("RONDO_BENCH_RECORD")) Loop::current().record();
  std::puts("READY");
  std::fflush(stdout);
}

Task<> echo(tcp::Stream peer) {
  while (auto got = co_await peer.read()) {
    if (got->empty()) break;  // The peer closed its side.
    if (!co_await peer.write_all(got->bytes())) break;
  }
}

Task<> sink(tcp::Stream peer) {
  while (auto got = co_await peer.read()) {
    if (got->empty()) break;
  }
}

Task<> source(tcp::Stream peer) {
  static const std::string block(65'536, 'z');
  auto first = co_await peer.read();
  if (!first || first->empty()) co_return;
  while (co_await peer.write_all(block)) continue;
}

/// Everybody's lines, to everybody: one shared message, referenced or copied per member.
class Room {
 public:
  Task<> member(tcp::Stream peer) {
    Membership membership(*this, peer);
    while (auto line = co_await peer.read_line()) {
      if (line->empty()) break;
      say(SharedBytes::copy(line->bytes()));
    }
  }

 private:
  struct Membership {
    Membership(Room& r, tcp::Stream& peer) : room(r), index(r.members_.size()) {
      room.members_.push_back({&peer, this});
    }
    Membership(const Membership&) = delete;
    ~Membership() {
      room.members_[index] = room.members_.back();
      room.members_[index].place->index = index;
      room.members_.pop_back();
    }
    Room& room;
    std::size_t index;
  };
  struct Member {
    tcp::Stream* peer;
    Membership* place;
  };
  void say(const SharedBytes& message) {
    for (Member& member : members_) {
      // A member that cannot keep up misses lines; its stream's queue is bounded.
      static_cast<void>(member.peer->try_write(message, 8U << 20U).has_value());
    }
  }
  std::vector<Member> members_;
};

template <class Serve>
Task<> accept_all(std::string port, Serve serve) {
  auto listener = tcp::listen({.address = "127.0.0.1:" + port}).or_throw();
  ready();
  co_await with_scope([&](Scope& sessions) -> Task<> {
    while (auto peer = co_await listener.accept()) sessions.start(serve, std::move(*peer));
    sessions.cancel();
  });
}

Task<> fanout(std::string port) {
  Room room;
  auto listener = tcp::listen({.address = "127.0.0.1:" + port}).or_throw();
  ready();
  co_await with_scope([&](Scope& sessions) -> Task<> {
    while (auto peer = co_await listener.accept()) {
      sessions.start([](Room& r, tcp::Stream p) -> Task<> { co_await r.member(std::move(p)); },
                     std::ref(room), std::move(*peer));
    }
    sessions.cancel();
  });
}

}  // namespace bench

int main(int argc, char** argv) {
  const std::string_view mode = argc > 2 ? argv[1] : "";
  const std::string port = argc > 2 ? argv[2] : "";
  if (mode == "echo") return rondo::run(bench::accept_all(port, bench::echo));
  if (mode == "sink") return rondo::run(bench::accept_all(port, bench::sink));
  if (mode == "source") return rondo::run(bench::accept_all(port, bench::source));
  if (mode == "fanout") return rondo::run(bench::fanout(port));
  using bench::Transport;
  if (mode == "http") return rondo::run(bench::http(port, Transport::plain));
  if (mode == "https") return rondo::run(bench::http(port, Transport::tls));
  if (mode == "ws") return rondo::run(bench::ws_echo(port, Transport::plain));
  if (mode == "wss") return rondo::run(bench::ws_echo(port, Transport::tls));
  if (mode == "wsfan") return rondo::run(bench::ws_fan(port));
  std::fputs("rondo-bench-server echo|sink|source|fanout|http|https|ws|wss|wsfan PORT\n", stderr);
  return 2;
}
