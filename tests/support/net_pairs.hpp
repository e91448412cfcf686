// SPDX-License-Identifier: Apache-2.0
// Two ends of one connection, made through a listener of the running loop.
//
//   auto [near, far] = co_await tcp_pair();       // near connected, far was accepted
//
// Lifetime: the streams own themselves. Thread rule: the loop's thread.
#pragma once

#include <unistd.h>

#include <string>
#include <utility>

#include "rondo/core/when.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/net/unix.hpp"

namespace rondo::testing {

struct Ends {
  net::Stream near;
  net::Stream far;
};

inline Task<Ends> joined(net::Listener& listener) {
  auto [near, far] = co_await when_all(tcp::connect(listener.local()), listener.accept());
  co_return Ends{std::move(near).or_throw(), std::move(far).or_throw()};
}

inline Task<Ends> tcp_pair() {
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  co_return co_await joined(listener);
}

/// A name in the abstract namespace that no other test or process has.
inline std::string unused_name() {
  static int number = 0;
  return "@rondo-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

inline Task<Ends> unix_pair() {
  const std::string name = unused_name();
  auto listener = unix_stream::listen({.path = name}).or_throw();
  co_return co_await joined(listener);
}

}  // namespace rondo::testing
