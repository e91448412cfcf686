// SPDX-License-Identifier: Apache-2.0
// Child processes of a simulated host: stand-ins that somebody above the drivers plays.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include "io/sim/child.hpp"
#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"

namespace rondo::io::sim {

void Child::finish(const ChildEnd& how) {
  end = how;
  ended = true;
  on_signal = nullptr;
  if (owner) owner->touch();
}

std::int32_t SimDriver::spawn(SpawnOp& op) {
  op.failed_at = SpawnStep::find;
  const ChildPlan& plan = *op.plan;
  auto child = std::make_shared<Child>();
  child->pid = ++last_pid_;
  for (const ChildDescriptor& d : plan.descriptors) {
    if (find(d.from) && d.give) child->given.push_back({d.from, d.as});
  }
  const auto descriptor = open();
  std::int32_t error = descriptor ? 0 : -EMFILE;
  // What is shared with the parent has no stand-in: there is no dup here.
  const bool shares = std::any_of(plan.descriptors.begin(), plan.descriptors.end(),
                                  [&](auto& d) { return find(d.from) && !d.give; });
  if (!error && (plan.controls_terminal || shares)) error = -ENOTSUP;
  if (!error) {
    descriptor->child = child;
    child->owner = descriptor.get();
    error = programs_ ? programs_(plan, child) : -ENOTSUP;
  }
  if (error == 0) {
    op.pid = child->pid;
    op.failed_at = SpawnStep::none;
    return descriptor->fd;
  }
  if (descriptor) close(descriptor->fd);
  for (const Child::Given& given : child->given) {
    if (find(given.fd)) close(given.fd);
  }
  return error;
}

std::int32_t SimDriver::kill_child(const KillChildOp& op) {
  Descriptor* descriptor = find(op.fd);
  if (!descriptor || !descriptor->child) return -EBADF;
  if (op.signal < 0 || op.signal > 64) return -EINVAL;
  const auto child = descriptor->child;
  if (!child->ended && op.signal != 0 && child->on_signal) child->on_signal(op.signal);
  return 0;
}

bool SimDriver::advance_wait_child(Descriptor& descriptor, WaitChildOp& op) {
  if (!descriptor.child) return finish(op, -EINVAL);
  if (!descriptor.child->ended) return false;
  op.end = descriptor.child->end;
  return finish(op, 0);
}

void SimDriver::set_programs(Programs programs) { programs_ = std::move(programs); }

int SimDriver::open_null() {
  const auto descriptor = open();
  if (!descriptor) return -EMFILE;
  descriptor->is_null = true;
  return descriptor->fd;
}

}  // namespace rondo::io::sim
