// SPDX-License-Identifier: Apache-2.0
// Rondo inside of a loop that is not its own: the host sleeps in poll(2) on its descriptors and
// one of Rondo's, and gives Rondo a turn when that one is readable. libuv, GLib, Qt and SDL take a
// descriptor in the same way (docs/howto/embed-in-another-loop.md).
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <rondo/rondo.hpp>
#include <string>

using namespace rondo;
using namespace rondo::literals;

namespace {

struct Host {
  Loop& loop;
  int pipe[2] = {-1, -1};  ///< what the host itself listens to
  Channel<std::string> answers{8};
  explicit Host(Loop& inner) : loop(inner) {
    if (::pipe(pipe) != 0) std::perror("pipe");
  }
  ~Host() {
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  void take_line() {
    char text[64];
    const ssize_t got = ::read(pipe[0], text, sizeof text);
    const std::string line(text, got > 0 ? static_cast<std::size_t>(got) : 0);
    std::printf("host: read \"%s\" from its own pipe\n", line.c_str());
    // Tasks and channels are touched from inside of their loop only: post() goes there.
    loop.post([this, line] { answers.try_send("host has seen " + line); });
  }
};

Task<> echo_once(net::Listener* listener) {
  auto peer = co_await listener->accept().or_throw();
  while (auto got = co_await peer.read()) {
    if (got->empty() || !co_await peer.write_all(std::move(*got))) break;
  }
}

Task<int> program(Host* host) {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  int lines = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(echo_once, &listener);
    auto stream = co_await tcp::connect(listener.local()).or_throw();
    for (const std::string word : {"one", "two", "three"}) {
      co_await sleep_for(5ms);  // Timers too come through the descriptor.
      (co_await stream.write_all(as_bytes(word + "\n"))).or_throw();
      const auto echoed = co_await stream.read_line().or_throw();
      if (::write(host->pipe[1], word.data(), word.size()) < 0) std::perror("write");
      auto answer = co_await host->answers.receive();
      std::printf("rondo: %s\n", answer->c_str());
      ++lines;
    }
  });
  co_return lines;
}

}  // namespace

int main() {
  Loop loop;
  const int descriptor = loop.pollable_fd().or_throw();
  Host host(loop);
  MainTask<int> main = loop.start(program(&host));
  loop.poll();  // After anything but post() that was asked of the loop from outside.
  while (!main.done()) {
    pollfd watched[] = {{descriptor, POLLIN, 0}, {host.pipe[0], POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0) continue;
    if (watched[1].revents != 0) host.take_line();
    if (watched[0].revents != 0) loop.poll();
  }
  std::printf("%d lines; the host is still in charge\n", main.take().or_throw());
}
