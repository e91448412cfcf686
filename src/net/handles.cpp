// SPDX-License-Identifier: Apache-2.0
// The public handles: Stream, Listener, tcp::.
#include "net/acceptor.hpp"
#include "net/socket.hpp"
#include "rondo/core/detail/immediate.hpp"
#include "rondo/net/tcp.hpp"

namespace rondo::net {
namespace {

detail::NetService& service() { return Loop::current().service<detail::NetService>(); }

Result<Endpoint> name_of(int descriptor, bool peer) {
  rondo::detail::Immediate<io::SocketNameOp> op;
  op.fd = descriptor;
  op.peer = peer;
  if (op.ask() < 0) return Error::from_errno(-op.result, peer ? "getpeername" : "getsockname");
  return Endpoint(op.address);
}

Result<> set_option(int descriptor, io::SocketOption option, int value) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = descriptor;
  op.option = option;
  op.value = value;
  if (op.ask() < 0) return Error::from_errno(-op.result, "setsockopt");
  return {};
}

Result<int> open_listener(const Endpoint& where, const ListenOptions& options) {
  rondo::detail::Immediate<io::ListenOp> op;
  op.address = where.address();
  op.backlog = options.backlog;
  op.reuse_port = options.reuse_port;
  if (op.ask() < 0) return Error::from_errno(-op.result, "listen", where.to_string());
  return op.result;
}

}  // namespace

Stream detail::StreamAccess::stream(int descriptor) {
  return Stream(*new detail::Socket(service(), descriptor));
}

Stream Stream::adopt(int descriptor) {
  // A descriptor that is no socket says so to the first read or write.
  (void)set_option(descriptor, io::SocketOption::drivers_mode, 0);
  return detail::StreamAccess::stream(descriptor);
}

void Stream::close() noexcept {
  if (detail::Socket* own = std::exchange(socket_, nullptr)) own->detach();
}

int Stream::descriptor() const noexcept { return open_socket().descriptor(); }
int Listener::descriptor() const noexcept { return open_acceptor().descriptor(); }
Result<Endpoint> Stream::local() const { return name_of(open_socket().descriptor(), false); }
Result<Endpoint> Stream::peer() const { return name_of(open_socket().descriptor(), true); }
void Stream::set_zero_copy(bool on) noexcept { open_socket().set_zero_copy(on); }
Result<> Stream::set_no_delay(bool on) {
  return set_option(open_socket().descriptor(), io::SocketOption::no_delay, on ? 1 : 0);
}
Result<> Stream::set_send_buffer(int bytes) {
  return set_option(open_socket().descriptor(), io::SocketOption::send_buffer, bytes);
}
Result<> Stream::set_receive_buffer(int bytes) {
  return set_option(open_socket().descriptor(), io::SocketOption::receive_buffer, bytes);
}

Result<Listener> Listener::open(const ListenOptions& options) {
  auto where = Endpoint::parse(options.address);
  if (!where) return where.error();
  auto descriptor = open_listener(*where, options);
  if (!descriptor) return descriptor.error();
  auto local = name_of(*descriptor, false);
  return Listener(*new detail::Acceptor(service(), *descriptor, local ? *local : *where));
}

const Endpoint& Listener::local() const noexcept { return open_acceptor().local(); }
void Listener::close() noexcept {
  if (detail::Acceptor* own = std::exchange(acceptor_, nullptr)) own->detach();
}

SocketStatistics socket_statistics() {
  detail::NetService& at = service();
  return {at.open(), at.corked_count(), at.starved_count()};
}

Result<Stream> detail::ConnectAwaiter::await_resume() {
  if (result < 0) {
    return Error::from_errno(-result, "connect", Endpoint(op.address).to_string());
  }
  return detail::StreamAccess::stream(result);
}

}  // namespace rondo::net

namespace rondo::tcp {

Result<Listener> listen(const ListenOptions& options) { return Listener::open(options); }

}  // namespace rondo::tcp
