// SPDX-License-Identifier: Apache-2.0
// Unix sockets: datagrams against the contract, descriptors that travel, credentials of the peer.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <memory>
#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/net/options.hpp"
#include "rondo/net/unix.hpp"
#include "rondo/testing/conformance.hpp"

namespace rondo::testing {
namespace {

struct UnixDatagramPair : DatagramPair {
  unix_datagram::Socket near = unix_datagram::Socket::bind(unused_name()).or_throw();
  unix_datagram::Socket far = unix_datagram::Socket::bind(unused_name()).or_throw();
  net::DatagramSocket& first() override { return near; }
  net::DatagramSocket& second() override { return far; }
};

using UnixSockets = EveryDriver;

TEST_P(UnixSockets, datagrams_keep_the_contract) {
  run([]() -> Task<> {
    const auto found = co_await check_datagram([]() -> Task<Owned<DatagramPair>> {
      co_return std::make_unique<UnixDatagramPair>();
    }, {.largest = 100'000, .too_large = 1'000'000});
    EXPECT_THAT(found, ::testing::IsEmpty());
  });
}

TEST_P(UnixSockets, a_sender_waits_for_a_full_queue_and_loses_nothing) {
  run([]() -> Task<> {
    const std::string name = unused_name();
    auto inbox = unix_datagram::Socket::bind(name).or_throw();
    auto bound = unix_datagram::Socket::bind(unused_name()).or_throw();
    auto connected = unix_datagram::Socket::connect(name).or_throw();
    const net::Endpoint where = inbox.local().or_throw();
    constexpr int k_each = 100;
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        for (int i = 0; i < k_each; ++i) (co_await bound.send_to("x", where)).or_throw();
      });
      scope.start([&]() -> Task<> {
        for (int i = 0; i < k_each; ++i) (co_await connected.send("y")).or_throw();
      });
      co_await sleep_for(2ms);
      int x = 0;
      int y = 0;
      while (x + y < 2 * k_each) {
        auto got = co_await inbox.receive_from().or_throw();
        EXPECT_TRUE(got.data.text() == "x" || got.data.text() == "y") << got.data.size();
        ++(got.data.text() == "x" ? x : y);
        // A socket without a name cannot be answered, and says so.
        if (got.data.text() == "y") EXPECT_EQ(got.from.to_string(), "unix:");
      }
      EXPECT_EQ(x, k_each);
      EXPECT_EQ(y, k_each);
    });
  });
}

TEST_P(UnixSockets, a_send_that_waits_for_a_full_queue_can_be_cancelled) {
  run([]() -> Task<> {
    auto inbox = unix_datagram::Socket::bind(unused_name()).or_throw();
    auto sender = unix_datagram::Socket::bind(unused_name()).or_throw();
    const net::Endpoint where = inbox.local().or_throw();
    int sent = 0;
    while (co_await with_timeout(20ms, sender.send_to("x", where))) ++sent;
    EXPECT_GT(sent, 0);
    for (int i = 0; i < sent; ++i) (void)(co_await inbox.receive_from()).or_throw();
    auto none = co_await with_timeout(5ms, inbox.receive_from());
    EXPECT_FALSE(none.has_value()) << "a cancelled send was sent";
  });
}

TEST_P(UnixSockets, a_peer_that_is_not_there_is_an_error) {
  run([]() -> Task<> {
    auto nobody = unix_datagram::Socket::connect(unused_name());
    if (nobody) {  // Simulated sockets find out with the first datagram.
      auto sent = co_await nobody->send("x");
      EXPECT_EQ(sent.error().code(), Errc::connection_refused);
    } else {
      EXPECT_EQ(nobody.error().code(), Errc::connection_refused);
    }
    EXPECT_EQ(unix_datagram::Socket::bind(std::string(200, 'x')).error().code(),
              Errc::bad_address);
  });
}

TEST_P(UnixSockets, the_peer_of_a_stream_is_known_by_its_credentials) {
  run([this]() -> Task<> {
    Ends ends = co_await unix_pair();
    const auto peer = net::get<net::PeerCredentials>(ends.far).or_throw();
    if (!is_sim()) {
      EXPECT_EQ(peer.pid, ::getpid());
      EXPECT_EQ(peer.uid, ::getuid());
      EXPECT_EQ(peer.gid, ::getgid());
    }
    EXPECT_GT(peer.pid, 0);
    Ends tcp = co_await tcp_pair();
    EXPECT_FALSE(net::get<net::PeerCredentials>(tcp.near).has_value());
  });
}

TEST_P(UnixSockets, a_connect_waits_while_the_listeners_backlog_is_full) {
  if (is_sim()) return;  // There a backlog that is full refuses.
  run([]() -> Task<> {
    const std::string name = unused_name();
    auto listener = unix_stream::listen({.path = name, .backlog = 1}).or_throw();
    std::vector<UniqueFd> before;
    const net::Endpoint where = net::Endpoint::unix_path(name).or_throw();
    const auto* address = reinterpret_cast<const sockaddr*>(where.address().storage);
    while (true) {
      UniqueFd next(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (::connect(next.get(), address, where.address().size) != 0) break;
      before.push_back(std::move(next));
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ((co_await with_timeout(5ms, unix_stream::connect(name))).error().code(),
              Errc::timed_out);
    const auto take = [](net::Listener& from, std::size_t others) -> Task<net::Stream> {
      co_await sleep_for(5ms);
      for (; others > 0; --others) (void)(co_await from.accept()).or_throw();
      co_return (co_await with_timeout(10s, from.accept())).or_throw();
    };
    auto [connected, last] =
        co_await when_all(unix_stream::connect(name), take(listener, before.size()));
    EXPECT_TRUE(connected.has_value());
  });
}

// ---- Descriptors

int count_open() {
  int count = 0;
  DIR* open = ::opendir("/proc/self/fd");
  while (::readdir(open)) ++count;
  ::closedir(open);
  return count;
}

bool same_file(int a, int b) {
  struct stat x{};
  struct stat y{};
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

class Passing : public EveryDriver {
 protected:
  /// Runs `body(near, far)` on a connected pair and checks that no descriptor is left.
  template <class F>
  void with_pair(F body) {
    const int before = count_open();
    run([&]() -> Task<> {
      Ends ends = co_await unix_pair();
      co_await body(ends.near, ends.far);
    });
    EXPECT_EQ(count_open(), before) << "descriptors leaked";
  }
};

TEST_P(Passing, a_descriptor_arrives_as_a_copy_that_is_closed_on_exec) {
  with_pair([this](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    auto sent = co_await unix_stream::send_descriptor(near, file.get());
    if (is_sim()) {
      EXPECT_EQ(sent.error().code(), Errc::not_supported);
      co_return;
    }
    sent.or_throw();
    UniqueFd got = (co_await unix_stream::receive_descriptor(far)).or_throw();
    EXPECT_NE(got.get(), file.get());
    EXPECT_TRUE(same_file(got.get(), file.get()));
    EXPECT_TRUE(::fcntl(got.get(), F_GETFD) & FD_CLOEXEC);
  });
}

TEST_P(Passing, several_arrive_in_order_with_their_message_and_the_stream_is_read_on) {
  if (is_sim()) return;  // docs/reference/drivers.md: descriptors do not travel in a simulation.
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd a(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    UniqueFd b(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    (co_await near.write_all("before ")).or_throw();
    const std::array<int, 2> both{a.get(), b.get()};
    (co_await unix_stream::send_descriptors(near, both, as_bytes("two files"))).or_throw();
    (co_await near.write_all("and after\n")).or_throw();
    std::string heard;
    std::vector<UniqueFd> got;
    while (got.empty()) {
      std::string room(16, ' ');
      auto passed = (co_await unix_stream::receive_descriptors(
                         far, std::as_writable_bytes(std::span(room)))).or_throw();
      heard.append(room, 0, passed.size);
      for (UniqueFd& fd : passed.descriptors) got.push_back(std::move(fd));
      EXPECT_FALSE(passed.descriptors_lost);
    }
    EXPECT_EQ(got.size(), 2u);
    EXPECT_TRUE(same_file(got[0].get(), a.get()));
    EXPECT_TRUE(same_file(got[1].get(), b.get()));
    auto rest = co_await far.read_line().or_throw();
    EXPECT_EQ(heard + std::string(rest.text()), "before two filesand after\n");
  });
}

TEST_P(Passing, a_message_cancelled_in_its_middle_breaks_the_stream) {
  if (is_sim()) return;
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::array<int, 1> one{file.get()};
    const std::string large(4'000'000, 'x');
    auto cut = co_await with_timeout(20ms,
                                     unix_stream::send_descriptors(near, one, as_bytes(large)));
    EXPECT_EQ(cut.error().code(), Errc::timed_out);
    EXPECT_EQ((co_await near.write_all("more")).error().code(), Errc::broken);
    EXPECT_TRUE(far.is_open());
  });
}

TEST_P(Passing, too_many_are_refused_and_those_of_a_foreign_sender_are_cut_and_told) {
  if (is_sim()) return;
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::vector<int> many(limits::descriptors_max.value + 4, file.get());
    auto refused = co_await unix_stream::send_descriptors(near, many, as_bytes("x"));
    EXPECT_EQ(refused.error().code(), Errc::too_large);
    // Another program may send more: the kernel closes what has no room, we say so.
    alignas(cmsghdr) std::array<char, CMSG_SPACE(20 * sizeof(int))> control{};
    char byte = 'x';
    iovec slice{&byte, 1};
    msghdr message{};
    message.msg_iov = &slice;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(20 * sizeof(int));
    std::memcpy(CMSG_DATA(rights), many.data(), 20 * sizeof(int));
    EXPECT_EQ(::sendmsg(near.descriptor(), &message, 0), 1);
    std::array<std::byte, 8> room;
    auto passed = (co_await unix_stream::receive_descriptors(far, room)).or_throw();
    EXPECT_EQ(passed.descriptors.size(), limits::descriptors_max.value);
    EXPECT_TRUE(passed.descriptors_lost);
  });
}

TEST_P(Passing, a_cancelled_receive_takes_nothing_and_leaks_nothing) {
  if (is_sim()) return;
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::array<std::byte, 8> room;
    auto none = co_await with_timeout(1ms, unix_stream::receive_descriptors(far, room));
    EXPECT_FALSE(none.has_value());
    (co_await unix_stream::send_descriptor(near, file.get())).or_throw();
    EXPECT_EQ((co_await unix_stream::receive_descriptors(far, room)).or_throw().descriptors.size(),
              1u);
    // Present and cancelled in one instant: delivered, or still there; never lost.
    int got = 0;
    for (int i = 0; i < 50; ++i) {
      (co_await unix_stream::send_descriptor(near, file.get())).or_throw();
      auto raced = co_await with_timeout(std::chrono::microseconds(i % 5 * 10),
                                         unix_stream::receive_descriptors(far, room));
      if (raced) got += static_cast<int>(raced->descriptors.size());
    }
    while (got < 50) {
      auto late = co_await with_timeout(1s, unix_stream::receive_descriptors(far, room));
      if (!late) break;
      got += static_cast<int>(late->descriptors.size());
    }
    EXPECT_EQ(got, 50);
  });
}

TEST_P(Passing, those_that_nobody_asks_for_are_closed_by_the_kernel) {
  if (is_sim()) return;
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::array<int, 1> one{file.get()};
    (co_await unix_stream::send_descriptors(near, one, as_bytes("plain\n"))).or_throw();
    EXPECT_EQ((co_await far.read_line().or_throw()).text(), "plain\n");
    auto ended = co_await with_timeout(1ms, far.read());
    EXPECT_FALSE(ended.has_value());
  });
}

TEST_P(Passing, a_reader_gets_the_bytes_behind_those_that_descriptors_came_with) {
  if (is_sim()) return;
  with_pair([](net::Stream& near, net::Stream& far) -> Task<> {
    UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    (co_await near.write_all("one\n")).or_throw();
    EXPECT_EQ((co_await far.read_line().or_throw()).text(), "one\n");
    // All of it is there before the reader looks: one read ends behind the descriptor's bytes.
    char text[] = "two\n";
    iovec slice{text, 4};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &slice;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = file.get();
    std::memcpy(CMSG_DATA(rights), &number, sizeof number);
    EXPECT_EQ(::sendmsg(near.descriptor(), &message, 0), 4);
    EXPECT_EQ(::send(near.descriptor(), "three\n", 6, 0), 6);
    for (const char* line : {"two\n", "three\n"}) {
      auto got = co_await with_timeout(10s, far.read_line());
      EXPECT_EQ(got ? got->text() : "nothing", line);
    }
  });
}

TEST_P(Passing, datagrams_carry_them_too) {
  if (is_sim()) return;
  const int before = count_open();
  run([]() -> Task<> {
    const std::string name = unused_name();
    auto inbox = unix_datagram::Socket::bind(name).or_throw();
    auto sender = unix_datagram::Socket::connect(name).or_throw();
    UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const std::array<int, 1> one{file.get()};
    (co_await sender.send_descriptors(one, as_bytes("here"))).or_throw();
    std::array<std::byte, 64> room;
    auto passed = (co_await inbox.receive_descriptors(room)).or_throw();
    EXPECT_EQ(passed.size, 4u);
    EXPECT_EQ(passed.descriptors.size(), 1u);
    EXPECT_TRUE(same_file(passed.descriptors[0].get(), file.get()));
  });
  EXPECT_EQ(count_open(), before);
}

TEST_P(Passing, receiving_them_on_a_stream_that_is_read_is_an_assertion) {
  const auto mixed = [this] {
    run([]() -> Task<> {
      Ends ends = co_await unix_pair();
      (co_await ends.near.write_all("x")).or_throw();
      (void)co_await ends.far.read();
      std::array<std::byte, 8> room;
      (void)co_await unix_stream::receive_descriptors(ends.far, room);
    });
  };
  EXPECT_DEATH(mixed(), "receive them before read");
}

ON_EVERY_DRIVER(UnixSockets);
ON_EVERY_DRIVER(Passing);

}  // namespace
}  // namespace rondo::testing
