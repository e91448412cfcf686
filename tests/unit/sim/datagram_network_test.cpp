// SPDX-License-Identifier: Apache-2.0
// Datagrams of the simulated network: latency, loss, duplicates, reordering, partitions, groups.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/options.hpp"
#include "rondo/net/udp.hpp"
#include "rondo/testing/sim_world.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

constexpr int k_sent = 400;

Task<> listen_at(std::vector<int>& heard, std::string address, std::string group) {
  auto socket = udp::Socket::bind({.address = address}).or_throw();
  if (!group.empty()) socket.join(group).or_throw();
  while (auto got = co_await socket.receive_from()) {
    heard.push_back(std::stoi(std::string(got->data.text())));
  }
}

Task<> send_numbers(std::string to, int count) {
  auto socket = udp::Socket::bind({.address = "0.0.0.0:0"}).or_throw();
  const auto where = net::Endpoint::parse(to).or_throw();
  for (int i = 0; i < count; ++i) {
    (co_await socket.send_to(std::to_string(i), where)).or_throw();
    co_await sleep_for(1ms);
  }
}

/// What `count` numbers become on a link between two hosts.
std::vector<int> numbers_over(const io::SimLink& link, std::uint64_t seed = 7) {
  SimWorld world({.seed = seed, .faults = {.link = link}});
  std::vector<int> heard;
  world.host("far", "10.0.0.2").start([&] { return listen_at(heard, "10.0.0.2:9", ""); });
  world.run_for(1ms);  // Who listens is there before.
  world.host("near", "10.0.0.1").start([] { return send_numbers("10.0.0.2:9", k_sent); });
  world.run_for(10s);
  return heard;
}

TEST(DatagramNetwork, a_perfect_line_delivers_everything_in_order) {
  const auto heard = numbers_over({.latency = 20ms});
  ASSERT_EQ(heard.size(), std::size_t{k_sent});
  EXPECT_TRUE(std::ranges::is_sorted(heard));
}

TEST(DatagramNetwork, loss_loses_about_its_share) {
  const auto heard = numbers_over({.loss_per_mille = 250});
  EXPECT_GT(heard.size(), std::size_t{k_sent * 6 / 10});
  EXPECT_LT(heard.size(), std::size_t{k_sent * 9 / 10});
  EXPECT_TRUE(std::ranges::is_sorted(heard));
}

TEST(DatagramNetwork, duplicates_arrive_twice) {
  const auto heard = numbers_over({.duplicate_per_mille = 500});
  EXPECT_GT(heard.size(), std::size_t{k_sent * 13 / 10});
  for (int i = 0; i < k_sent; ++i) EXPECT_GE(std::ranges::count(heard, i), 1) << i;
}

TEST(DatagramNetwork, late_ones_are_overtaken_and_none_is_lost) {
  auto heard = numbers_over({.reorder_per_mille = 300, .reorder_max = 20ms});
  ASSERT_EQ(heard.size(), std::size_t{k_sent});
  EXPECT_FALSE(std::ranges::is_sorted(heard));
  std::ranges::sort(heard);
  for (int i = 0; i < k_sent; ++i) EXPECT_EQ(heard[static_cast<std::size_t>(i)], i);
}

TEST(DatagramNetwork, a_seed_replays_its_faults) {
  const io::SimLink bad{.jitter = 9ms, .loss_per_mille = 100, .duplicate_per_mille = 100};
  EXPECT_EQ(numbers_over(bad, 3), numbers_over(bad, 3));
  EXPECT_NE(numbers_over(bad, 3), numbers_over(bad, 4));
}

TEST(DatagramNetwork, a_partition_swallows_what_is_sent_and_healing_brings_nothing_back) {
  SimWorld world;
  std::vector<int> heard;
  world.host("far", "10.0.0.2").start([&] { return listen_at(heard, "10.0.0.2:9", ""); });
  world.run_for(1ms);  // Who listens is there before.
  world.host("near", "10.0.0.1").start([] { return send_numbers("10.0.0.2:9", 30); });
  world.run_for(9500us);
  world.partition("near", "far");
  world.run_for(10ms);
  world.heal();
  world.run_for(1s);
  ASSERT_EQ(heard.size(), 20u);
  EXPECT_EQ(heard[9], 9);
  EXPECT_EQ(heard[10], 20);
}

TEST(DatagramNetwork, a_group_reaches_its_members_on_every_host) {
  SimWorld world;
  std::vector<int> first;
  std::vector<int> second;
  std::vector<int> outside;
  world.host("a", "10.0.0.2").start([&] { return listen_at(first, "0.0.0.0:9", "239.1.1.1"); });
  world.host("b", "10.0.0.3").start([&] { return listen_at(second, "0.0.0.0:9", "239.1.1.1"); });
  world.host("c", "10.0.0.4").start([&] { return listen_at(outside, "0.0.0.0:9", ""); });
  world.run_for(1ms);  // Who listens is there before.
  world.host("near", "10.0.0.1").start([] { return send_numbers("239.1.1.1:9", 3); });
  world.run_for(1s);
  EXPECT_EQ(first.size(), 3u);
  EXPECT_EQ(second.size(), 3u);
  EXPECT_TRUE(outside.empty());
}

TEST(DatagramNetwork, a_crash_closes_its_sockets_and_a_restart_binds_again) {
  SimWorld world;
  std::vector<int> heard;
  world.host("far", "10.0.0.2").start([&] { return listen_at(heard, "10.0.0.2:9", ""); });
  world.run_for(1ms);  // Who listens is there before.
  world.host("near", "10.0.0.1").start([] { return send_numbers("10.0.0.2:9", 30); });
  world.run_for(9500us);
  world.crash("far");
  world.run_for(10ms);
  world.restart("far");
  world.run_for(1s);
  EXPECT_EQ(heard.size(), 20u);
}

}  // namespace
}  // namespace rondo::testing
