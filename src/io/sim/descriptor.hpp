// SPDX-License-Identifier: Apache-2.0
// Descriptor: what a number in a simulated process's table stands for.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "io/sim/sim_driver.hpp"
#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::io::sim {

struct Descriptor final : Socket, std::enable_shared_from_this<Descriptor> {
  Descriptor(SimDriver& driver, int number) : owner(&driver), fd(number) {}
  void touch() override {
    if (owner) owner->touch(*this);
  }

  SimDriver* owner;  ///< null once closed
  int fd;
  bool touched = false;
  // One of these, or none for a socket whose connect failed.
  std::unique_ptr<Listener> listener;
  std::shared_ptr<Connection> connection;
  std::shared_ptr<Dial> dial;
  std::unique_ptr<OpenFile> file;
  std::shared_ptr<Child> child;
  bool is_null = false;  ///< /dev/null
  std::unique_ptr<Mailbox> mailbox;
  std::map<SocketOption, int> options;  ///< set, of those that change nothing here
  int side = 0;
  std::vector<Operation*> ops;  ///< in flight here, in the order of submission
};

}  // namespace rondo::io::sim
