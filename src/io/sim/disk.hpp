// SPDX-License-Identifier: Apache-2.0
// Disk: a host's file system in memory, with everything a disk may do to a program.
//
//   Disk& disk = *host.disk;
//   OpenFile file;
//   if (disk.open("/data/log", O_RDWR | O_CREAT, 0644, file) == 0) disk.write(file, bytes, 0);
//   disk.sync(file);      disk.lose_power();
//
// What survives (an ext4 that promises no more than POSIX and its journal do):
//  1. Whatever was written survives the end of the process, without a sync.
//  2. A write is on the platter after a sync of its file. Of the pages (4 KiB) written since, a
//     power loss keeps a drawn subset in no order; of the last one only some sectors (512 B).
//     The size is the old or the new one; a page of it that was not kept is old, or zeros.
//  3. Names are a journal: made, moved and removed in order, a move in one piece. A sync of a
//     directory puts all changes of its own names on the platter, a sync of a file those that
//     gave it its names; of the others a power loss keeps a drawn number of the oldest.
//     A new directory's own name needs a sync of the directory above.
//  4. After a failed sync the pages are still unsynced or, by the seed, lost: readable while the
//     system runs, and no later sync writes them.
// Calls take effect at once and return what a system call would: >= 0, or a negated errno.
// Lifetime: the host's; it outlives its processes. Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/sim/inode.hpp"
#include "rondo/base/bytes.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::io::sim {

class World;

/// What a descriptor of a file refers to.
struct OpenFile {
  InodePtr inode;
  std::int32_t flags = 0;
  std::uint64_t position = 0;
};

class Disk {
 public:
  explicit Disk(World& world);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  /// Where a wall clock stands: for the times of files.
  void set_time(std::int64_t now_ns) noexcept { now_ns_ = now_ns; }

  std::int32_t open(std::string_view path, std::int32_t flags, std::uint32_t permissions,
                    OpenFile& file);
  /// `offset` -1: at the file's own position, which moves.
  std::int32_t read(OpenFile& file, ByteSpan into, std::int64_t offset);
  std::int32_t write(OpenFile& file, ByteView from, std::int64_t offset);
  std::int32_t truncate(OpenFile& file, std::uint64_t size);
  std::int32_t sync(OpenFile& file);
  std::int32_t status(std::string_view path, bool follow, FileStatus& found);
  std::int32_t status(const OpenFile& file, FileStatus& found) const;
  std::int32_t rename(std::string_view from, std::string_view to, bool replace);
  std::int32_t unlink(std::string_view path, bool directory);
  std::int32_t make_directory(std::string_view path, std::uint32_t permissions);
  std::int32_t link(std::string_view target, std::string_view path, bool symbolic);
  std::int32_t list(std::string_view path, std::vector<DirectoryEntry>& into, std::size_t max);
  std::int32_t read_whole(std::string_view path, ByteSpan into);

  /// Counts a call; the one that was waited for is preceded by its action (a crash, most likely).
  void step();
  /// `action` comes right before the `count`-th call from now on.
  void before_call(std::uint64_t count, MoveFn<void()> action);
  std::uint64_t calls() const noexcept { return calls_; }

  /// The process ended: what it has open is void, whoever still holds it.
  void end_process() noexcept { ++process_; }
  std::uint64_t process() const noexcept { return process_; }
  /// Rules 2 and 3: what is not on the platter is gone, or not.
  void lose_power();
  /// Everything is on the platter.
  void sync_all();

  std::uint64_t used_bytes() const noexcept { return *used_ * k_page_size; }
  std::uint64_t unsynced_pages() const;
  const InodePtr& root() const noexcept { return root_; }

 private:
  struct Change {  // Of one name; no inode: it is removed.
    InodePtr directory;
    std::string name;
    InodePtr inode;
  };
  struct Entry {  // Of the journal: what happens in one piece, to one file.
    InodePtr inode;
    std::vector<Change> changes;
  };
  struct Found {
    std::int32_t error = 0;
    InodePtr directory;  ///< null for the root and what ends with ".."
    std::string name;
    InodePtr inode;             ///< null: there is none, and it could be made
    bool as_directory = false;  ///< the path ended with a slash
  };
  Found find(std::string_view path, bool follow);
  Found find_existing(std::string_view path, bool follow);
  std::int32_t follow_link(const Found& at, std::vector<std::string>& left, InodePtr& directory);
  std::int32_t may_replace(const Found& from, const Found& to, bool replace) const;
  InodePtr make(FileType type, std::uint32_t permissions);
  void change(const InodePtr& inode, std::vector<Change> changes);
  void sync_names(const InodePtr& inode);
  std::int32_t create(const Found& at, std::int32_t flags, std::uint32_t permissions,
                      InodePtr& made);
  bool touches(const Entry& entry, const std::set<const Inode*>& directories) const;
  void keep_pages(Inode& file);
  void restore(const InodePtr& inode);
  std::uint64_t shortened(std::uint64_t size, const char* site, std::uint32_t per_mille);
  void resize(Inode& file, std::uint64_t size);
  bool has_room(Inode& file, std::uint64_t page);

  World& world_;
  std::shared_ptr<std::uint64_t> used_ = std::make_shared<std::uint64_t>(0);
  std::int64_t now_ns_ = 0;
  std::uint64_t next_number_ = 2;
  std::uint64_t process_ = 1;
  std::uint64_t calls_ = 0;
  std::uint64_t calls_left_ = 0;
  MoveFn<void()> action_;
  std::vector<Entry> journal_;
  InodePtr root_;
};

}  // namespace rondo::io::sim
