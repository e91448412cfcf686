// SPDX-License-Identifier: Apache-2.0
// Inode: a file, directory or symbolic link of a simulated disk, twice: as the running system sees
// it, and as it stands on the platter. What differs is lost, in part or in whole, with the power.
//
// A file's content is a map of pages, so that a hole costs nothing; what is not there is zero.
// Shared by its names, the durable ones too, by open files and by the journal: the last of them
// frees it, as the kernel does.
// Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rondo/io/file_ops.hpp"
#include "rondo/io/operation.hpp"

namespace rondo::io::sim {

inline constexpr std::uint64_t k_page_size = 4'096;
inline constexpr std::uint64_t k_sector_size = 512;

struct Inode;
using InodePtr = std::shared_ptr<Inode>;

struct Inode {
  using Pages = std::map<std::uint64_t, std::vector<std::byte>>;
  using Names = std::map<std::string, InodePtr, std::less<>>;

  Inode(FileType of, std::shared_ptr<std::uint64_t> pages_used)
      : type(of), used(std::move(pages_used)) {}
  Inode(const Inode&) = delete;
  Inode& operator=(const Inode&) = delete;
  ~Inode() { *used -= pages.size(); }

  bool is_directory() const noexcept { return type == FileType::directory; }

  FileType type;
  std::uint32_t permissions = 0;
  std::uint32_t links = 0;
  std::uint64_t number = 0;
  std::int64_t accessed_ns = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::int64_t created_ns = 0;

  // A regular file.
  Pages pages;
  Pages durable_pages;
  std::uint64_t size = 0;
  std::uint64_t durable_size = 0;
  std::set<std::uint64_t> dirty;  ///< pages in which the two may differ
  // A directory.
  Names names;
  Names durable_names;
  std::weak_ptr<Inode> parent;
  // A symbolic link.
  std::string target;

  std::shared_ptr<std::uint64_t> used;  ///< pages of the whole disk
};

}  // namespace rondo::io::sim
