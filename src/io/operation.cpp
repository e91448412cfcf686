// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/operation.hpp"

#include "rondo/io/child_ops.hpp"

namespace rondo::io {

const char* op_name(OpKind kind) noexcept {
  switch (kind) {
    case OpKind::accept: return "accept";
    case OpKind::recv: return "recv";
    case OpKind::connect: return "connect";
    case OpKind::send: return "send";
    case OpKind::send_message: return "send_message";
    case OpKind::send_zero_copy: return "send_zero_copy";
    case OpKind::send_datagram: return "send_datagram";
    case OpKind::recv_message: return "recv_message";
    case OpKind::send_file: return "send_file";
    case OpKind::read: return "read";
    case OpKind::write: return "write";
    case OpKind::poll: return "poll";
    case OpKind::close: return "close";
    case OpKind::signal: return "signal";
    case OpKind::job: return "job";
    case OpKind::resolve: return "resolve";
    case OpKind::wait_child: return "wait_child";
    case OpKind::open: return "open";
    case OpKind::fsync: return "fsync";
    case OpKind::stat: return "stat";
    case OpKind::rename: return "rename";
    case OpKind::unlink: return "unlink";
    case OpKind::make_directory: return "make_directory";
    case OpKind::link: return "link";
    case OpKind::truncate: return "truncate";
    case OpKind::list_directory: return "list_directory";
    case OpKind::read_whole_file: return "read_whole_file";
    case OpKind::listen: return "listen";
    case OpKind::shutdown: return "shutdown";
    case OpKind::socket_name: return "socket_name";
    case OpKind::socket_option: return "socket_option";
    case OpKind::spawn: return "spawn";
    case OpKind::kill_child: return "kill_child";
    case OpKind::make_pipe: return "make_pipe";
    case OpKind::block_signals: return "block_signals";
    case OpKind::terminal: return "terminal";
    case OpKind::datagram_socket: return "datagram_socket";
    case OpKind::refuse: return "refuse";
    case OpKind::watch: return "watch";
  }
  return "unknown";
}

const char* spawn_step_name(SpawnStep step) noexcept {
  switch (step) {
    case SpawnStep::none: return "spawn";
    case SpawnStep::find: return "find";
    case SpawnStep::clone: return "clone";
    case SpawnStep::group: return "setpgid";
    case SpawnStep::descriptors: return "dup";
    case SpawnStep::terminal: return "terminal";
    case SpawnStep::limits: return "setrlimit";
    case SpawnStep::directory: return "chdir";
    case SpawnStep::groups: return "setgroups";
    case SpawnStep::identity: return "setuid";
    case SpawnStep::exec: return "exec";
  }
  return "spawn";
}

}  // namespace rondo::io
