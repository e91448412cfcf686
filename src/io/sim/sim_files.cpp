// SPDX-License-Identifier: Apache-2.0
// Operations on files: each takes effect at the instant at which it completes, in one piece.
#include <algorithm>
#include <cerrno>

#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

/// The descriptor that an operation is about; -1 when it is about a path.
int fd_of(const Operation& op) noexcept {
  switch (op.kind) {
    case OpKind::read:
      return static_cast<const ReadOp&>(op).fd;
    case OpKind::write:
      return static_cast<const WriteOp&>(op).fd;
    case OpKind::fsync:
      return static_cast<const FsyncOp&>(op).fd;
    case OpKind::truncate:
      return static_cast<const TruncateOp&>(op).fd;
    case OpKind::stat:
      return static_cast<const StatOp&>(op).path ? -1 : static_cast<const StatOp&>(op).fd;
    default:
      return -1;
  }
}

/// Whether it leaves something on the disk, also when nobody is left to hear of it.
bool changes_the_disk(OpKind kind) noexcept {
  return kind != OpKind::open && kind != OpKind::read && kind != OpKind::stat &&
         kind != OpKind::list_directory && kind != OpKind::read_whole_file;
}

}  // namespace

void SimDriver::handle_files() noexcept {
  for (const OpKind kind : {OpKind::open, OpKind::fsync, OpKind::stat, OpKind::rename,
                            OpKind::unlink, OpKind::make_directory, OpKind::link, OpKind::truncate,
                            OpKind::list_directory, OpKind::read_whole_file}) {
    file_kinds_ |= bit_of(kind);
  }
}

void SimDriver::start_file(Operation& op) {
  const SimDiskFaults& faults = world_.faults().disk;
  Duration delay = faults.latency;
  if (faults.jitter > Duration::zero()) {
    const auto most = static_cast<std::uint64_t>(faults.jitter.count());
    delay +=
        Duration(static_cast<std::int64_t>(world_.choose(Random::k_disk, "disk delay", most + 1)));
  }
  if (delay <= Duration::zero()) return run_file(op);
  const auto event = world_.at(world_.now() + delay.count(), [this, &op] {
    std::erase_if(files_, [&](const PendingFile& file) { return file.op == &op; });
    run_file(op);
  });
  files_.push_back({&op, fd_of(op), event});
}

void SimDriver::run_file(Operation& op) {
  host_.disk->step();
  finish(op, void_ ? -ENETDOWN : on_disk(op));
}

OpenFile* SimDriver::find_file(int fd) noexcept {
  Descriptor* descriptor = find(fd);
  return descriptor ? descriptor->file.get() : nullptr;
}

std::int32_t SimDriver::open_file(OpenOp& op) {
  if (world_.disk_chance("open limit", world_.faults().disk.open_limit_per_mille)) return -EMFILE;
  const auto descriptor = open();
  if (!descriptor) return -EMFILE;
  auto file = std::make_unique<OpenFile>();
  if (op.beneath >= 0) return close(descriptor->fd), -ENOTSUP;  // Directories have no descriptors.
  if (const std::int32_t error = host_.disk->open(op.path, op.flags, op.permissions, *file)) {
    close(descriptor->fd);
    return error;
  }
  descriptor->file = std::move(file);
  return descriptor->fd;
}

std::int32_t SimDriver::on_disk(Operation& op) {
  host_.disk->set_time(time(Clock::wall));
  OpenFile* file = nullptr;
  if (const int fd = fd_of(op); fd >= 0 || op.kind == OpKind::fsync) {
    file = find_file(fd);
    // Pipes and sockets can be neither synced nor cut.
    if (!file) return find(fd) ? -EINVAL : -EBADF;
  }
  switch (op.kind) {
    case OpKind::read: {
      auto& read = static_cast<ReadOp&>(op);
      return host_.disk->read(*file, read.into, read.offset);
    }
    case OpKind::write: {
      auto& write = static_cast<WriteOp&>(op);
      return host_.disk->write(*file, write.from, write.offset);
    }
    case OpKind::fsync:
      return host_.disk->sync(*file);
    case OpKind::truncate:
      return file ? host_.disk->truncate(*file, static_cast<TruncateOp&>(op).size) : -EBADF;
    case OpKind::stat: {
      auto& stat = static_cast<StatOp&>(op);
      if (stat.path) return host_.disk->status(stat.path, stat.follow, stat.found);
      return file ? host_.disk->status(*file, stat.found) : -EBADF;
    }
    default:
      return on_names(op);
  }
}

std::int32_t SimDriver::on_names(Operation& op) {
  Disk& disk = *host_.disk;
  switch (op.kind) {
    case OpKind::open:
      return open_file(static_cast<OpenOp&>(op));
    case OpKind::rename: {
      auto& rename = static_cast<RenameOp&>(op);
      return disk.rename(rename.from, rename.to, rename.replace);
    }
    case OpKind::unlink: {
      auto& unlink = static_cast<UnlinkOp&>(op);
      return disk.unlink(unlink.path, unlink.directory);
    }
    case OpKind::make_directory: {
      auto& make = static_cast<MakeDirectoryOp&>(op);
      return disk.make_directory(make.path, make.permissions);
    }
    case OpKind::link: {
      auto& link = static_cast<LinkOp&>(op);
      return disk.link(link.target, link.path, link.symbolic);
    }
    case OpKind::list_directory: {
      auto& list = static_cast<ListDirectoryOp&>(op);
      return disk.list(list.path, *list.entries, list.entries_max);
    }
    case OpKind::read_whole_file: {
      auto& read = static_cast<ReadWholeFileOp&>(op);
      return disk.read_whole(read.path, read.into);
    }
    default:
      return -ENOTSUP;
  }
}

/// A disk may have begun it already: then it ends in its own time, and wins.
bool SimDriver::withdraw_file(Operation& op) {
  const auto pending = std::find_if(files_.begin(), files_.end(),
                                    [&](const PendingFile& file) { return file.op == &op; });
  RONDO_ASSERT(pending != files_.end(), "cancel of a file operation that is not in flight");
  const bool has_begun =
      world_.faults().cancel_races && world_.choose(Random::k_disk, "disk begun", 2) == 1;
  if (has_begun) return false;
  world_.forget(pending->event);
  files_.erase(pending);
  return true;
}

/// The process ends: of what the disk was asked last, some is done all the same.
void SimDriver::end_files() {
  for (const PendingFile& file : std::exchange(files_, {})) {
    world_.forget(file.event);
    if (changes_the_disk(file.op->kind) &&
        world_.choose(Random::k_disk, "done at the end", 2) == 1) {
      (void)on_disk(*file.op);  // Nobody is told, whatever came of it.
    }
    finish(*file.op, -ENETDOWN);
  }
}

}  // namespace rondo::io::sim
