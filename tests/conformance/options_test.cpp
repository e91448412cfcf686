// SPDX-License-Identifier: Apache-2.0
// Socket options: what is set is read back, and sockets that have none of it say so.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/net/options.hpp"
#include "rondo/net/udp.hpp"

namespace rondo::testing {
namespace {

using SocketOptions = EveryDriver;

TEST_P(SocketOptions, of_a_tcp_stream_are_read_back) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    net::Stream& stream = ends.near;
    EXPECT_TRUE(net::get<net::NoDelay>(stream).or_throw().on) << "the default of our streams";
    net::set(stream, net::NoDelay{.on = false}).or_throw();
    EXPECT_FALSE(net::get<net::NoDelay>(stream).or_throw().on);

    EXPECT_FALSE(net::get<net::KeepAlive>(stream).or_throw().on);
    net::set(stream, net::KeepAlive{.idle = 30s, .interval = 10s, .count = 3}).or_throw();
    const auto alive = net::get<net::KeepAlive>(stream).or_throw();
    EXPECT_TRUE(alive.on);
    EXPECT_EQ(alive.idle, 30s);
    EXPECT_EQ(alive.interval, 10s);
    EXPECT_EQ(alive.count, 3);
    net::set(stream, net::KeepAlive{.on = false}).or_throw();
    EXPECT_FALSE(net::get<net::KeepAlive>(stream).or_throw().on);

    EXPECT_FALSE(net::get<net::Linger>(stream).or_throw().on);
    net::set(stream, net::Linger{.timeout = 2s}).or_throw();
    EXPECT_TRUE(net::get<net::Linger>(stream).or_throw().on);
    EXPECT_EQ(net::get<net::Linger>(stream).or_throw().timeout, 2s);
    net::set(stream, net::Linger{.on = false}).or_throw();
    EXPECT_FALSE(net::get<net::Linger>(stream).or_throw().on);

    net::set(stream, net::Ttl{.hops = 9}).or_throw();
    EXPECT_EQ(net::get<net::Ttl>(stream).or_throw().hops, 9);
    net::set(stream, net::TypeOfService{.value = 0x10}).or_throw();
    EXPECT_EQ(net::get<net::TypeOfService>(stream).or_throw().value, 0x10);
    net::set(stream, net::UserTimeout{.time = 1500us}).or_throw();
    EXPECT_EQ(net::get<net::UserTimeout>(stream).or_throw().time, 2ms) << "rounded up, never down";
    net::set(stream, net::SendBuffer{.bytes = 50'000}).or_throw();
    EXPECT_GE(net::get<net::SendBuffer>(stream).or_throw().bytes, 50'000);
    net::set(stream, net::ReceiveBuffer{.bytes = 50'000}).or_throw();
    EXPECT_GE(net::get<net::ReceiveBuffer>(stream).or_throw().bytes, 50'000);
  });
}

TEST_P(SocketOptions, work_on_listeners_and_datagram_sockets) {
  run([]() -> Task<> {
    auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
    net::set(listener, net::ReceiveBuffer{.bytes = 20'000}).or_throw();
    auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    EXPECT_FALSE(net::get<net::Broadcast>(socket).or_throw().on);
    net::set(socket, net::Ttl{.hops = 3}).or_throw();
    EXPECT_EQ(net::get<net::Ttl>(socket).or_throw().hops, 3);
    EXPECT_TRUE(net::get<net::MulticastLoop>(socket).or_throw().on);
    net::set(socket, net::MulticastLoop{.on = false}).or_throw();
    EXPECT_FALSE(net::get<net::MulticastLoop>(socket).or_throw().on);
    co_return;
  });
}

TEST_P(SocketOptions, that_a_socket_does_not_have_are_errors_with_their_name) {
  run([]() -> Task<> {
    Ends ends = co_await unix_pair();
    auto refused = net::set(ends.near, net::NoDelay{});
    EXPECT_FALSE(refused.has_value());
    if (!refused) EXPECT_EQ(refused.error().object(), "no_delay");
    EXPECT_FALSE(net::set(ends.near, net::KeepAlive{}).has_value());
    Ends tcp = co_await tcp_pair();
    EXPECT_FALSE(net::set(tcp.near, net::UserTimeout{.time = -1s}).has_value());
    EXPECT_FALSE(net::set(tcp.near, net::BindDevice{.name = "no-such-device"}).has_value());
    EXPECT_FALSE(net::set(tcp.near, net::BindDevice{.name = std::string(40, 'x')}).has_value());
  });
}

/// Two listeners of one port: every connection comes to one of them, and both get some.
TEST_P(SocketOptions, reuse_port_spreads_connections_over_listeners) {
  run([]() -> Task<> {
    auto first = tcp::listen({.address = "127.0.0.1:0", .reuse_port = true}).or_throw();
    const std::string where = first.local().to_string();
    auto second = tcp::listen({.address = where, .reuse_port = true}).or_throw();
    constexpr int k_connections = 24;
    int at_first = 0;
    int at_second = 0;
    std::vector<net::Stream> open;
    co_await with_scope([&](Scope& scope) -> Task<> {
      const auto count = [](net::Listener& listener, int& counter,
                            std::vector<net::Stream>& kept) -> Task<> {
        while (auto peer = co_await listener.accept()) {
          ++counter;
          kept.push_back(std::move(*peer));
        }
      };
      scope.start(count, std::ref(first), std::ref(at_first), std::ref(open));
      scope.start(count, std::ref(second), std::ref(at_second), std::ref(open));
      for (int i = 0; i < k_connections; ++i) {
        auto near = co_await tcp::connect(first.local()).or_throw();
        open.push_back(std::move(near));
      }
      while (at_first + at_second < k_connections) co_await sleep_for(1ms);
      scope.cancel();
    });
    EXPECT_EQ(at_first + at_second, k_connections);
    // The kernel hashes the ends: that all of 24 fall to one side is a chance of 1 in 8 million.
    EXPECT_GT(at_first, 0);
    EXPECT_GT(at_second, 0);
  });
}

ON_EVERY_DRIVER(SocketOptions);

}  // namespace
}  // namespace rondo::testing
