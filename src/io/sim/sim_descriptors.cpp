// SPDX-License-Identifier: Apache-2.0
// The table of descriptors of a simulated process, and its sudden end.
#include <cerrno>
#include <memory>
#include <utility>

#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {

Descriptor* SimDriver::find(int fd) noexcept {
  const int index = fd - first_fd_;
  if (index < 0 || static_cast<std::size_t>(index) >= descriptors_.size()) return nullptr;
  return descriptors_[static_cast<std::size_t>(index)].get();
}

// The lowest free number, as POSIX asks: numbers come back soon, which finds late users of them.
std::shared_ptr<Descriptor> SimDriver::open() {
  if (open_ >= setup_.descriptors_max) return nullptr;
  std::size_t index = 0;
  while (index < descriptors_.size() && descriptors_[index]) ++index;
  if (index == descriptors_.size()) descriptors_.emplace_back();
  ++open_;
  const int fd = first_fd_ + static_cast<int>(index);
  return descriptors_[index] = std::make_shared<Descriptor>(*this, fd);
}

int SimDriver::install(const std::shared_ptr<Connection>& connection, int side) {
  const auto descriptor = open();
  if (!descriptor) return -EMFILE;
  descriptor->connection = connection;
  descriptor->side = side;
  connection->attach(side, descriptor.get());
  return descriptor->fd;
}

void SimDriver::close(int fd) {
  const auto descriptor = std::move(descriptors_[static_cast<std::size_t>(fd - first_fd_)]);
  --open_;
  descriptor->owner = nullptr;
  if (descriptor->child) std::exchange(descriptor->child, nullptr)->owner = nullptr;
  if (descriptor->listener) {
    world_.network().unlisten(host_, *descriptor->listener);
    descriptor->listener = nullptr;
  }
  if (descriptor->mailbox) world_.network().post().unbind(host_, *descriptor->mailbox);
  if (descriptor->dial) world_.network().abandon(*std::exchange(descriptor->dial, nullptr));
  if (descriptor->connection) {
    std::exchange(descriptor->connection, nullptr)->close(descriptor->side);
  }
}

void SimDriver::close_all(bool silently) {
  for (std::size_t index = 0; index < descriptors_.size(); ++index) {
    Descriptor* descriptor = descriptors_[index].get();
    if (!descriptor) continue;
    if (silently && descriptor->connection) descriptor->connection->vanish(descriptor->side);
    if (silently && descriptor->dial && descriptor->dial->connection) {
      descriptor->dial->connection->vanish(0);
    }
    if (silently && descriptor->listener) {
      for (const auto& waiting : descriptor->listener->queue) waiting->vanish(1);
      descriptor->listener->queue.clear();
    }
    close(descriptor->fd);
  }
}

int SimDriver::make_pipe(int fds[2]) {
  if (open_ + 2 > setup_.descriptors_max) return -EMFILE;
  const auto pipe = world_.network().pair(host_, Connection::Kind::pipe);
  fds[0] = install(pipe, 1);
  fds[1] = install(pipe, 0);
  return 0;
}

int SimDriver::make_pair(int fds[2]) {
  if (open_ + 2 > setup_.descriptors_max) return -EMFILE;
  const auto pair = world_.network().pair(host_, Connection::Kind::local);
  fds[0] = install(pair, 0);
  fds[1] = install(pair, 1);
  return 0;
}

std::int32_t SimDriver::void_result(OpKind kind) noexcept {
  return kind == OpKind::close ? 0 : -ENETDOWN;
}

void SimDriver::crash(Crash how) {
  if (std::exchange(void_, true)) return;
  world_.record(static_cast<std::uint64_t>(host_.index), 0x3000, static_cast<std::uint64_t>(how));
  for (const auto& descriptor : descriptors_) {
    if (!descriptor) continue;
    for (Operation* op : std::exchange(descriptor->ops, {})) finish(*op, -ENETDOWN);
  }
  for (SignalOp* op : std::exchange(signals_, {})) finish(*op, -ENETDOWN);
  for (const PendingName& name : std::exchange(names_, {})) {
    world_.forget(name.event);
    finish(*name.op, -ENETDOWN);
  }
  for (auto& [lane, jobs] : lanes_) {
    for (const PendingJob& job : std::exchange(jobs, {})) finish(*job.op, -ENETDOWN);
  }
  end_files();
  close_all(how == Crash::power);
}

}  // namespace rondo::io::sim
