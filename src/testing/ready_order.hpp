// SPDX-License-Identifier: Apache-2.0
// Ready orders of simulations: which of the ready entries runs next, by the seed.
#pragma once

#include <memory>

#include "io/sim/world.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {

/// Null for fifo, which is the loop's own. The world must outlive it.
std::unique_ptr<detail::ReadyOrder> make_ready_order(SimOrder order, io::sim::World& world);

}  // namespace rondo::testing
