// SPDX-License-Identifier: Apache-2.0
// What holds on every driver: sockets, cancellation, multishot, back-pressure.
#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "driver_fixture.hpp"

#include "rondo/io/socket_ops.hpp"

namespace rondo::io::testing {
namespace {

using namespace std::string_literals;

// --- completes, fails ---

TEST_P(DriverTest, a_connection_has_two_ends_that_name_each_other) {
  const Pair pair = connect();
  const Address mine = name_of(pair.near);
  const Address seen = name_of(pair.far, true);
  EXPECT_EQ(0, std::memcmp(mine.storage, seen.storage, sizeof(sockaddr_in)));
}

TEST_P(DriverTest, accept_stays_armed_over_many_connections) {
  const int listener = listen();
  Recorded<AcceptOp> accept;
  accept.fd = listener;
  driver().submit(accept);
  for (int i = 0; i < 20; ++i) {
    Recorded<ConnectOp> op;
    op.address = name_of(listener);
    EXPECT_GE(keep(run(op)), 0);
  }
  ASSERT_TRUE(until([&] { return accept.got.size() == 20; }));
  for (const Completion& done : accept.got) {
    EXPECT_GE(keep(done.result), 0);
    EXPECT_TRUE(done.more);
  }
  driver().cancel(accept);
  ASSERT_TRUE(until([&] { return accept.ended(); }));
  EXPECT_EQ(accept.result(), -ECANCELED);
}

TEST_P(DriverTest, accept_fails_on_a_descriptor_that_is_not_open) {
  Recorded<AcceptOp> op;
  op.fd = -1;
  EXPECT_EQ(run(op), -EBADF);
}

TEST_P(DriverTest, connect_is_refused_where_nobody_listens) {
  const int listener = listen();
  Recorded<ConnectOp> op;
  op.address = name_of(listener);
  close(listener);
  EXPECT_EQ(run(op), -ECONNREFUSED);
}

TEST_P(DriverTest, bytes_arrive_in_order_and_the_end_is_terminal) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.far;
  driver().submit(recv);
  send(pair.near, "one ");
  send(pair.near, "two ");
  shut(pair.near);
  ASSERT_TRUE(until([&] { return recv.ended(); }));
  EXPECT_EQ(recv.result(), 0);
  EXPECT_EQ(recv.got.back().buffer, k_no_buffer);
  EXPECT_EQ(text_of(recv), "one two ");
}

TEST_P(DriverTest, recv_fails_on_a_descriptor_that_is_not_open) {
  Recorded<RecvOp> op;
  op.fd = -1;
  EXPECT_EQ(run(op), -EBADF);
}

TEST_P(DriverTest, send_message_sends_its_slices_in_order) {
  const Pair pair = connect();
  const ByteView slices[] = {as_bytes("alpha "), as_bytes(""), as_bytes("beta "), as_bytes("c")};
  Recorded<SendMessageOp> op;
  op.fd = pair.near;
  op.slices = slices;
  op.count = 4;
  EXPECT_EQ(run(op), 12);
  shut(pair.near);
  Sink sink(driver(), pair.far);
  ASSERT_TRUE(until([&] { return sink.ended; }));
  EXPECT_EQ(sink.bytes, "alpha beta c");
}

TEST_P(DriverTest, sending_fails_after_this_side_was_shut) {
  const Pair pair = connect();
  shut(pair.near);
  Recorded<SendOp> op;
  op.fd = pair.near;
  op.data = as_bytes("x").data();
  op.size = 1;
  EXPECT_EQ(run(op), -EPIPE);
  const ByteView slice = as_bytes("x");
  Recorded<SendMessageOp> message;
  message.fd = pair.near;
  message.slices = &slice;
  message.count = 1;
  EXPECT_EQ(run(message), -EPIPE);
}

TEST_P(DriverTest, close_fails_on_a_descriptor_that_is_not_open) {
  Recorded<CloseOp> op;
  op.fd = -1;
  EXPECT_EQ(run(op), -EBADF);
}

TEST_P(DriverTest, immediate_operations_fail_inside_of_submit) {
  Recorded<ShutdownOp> shutdown;
  EXPECT_EQ(now(shutdown), -EBADF);
  Recorded<SocketNameOp> name;
  EXPECT_EQ(now(name), -EBADF);
  Recorded<SocketOptionOp> option;
  EXPECT_EQ(now(option), -EBADF);
  const int listener = listen();
  Recorded<ListenOp> taken;
  taken.address = name_of(listener);
  EXPECT_EQ(now(taken), -EADDRINUSE);
}

TEST_P(DriverTest, socket_options_can_be_set) {
  const Pair pair = connect();
  for (const SocketOption which : {SocketOption::no_delay, SocketOption::keep_alive,
                                   SocketOption::receive_buffer, SocketOption::send_buffer}) {
    Recorded<SocketOptionOp> option;
    option.fd = pair.near;
    option.option = which;
    option.value = 1;
    EXPECT_EQ(now(option), 0);
  }
}

// --- cancelled ---

TEST_P(DriverTest, operations_cancelled_before_they_start_end_with_ecanceled) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.near;
  Recorded<AcceptOp> accept;
  accept.fd = listen();
  driver().submit(recv);
  driver().submit(accept);
  driver().cancel(recv);
  driver().cancel(accept);
  ASSERT_TRUE(until([&] { return recv.ended() && accept.ended(); }));
  EXPECT_EQ(recv.result(), -ECANCELED);
  EXPECT_EQ(accept.result(), -ECANCELED);
  EXPECT_EQ(recv.got.size(), 1u);
  EXPECT_EQ(accept.got.size(), 1u);
}

TEST_P(DriverTest, operations_cancelled_in_flight_end_with_ecanceled_once) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.near;
  Recorded<AcceptOp> accept;
  accept.fd = listen();
  driver().submit(recv);
  driver().submit(accept);
  settle();
  EXPECT_TRUE(recv.got.empty());
  for (int i = 0; i < 3; ++i) driver().cancel(recv), driver().cancel(accept);
  ASSERT_TRUE(until([&] { return recv.ended() && accept.ended(); }));
  driver().cancel(recv);
  settle();
  EXPECT_EQ(recv.result(), -ECANCELED);
  EXPECT_EQ(accept.result(), -ECANCELED);
  EXPECT_EQ(recv.got.size(), 1u);
  EXPECT_EQ(accept.got.size(), 1u);
}

TEST_P(DriverTest, a_send_that_finds_no_room_can_be_cancelled_and_loses_nothing) {
  const Pair pair = connect();
  const std::string block(1 << 20, 'x');
  Recorded<SendOp> op;
  op.fd = pair.near;
  op.data = as_bytes(block).data();
  op.size = block.size();
  std::size_t sent = 0;
  // Fill the buffers of both ends until a send is still in flight after everything settled.
  for (int i = 0; i < 200; ++i) {
    op.got.clear();
    driver().submit(op);
    settle();
    if (!op.ended()) break;
    ASSERT_GT(op.result(), 0);
    sent += static_cast<std::size_t>(op.result());
  }
  ASSERT_TRUE(op.in_flight()) << "the peer took everything";
  driver().cancel(op);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  if (op.result() > 0)
    sent += static_cast<std::size_t>(op.result());
  else
    EXPECT_EQ(op.result(), -ECANCELED);
  shut(pair.near);
  Sink sink(driver(), pair.far);
  ASSERT_TRUE(until([&] { return sink.ended; }));
  EXPECT_EQ(sink.bytes.size(), sent);
}

TEST_P(DriverTest, data_wins_over_a_cancel_of_the_same_iteration) {
  const Pair pair = connect();
  send(pair.near, "here already");
  settle();
  Recorded<RecvOp> recv;
  recv.fd = pair.far;
  driver().submit(recv);
  driver().cancel(recv);
  ASSERT_TRUE(until([&] { return recv.ended(); }));
  EXPECT_EQ(recv.result(), -ECANCELED);
  EXPECT_EQ(text_of(recv), "here already");
}

TEST_P(DriverTest, a_recv_that_is_cancelled_leaves_later_bytes_to_the_next_one) {
  const Pair pair = connect();
  Recorded<RecvOp> first;
  first.fd = pair.far;
  driver().submit(first);
  settle();
  driver().cancel(first);
  ASSERT_TRUE(until([&] { return first.ended(); }));
  send(pair.near, "later");
  shut(pair.near);
  Sink sink(driver(), pair.far);
  ASSERT_TRUE(until([&] { return sink.ended; }));
  EXPECT_EQ(text_of(first) + sink.bytes, "later");
}

TEST_P(DriverTest, a_multishot_operation_may_be_cancelled_from_its_own_completion) {
  struct Once : RecvOp {
    Driver* driver = nullptr;
    std::vector<Completion> got;
  } once;
  const Pair pair = connect();
  once.driver = &driver();
  once.fd = pair.far;
  once.on_complete = [](Operation& op, const Completion& done) noexcept {
    auto& self = static_cast<Once&>(op);
    self.got.push_back(done);
    if (done.buffer != k_no_buffer) self.driver->buffers().release(done.buffer);
    if (done.more) self.driver->cancel(op);
  };
  driver().submit(once);
  send(pair.near, "x");
  ASSERT_TRUE(until([&] { return !once.got.empty() && !once.got.back().more; }));
  EXPECT_EQ(once.got.front().result, 1);
  EXPECT_EQ(once.got.back().result, -ECANCELED);
}

TEST_P(DriverTest, cancelling_an_idle_operation_or_a_close_does_nothing) {
  Recorded<RecvOp> idle;
  driver().cancel(idle);
  EXPECT_FALSE(idle.in_flight());
  Recorded<CloseOp> op;
  op.fd = listen();
  driver().submit(op);
  driver().cancel(op);
  ASSERT_TRUE(until([&] { return op.ended(); }));
  EXPECT_EQ(op.result(), 0);
  forget(op.fd);
}

TEST_P(DriverTest, an_operation_may_be_freed_and_another_submitted_from_its_completion) {
  struct Chain : RecvOp {
    Driver* driver = nullptr;
    int* left = nullptr;
  };
  const Pair pair = connect();
  int left = 100;
  auto* first = new Chain;
  first->driver = &driver();
  first->left = &left;
  first->fd = pair.near;
  first->on_complete = [](Operation& op, const Completion&) noexcept {
    auto& self = static_cast<Chain&>(op);
    if (op.in_flight()) return;
    auto* next = --*self.left > 0 ? new Chain : nullptr;
    if (next) {
      next->driver = self.driver;
      next->left = self.left;
      next->fd = self.fd;
      next->on_complete = self.on_complete;
      self.driver->submit(*next);
      self.driver->cancel(*next);
    }
    delete &self;
  };
  driver().submit(*first);
  driver().cancel(*first);
  EXPECT_TRUE(until([&] { return left == 0; }));
}

// A cancel request names its target by address: it must never hit a later life of it.
TEST_P(DriverTest, no_cancel_of_a_hundred_thousand_hits_a_later_life_of_its_operation) {
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.near;
  for (int i = 0; i < 100'000; ++i) {
    recv.got.clear();
    driver().submit(recv);
    if (i % 3 == 0) driver().wait(Wait::poll, {});
    driver().cancel(recv);
    for (int spins = 0; !recv.ended() && spins < 1'000; ++spins) {
      driver().wait(Wait::block, driver().now() + 20ms);
    }
    ASSERT_EQ(recv.result(), -ECANCELED);
    ASSERT_EQ(recv.got.size(), 1u);
  }
  EXPECT_EQ(driver().statistics().late_completions, 0u);
  driver().submit(recv);
  recv.got.clear();
  settle();
  EXPECT_TRUE(recv.in_flight()) << "an old cancel request ended a new operation";
  driver().cancel(recv);
  EXPECT_TRUE(until([&] { return recv.ended(); }));
}

// --- buffers ---

TEST_P(DriverTest, a_recv_without_a_buffer_ends_with_enobufs_and_goes_on_when_submitted_again) {
  replace({.buffer_count = 2, .buffer_size = 8});
  const Pair pair = connect();
  Recorded<RecvOp> recv;
  recv.fd = pair.far;
  driver().submit(recv);
  send(pair.near, "0123456789abcdef0123");
  ASSERT_TRUE(until([&] { return recv.ended(); }));
  EXPECT_EQ(recv.result(), -ENOBUFS);
  EXPECT_EQ(driver().statistics().out_of_buffers, 1u);
  EXPECT_EQ(driver().buffers().free_count(), 0u);
  std::string text = text_of(recv);
  EXPECT_EQ(text, "0123456789abcdef");
  shut(pair.near);
  Sink sink(driver(), pair.far);
  ASSERT_TRUE(until([&] { return sink.ended; }));
  EXPECT_EQ(sink.bytes, "0123");
}

TEST_P(DriverTest, two_hundred_connections_lose_no_byte_over_four_tiny_buffers) {
  replace({.buffer_count = 4, .buffer_size = 16});
  std::vector<Pair> pairs;
  std::deque<Sink> sinks;
  for (int i = 0; i < 200; ++i) pairs.push_back(connect());
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) {
    texts.push_back("connection " + std::to_string(i) + " " +
                    std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26)));
    sinks.emplace_back(driver(), pairs[static_cast<std::size_t>(i)].far);
  }
  for (std::size_t i = 0; i < 200; ++i) {
    send(pairs[i].near, texts[i]);
    shut(pairs[i].near);
  }
  for (std::size_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(until([&] { return sinks[i].ended; })) << i;
    EXPECT_EQ(sinks[i].end, 0);
    EXPECT_EQ(sinks[i].bytes, texts[i]);
  }
}

TEST_P(DriverTest, a_busy_stream_does_not_starve_its_neighbour) {
  const Pair busy = connect();
  const Pair quiet = connect();
  struct Flood : SendOp {
    Driver* driver = nullptr;
    bool stop = false;
  } flood;
  const std::string block(1 << 16, 'x');
  flood.driver = &driver();
  flood.fd = busy.near;
  flood.data = as_bytes(block).data();
  flood.size = block.size();
  flood.on_complete = [](Operation& op, const Completion& done) noexcept {
    auto& self = static_cast<Flood&>(op);
    if (done.result > 0 && !self.stop) self.driver->submit(self);
  };
  driver().submit(flood);
  Sink drain(driver(), busy.far);
  Sink sink(driver(), quiet.far);
  for (int i = 0; i < 5; ++i) poll();
  send(quiet.near, "hello");
  EXPECT_TRUE(until([&] { return sink.bytes == "hello"; }));
  flood.stop = true;
  EXPECT_TRUE(until([&] { return !flood.in_flight(); }));
  shut(busy.near);
  shut(quiet.near);
  EXPECT_TRUE(until([&] { return drain.ended && sink.ended; }));
}

// --- descriptors ---

TEST_P(DriverTest, a_descriptor_number_that_is_used_again_carries_nothing_over) {
  for (int round = 0; round < 200; ++round) {
    const Pair pair = connect();
    Sink sink(driver(), pair.far);
    const std::string text = "round " + std::to_string(round);
    send(pair.near, text);
    if (round % 2 == 0) {
      shut(pair.near);
    } else {
      ASSERT_TRUE(until([&] { return sink.bytes == text; }));
      driver().cancel(sink);
    }
    ASSERT_TRUE(until([&] { return sink.ended; }));
    EXPECT_EQ(sink.bytes, text);
    close(pair.near);
    close(pair.far);
  }
}

// --- small rings, many operations ---

TEST_P(DriverTest, a_ring_of_four_entries_drops_nothing) {
  replace({.ring_entries = 4, .buffer_count = 64, .buffer_size = 256});
  std::vector<Pair> pairs;
  std::deque<Sink> sinks;
  for (int i = 0; i < 60; ++i) pairs.push_back(connect());
  for (const Pair& pair : pairs) sinks.emplace_back(driver(), pair.far);
  std::deque<Recorded<SendOp>> sends;
  for (const Pair& pair : pairs) {
    auto& op = sends.emplace_back();
    op.fd = pair.near;
    op.data = as_bytes("small ring").data();
    op.size = 10;
    driver().submit(op);
  }
  ASSERT_TRUE(until([&] {
    for (const auto& sink : sinks)
      if (sink.bytes != "small ring") return false;
    return true;
  }));
  for (Sink& sink : sinks) driver().cancel(sink);
  for (Sink& sink : sinks) {
    ASSERT_TRUE(until([&] { return sink.ended; }));
    EXPECT_EQ(sink.end, -ECANCELED);
  }
  for (const auto& op : sends) EXPECT_EQ(op.result(), 10);
}

// --- waiting ---

TEST_P(DriverTest, a_wait_sleeps_until_its_deadline_when_nothing_happens) {
  for (const auto timeout : {50us, 1'000us, 20'000us}) {
    const TimePoint deadline = driver().now() + timeout;
    int waits = 0;
    // The kernel may interrupt a wait without a signal, to finish off a ring closed earlier.
    for (; driver().now() < deadline; ++waits) {
      EXPECT_EQ(driver().wait(Wait::block, deadline), 0u);
    }
    EXPECT_LE(waits, 10) << "the wait spun instead of sleeping";
  }
}

TEST_P(DriverTest, a_deadline_in_the_past_does_not_wait) {
  EXPECT_EQ(driver().wait(Wait::block, TimePoint{}), 0u);
  EXPECT_EQ(driver().wait(Wait::poll, {}), 0u);
}

TEST_P(DriverTest, a_peek_with_nothing_to_take_makes_no_system_call) {
  settle();
  const auto before = driver().statistics().kernel_entries;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(driver().wait(Wait::peek, {}), 0u);
  EXPECT_EQ(driver().statistics().kernel_entries, before);
}

TEST_P(DriverTest, a_wake_before_the_wait_ends_it) {
  for (int i = 0; i < 100; ++i) {
    driver().wake();
    driver().wake();
    driver().wait(Wait::block, k_no_deadline);
  }
}

TEST_P(DriverTest, statistics_count_submissions_and_completions) {
  const auto before = driver().statistics();
  const int listener = listen();
  close(listener);
  const auto& after = driver().statistics();
  EXPECT_EQ(after.submissions - before.submissions, 2u);
  EXPECT_EQ(after.completions - before.completions, 2u);
  EXPECT_EQ(after.late_completions, 0u);
}

TEST_P(DriverTest, every_submit_counts_the_generation_up) {
  Recorded<CloseOp> op;
  const auto before = op.generation;
  run(op);
  run(op);
  EXPECT_EQ(op.generation, before + 2);
}

TEST_P(DriverTest, random_bytes_differ_and_the_clock_does_not_go_back) {
  std::byte one[32] = {};
  std::byte two[32] = {};
  driver().random(one);
  driver().random(two);
  EXPECT_NE(0, std::memcmp(one, two, sizeof one));
  EXPECT_LE(driver().now(), driver().now());
  EXPECT_EQ(driver().probe().name, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Drivers, DriverTest, ::testing::ValuesIn(all_driver_names()),
                         [](const auto& about) { return about.param; });

}  // namespace
}  // namespace rondo::io::testing
