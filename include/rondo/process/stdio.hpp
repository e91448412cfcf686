// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error of this program, as streams on the loop.
//
//   auto input = process::standard_input().or_throw();
//   auto output = process::standard_output().or_throw();
//   while (auto line = co_await input.read_line()) {
//     if (line->empty()) break;                          // end of input
//     co_await output.write_all(line->bytes()).or_throw();
//   }
//
// Whatever they are: a terminal, a pipe, a file, /dev/null. Their flags are never changed, so that
// a terminal shared with other programs stays as it is; a terminal or pipe that takes no more makes
// the writer wait, never the loop. Closing such a stream leaves the descriptor open.
// Input that was read ahead goes with its stream: make one, once. For lines as strings see Input.
// Output beside printf: what stdio holds back leaves when stdio flushes; write by one of the two.
// Lifetime: inside the running loop. Thread rule: the loop's thread.
#pragma once

#include "rondo/base/result.hpp"
#include "rondo/process/stream.hpp"

namespace rondo::process {

/// Descriptor 0, to be read. Errors: not_supported under simulation. One that was closed, or is
/// only open for writing, fails with bad_descriptor when it is read.
Result<PipeStream> standard_input();
/// Descriptors 1 and 2, to be written. Errors as above; a reader that is gone is broken_pipe.
Result<PipeStream> standard_output();
Result<PipeStream> standard_error();

}  // namespace rondo::process
