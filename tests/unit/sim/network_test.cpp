// SPDX-License-Identifier: Apache-2.0
// The simulated network: what each fault does to a connection, and what Linux would have said.
#include <cerrno>
#include <numeric>

#include "sim_fixture.hpp"

namespace rondo::io::sim {
namespace {

TEST(SimNetwork, data_crosses_a_perfect_line_without_time_passing) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.b, link.far);
  EXPECT_EQ(nodes.send(link.a, link.near, "hello"), 5);
  EXPECT_EQ(sink.bytes, "hello");
  EXPECT_EQ(nodes.world.now(), 0);
}

TEST(SimNetwork, latency_delays_connect_by_a_round_trip_and_data_by_one_way) {
  Nodes nodes(1, {.link = {.latency = 20ms}});
  auto link = nodes.link();
  EXPECT_EQ(nodes.world.now(), Duration(40ms).count());
  Reader sink(nodes, link.b, link.far);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), 1);
  EXPECT_TRUE(sink.bytes.empty());
  nodes.run_for(19'999us);
  EXPECT_TRUE(sink.bytes.empty());
  nodes.run_for(1us);
  EXPECT_EQ(sink.bytes, "x");
}

TEST(SimNetwork, bandwidth_spreads_bytes_over_time) {
  Nodes nodes(1, {.link = {.bandwidth = 1'000'000}});
  auto link = nodes.link();
  Reader sink(nodes, link.b, link.far);
  const std::string text(100'000, 'x');
  EXPECT_EQ(nodes.send(link.a, link.near, text), 100'000);
  nodes.run_for(99ms);
  EXPECT_LT(sink.bytes.size(), text.size());
  nodes.run_for(1ms);
  EXPECT_EQ(sink.bytes.size(), text.size());
}

TEST(SimNetwork, cuts_coalescing_jitter_and_short_sends_keep_every_byte_in_order) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Nodes nodes(seed, {.link = {.latency = 1ms,
                                .jitter = 10ms,
                                .capacity = 700,
                                .cut_per_mille = 500,
                                .coalesce_per_mille = 300,
                                .short_send_per_mille = 500},
                       .shuffle = true,
                       .no_buffers_per_mille = 100,
                       .end_multishot_per_mille = 100});
    auto link = nodes.link();
    Reader sink(nodes, link.b, link.far);
    std::string text;
    for (int i = 0; i < 3'000; ++i) text += static_cast<char>('a' + i % 26);
    std::size_t sent = 0;
    Recorded<SendOp> op;
    op.fd = link.near;
    while (sent < text.size()) {
      op.got.clear();
      op.data = rondo::as_bytes(text).data() + sent;
      op.size = text.size() - sent;
      link.a.submit(op);
      ASSERT_TRUE(nodes.until([&] { return op.ended(); }, 60s));
      ASSERT_GT(op.result(), 0);
      sent += static_cast<std::size_t>(op.result());
    }
    ASSERT_TRUE(nodes.until([&] { return sink.bytes.size() == text.size(); }, 60s));
    EXPECT_EQ(sink.bytes, text);
  }
}

TEST(SimNetwork, cutting_makes_several_receives_of_one_send) {
  Nodes nodes(3, {.link = {.latency = 1ms, .jitter = 5ms, .cut_per_mille = 1'000}});
  auto link = nodes.link();
  Recorded<RecvOp> recv;
  recv.fd = link.far;
  link.b.submit(recv);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(nodes.send(link.a, link.near, "0123456789"), 10);
  nodes.run_for(1s);
  link.b.cancel(recv);
  nodes.settle();
  recv.got.pop_back();
  EXPECT_GT(recv.got.size(), 3u);
  std::int32_t total = 0;
  for (const Completion& done : recv.got) {
    total += done.result;
    link.b.buffers().release(done.buffer);
  }
  EXPECT_EQ(total, 100);
}

TEST(SimNetwork, a_full_pipe_makes_send_short_and_then_wait_until_the_reader_reads) {
  Nodes nodes(1, {.link = {.capacity = 100}});
  auto link = nodes.link();
  EXPECT_EQ(nodes.send(link.a, link.near, std::string(150, 'x')), 100);
  Recorded<SendOp> op;
  const std::string rest(50, 'y');
  op.fd = link.near;
  op.data = rondo::as_bytes(rest).data();
  op.size = rest.size();
  link.a.submit(op);
  nodes.run_for(10s);
  EXPECT_TRUE(op.in_flight());
  Reader sink(nodes, link.b, link.far);
  nodes.settle();
  EXPECT_EQ(op.result(), 50);
  EXPECT_EQ(sink.bytes.size(), 150u);
}

TEST(SimNetwork, a_port_nobody_listens_on_refuses) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  nodes.add("b", "10.0.0.2");
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.0.0.2", 1);
  EXPECT_EQ(nodes.now(a, dial), -ECONNREFUSED);
  EXPECT_EQ(a.open_descriptors(), 0u);
}

TEST(SimNetwork, an_address_nobody_has_is_unreachable_and_a_family_one_lacks_has_no_network) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.9.9.9", 1);
  a.submit(dial);
  ASSERT_TRUE(nodes.until([&] { return dial.ended(); }, 10s));
  EXPECT_EQ(dial.result(), -EHOSTUNREACH);
  dial.address = Nodes::address("fd00::9", 1);
  EXPECT_EQ(nodes.now(a, dial), -ENETUNREACH);
}

TEST(SimNetwork, connect_times_out_in_a_partition_after_127_s) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  nodes.listen(b, Nodes::address("10.0.0.2", 7'000));
  nodes.world.network().partition(0, 1, true);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.0.0.2", 7'000);
  a.submit(dial);
  ASSERT_TRUE(nodes.until([&] { return dial.ended(); }, 200s));
  EXPECT_EQ(dial.result(), -ETIMEDOUT);
  EXPECT_EQ(nodes.world.now(), Duration(127s).count());
}

TEST(SimNetwork, connect_gets_through_when_the_partition_heals_meanwhile) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  nodes.listen(b, Nodes::address("10.0.0.2", 7'000));
  nodes.world.network().partition(0, 1, true);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.0.0.2", 7'000);
  a.submit(dial);
  nodes.run_for(5s);
  nodes.world.network().heal();
  ASSERT_TRUE(nodes.until([&] { return dial.ended(); }, 10s));
  EXPECT_GT(dial.result(), 0);
}

TEST(SimNetwork, a_partition_holds_data_back_and_heal_lets_it_through) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.b, link.far);
  nodes.world.network().partition(0, 1, true);
  EXPECT_EQ(nodes.send(link.a, link.near, "late"), 4);
  nodes.run_for(60s);
  EXPECT_TRUE(sink.bytes.empty());
  nodes.world.network().heal();
  nodes.settle();
  EXPECT_EQ(sink.bytes, "late");
}

TEST(SimNetwork, a_partition_one_way_lets_the_other_way_pass) {
  Nodes nodes;
  auto link = nodes.link();
  Reader at_a(nodes, link.a, link.near);
  Reader at_b(nodes, link.b, link.far);
  nodes.world.network().partition(0, 1, false);
  EXPECT_EQ(nodes.send(link.a, link.near, "there"), 5);
  EXPECT_EQ(nodes.send(link.b, link.far, "back"), 4);
  nodes.run_for(1s);
  EXPECT_EQ(at_a.bytes, "back");
  EXPECT_TRUE(at_b.bytes.empty());
}

TEST(SimNetwork, a_sender_in_an_endless_partition_times_out_after_924_s) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.a, link.near);
  nodes.world.network().partition(0, 1, true);
  EXPECT_EQ(nodes.send(link.a, link.near, "lost"), 4);
  ASSERT_TRUE(nodes.until([&] { return sink.ended; }, 2'000s));
  EXPECT_EQ(sink.end, -ETIMEDOUT);
  EXPECT_EQ(nodes.world.now(), Duration(924s).count());
}

TEST(SimNetwork, a_reset_is_told_once_to_both_sides_then_sends_break) {
  Nodes nodes;
  auto link = nodes.link();
  Reader at_a(nodes, link.a, link.near);
  Reader at_b(nodes, link.b, link.far);
  for (const auto& connection : nodes.world.network().connections(0, 1)) connection->reset();
  nodes.settle();
  EXPECT_EQ(at_a.end, -ECONNRESET);
  EXPECT_EQ(at_b.end, -ECONNRESET);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), -EPIPE);
}

TEST(SimNetwork, data_that_arrived_before_a_reset_is_read_first) {
  Nodes nodes;
  auto link = nodes.link();
  EXPECT_EQ(nodes.send(link.a, link.near, "last words"), 10);
  for (const auto& connection : nodes.world.network().connections(0, 1)) connection->reset();
  Reader sink(nodes, link.b, link.far);
  nodes.settle();
  EXPECT_EQ(sink.bytes, "last words");
  EXPECT_EQ(sink.end, -ECONNRESET);
}

TEST(SimNetwork, a_half_close_ends_one_direction_only) {
  Nodes nodes;
  auto link = nodes.link();
  Reader at_a(nodes, link.a, link.near);
  Reader at_b(nodes, link.b, link.far);
  Recorded<ShutdownOp> shut;
  shut.fd = link.near;
  EXPECT_EQ(nodes.now(link.a, shut), 0);
  EXPECT_TRUE(at_b.ended);
  EXPECT_EQ(at_b.end, 0);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), -EPIPE);
  EXPECT_EQ(nodes.send(link.b, link.far, "still here"), 10);
  EXPECT_EQ(at_a.bytes, "still here");
}

TEST(SimNetwork, closing_with_unread_data_resets_and_without_ends_orderly) {
  for (const bool unread : {true, false}) {
    Nodes nodes;
    auto link = nodes.link();
    Reader at_a(nodes, link.a, link.near);
    if (unread) EXPECT_EQ(nodes.send(link.a, link.near, "never read"), 10);
    nodes.close(link.b, link.far);
    EXPECT_TRUE(at_a.ended);
    EXPECT_EQ(at_a.end, unread ? -ECONNRESET : 0);
  }
}

TEST(SimNetwork, sending_to_a_closed_peer_succeeds_once_and_then_breaks) {
  Nodes nodes;
  auto link = nodes.link();
  nodes.close(link.b, link.far);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), 1);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), -EPIPE);
}

TEST(SimNetwork, a_reset_that_answers_the_first_part_of_a_send_loses_the_rest) {
  Nodes nodes(1, {.link = {.cut_per_mille = 1'000}});
  auto link = nodes.link();
  nodes.close(link.b, link.far);
  EXPECT_EQ(nodes.send(link.a, link.near, "0123456789"), 10);
  EXPECT_EQ(nodes.send(link.a, link.near, "x"), -EPIPE);
}

TEST(SimNetwork, a_stall_delays_both_directions_and_loses_nothing) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.b, link.far);
  for (const auto& connection : nodes.world.network().connections(0, 1)) connection->stall(3s);
  EXPECT_EQ(nodes.send(link.a, link.near, "slow"), 4);
  nodes.run_for(2'999ms);
  EXPECT_TRUE(sink.bytes.empty());
  nodes.run_for(1ms);
  EXPECT_EQ(sink.bytes, "slow");
}

TEST(SimNetwork, a_black_hole_takes_bytes_until_the_pipe_is_full_and_gives_none) {
  Nodes nodes(1, {.link = {.capacity = 10}});
  auto link = nodes.link();
  Reader sink(nodes, link.b, link.far);
  nodes.world.network().connections(0, 1).front()->black_hole(0);
  EXPECT_EQ(nodes.send(link.a, link.near, "0123456789ab"), 10);
  EXPECT_EQ(nodes.send(link.a, link.near, "ab"), INT32_MIN);
  nodes.run_for(60s);
  EXPECT_TRUE(sink.bytes.empty());
}

TEST(SimNetwork, accept_faults_end_the_multishot_and_emfile_keeps_the_connection) {
  Nodes nodes(1, {.accept_limit_per_mille = 1'000});
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  Recorded<AcceptOp> accept;
  accept.fd = nodes.listen(b, Nodes::address("10.0.0.2", 7'000));
  b.submit(accept);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.0.0.2", 7'000);
  EXPECT_GT(nodes.now(a, dial), 0);
  EXPECT_EQ(accept.result(), -EMFILE);
  EXPECT_TRUE(accept.ended());
  nodes.world.set_faults({});
  accept.got.clear();
  b.submit(accept);
  nodes.settle();
  EXPECT_GT(accept.result(), 0);
  b.cancel(accept);
  nodes.settle();
}

TEST(SimNetwork, a_full_accept_queue_makes_connect_wait_for_a_retry) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  const int listener = nodes.listen(b, Nodes::address("10.0.0.2", 7'000), 0);
  Recorded<ConnectOp> first;
  Recorded<ConnectOp> second;
  first.address = second.address = Nodes::address("10.0.0.2", 7'000);
  EXPECT_GT(nodes.now(a, first), 0);
  a.submit(second);
  nodes.run_for(500ms);
  EXPECT_TRUE(second.in_flight());
  Recorded<AcceptOp> accept;
  accept.fd = listener;
  b.submit(accept);
  nodes.run_for(1s);
  EXPECT_GT(second.result(), 0);
  EXPECT_EQ(accept.got.size(), 2u);
  b.cancel(accept);
  nodes.settle();
}

TEST(SimNetwork, one_port_is_one_listener_unless_all_share_it) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  EXPECT_GT(nodes.listen(a, Nodes::address("0.0.0.0", 80)), 0);
  EXPECT_EQ(nodes.listen(a, Nodes::address("10.0.0.1", 80)), -EADDRINUSE);
  EXPECT_EQ(nodes.listen(a, Nodes::address("::", 80)), -EADDRINUSE);
  EXPECT_EQ(nodes.listen(a, Nodes::address("10.0.0.2", 81)), -EADDRNOTAVAIL);
  Recorded<ListenOp> six;
  six.address = Nodes::address("::", 80);
  six.v6_only = true;
  EXPECT_GT(nodes.now(a, six), 0);
  for (int i = 0; i < 2; ++i) {
    Recorded<ListenOp> shared;
    shared.address = Nodes::address("0.0.0.0", 90);
    shared.reuse_port = true;
    EXPECT_GT(nodes.now(a, shared), 0);
  }
}

TEST(SimNetwork, both_sides_know_each_other_by_address) {
  Nodes nodes;
  auto link = nodes.link();
  Recorded<SocketNameOp> local;
  Recorded<SocketNameOp> peer;
  local.fd = link.near;
  peer.fd = link.far;
  peer.peer = true;
  EXPECT_EQ(nodes.now(link.a, local), 0);
  EXPECT_EQ(nodes.now(link.b, peer), 0);
  EXPECT_EQ(*Endpoint::from(local.address), *Endpoint::from(peer.address));
  EXPECT_EQ(Endpoint::from(local.address)->ip, *Ip::parse("10.0.0.1"));
}

TEST(SimNetwork, an_ipv4_peer_of_an_ipv6_listener_is_mapped) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  const int listener = nodes.listen(a, Nodes::address("::", 80));
  Recorded<AcceptOp> accept;
  accept.fd = listener;
  a.submit(accept);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("127.0.0.1", 80);
  EXPECT_GT(nodes.now(a, dial), 0);
  Recorded<SocketNameOp> peer;
  peer.fd = accept.got.front().result;
  peer.peer = true;
  EXPECT_EQ(nodes.now(a, peer), 0);
  EXPECT_EQ(Endpoint::from(peer.address)->ip, *Ip::parse("::ffff:127.0.0.1"));
  a.cancel(accept);
  nodes.settle();
}

TEST(SimNetwork, loopback_of_a_host_is_the_host_itself) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  nodes.listen(b, Nodes::address("127.0.0.1", 80));
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("127.0.0.1", 80);
  EXPECT_EQ(nodes.now(a, dial), -ECONNREFUSED);
  EXPECT_GT(nodes.now(b, dial), 0);
}

TEST(SimNetwork, unix_paths_belong_to_a_host_and_vanish_with_their_listener) {
  Nodes nodes;
  SimDriver& a = nodes.add("a", "10.0.0.1");
  SimDriver& b = nodes.add("b", "10.0.0.2");
  const int listener = nodes.listen(a, Nodes::path("/run/x.sock"));
  ASSERT_GT(listener, 0);
  EXPECT_EQ(nodes.listen(a, Nodes::path("/run/x.sock")), -EADDRINUSE);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::path("/run/x.sock");
  EXPECT_EQ(nodes.now(b, dial), -ENOENT);
  EXPECT_GT(nodes.now(a, dial), 0);
  nodes.close(a, listener);
  EXPECT_EQ(nodes.now(a, dial), -ENOENT);
}

TEST(SimNetwork, a_crashed_process_resets_or_ends_its_connections_and_its_port_refuses) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.a, link.near);
  link.b.crash(SimDriver::Crash::process);
  nodes.settle();
  EXPECT_TRUE(sink.ended);
  Recorded<ConnectOp> dial;
  dial.address = Nodes::address("10.0.0.2", 7'000);
  EXPECT_EQ(nodes.now(link.a, dial), -ECONNREFUSED);
}

TEST(SimNetwork, a_host_without_power_is_silent_and_resets_old_connections_when_it_is_back) {
  Nodes nodes;
  auto link = nodes.link();
  Reader sink(nodes, link.a, link.near);
  link.b.host().down = true;
  link.b.crash(SimDriver::Crash::power);
  EXPECT_EQ(nodes.send(link.a, link.near, "anybody?"), 8);
  nodes.run_for(60s);
  EXPECT_FALSE(sink.ended);
  link.b.host().down = false;
  nodes.world.network().kick();
  nodes.settle();
  EXPECT_EQ(sink.end, -ECONNRESET);
}

TEST(SimNetwork, submissions_of_a_crashed_host_are_void) {
  Nodes nodes;
  auto link = nodes.link();
  Recorded<RecvOp> recv;
  recv.fd = link.far;
  link.b.submit(recv);
  link.b.crash(SimDriver::Crash::process);
  EXPECT_EQ(nodes.send(link.b, link.far, "x"), -ENETDOWN);
  EXPECT_EQ(recv.result(), -ENETDOWN);
  EXPECT_EQ(nodes.listen(link.b, Nodes::address("10.0.0.2", 9)), -ENETDOWN);
}

}  // namespace
}  // namespace rondo::io::sim
