// SPDX-License-Identifier: Apache-2.0
// The whole library in one include, for programs, examples and documents.
//
//   #include <rondo/rondo.hpp>
//   int main() { return rondo::run(serve()); }
//
// A file that is compiled often includes what it uses instead: core/scope.hpp and net/tcp.hpp are
// an echo server. Headers that only declare take rondo/fwd.hpp.
// Not in it: rondo/testing (virtual time, for tests) and the adapters (rondo/sqlite).
#pragma once

#include "rondo/base/bytes.hpp"
#include "rondo/base/error.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/log.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/base/unique_fd.hpp"
#include "rondo/core/callback.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/future.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/core/when.hpp"
#include "rondo/core/worker.hpp"
#include "rondo/http/server.hpp"
#include "rondo/http/sse.hpp"
#include "rondo/io/driver.hpp"
#include "rondo/net/endpoint.hpp"
#include "rondo/net/resolve.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/net/unix.hpp"
#include "rondo/process/pipe.hpp"
#include "rondo/ws/socket.hpp"
