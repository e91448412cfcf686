// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/immediate.hpp"
#include "rondo/net/datagram.hpp"

#include <algorithm>
#include <cerrno>

#include "net/service.hpp"
#include "rondo/net/udp.hpp"

namespace rondo::net {
namespace {

/// How long a full queue is given that no event tells about.
constexpr Duration k_full_pause = std::chrono::milliseconds(1);
constexpr const char* k_waits = "a datagram socket was closed while a task waits in it";

detail::NetService& service() { return Loop::current().service<detail::NetService>(); }

Result<Endpoint> name_of(int descriptor, bool peer) {
  rondo::detail::Immediate<io::SocketNameOp> op;
  op.fd = descriptor;
  op.peer = peer;
  if (op.ask() < 0) return Error::from_errno(-op.result, peer ? "getpeername" : "getsockname");
  return Endpoint(op.address);
}

}  // namespace

DatagramBatch::DatagramBatch(std::size_t count, std::size_t size)
    : memory_(count * size), slots_(count) {
  RONDO_ASSERT(count > 0 && count <= limits::datagram_batch_max.value && size > 0,
               "a batch has room for 1..datagram_batch_max datagrams of at least one byte");
  for (std::size_t i = 0; i < count; ++i) {
    slots_[i].into = ByteSpan(memory_).subspan(i * size, size);
  }
}

Endpoint DatagramBatch::from(std::size_t i) const noexcept {
  return slots_[i].from.size > 0 ? Endpoint(slots_[i].from) : Endpoint::unnamed_unix();
}

namespace detail {

Endpoint ReceiveBase::sender(const io::MessageSlot& slot) const noexcept {
  // Only Unix sockets may be without a name.
  return slot.from.size > 0 ? Endpoint(slot.from) : Endpoint::unnamed_unix();
}

Error ReceiveBase::error() const { return Error::from_errno(-result, "receive"); }

Result<Received> ReceiveAwaiter::await_resume() const {
  if (result < 0) return error();
  return Received{slot.size, sender(slot), slot.truncated};
}

TakeAwaiter::TakeAwaiter(DatagramState& state, std::size_t max, rondo::detail::PromiseBase& parent)
    : ReceiveBase(state, parent), memory(Loan::of_size(max)) {
  slot.into = memory.writable();
  op.slots = {&slot, 1};
}

Result<Datagram> TakeAwaiter::await_resume() {
  if (result < 0) return error();
  memory.shrink(slot.size);
  return Datagram{std::move(memory), sender(slot), slot.truncated};
}

Result<std::size_t> BatchAwaiter::await_resume() {
  batch.set_count(result < 0 ? 0 : static_cast<std::size_t>(result));
  if (result < 0) return error();
  return batch.count();
}

SendAwaiter::SendAwaiter(DatagramState& state, ByteView bytes, const io::Address& to,
                         rondo::detail::PromiseBase& parent) noexcept
    : in(state) {
  frame = &parent;
  op.awaiter = this;
  op.fd = state.fd;
  op.data = bytes;
  op.to = to;
  op.may_fail_full = state.is_unix;
  op.on_complete = [](io::Operation& done, const io::Completion& how) noexcept {
    static_cast<Mine&>(done).awaiter->complete(how.result);
  };
  fire = [](rondo::detail::Timer& timer) noexcept {
    Loop::current().driver().submit(static_cast<SendAwaiter&>(timer).op);
  };
}

void SendAwaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (rondo::detail::cancelled(*this)) return rondo::detail::strike(*this);
  rondo::detail::park(*this, [](rondo::detail::Waiter& waiter) noexcept {
    auto& self = static_cast<SendAwaiter&>(waiter);
    if (!self.armed()) return Loop::current().driver().cancel(self.op);
    Loop::current().disarm(self);
    rondo::detail::strike(self);
  });
  Loop::current().driver().submit(op);
}

void SendAwaiter::complete(std::int32_t value) noexcept {
  const bool is_cancelled = rondo::detail::cancelled(*this);
  if (value == -EAGAIN && !is_cancelled) {
    deadline = deadline_after(Loop::current().now(), k_full_pause).time_since_epoch().count();
    return Loop::current().arm(*this);
  }
  result = value;
  if (value < 0 && is_cancelled)
    rondo::detail::strike(*this);
  else
    rondo::detail::wake(*this);
}

Result<> SendAwaiter::await_resume() const {
  if (result >= 0) return {};
  const std::string to = op.to.size > 0 ? Endpoint(op.to).to_string() : "";
  if (result == -EMSGSIZE) return Error(Errc::too_large, "send", to);
  return Error::from_errno(-result, "send", to);
}

}  // namespace detail

Result<detail::DatagramState*> DatagramSocket::open(const detail::DatagramOpening& how) {
  rondo::detail::Immediate<io::DatagramSocketOp> op;
  if (how.bind) op.bind = how.bind->address();
  if (how.peer) op.peer = how.peer->address();
  op.reuse_address = how.reuse_address;
  op.reuse_port = how.reuse_port;
  op.v6_only = how.v6_only;
  const Endpoint& where = how.peer ? *how.peer : *how.bind;
  if (op.ask() < 0) {
    return Error::from_errno(-op.result, how.peer ? "connect" : "bind", where.to_string());
  }
  auto* state = new detail::DatagramState;
  state->fd = op.result;
  state->is_unix = where.is_unix();
  service().opened();
  return state;
}

Result<Endpoint> DatagramSocket::local() const { return name_of(descriptor(), false); }
Result<Endpoint> DatagramSocket::peer() const { return name_of(descriptor(), true); }

void DatagramSocket::close() noexcept {
  detail::DatagramState* own = std::exchange(state_, nullptr);
  if (!own) return;
  RONDO_ASSERT(own->waiting == 0, k_waits);
  service().close_descriptor(own->fd);
  service().closed();  // close_descriptor counts what it closes itself.
  delete own;
}

}  // namespace rondo::net

namespace rondo::udp {

Result<Socket> Socket::bind(const BindOptions& options) {
  auto where = net::Endpoint::parse(options.address);
  if (!where) return where.error();
  if (where->is_unix()) return Error(Errc::bad_address, "bind", options.address);
  auto state = open({.bind = &*where,
                     .reuse_address = options.reuse_address,
                     .reuse_port = options.reuse_port,
                     .v6_only = options.v6_only});
  if (!state) return state.error();
  return Socket(*state);
}

Result<Socket> Socket::connect(const net::Endpoint& peer) {
  if (peer.is_unix()) return Error(Errc::bad_address, "connect", peer.to_string());
  auto state = open({.peer = &peer});
  if (!state) return state.error();
  return Socket(*state);
}

Result<> Socket::change_group(io::SocketOption how, std::string_view group,
                              unsigned interface_index) {
  auto where = net::Endpoint::ip(group, 0);
  if (!where) return where.error();
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = descriptor();
  op.option = how;
  op.value = static_cast<int>(interface_index);
  op.address = where->address();
  if (op.ask() >= 0) return {};
  return Error::from_errno(-op.result, how == io::SocketOption::join_group ? "join" : "leave",
                           group);
}

Result<> Socket::join(std::string_view group, unsigned interface_index) {
  return change_group(io::SocketOption::join_group, group, interface_index);
}
Result<> Socket::leave(std::string_view group, unsigned interface_index) {
  return change_group(io::SocketOption::leave_group, group, interface_index);
}

namespace {

/// One send of several segments: UDP_SEGMENT asks for it.
struct SegmentsAwaiter : net::detail::SendAwaiter {
  SegmentsAwaiter(net::detail::DatagramState& state, ByteView bytes, const net::Endpoint& to,
                  std::uint16_t segment_size, rondo::detail::PromiseBase& parent) noexcept
      : SendAwaiter(state, bytes, to.address(), parent) {
    op.segment_size = segment_size;
  }
};
struct [[nodiscard]] Segments {
  net::detail::DatagramState& state;
  ByteView bytes;
  const net::Endpoint& to;
  std::uint16_t segment_size;
  SegmentsAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {state, bytes, to, segment_size, parent};
  }
};

/// Codes that say: this kernel or device cannot cut datagrams, not: these cannot be sent.
bool cannot_segment(const Error& error) noexcept {
  return error == Errc::io_error || error == Errc::invalid_argument ||
         error == static_cast<Errc>(ENOPROTOOPT) || error == static_cast<Errc>(EOPNOTSUPP);
}

}  // namespace

Task<Result<>> Socket::send_segments(ByteView bytes, std::uint16_t segment_size, net::Endpoint to) {
  RONDO_ASSERT(segment_size > 0, "segments have at least one byte");
  constexpr std::size_t k_segments = 64;  // UDP_MAX_SEGMENTS of the kernels before 6.9.
  const std::size_t in_one =
      std::clamp<std::size_t>(limits::datagram_max.value / segment_size, 1, k_segments);
  bool together = in_one > 1;
  while (!bytes.empty()) {
    const std::size_t step = segment_size * (together ? in_one : 1);
    const ByteView part = bytes.first(std::min(step, bytes.size()));
    auto sent = co_await Segments{state(), part, to, segment_size};
    if (!sent && together && cannot_segment(sent.error())) {
      together = false;
      continue;
    }
    if (!sent) co_return sent.error();
    bytes = bytes.subspan(part.size());
  }
  co_return Result<>{};
}

}  // namespace rondo::udp
