// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error of this program as streams of the running loop.
//
//   co_await process::standard_output().write_all("hello\n");
//   while (auto line = co_await process::standard_input().read_line()) {
//     if (line->empty()) break;                      // end of input
//     use(chomp(line->text()));
//   }
//
// Whatever they are: a pipe, a terminal, a file, /dev/null. The descriptors' flags are never
// changed, so that the shell finds its terminal as it left it. One that is closed, or was when
// the program began, is at its end when read and `closed` when written.
// Input is read only while a task waits for it: what is not asked for stays for a child that
// inherits it, but for the rest of the block that was read. Where nobody reads the output any
// more it is the error broken_pipe, never SIGPIPE (which is blocked for this thread from then on).
// Files are read and written in place, mostly from and to the page cache: many megabytes belong
// to fs::File. Under simulation: not_supported.
// They refuse to be closed or owned: the loop has them from the first call until its end.
// Lifetime: until the loop ends, which first sends what was accepted, however long the reader
// takes; after a stop was requested for at most limits::linger_max. Use one loop's streams only.
// Thread rule: the loop's thread.
#pragma once

#include "rondo/core/stream.hpp"

namespace rondo::process {

/// Descriptor 0. One reader at a time; process::Input is another: use the one or the other.
ByteStream& standard_input();
/// Descriptor 1. What was written leaves with the iteration; flush() waits until it has left.
ByteStream& standard_output();
/// Descriptor 2. Not ordered against standard_output(), even if both are one terminal: flush().
ByteStream& standard_error();

}  // namespace rondo::process
