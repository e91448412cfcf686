// SPDX-License-Identifier: Apache-2.0
// UDP and Unix datagram sockets on every driver: the contract, and what each adds to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <type_traits>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/broadcast.hpp"
#include "rondo/net/options.hpp"
#include "rondo/net/udp.hpp"
#include "rondo/net/unix.hpp"
#include "rondo/testing/conformance.hpp"

namespace rondo::testing {
namespace {

struct UdpPair : DatagramPair {
  explicit UdpPair(std::string_view address)
      : near(udp::Socket::bind({.address = address}).or_throw()),
        far(udp::Socket::bind({.address = address}).or_throw()) {}
  udp::Socket near;
  udp::Socket far;
  net::DatagramSocket& first() override { return near; }
  net::DatagramSocket& second() override { return far; }
};

namespace both_opened {
using namespace rondo;
using namespace rondo::net;
static_assert(std::is_same_v<Received, net::Received>, "names of the two do not collide");
static_assert(std::is_same_v<BroadcastItem<int>, rondo::BroadcastItem<int>>);
}  // namespace both_opened

using Datagrams = EveryDriver;

TEST_P(Datagrams, udp_keeps_the_contract) {
  run([]() -> Task<> {
    const auto found = co_await check_datagram([]() -> Task<Owned<DatagramPair>> {
      co_return std::make_unique<UdpPair>("127.0.0.1:0");
    });
    EXPECT_THAT(found, ::testing::IsEmpty());
  });
}

TEST_P(Datagrams, udp_over_ipv6_keeps_the_contract) {
  run([]() -> Task<> {
    const auto found = co_await check_datagram([]() -> Task<Owned<DatagramPair>> {
      co_return std::make_unique<UdpPair>("[::1]:0");
    }, {.too_large = 70'000});
    EXPECT_THAT(found, ::testing::IsEmpty());
  });
}

TEST_P(Datagrams, a_connected_socket_hears_its_peer_only) {
  run([]() -> Task<> {
    auto server = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    auto client = udp::Socket::connect(server.local().or_throw()).or_throw();
    auto stranger = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    (co_await client.send("ping")).or_throw();
    auto got = co_await server.receive_from().or_throw();
    EXPECT_EQ(got.data.text(), "ping");
    EXPECT_EQ(got.from.to_string(), client.local().or_throw().to_string());
    EXPECT_EQ(client.peer().or_throw().to_string(), server.local().or_throw().to_string());
    (co_await stranger.send_to("not for you", got.from)).or_throw();
    (co_await server.send_to("pong", got.from)).or_throw();
    std::array<std::byte, 64> room;
    auto answer = co_await client.receive(room).or_throw();
    EXPECT_EQ(as_text(ByteView(room).first(answer.size)), "pong");
  });
}

TEST_P(Datagrams, a_connected_socket_is_told_that_nobody_listens) {
  run([]() -> Task<> {
    auto gone = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    const net::Endpoint where = gone.local().or_throw();
    gone.close();
    co_await sleep_for(5ms);  // The driver closes it in its own time.
    auto client = udp::Socket::connect(where).or_throw();
    (co_await client.send("anybody?")).or_throw();
    auto answer = co_await with_timeout(10s, client.receive_from());
    EXPECT_FALSE(answer.has_value());
    if (!answer) EXPECT_EQ(answer.error().code(), Errc::connection_refused);
  });
}

TEST_P(Datagrams, a_send_without_a_peer_is_an_error) {
  run([]() -> Task<> {
    auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    auto sent = co_await socket.send("to whom?");
    EXPECT_FALSE(sent.has_value());
    EXPECT_FALSE(socket.peer().has_value());
  });
}

TEST_P(Datagrams, a_taken_address_is_an_error_with_its_name) {
  run([]() -> Task<> {
    auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    const std::string where = socket.local().or_throw().to_string();
    auto second = udp::Socket::bind({.address = where});
    EXPECT_FALSE(second.has_value());
    if (!second) {
      EXPECT_EQ(second.error().code(), Errc::address_in_use);
      EXPECT_EQ(second.error().object(), where);
    }
    auto nonsense = udp::Socket::bind({.address = "here:now"});
    EXPECT_FALSE(nonsense.has_value());
    auto shared = udp::Socket::bind({.address = "127.0.0.1:0", .reuse_port = true}).or_throw();
    const std::string port = shared.local().or_throw().to_string();
    EXPECT_TRUE(udp::Socket::bind({.address = port, .reuse_port = true}).has_value());
    co_return;
  });
}

TEST_P(Datagrams, segments_arrive_as_datagrams_of_their_size) {
  run([]() -> Task<> {
    auto near = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    auto far = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    std::string text;
    for (int i = 0; i < 10; ++i) text += std::string(1'000, static_cast<char>('0' + i));
    text += "rest";
    (co_await near.send_segments(as_bytes(text), 1'000, far.local().or_throw())).or_throw();
    std::string heard;
    for (int i = 0; i < 11; ++i) {
      auto got = co_await far.receive_from().or_throw();
      EXPECT_EQ(got.data.size(), i < 10 ? 1'000u : 4u);
      heard += got.data.text();
    }
    EXPECT_EQ(heard, text);
  });
}

TEST_P(Datagrams, more_segments_than_one_call_takes_arrive_all) {
  run([]() -> Task<> {
    auto near = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    auto far = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    const std::string text(150, 's');
    int heard = 0;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        (co_await near.send_segments(as_bytes(text), 1, far.local().or_throw())).or_throw();
      });
      for (; heard < 150; ++heard) {
        EXPECT_EQ((co_await far.receive_from().or_throw()).data.text(), "s");
      }
    });
    EXPECT_EQ(heard, 150);
  });
}

TEST_P(Datagrams, a_multicast_group_hears_what_is_sent_to_it_until_it_is_left) {
  run([]() -> Task<> {
    auto member = udp::Socket::bind({.address = "0.0.0.0:0", .reuse_address = true}).or_throw();
    member.join("239.255.7.7").or_throw();
    auto again = member.join("239.255.7.7");
    EXPECT_FALSE(again.has_value());
    auto sender = udp::Socket::bind({.address = "0.0.0.0:0"}).or_throw();
    net::set(sender, net::MulticastLoop{.on = true}).or_throw();
    net::set(sender, net::MulticastTtl{.hops = 0}).or_throw();  // Stays on this machine.
    EXPECT_EQ(net::get<net::MulticastTtl>(sender).or_throw().hops, 0);
    auto group = net::Endpoint::ip("239.255.7.7", member.local().or_throw().port()).or_throw();
    (co_await sender.send_to("all of you", group)).or_throw();
    auto got = co_await with_timeout(10s, member.receive_from());
    EXPECT_TRUE(got.has_value());
    if (got) EXPECT_EQ(got->data.text(), "all of you");
    member.leave("239.255.7.7").or_throw();
    (co_await sender.send_to("nobody", group)).or_throw();
    auto none = co_await with_timeout(20ms, member.receive_from());
    EXPECT_FALSE(none.has_value());
    EXPECT_FALSE(member.leave("239.255.7.7").has_value());
    EXPECT_FALSE(member.join("not a group").has_value());
  });
}

TEST_P(Datagrams, broadcast_is_refused_until_it_is_allowed) {
  run([]() -> Task<> {
    auto socket = udp::Socket::bind({.address = "0.0.0.0:0"}).or_throw();
    auto everybody = net::Endpoint::parse("255.255.255.255:9").or_throw();
    auto refused = co_await socket.send_to("x", everybody);
    EXPECT_FALSE(refused.has_value());
    if (!refused) EXPECT_EQ(refused.error().code(), Errc::access_denied);
    net::set(socket, net::Broadcast{}).or_throw();
    EXPECT_TRUE(net::get<net::Broadcast>(socket).or_throw().on);
  });
}

TEST_P(Datagrams, sockets_move_while_a_task_waits_in_them) {
  run([]() -> Task<> {
    auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
    const net::Endpoint where = socket.local().or_throw();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto waiting = scope.start([&]() -> Task<std::string> {
        auto got = co_await socket.receive_from().or_throw();
        co_return std::string(got.data.text());
      });
      co_await turns(3);
      udp::Socket moved = std::move(socket);
      auto sender = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
      (co_await sender.send_to("found", where)).or_throw();
      EXPECT_EQ((co_await waiting).or_throw(), "found");
    });
  });
}

using DatagramMisuse = EveryDriver;

TEST_P(DatagramMisuse, closing_under_a_receiver_is_an_assertion) {
  const auto closed = [this] {
    run([]() -> Task<> {
      auto socket = udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> { (void)co_await socket.receive_from(); });
        co_await turns(3);
        socket.close();
      });
    });
  };
  EXPECT_DEATH(closed(), "a datagram socket was closed while a task waits in it");
}

ON_EVERY_DRIVER(Datagrams);
ON_EVERY_DRIVER(DatagramMisuse);

}  // namespace
}  // namespace rondo::testing
