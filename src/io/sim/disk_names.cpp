// SPDX-License-Identifier: Apache-2.0
// Names: paths, directories, links, and the journal of their changes.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "io/sim/disk.hpp"
#include "io/sim/world.hpp"

namespace rondo::io::sim {
namespace {

constexpr std::size_t k_path_max = 4'096;
constexpr std::size_t k_name_max = 255;
constexpr int k_links_followed_max = 40;
constexpr std::uint32_t k_umask = 022;
// What the owner may: simulated processes are nobody else, and not root.
constexpr std::uint32_t k_may_read = 0400;
constexpr std::uint32_t k_may_write = 0200;
constexpr std::uint32_t k_may_enter = 0100;

/// The parts of a path, the last one first.
std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

bool is_below(const InodePtr& inode, const InodePtr& above) {
  for (InodePtr at = inode; at; at = at->parent.lock()) {
    if (at == above) return true;
  }
  return false;
}

void status_of(const Inode& inode, FileStatus& found) {
  found = {.type = inode.type,
           .permissions = inode.permissions,
           .links = inode.links,
           .uid = 1'000,
           .gid = 1'000,
           .size = inode.type == FileType::symlink ? inode.target.size() : inode.size,
           .blocks = inode.pages.size() * (k_page_size / k_sector_size),
           .inode = inode.number,
           .device = 1,
           .accessed_ns = inode.accessed_ns,
           .modified_ns = inode.modified_ns,
           .changed_ns = inode.changed_ns,
           .created_ns = inode.created_ns};
  if (!inode.is_directory()) return;
  found.size = k_page_size;
  found.links = 2;
  for (const auto& [name, child] : inode.names) found.links += child->is_directory();
}

}  // namespace

/// A symbolic link in the way: what it says comes first, then what was left of the path.
std::int32_t Disk::follow_link(const Found& at, std::vector<std::string>& left,
                               InodePtr& directory) {
  const std::string& target = at.inode->target;
  if (target.starts_with('/')) directory = root_;
  for (std::string& part : parts_of(target)) left.push_back(std::move(part));
  return left.size() > k_path_max ? -ENAMETOOLONG : 0;
}

Disk::Found Disk::find(std::string_view path, bool follow) {
  Found found;
  if (path.empty()) return {.error = -ENOENT};
  if (path.size() >= k_path_max) return {.error = -ENAMETOOLONG};
  found.as_directory = path.ends_with('/');
  InodePtr directory = root_;  // Relative paths start there too: it is the working directory.
  found.inode = root_;
  std::vector<std::string> left = parts_of(path);
  for (int links = 0; !left.empty();) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (!directory->is_directory()) return {.error = -ENOTDIR};
    if (!(directory->permissions & k_may_enter)) return {.error = -EACCES};
    if (part.size() > k_name_max) return {.error = -ENAMETOOLONG};
    if (part == "..") {
      if (InodePtr above = directory->parent.lock()) directory = std::move(above);
      found.directory = nullptr;
      found.inode = directory;
      continue;
    }
    const auto there = directory->names.find(part);
    found.directory = directory;
    found.name = part;
    found.inode = there == directory->names.end() ? nullptr : there->second;
    if (!found.inode) {
      if (!left.empty()) return {.error = -ENOENT};
      return found;
    }
    const bool last = left.empty();
    if (found.inode->type == FileType::symlink && (!last || follow || found.as_directory)) {
      if (++links > k_links_followed_max) return {.error = -ELOOP};
      if (const std::int32_t error = follow_link(found, left, directory)) return {.error = error};
      if (left.empty()) found = {.inode = directory, .as_directory = found.as_directory};
      continue;
    }
    directory = found.inode;
  }
  if (found.as_directory && !found.inode->is_directory()) return {.error = -ENOTDIR};
  return found;
}

Disk::Found Disk::find_existing(std::string_view path, bool follow) {
  Found found = find(path, follow);
  if (found.error == 0 && !found.inode) found.error = -ENOENT;
  return found;
}

// --- The journal ---

void Disk::change(const InodePtr& inode, std::vector<Change> changes) {
  for (const Change& change : changes) {
    Inode& directory = *change.directory;
    directory.modified_ns = directory.changed_ns = now_ns_;
    if (const auto there = directory.names.find(change.name); there != directory.names.end()) {
      --there->second->links;
      there->second->changed_ns = now_ns_;
      directory.names.erase(there);
    }
    if (!change.inode) continue;
    directory.names[change.name] = change.inode;
    ++change.inode->links;
    change.inode->changed_ns = now_ns_;
    if (change.inode->is_directory()) change.inode->parent = change.directory;
  }
  journal_.push_back({inode, std::move(changes)});
}

bool Disk::touches(const Entry& entry, const std::set<const Inode*>& directories) const {
  return std::any_of(entry.changes.begin(), entry.changes.end(), [&](const Change& change) {
    return directories.contains(change.directory.get());
  });
}

/// Rule 3. An entry takes everything before it in its directories with it: the order of a
/// directory's changes is never another one.
void Disk::sync_names(const InodePtr& inode) {
  std::set<const Inode*> directories;
  if (inode->is_directory()) directories.insert(inode.get());
  std::vector<bool> taken(journal_.size());
  for (std::size_t i = journal_.size(); i-- > 0;) {
    const bool own = !inode->is_directory() && journal_[i].inode == inode;
    if (!own && !touches(journal_[i], directories)) continue;
    taken[i] = true;
    for (const Change& change : journal_[i].changes) directories.insert(change.directory.get());
  }
  std::vector<Entry> left;
  for (std::size_t i = 0; i < journal_.size(); ++i) {
    if (!taken[i]) {
      left.push_back(std::move(journal_[i]));
      continue;
    }
    for (const Change& change : journal_[i].changes) {
      if (change.inode) {
        change.directory->durable_names[change.name] = change.inode;
      } else {
        change.directory->durable_names.erase(change.name);
      }
    }
  }
  journal_ = std::move(left);
}

// --- The calls ---

std::int32_t Disk::create(const Found& at, std::int32_t flags, std::uint32_t permissions,
                          InodePtr& made) {
  if (!(flags & O_CREAT)) return -ENOENT;
  if (at.as_directory) return -EISDIR;
  if (!(at.directory->permissions & k_may_write)) return -EACCES;
  made = make(FileType::regular, permissions & 07777 & ~k_umask);
  change(made, {{at.directory, at.name, made}});
  return 0;
}

std::int32_t Disk::open(std::string_view path, std::int32_t flags, std::uint32_t permissions,
                        OpenFile& file) {
  if ((flags & O_TMPFILE) == O_TMPFILE) return -EOPNOTSUPP;
  const bool exclusive = (flags & O_CREAT) && (flags & O_EXCL);
  const Found at = find(path, !exclusive && !(flags & O_NOFOLLOW));
  if (at.error) return at.error;
  InodePtr inode = at.inode;
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!inode) {
    if (const std::int32_t error = create(at, flags, permissions, inode)) return error;
    file = {.inode = std::move(inode), .flags = flags};
    return 0;
  }
  if (exclusive) return -EEXIST;
  if (inode->type == FileType::symlink) return -ELOOP;
  if (inode->is_directory() && (writes || (flags & O_CREAT))) return -EISDIR;
  if (!inode->is_directory() && (flags & O_DIRECTORY)) return -ENOTDIR;
  const bool reads = (flags & O_ACCMODE) != O_WRONLY;
  if (reads && !(inode->permissions & k_may_read)) return -EACCES;
  if (writes && !(inode->permissions & k_may_write)) return -EACCES;
  if ((flags & O_TRUNC) && inode->size > 0) resize(*inode, 0);
  file = {.inode = std::move(inode), .flags = flags};
  return 0;
}

std::int32_t Disk::status(std::string_view path, bool follow, FileStatus& found) {
  const Found at = find_existing(path, follow);
  if (at.error) return at.error;
  status_of(*at.inode, found);
  return 0;
}

std::int32_t Disk::status(const OpenFile& file, FileStatus& found) const {
  status_of(*file.inode, found);
  return 0;
}

std::int32_t Disk::may_replace(const Found& from, const Found& to, bool replace) const {
  if (!from.directory || !to.directory) return -EBUSY;
  const Inode& moved = *from.inode;
  if (moved.is_directory() && is_below(to.directory, from.inode)) return -EINVAL;
  if (!moved.is_directory() && (from.as_directory || to.as_directory)) return -ENOTDIR;
  if (!(from.directory->permissions & k_may_write) || !(to.directory->permissions & k_may_write)) {
    return -EACCES;
  }
  if (!to.inode) return 0;
  if (!replace) return -EEXIST;
  if (moved.is_directory() && !to.inode->is_directory()) return -ENOTDIR;
  if (!moved.is_directory() && to.inode->is_directory()) return -EISDIR;
  return to.inode->names.empty() ? 0 : -ENOTEMPTY;
}

std::int32_t Disk::rename(std::string_view from, std::string_view to, bool replace) {
  const Found source = find_existing(from, false);
  if (source.error) return source.error;
  const Found target = find(to, false);
  if (target.error) return target.error;
  if (const std::int32_t error = may_replace(source, target, replace)) return error;
  if (source.inode == target.inode) return 0;  // Two names of one file stay: POSIX says so.
  change(source.inode,
         {{target.directory, target.name, source.inode}, {source.directory, source.name, nullptr}});
  return 0;
}

std::int32_t Disk::unlink(std::string_view path, bool directory) {
  const Found at = find_existing(path, false);
  if (at.error) return at.error;
  if (!at.directory) return directory ? -EBUSY : -EISDIR;
  if (!(at.directory->permissions & k_may_write)) return -EACCES;
  if (directory != at.inode->is_directory()) return directory ? -ENOTDIR : -EISDIR;
  if (!at.inode->names.empty()) return -ENOTEMPTY;
  change(at.inode, {{at.directory, at.name, nullptr}});
  return 0;
}

std::int32_t Disk::make_directory(std::string_view path, std::uint32_t permissions) {
  const Found at = find(path, false);
  if (at.error) return at.error;
  if (at.inode) return -EEXIST;
  if (!(at.directory->permissions & k_may_write)) return -EACCES;
  const InodePtr made = make(FileType::directory, permissions & 01777 & ~k_umask);
  change(made, {{at.directory, at.name, made}});
  return 0;
}

std::int32_t Disk::link(std::string_view target, std::string_view path, bool symbolic) {
  InodePtr inode;
  if (!symbolic) {
    const Found from = find_existing(target, false);
    if (from.error) return from.error;
    if (from.inode->is_directory()) return -EPERM;
    inode = from.inode;
  } else if (target.empty()) {
    return -ENOENT;
  }
  const Found at = find(path, false);
  if (at.error) return at.error;
  if (at.inode) return -EEXIST;
  if (at.as_directory) return -ENOENT;
  if (!(at.directory->permissions & k_may_write)) return -EACCES;
  if (symbolic) {
    inode = make(FileType::symlink, 0777);
    inode->target = target;
  }
  change(inode, {{at.directory, at.name, inode}});
  return 0;
}

std::int32_t Disk::list(std::string_view path, std::vector<DirectoryEntry>& into, std::size_t max) {
  const Found at = find_existing(path, true);
  if (at.error) return at.error;
  if (!at.inode->is_directory()) return -ENOTDIR;
  if (!(at.inode->permissions & k_may_read)) return -EACCES;
  std::vector<DirectoryEntry> found;
  for (const auto& [name, inode] : at.inode->names) {
    found.push_back({name, inode->type, inode->number});
  }
  // A directory has no order, and a program that relies on one is to be found.
  for (std::size_t left = found.size(); left > 1; --left) {
    std::swap(found[left - 1], found[world_.choose(Random::k_disk, "entry order", left)]);
  }
  for (DirectoryEntry& entry : found) {
    if (into.size() >= max) return -E2BIG;
    into.push_back(std::move(entry));
  }
  return static_cast<std::int32_t>(found.size());
}

std::int32_t Disk::read_whole(std::string_view path, ByteSpan into) {
  OpenFile file;
  if (const std::int32_t error = open(path, O_RDONLY, 0, file)) return error;
  std::size_t done = 0;
  while (done < into.size()) {
    const std::int32_t got = read(file, into.subspan(done), -1);
    if (got < 0) return got;
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return static_cast<std::int32_t>(done);
}

}  // namespace rondo::io::sim
