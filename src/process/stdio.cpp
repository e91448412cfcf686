// SPDX-License-Identifier: Apache-2.0
#include "rondo/process/stdio.hpp"

#include "rondo/core/loop.hpp"
#include "rondo/process/signal.hpp"

namespace rondo::process {
namespace {

Result<PipeStream> standard(int read_from, int write_to, const char* name) {
  // A simulated host has no terminal: its descriptors 0 to 2 are whatever it opened first.
  if (!Loop::current().driver().probe().has_threads) return Error(Errc::not_supported, name);
  if (write_to >= 0) {
    if (auto ignored = ignore_sigpipe(); !ignored) return ignored.error();
  }
  return PipeStream::borrow(read_from, write_to);
}

}  // namespace

Result<PipeStream> standard_input() { return standard(0, -1, "standard_input"); }
Result<PipeStream> standard_output() { return standard(-1, 1, "standard_output"); }
Result<PipeStream> standard_error() { return standard(-1, 2, "standard_error"); }

}  // namespace rondo::process
