// SPDX-License-Identifier: Apache-2.0
// Unix sockets: streams and datagrams between processes of one machine, and descriptors that
// travel along.
//
//   auto listener = unix_stream::listen({.path = "/run/app.sock"}).or_throw();
//   auto peer = co_await unix_stream::connect("/run/app.sock");
//   auto inbox = unix_datagram::Socket::bind("/run/app.inbox");
//   co_await unix_stream::send_descriptor(stream, file.get());       // the peer gets a copy
//   if (net::get<net::PeerCredentials>(stream).or_throw().uid == 0) ...
//
// "@name" is a name in the abstract namespace: no file, gone with its last user. A path that
// exists already is an error (address_in_use): remove the file of a dead server yourself.
// Lifetime and rules of the handles: net/socket.hpp, net/datagram.hpp. Source: unix(7).
// Thread rule: the loop's thread.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "rondo/base/unique_fd.hpp"
#include "rondo/net/datagram.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::net {

/// A message that descriptors may have come with.
struct Passed {
  std::size_t size = 0;               ///< bytes of it; 0 at the end of a stream
  std::vector<UniqueFd> descriptors;  ///< close-on-exec, owned
  bool descriptors_lost = false;      ///< some were closed by the kernel: too many for us
};

}  // namespace rondo::net

namespace rondo::unix_stream {

using Stream = net::Stream;
using Listener = net::Listener;
using net::Passed;

struct ListenOptions {
  std::string_view path;
  int backlog = static_cast<int>(limits::backlog.value);
};

/// Opens a listening socket. Errors: bad_address (too long), address_in_use, access_denied, ...
Result<Listener> listen(const ListenOptions& options);

/// Connects to a path. Errors: bad_address, no_such_file, connection_refused, ...
/// Completes when connected or refused; while the listener's backlog is full it waits, for ever if
/// need be: wrap it in with_timeout. Cancel, Concurrency as tcp::connect.
Task<Result<Stream>> connect(std::string path);

/// Sends bytes together with descriptors, behind what was written before.
/// - **Completes** when the kernel took them. **Returns** nothing; the descriptors stay open here
///   too. **Errors** too_large (over limits::descriptors_max, nothing was sent); not_supported
///   (simulation); the stream's. **Cancel** before the kernel took them nothing was sent.
/// - **Lifetime** descriptors and message (at least one byte) outlive it.
/// - **Concurrency** counts as the writer. **Thread** the loop's.
Task<Result<>> send_descriptors(Stream& stream, std::span<const int> descriptors, ByteView message);
/// One descriptor, with a message of one zero byte.
Task<Result<>> send_descriptor(Stream& stream, int descriptor);

/// Receives bytes and the descriptors that came with them. The stream must not be read by its
/// other calls before: they would take the bytes, and the kernel would close the descriptors
/// (asserted). From the first read() on it is an ordinary stream.
/// - **Completes** when something has arrived. **Returns** 1..into.size() bytes, 0 at the end of
///   the stream, and the descriptors, in order. **Errors** not_supported (simulation); the
///   kernel's. **Cancel** takes nothing from the socket; what was taken is delivered: no
///   descriptor leaks. **Lifetime** `into` and the stream outlive it. **Concurrency** one reader.
/// - **Thread** the loop's.
Task<Result<Passed>> receive_descriptors(Stream& stream, ByteSpan into);
/// One descriptor, with a message of one byte. Errors: end_of_stream; bad_message: none came.
Task<Result<UniqueFd>> receive_descriptor(Stream& stream);

}  // namespace rondo::unix_stream

namespace rondo::unix_datagram {

using net::Datagram;
using net::DatagramBatch;
using net::Passed;
using net::Received;

/// Nothing is lost on the way: a sender waits while the receiver's queue is full.
class [[nodiscard("keep it: its end closes the socket")]] Socket : public net::DatagramSocket {
 public:
  /// Opens a socket under a path. Errors: bad_address, address_in_use, access_denied, ...
  static Result<Socket> bind(std::string_view path);
  /// Opens a socket that talks to one peer; with `own` it has a name to be answered to.
  /// Errors: bad_address, no_such_file, connection_refused, ...
  static Result<Socket> connect(std::string_view peer, std::string_view own = {});

  /// As unix_stream::send_descriptors, in one datagram to the connected peer.
  Task<Result<>> send_descriptors(std::span<const int> descriptors, ByteView message);
  /// As receive_from, with the descriptors that came along. `into` has room for the message, the
  /// rest of which is lost.
  Task<Result<Passed>> receive_descriptors(ByteSpan into);

 private:
  using DatagramSocket::DatagramSocket;
};

}  // namespace rondo::unix_datagram
