// SPDX-License-Identifier: Apache-2.0
#include "testing/ready_order.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace rondo::testing {
namespace {

using io::sim::Random;
using io::sim::World;

/// Takes the entry that stands at `index` among the first `window` ones.
class Order : public detail::ReadyOrder {
 public:
  explicit Order(World& world) : world_(world) {}

  detail::Ready* pick(IntrusiveQueue<detail::Ready>& ready) override {
    // A window, so that a pick costs the same with a million entries ready.
    constexpr std::size_t k_window = 64;
    first_.clear();
    while (first_.size() < k_window) {
      detail::Ready* entry = ready.pop_front();
      if (!entry) break;
      first_.push_back(entry);
    }
    if (first_.empty()) return nullptr;
    const std::size_t index = choose(first_.size());
    detail::Ready* picked = first_[index];
    for (std::size_t i = first_.size(); i-- > 0;) {
      if (i != index) ready.push_front(*first_[i]);
    }
    return picked;
  }

 protected:
  virtual std::size_t choose(std::size_t n) = 0;
  World& world_;

 private:
  std::vector<detail::Ready*> first_;
};

class RandomOrder final : public Order {
  using Order::Order;
  std::size_t choose(std::size_t n) override {
    return world_.choose(Random::k_scheduler, "ready", n);
  }
};

class NewestFirst final : public Order {
  using Order::Order;
  std::size_t choose(std::size_t n) override { return n - 1; }
};

// Probabilistic concurrency testing (Burckhardt et al. 2010) runs the highest of drawn priorities
// and lowers it at d drawn steps. Ready entries have no identity that is the same in every
// process, so a place in the queue is preferred instead, and changes at d = 3 drawn picks.
class ChangePoints final : public Order {
 public:
  explicit ChangePoints(World& world) : Order(world) {
    for (std::uint64_t& point : points_) point = draw("change point", k_picks);
    std::sort(points_.begin(), points_.end());
    place_ = draw("place", k_places);
  }

 private:
  static constexpr std::uint64_t k_picks = 5'000;
  static constexpr std::uint64_t k_places = 1'024;

  std::size_t choose(std::size_t n) override {
    while (next_ < points_.size() && picks_ >= points_[next_]) {
      ++next_;
      place_ = draw("place", k_places);
    }
    ++picks_;
    return static_cast<std::size_t>(place_ * n / k_places);
  }
  std::uint64_t draw(const char* site, std::uint64_t n) {
    return world_.choose(Random::k_scheduler, site, n);
  }

  std::array<std::uint64_t, 3> points_{};
  std::size_t next_ = 0;
  std::uint64_t picks_ = 0;
  std::uint64_t place_ = 0;
};

}  // namespace

std::unique_ptr<detail::ReadyOrder> make_ready_order(SimOrder order, World& world) {
  if (order == SimOrder::by_seed) {
    order = static_cast<SimOrder>(world.choose(Random::k_scheduler, "ready order", 4));
  }
  switch (order) {
    case SimOrder::random:
      return std::make_unique<RandomOrder>(world);
    case SimOrder::newest_first:
      return std::make_unique<NewestFirst>(world);
    case SimOrder::change_points:
      return std::make_unique<ChangePoints>(world);
    case SimOrder::fifo:
    case SimOrder::by_seed:
      break;
  }
  return nullptr;
}

}  // namespace rondo::testing
