// SPDX-License-Identifier: Apache-2.0
// Stream, Listener: the handles of connected and listening stream sockets. tcp.hpp and unix.hpp
// make them; both kinds are the same once they are open.
//
//   while (auto peer = co_await listener.accept()) sessions.start(serve, std::move(*peer));
//
// A handle is one pointer, move-only, and may be moved at any time. Its destructor hands the
// socket to the loop: accepted output is sent (for at most limits::linger_max, and within the grace
// of a stop), operations in flight end, then the descriptor is closed. No handle may outlive its
// loop (checked).
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <utility>

#include "rondo/base/result.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/net/endpoint.hpp"

namespace rondo::net {

namespace detail {
class Socket;
class Acceptor;
struct AcceptAwaiter;
struct StreamAccess;
ByteStream& stream_of(Socket& socket) noexcept;
}  // namespace detail

/// A connected stream socket; everything ByteStream has, and the socket's own.
class [[nodiscard("keep it: its end closes the stream")]] Stream {
 public:
  /// Takes over a connected stream socket, one of the running loop's driver or one that was
  /// inherited or received. O_NONBLOCK is set or taken away as the driver needs it: who shares the
  /// socket (dup, another process) shares that.
  static Stream adopt(int descriptor);
  Stream(Stream&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~Stream() {
    if (socket_) close();
  }

  ByteStream& stream() noexcept { return detail::stream_of(open_socket()); }
  operator ByteStream&() noexcept { return stream(); }  // NOLINT: a Stream is a ByteStream.

  // The calls of ByteStream (core/stream.hpp), forwarded.
  auto read() noexcept { return stream().read(); }
  auto read_some(ByteSpan into) noexcept { return stream().read_some(into); }
  auto read_line(std::size_t max = limits::line_max.value) noexcept {
    return stream().read_line(max);
  }
  auto read_until(std::string_view delimiter,
                  std::size_t max = limits::line_max.value) noexcept {
    return stream().read_until(delimiter, max);
  }
  auto peek(ByteSpan into) noexcept { return stream().peek(into); }
  auto read_exact(ByteSpan into) noexcept { return stream().read_exact(into); }
  auto write_all(ByteView bytes) noexcept { return stream().write_all(bytes); }
  auto write_all(std::string_view text) noexcept { return stream().write_all(text); }
  auto flush() noexcept { return stream().flush(); }
  Result<> try_write(const SharedBytes& message,
                     std::size_t limit = limits::ws_queue_max.value) noexcept {
    return stream().try_write(message, limit);
  }
  void shutdown_write() noexcept { stream().shutdown_write(); }

  /// Addresses of both ends. Errors: the kernel's.
  Result<Endpoint> local() const;
  Result<Endpoint> peer() const;
  /// For net/options.hpp and what takes a number; the stream keeps it.
  int descriptor() const noexcept;
  /// Nagle's algorithm off (the default of accepted and connected IP streams) or on.
  Result<> set_no_delay(bool on);
  /// Kernel buffer sizes in bytes (the kernel doubles and bounds them).
  Result<> set_send_buffer(int bytes);
  Result<> set_receive_buffer(int bytes);

  /// Large writes (from limits::zero_copy_min on) leave without a copy into the kernel, where the
  /// kernel can; they complete when it has let go of the bytes, and a cancelled one resets the
  /// connection. Off by default: for small writes, and on loopback, the copy is cheaper (there
  /// zero-copy cost a fifth more CPU with writes of 32 KiB and half as much again from 256 KiB on,
  /// since the receiver copies all the same). Measure it on the network it is meant for.
  void set_zero_copy(bool on) noexcept;

  /// Closes now what the destructor would close; the handle is empty afterwards and may only be
  /// closed again, assigned to or destroyed. No task may wait in it (checked).
  void close() noexcept;
  bool is_open() const noexcept { return socket_ != nullptr; }

 private:
  friend struct detail::StreamAccess;
  detail::Socket& open_socket() const noexcept {
    RONDO_ASSERT(socket_, "this Stream was closed or moved from: ask is_open(), or keep it open");
    return *socket_;
  }
  explicit Stream(detail::Socket& socket) noexcept : socket_(&socket) {}
  detail::Socket* socket_ = nullptr;
};

struct ListenOptions {
  /// "127.0.0.1:8080", "[::1]:0", "unix:/run/x.sock"; port 0 takes a free one.
  std::string_view address;
  int backlog = static_cast<int>(limits::backlog.value);
  /// Several processes or loops listen on one port (SO_REUSEPORT).
  bool reuse_port = false;
};

namespace detail {
struct [[nodiscard("co_await it")]] Accept : rondo::detail::OperationAwaitable<Accept> {
  Acceptor& acceptor;
  explicit Accept(Acceptor& a) noexcept : acceptor(a) {}
  AcceptAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept;
};
}  // namespace detail

class [[nodiscard("keep it: its end closes the listener")]] Listener {
 public:
  static Result<Listener> open(const ListenOptions& options);
  Listener(Listener&& other) noexcept : acceptor_(std::exchange(other.acceptor_, nullptr)) {}
  Listener& operator=(Listener&& other) noexcept {
    std::swap(acceptor_, other.acceptor_);
    return *this;
  }
  ~Listener() {
    if (acceptor_) close();
  }

  /// Waits for a connection.
  /// - **Completes** when one was accepted, or at a soft stop. **Returns** its Stream.
  /// - **Errors** stopping after Loop::request_stop; what the kernel says of the listener itself.
  ///   Out of descriptors is no error: accepting pauses (limits::accept_pause) and goes on by
  ///   itself; while that lasts longer than limits::accept_refuse_after, who waits is refused
  ///   (closed) with a descriptor in reserve. Nor is a connection that failed before it was taken.
  /// - **Cancel** only stops waiting: no connection is lost. **Lifetime** the listener outlives it.
  /// - **Concurrency** one awaiter. **Thread** the loop's.
  detail::Accept accept() noexcept { return detail::Accept(open_acceptor()); }

  /// The address listened on, with the port the kernel chose.
  const Endpoint& local() const noexcept;
  std::uint16_t port() const noexcept { return local().port(); }
  /// For net/options.hpp; the listener keeps it.
  int descriptor() const noexcept;
  /// As Stream::close().
  void close() noexcept;
  bool is_open() const noexcept { return acceptor_ != nullptr; }

 private:
  explicit Listener(detail::Acceptor& acceptor) noexcept : acceptor_(&acceptor) {}
  detail::Acceptor& open_acceptor() const noexcept {
    RONDO_ASSERT(acceptor_, "this Listener was closed or moved from: ask is_open(), or listen");
    return *acceptor_;
  }
  detail::Acceptor* acceptor_ = nullptr;
};

namespace detail {

struct AcceptAwaiter : rondo::detail::Waiter {
  Acceptor& acceptor;
  AcceptAwaiter(Acceptor& a, rondo::detail::PromiseBase& parent) noexcept : acceptor(a) {
    frame = &parent;
  }
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<>) noexcept;
  Result<Stream> await_resume();
};

inline AcceptAwaiter Accept::awaiter(rondo::detail::PromiseBase& parent) && noexcept {
  return {acceptor, parent};
}

}  // namespace detail

/// Counters of one loop's sockets.
struct SocketStatistics {
  std::size_t open = 0;       ///< sockets not yet closed, those in close included
  std::size_t corked = 0;     ///< waiting for the next flush
  std::size_t starved = 0;    ///< waiting for a free receive buffer
};
SocketStatistics socket_statistics();

}  // namespace rondo::net
