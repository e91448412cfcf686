// SPDX-License-Identifier: Apache-2.0
#include "rondo/process/pty.hpp"

#include <cerrno>

#include "process/service.hpp"

namespace rondo::process {

namespace {

using Ask = detail::Immediate<io::TerminalOp>;

Error error_of(const Ask& op) {
  if (op.result == -ENOTSUP) return Error(Errc::not_supported, "terminal");
  return Error::from_errno(-op.result, "terminal");
}

}  // namespace

Result<Terminal> Terminal::open(const TerminalOptions& options) {
  Ask op;
  op.what = io::TerminalOp::What::open;
  op.size = options.size;
  op.mode = options.mode;
  if (op.ask() < 0) return error_of(op);
  return Terminal(PipeStream::adopt(op.near, op.near), op.near, op.far);
}

Result<> Terminal::set_size(WindowSize size) {
  Ask op;
  op.what = io::TerminalOp::What::set_size;
  op.near = near_fd_;
  op.size = size;
  if (op.ask() < 0) return error_of(op);
  return {};
}

Result<WindowSize> Terminal::size() const {
  Ask op;
  op.what = io::TerminalOp::What::get_size;
  op.near = near_fd_;
  if (op.ask() < 0) return error_of(op);
  return op.size;
}

Result<> Terminal::set_mode(TerminalMode mode) {
  Ask op;
  op.what = io::TerminalOp::What::set_mode;
  op.near = near_fd_;
  op.mode = mode;
  if (op.ask() < 0) return error_of(op);
  return {};
}

Result<TerminalMode> Terminal::mode() const {
  Ask op;
  op.what = io::TerminalOp::What::get_mode;
  op.near = near_fd_;
  if (op.ask() < 0) return error_of(op);
  return op.mode;
}

}  // namespace rondo::process
