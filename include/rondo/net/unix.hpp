// SPDX-License-Identifier: Apache-2.0
// Unix stream sockets: the same streams between processes of one machine.
//
//   auto listener = unix_stream::listen({.path = "/run/app.sock"}).or_throw();
//   auto peer = co_await unix_stream::connect("/run/app.sock");
//
// "@name" is a name in the abstract namespace: no file, gone with its last user. A path that
// exists already is an error (address_in_use): remove the file of a dead server yourself.
// Lifetime and rules of the handles: net/socket.hpp. Thread rule: the loop's thread.
#pragma once

#include <string_view>

#include "rondo/net/tcp.hpp"

namespace rondo::unix_stream {

using Stream = net::Stream;
using Listener = net::Listener;

struct ListenOptions {
  std::string_view path;
  int backlog = static_cast<int>(limits::backlog.value);
};

/// Opens a listening socket. Errors: bad_address (too long), address_in_use, access_denied, ...
Result<Listener> listen(const ListenOptions& options);

/// Connects to a path. Errors: bad_address, no_such_file, connection_refused, ...
/// Completes, Cancel, Concurrency as tcp::connect.
Task<Result<Stream>> connect(std::string path);

}  // namespace rondo::unix_stream
