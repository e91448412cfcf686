// SPDX-License-Identifier: Apache-2.0
// send_file and zero-copy writes: every byte once, in order, on every driver that has files.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/send_file.hpp"

namespace rondo::testing {
namespace {

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 253) % 26);
  return text;
}

/// A file without a name that holds `text`.
UniqueFd file_of(const std::string& text) {
  char name[] = "/tmp/rondo-send-file-XXXXXX";
  UniqueFd fd(::mkostemp(name, O_CLOEXEC));
  ::unlink(name);
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

Task<std::string> read_all(net::Stream& from) {
  std::string text;
  while (true) {
    const Loan piece = co_await from.read().or_throw();
    if (piece.empty()) co_return text;
    text += piece.text();
  }
}

using SendFile = EveryDriver;

TEST_P(SendFile, a_file_arrives_whole_between_what_is_written_around_it) {
  if (is_sim()) return;  // Its descriptors are not files of this process.
  run([]() -> Task<> {
    const std::string text = pattern(3'000'000);
    UniqueFd file = file_of(text);
    Ends ends = co_await tcp_pair();
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        (co_await ends.near.write_all("head ")).or_throw();
        EXPECT_EQ((co_await net::send_file(ends.near, file.get())).or_throw(), text.size());
        (co_await ends.near.write_all(" tail")).or_throw();
        ends.near.shutdown_write();
      });
      EXPECT_EQ(co_await read_all(ends.far), "head " + text + " tail");
    });
  });
}

TEST_P(SendFile, a_part_is_sent_and_the_end_of_the_file_ends_it) {
  if (is_sim()) return;
  run([]() -> Task<> {
    UniqueFd file = file_of("0123456789");
    Ends ends = co_await unix_pair();
    EXPECT_EQ((co_await net::send_file(ends.near, file.get(), 2, 3)).or_throw(), 3u);
    EXPECT_EQ((co_await net::send_file(ends.near, file.get(), 8, 100)).or_throw(), 2u);
    EXPECT_EQ((co_await net::send_file(ends.near, file.get(), 50)).or_throw(), 0u);
    ends.near.shutdown_write();
    EXPECT_EQ(co_await read_all(ends.far), "23489");
  });
}

TEST_P(SendFile, what_is_no_file_is_an_error_and_nothing_is_sent) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    EXPECT_FALSE((co_await net::send_file(ends.near, -1)).has_value());
    (co_await ends.near.write_all("still")).or_throw();
    ends.near.shutdown_write();
    EXPECT_EQ(co_await read_all(ends.far), "still");
  });
}

TEST_P(SendFile, a_peer_that_is_gone_is_an_error_not_a_signal) {
  if (is_sim()) return;
  run([]() -> Task<> {
    UniqueFd file = file_of(pattern(2'000'000));
    Ends ends = co_await tcp_pair();
    ends.far.close();
    Result<std::uint64_t> sent = std::uint64_t{0};
    for (int i = 0; i < 100 && sent; ++i) {
      sent = co_await net::send_file(ends.near, file.get());
      co_await sleep_for(1ms);
    }
    EXPECT_FALSE(sent.has_value());
  });
}

TEST_P(SendFile, one_cut_in_two_by_a_cancel_breaks_the_stream) {
  if (is_sim()) return;
  run([]() -> Task<> {
    UniqueFd file = file_of(pattern(30'000'000));
    Ends ends = co_await tcp_pair();
    auto cut = co_await with_timeout(20ms, net::send_file(ends.near, file.get()));
    EXPECT_FALSE(cut.has_value());
    auto after = co_await ends.near.write_all("x");
    EXPECT_FALSE(after.has_value());
    if (!after) EXPECT_EQ(after.error().code(), Errc::broken);
  });
}

TEST_P(SendFile, what_is_queued_meanwhile_leaves_after_the_file) {
  if (is_sim()) return;
  run([]() -> Task<> {
    const std::string text = pattern(3'000'000);
    UniqueFd file = file_of(text);
    Ends ends = co_await tcp_pair();
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto sending = scope.start([&]() -> Task<> {
        EXPECT_EQ((co_await net::send_file(ends.near, file.get())).or_throw(), text.size());
      });
      for (int i = 0; i < 5; ++i) {
        ends.near.try_write(SharedBytes::copy("later ")).or_throw();
        co_await sleep_for(1ms);
      }
      std::string got;
      while (got.size() < text.size() + 30) {
        const Loan piece = co_await ends.far.read().or_throw();
        got += piece.text();
      }
      EXPECT_TRUE(co_await sending);
      // The first may be queued before the file begins; none stands inside.
      const std::size_t at = got.find(text.substr(0, 100));
      EXPECT_EQ(got.substr(at, text.size()), text);
    });
  });
}

TEST_P(SendFile, more_transfers_than_the_kernel_has_threads_for_all_arrive) {
  if (is_sim()) return;
  run([]() -> Task<> {
    const std::string text = pattern(300'000);
    UniqueFd file = file_of(text);
    co_await with_scope([&](Scope& scope) -> Task<> {
      for (std::uint64_t i = 0; i < limits::splices_max.value + 8; ++i) {
        scope.start([&]() -> Task<> {
          Ends ends = co_await unix_pair();
          std::string got;
          co_await with_scope([&](Scope& pair) -> Task<> {
            pair.start([&]() -> Task<> {
              (co_await net::send_file(ends.near, file.get())).or_throw();
              ends.near.shutdown_write();
            });
            co_await sleep_for(20ms);  // All of them wait for their peers at once.
            got = co_await read_all(ends.far);
          });
          EXPECT_EQ(got, text);
        });
      }
      co_return;
    });
  });
}

TEST_P(SendFile, an_adopted_socket_of_either_mode_waits_for_its_peer) {
  if (is_sim()) return;
  run([]() -> Task<> {
    const std::string text = pattern(2'000'000);
    UniqueFd file = file_of(text);
    for (const int mode : {0, int{SOCK_NONBLOCK}}) {
      int fds[2];
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | mode, 0, fds), 0);
      net::Stream near = net::Stream::adopt(fds[0]);
      net::Stream far = net::Stream::adopt(fds[1]);
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          (co_await net::send_file(near, file.get())).or_throw();
          near.shutdown_write();
        });
        co_await sleep_for(1ms);  // The loop turns while the file waits.
        EXPECT_EQ(co_await read_all(far), text);
      });
    }
  });
}

using ZeroCopy = EveryDriver;

TEST_P(ZeroCopy, what_is_queued_meanwhile_does_not_get_into_a_write) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    ends.near.set_send_buffer(16'384).or_throw();
    ends.near.set_zero_copy(true);
    const std::string large = pattern(2'000'000);
    std::string got;
    co_await with_scope([&](Scope& scope) -> Task<> {
      auto writing = scope.start([&]() -> Task<> {
        (co_await ends.near.write_all(std::string_view(large))).or_throw();
      });
      scope.start([&]() -> Task<> { got = co_await read_all(ends.far); });
      while (!writing.done()) {
        ends.near.try_write(SharedBytes::copy("!")).or_throw();
        co_await sleep_for(100us);
      }
      ends.near.shutdown_write();
    });
    // Those before the first send may stand in front.
    const std::size_t at = got.find_first_not_of('!');
    EXPECT_EQ(got.substr(at, large.size()), large);
  });
}

TEST_P(ZeroCopy, large_writes_arrive_whole_in_order_with_small_ones) {
  run([]() -> Task<> {
    for (int kind = 0; kind < 2; ++kind) {  // Unix sockets cannot, and copy.
      Ends ends = kind == 0 ? co_await tcp_pair() : co_await unix_pair();
      ends.near.set_zero_copy(true);
      const std::string large = pattern(1'500'000);
      std::string expected;
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&]() -> Task<> {
          for (int i = 0; i < 3; ++i) {
            std::string own = large;  // Freed at once: the kernel must have let go of it.
            (co_await ends.near.write_all("small ")).or_throw();
            (co_await ends.near.write_all(std::string_view(own))).or_throw();
            own.assign(own.size(), '!');
          }
          ends.near.shutdown_write();
        });
        for (int i = 0; i < 3; ++i) expected += "small " + large;
        EXPECT_EQ(co_await read_all(ends.far), expected);
      });
    }
  });
}

TEST_P(ZeroCopy, a_cancelled_write_leaves_nothing_in_flight) {
  run([]() -> Task<> {
    Ends ends = co_await tcp_pair();
    ends.near.set_zero_copy(true);
    {
      const std::string large = pattern(30'000'000);
      auto cut = co_await with_timeout(10ms, ends.near.write_all(std::string_view(large)));
      EXPECT_FALSE(cut.has_value());
    }
    auto after = co_await ends.near.write_all("x");
    EXPECT_FALSE(after.has_value());
  });
}

ON_EVERY_DRIVER(SendFile);
ON_EVERY_DRIVER(ZeroCopy);

}  // namespace
}  // namespace rondo::testing
