// SPDX-License-Identifier: Apache-2.0
#include "rondo/io/operation.hpp"

namespace rondo::io {

const char* op_name(OpKind kind) noexcept {
  switch (kind) {
    case OpKind::accept: return "accept";
    case OpKind::recv: return "recv";
    case OpKind::connect: return "connect";
    case OpKind::send: return "send";
    case OpKind::send_message: return "send_message";
    case OpKind::read: return "read";
    case OpKind::write: return "write";
    case OpKind::poll: return "poll";
    case OpKind::close: return "close";
    case OpKind::signal: return "signal";
    case OpKind::job: return "job";
    case OpKind::resolve: return "resolve";
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
  }
  return "unknown";
}

}  // namespace rondo::io
