// SPDX-License-Identifier: Apache-2.0
// Child: a simulated process that a stand-in plays. The descriptor that spawn gives back refers
// to it; who plays it ends it through finish().
//
// Thread rule: the world's thread.
#pragma once

#include <memory>
#include <vector>

#include "rondo/base/move_fn.hpp"
#include "rondo/io/child_ops.hpp"

namespace rondo::io::sim {

struct Descriptor;

struct Child {
  /// A descriptor handed over with spawn: a number of this host that the stand-in owns now.
  struct Given {
    int fd;
    int as;
  };
  void finish(const ChildEnd& how);

  Descriptor* owner = nullptr;  ///< of the process descriptor; null once that is closed
  std::int32_t pid = 0;
  bool ended = false;
  ChildEnd end;
  std::vector<Given> given;
  MoveFn<void(int)> on_signal;  ///< set by who plays it
};

/// Starts the stand-in of a program: 0, or -ENOENT when none has that name.
using Programs = MoveFn<std::int32_t(const ChildPlan&, std::shared_ptr<Child>)>;

}  // namespace rondo::io::sim
