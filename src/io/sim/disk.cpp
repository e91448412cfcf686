// SPDX-License-Identifier: Apache-2.0
// Content: reading, writing, syncing, and what a power loss leaves.
#include "io/sim/disk.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "io/sim/world.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

constexpr std::uint64_t k_file_max = std::uint64_t{1} << 42;  // 4 TiB, as pages of 4 KiB allow
constexpr std::size_t k_call_max = 0x7ffff000;                // what one call of Linux moves

std::uint64_t pages_of(std::uint64_t size) { return (size + k_page_size - 1) / k_page_size; }

bool may_read(const OpenFile& file) { return (file.flags & O_ACCMODE) != O_WRONLY; }
bool may_write(const OpenFile& file) { return (file.flags & O_ACCMODE) != O_RDONLY; }

/// Calls use(page, place inside of it, bytes) for each piece of a range.
template <class F>
void each_piece(std::uint64_t offset, std::size_t size, F&& use) {
  while (size > 0) {
    const std::uint64_t inside = offset % k_page_size;
    const auto piece = std::min<std::uint64_t>(size, k_page_size - inside);
    if (!use(offset / k_page_size, static_cast<std::size_t>(inside),
             static_cast<std::size_t>(piece))) {
      return;
    }
    offset += piece;
    size -= static_cast<std::size_t>(piece);
  }
}

/// The page as the platter has it; null when there is a hole.
void make_durable(Inode& file, std::uint64_t page) {
  const auto now = file.pages.find(page);
  if (now == file.pages.end()) {
    file.durable_pages.erase(page);
  } else {
    file.durable_pages[page] = now->second;
  }
}

void make_durable(Inode& file) {
  for (const std::uint64_t page : file.dirty) make_durable(file, page);
  file.dirty.clear();
  file.durable_size = file.size;
}

/// Every inode below and including `from`, each once, in the order of names.
void collect(const InodePtr& from, bool durable, std::vector<InodePtr>& into,
             std::set<const Inode*>& seen) {
  if (!seen.insert(from.get()).second) return;
  into.push_back(from);
  for (const auto& [name, inode] : durable ? from->durable_names : from->names) {
    collect(inode, durable, into, seen);
  }
}

std::vector<InodePtr> all_below(const InodePtr& from, bool durable) {
  std::vector<InodePtr> all;
  std::set<const Inode*> seen;
  collect(from, durable, all, seen);
  return all;
}

}  // namespace

Disk::Disk(World& world) : world_(world) {
  root_ = make(FileType::directory, 0755);
  root_->links = 1;
  const InodePtr temporary = make(FileType::directory, 0777);
  temporary->links = 1;
  temporary->parent = root_;
  root_->names["tmp"] = temporary;
  root_->durable_names = root_->names;
}

InodePtr Disk::make(FileType type, std::uint32_t permissions) {
  auto inode = std::make_shared<Inode>(type, used_);
  inode->permissions = permissions;
  inode->number = next_number_++;
  inode->accessed_ns = inode->modified_ns = inode->changed_ns = inode->created_ns = now_ns_;
  return inode;
}

void Disk::step() {
  ++calls_;
  if (calls_left_ == 0 || --calls_left_ > 0) return;
  auto action = std::move(action_);
  action();
}

void Disk::before_call(std::uint64_t count, MoveFn<void()> action) {
  RONDO_ASSERT(count > 0, "the next call of a disk is number 1");
  calls_left_ = count;
  action_ = std::move(action);
}

std::uint64_t Disk::shortened(std::uint64_t size, const char* site, std::uint32_t per_mille) {
  if (size < 2 || !world_.disk_chance(site, per_mille)) return size;
  return 1 + world_.choose(Random::k_disk, "moved", size - 1);
}

std::int32_t Disk::read(OpenFile& file, ByteSpan into, std::int64_t offset) {
  if (!may_read(file)) return -EBADF;
  if (file.inode->is_directory()) return -EISDIR;
  const SimDiskFaults& faults = world_.faults().disk;
  if (world_.disk_chance("read error", faults.read_error_per_mille)) return -EIO;
  Inode& inode = *file.inode;
  const std::uint64_t from = offset < 0 ? file.position : static_cast<std::uint64_t>(offset);
  if (from >= inode.size || into.empty()) return 0;
  std::uint64_t size = std::min<std::uint64_t>({into.size(), inode.size - from, k_call_max});
  size = shortened(size, "short read", faults.short_read_per_mille);
  std::byte* to = into.data();
  each_piece(from, static_cast<std::size_t>(size),
             [&](std::uint64_t page, std::size_t at, std::size_t piece) {
               const auto there = inode.pages.find(page);
               if (there == inode.pages.end()) {
                 std::memset(to, 0, piece);
               } else {
                 std::memcpy(to, there->second.data() + at, piece);
               }
               to += piece;
               return true;
             });
  if (offset < 0) file.position = from + size;
  inode.accessed_ns = now_ns_;
  return static_cast<std::int32_t>(size);
}

bool Disk::has_room(Inode& file, std::uint64_t page) {
  const std::uint64_t limit = world_.faults().disk.size;
  return limit == 0 || file.pages.contains(page) || used_bytes() + k_page_size <= limit;
}

std::int32_t Disk::write(OpenFile& file, ByteView from, std::int64_t offset) {
  if (!may_write(file)) return -EBADF;
  const SimDiskFaults& faults = world_.faults().disk;
  if (world_.disk_chance("write error", faults.write_error_per_mille)) return -EIO;
  Inode& inode = *file.inode;
  std::uint64_t at = offset < 0 ? file.position : static_cast<std::uint64_t>(offset);
  if (file.flags & O_APPEND) at = inode.size;  // Also with an offset: as pwrite(2) of Linux does.
  if (at >= k_file_max) return -EFBIG;
  if (from.empty()) return 0;
  std::uint64_t size = std::min<std::uint64_t>({from.size(), k_file_max - at, k_call_max});
  size = shortened(size, "short write", faults.short_write_per_mille);
  std::size_t done = 0;
  each_piece(at, static_cast<std::size_t>(size),
             [&](std::uint64_t page, std::size_t inside, std::size_t piece) {
               if (!has_room(inode, page)) return false;
               auto [there, is_new] = inode.pages.try_emplace(page);
               if (is_new) {
                 there->second.resize(k_page_size);
                 ++*used_;
               }
               std::memcpy(there->second.data() + inside, from.data() + done, piece);
               inode.dirty.insert(page);
               done += piece;
               return true;
             });
  if (done == 0) return -ENOSPC;
  inode.size = std::max(inode.size, at + done);
  if (offset < 0) file.position = at + done;
  inode.modified_ns = inode.changed_ns = now_ns_;
  return static_cast<std::int32_t>(done);
}

void Disk::resize(Inode& file, std::uint64_t size) {
  for (auto page = file.pages.lower_bound(pages_of(size)); page != file.pages.end();) {
    file.dirty.insert(page->first);
    page = file.pages.erase(page);
    --*used_;
  }
  // What stood behind the new end of its last page must not come back when the file grows again.
  const auto last = file.pages.find(size / k_page_size);
  if (size < file.size && last != file.pages.end()) {
    std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(size % k_page_size),
              last->second.end(), std::byte{});
    file.dirty.insert(last->first);
  }
  file.size = size;
  file.modified_ns = file.changed_ns = now_ns_;
}

std::int32_t Disk::truncate(OpenFile& file, std::uint64_t size) {
  if (!may_write(file) || file.inode->type != FileType::regular) return -EINVAL;
  if (size > k_file_max) return -EFBIG;
  if (world_.disk_chance("write error", world_.faults().disk.write_error_per_mille)) return -EIO;
  resize(*file.inode, size);
  return 0;
}

std::int32_t Disk::sync(OpenFile& file) {
  Inode& inode = *file.inode;
  if (world_.disk_chance("sync error", world_.faults().disk.sync_error_per_mille)) {
    // Rule 4: what Linux does to pages that it could not write; other systems keep them.
    if (world_.choose(Random::k_disk, "lost by a failed sync", 2) == 1) inode.dirty.clear();
    return -EIO;
  }
  make_durable(inode);
  sync_names(file.inode);
  return 0;
}

void Disk::sync_all() {
  while (!journal_.empty()) {
    const Entry entry = std::move(journal_.front());
    journal_.erase(journal_.begin());
    for (const Change& change : entry.changes) {
      if (change.inode) {
        change.directory->durable_names[change.name] = change.inode;
      } else {
        change.directory->durable_names.erase(change.name);
      }
    }
  }
  for (const InodePtr& inode : all_below(root_, false)) make_durable(*inode);
}

std::uint64_t Disk::unsynced_pages() const {
  std::uint64_t count = 0;
  for (const InodePtr& inode : all_below(root_, false)) count += inode->dirty.size();
  return count;
}

// --- The power goes ---

void Disk::keep_pages(Inode& file) {
  std::vector<std::uint64_t> pages(file.dirty.begin(), file.dirty.end());
  for (std::size_t left = pages.size(); left > 1; --left) {
    std::swap(pages[left - 1], pages[world_.choose(Random::k_disk, "page order", left)]);
  }
  // None, some or all of them: a rate for each file finds more than a coin for each page.
  const std::uint64_t rate = world_.choose(Random::k_disk, "pages kept", 5);
  std::erase_if(
      pages, [&](std::uint64_t) { return world_.choose(Random::k_disk, "page kept", 4) >= rate; });
  for (const std::uint64_t page : pages) {
    if (page != pages.back()) {
      make_durable(file, page);
      continue;
    }
    const auto now = file.pages.find(page);
    if (now == file.pages.end()) continue;
    auto& torn = file.durable_pages[page];
    torn.resize(k_page_size);
    const std::uint64_t sectors =
        world_.choose(Random::k_disk, "sectors kept", k_page_size / k_sector_size + 1);
    std::memcpy(torn.data(), now->second.data(), sectors * k_sector_size);
  }
  if (world_.choose(Random::k_disk, "size kept", 2) == 1) file.durable_size = file.size;
  file.durable_pages.erase(file.durable_pages.lower_bound(pages_of(file.durable_size)),
                           file.durable_pages.end());
  const auto last = file.durable_pages.find(file.durable_size / k_page_size);
  if (last != file.durable_pages.end()) {
    std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(file.durable_size % k_page_size),
              last->second.end(), std::byte{});
  }
}

void Disk::restore(const InodePtr& inode) {
  inode->names = inode->durable_names;
  *used_ -= inode->pages.size();
  inode->pages = inode->durable_pages;
  *used_ += inode->pages.size();
  inode->size = inode->durable_size;
  inode->dirty.clear();
  inode->links = 0;
}

void Disk::lose_power() {
  end_process();
  // Which of the changes of names came to the platter: the oldest so many.
  std::uint64_t kept = world_.choose(Random::k_disk, "names kept", journal_.size() + 1);
  journal_.resize(static_cast<std::size_t>(kept));
  for (const Entry& entry : std::exchange(journal_, {})) {
    for (const Change& change : entry.changes) {
      if (change.inode) {
        change.directory->durable_names[change.name] = change.inode;
      } else {
        change.directory->durable_names.erase(change.name);
      }
    }
  }
  const std::vector<InodePtr> all = all_below(root_, true);
  for (const InodePtr& inode : all) {
    if (inode->type == FileType::regular &&
        (!inode->dirty.empty() || inode->size != inode->durable_size)) {
      keep_pages(*inode);
    }
    restore(inode);
  }
  root_->links = 1;
  for (const InodePtr& inode : all) {
    for (const auto& [name, child] : inode->names) {
      ++child->links;
      if (child->is_directory()) child->parent = inode;
    }
  }
}

}  // namespace rondo::io::sim
