// SPDX-License-Identifier: Apache-2.0
// SimDisk: the disk of a simulated host, from the side of the test.
//
//   SimDisk disk = world.host("server").disk();           // or SimLoop::disk()
//   disk.write_file("/etc/app.conf", "port = 7000\n").or_throw();
//   disk.before_call(17, [&] { world.power_off("server"); });      // in the middle of a commit
//   world.restart("server");                              // on what the disk has kept
//   EXPECT_EQ(disk.read_file("/data/log").or_throw(), "...");
//
// The host's programs reach it by file operations (rondo/fs); a library that makes blocking calls
// reaches it by open() here, at once and in no time. What survives the end of a process, and what
// a loss of power, stands in docs/reference/simulation.md; what fails is SimFaults::disk.
// Paths start at "/", which is also the working directory; "/tmp" is there.
// Lifetime: a handle; its world outlives it. Thread rule: the world's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"

namespace rondo::io::sim {
class World;
struct Host;
}  // namespace rondo::io::sim

namespace rondo::testing {

/// A file held open by a simulated process. When that process ends, every call says network_down
/// and does nothing, as if it had never been made.
class SimFile {
 public:
  SimFile(SimFile&&) noexcept;
  SimFile& operator=(SimFile&&) noexcept;
  ~SimFile();

  /// Up to into.size() bytes from `offset`; 0 only at the end.
  Result<std::size_t> read(ByteSpan into, std::uint64_t offset);
  Result<std::size_t> write(ByteView from, std::uint64_t offset);
  Result<> truncate(std::uint64_t size);
  /// What it holds, and its name, survives a loss of power from now on.
  Result<> sync();
  std::uint64_t size() const noexcept;
  /// The same for every handle of one file.
  std::uint64_t inode() const noexcept;
  /// Counted up by every end of a process of this host.
  std::uint64_t process() const noexcept;

  struct State;
  explicit SimFile(Owned<State> state);

 private:
  Owned<State> state_;
};

struct SimFileContent {
  std::string path;
  std::string content;
  bool operator==(const SimFileContent&) const = default;
};

class SimDisk {
 public:
  SimDisk(io::sim::World& world, io::sim::Host& host) noexcept : world_(&world), host_(&host) {}

  // As a test prepares and looks: no fault strikes, and what is made is on the platter.
  Result<> make_directory(std::string_view path);
  Result<> write_file(std::string_view path, std::string_view content);
  Result<std::string> read_file(std::string_view path) const;
  bool exists(std::string_view path) const;

  enum class View : std::uint8_t {
    written,  ///< as programs see it
    durable,  ///< as it would be if the power went and nothing unsynced survived
  };
  /// Every regular file, by the order of paths.
  std::vector<SimFileContent> snapshot(View view = View::written) const;

  // As a process of the host calls: with faults, unsynced.
  /// `flags` of open(2), 0644 when it is made.
  Result<SimFile> open(std::string_view path, int flags);
  Result<> remove(std::string_view path);
  /// Every name in a directory survives a loss of power from now on.
  Result<> sync_directory(std::string_view path);

  /// Runs `action`, which may crash the host, right before the `count`-th call from now on,
  /// whoever makes it; a second one replaces the first.
  void before_call(std::uint64_t count, MoveFn<void()> action);
  /// Calls so far.
  std::uint64_t calls() const noexcept;
  std::uint64_t unsynced_pages() const;
  std::uint64_t used_bytes() const noexcept;
  /// Counted up by every end of a process of this host.
  std::uint64_t process() const noexcept;

  // What a library asks its system for besides.
  /// From the seed.
  void random(ByteSpan into);
  /// The host's wall clock, in ns since 1970.
  std::int64_t wall_ns() const noexcept;

 private:
  Result<> done(std::int32_t result, const char* operation, std::string_view path) const;

  io::sim::World* world_;
  io::sim::Host* host_;
};

}  // namespace rondo::testing
