// SPDX-License-Identifier: Apache-2.0
// SimVfs: SQLite on the disk of a simulated host, the real library on simulated calls.
//
//   SimVfs vfs(world.host("server").disk());
//   auto db = co_await sqlite::Connection::open({.path = "/chat.db", .vfs = vfs.name()});
//
// Writes, syncs and deletes fail and are lost as the disk says. Locks and the memory that
// connections share (WAL) belong to the process: they end with it, and what a crashed process
// still holds open is void, so that a database closed while its tasks unwind changes nothing.
// Randomness and the time of day come from the world. One process at a time uses a database.
// Lifetime: outlives the databases opened by its name. Thread rule: the world's thread.
#pragma once

#include <memory>
#include <string>

#include "rondo/testing/sim_disk.hpp"

namespace rondo::sqlite {

class SimVfs {
 public:
  explicit SimVfs(testing::SimDisk disk);
  SimVfs(const SimVfs&) = delete;
  SimVfs& operator=(const SimVfs&) = delete;
  ~SimVfs();

  /// For Options::vfs.
  const std::string& name() const noexcept;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace rondo::sqlite
