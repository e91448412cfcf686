// SPDX-License-Identifier: Apache-2.0
// What the simulated kernel does with the operations in flight when something has changed.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

enum class Direction : std::uint8_t { in, out, none };

Direction direction_of(OpKind kind) noexcept {
  switch (kind) {
    case OpKind::accept:
    case OpKind::recv:
    case OpKind::recv_message:
    case OpKind::read:
      return Direction::in;
    case OpKind::connect:
    case OpKind::send:
    case OpKind::send_message:
    case OpKind::send_zero_copy:
    case OpKind::send_datagram:
    case OpKind::write:
      return Direction::out;
    default:
      return Direction::none;
  }
}

// What a send-like operation wants to send, span by span.
template <class F>
void each_slice(const Operation& op, F&& use) {
  if (op.kind == OpKind::send) {
    const auto& send = static_cast<const SendOp&>(op);
    use(ByteView(send.data, send.size));
  } else if (op.kind == OpKind::send_zero_copy) {
    const auto& send = static_cast<const SendZeroCopyOp&>(op);
    use(ByteView(send.data, send.size));
  } else if (op.kind == OpKind::write) {
    use(static_cast<const WriteOp&>(op).from);
  } else {
    const auto& send = static_cast<const SendMessageOp&>(op);
    for (std::uint32_t i = 0; i < send.count; ++i) use(send.slices[i]);
  }
}

}  // namespace

void SimDriver::touch(Descriptor& descriptor) {
  if (std::exchange(descriptor.touched, true)) return;
  touched_.push_back(descriptor.shared_from_this());
}

void SimDriver::progress() {
  while (!touched_.empty()) {
    const auto descriptor = std::move(touched_.front());
    touched_.pop_front();
    descriptor->touched = false;
    if (descriptor->owner) progress(*descriptor);
  }
}

// Operations of one direction take turns in the order of their submission.
void SimDriver::progress(Descriptor& descriptor) {
  bool blocked[2] = {false, false};
  auto& ops = descriptor.ops;
  for (std::size_t i = 0; i < ops.size();) {
    Operation& op = *ops[i];
    const Direction direction = direction_of(op.kind);
    const auto lane = static_cast<std::size_t>(direction);
    const bool waits = direction != Direction::none && blocked[lane];
    if (!waits && (interrupted(op) || advance(descriptor, op))) {
      ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    if (direction != Direction::none) blocked[lane] = true;
    ++i;
  }
  // A connect that failed gives its number back once nothing refers to it.
  if (descriptor.dial && descriptor.dial->result < 0) close(descriptor.fd);
}

bool SimDriver::interrupted(Operation& op) {
  if (op.kind == OpKind::connect) return false;
  if (!world_.chance("interrupt", world_.faults().interrupt_per_mille)) return false;
  return finish(op, -EINTR);
}

// True when the operation has had its terminal completion.
bool SimDriver::advance(Descriptor& descriptor, Operation& op) {
  switch (op.kind) {
    case OpKind::accept:
      return advance_accept(descriptor, static_cast<AcceptOp&>(op));
    case OpKind::recv:
      return advance_recv(descriptor, static_cast<RecvOp&>(op));
    case OpKind::connect:
      return advance_connect(descriptor, static_cast<ConnectOp&>(op));
    case OpKind::send_datagram:
      return advance_send_datagram(descriptor, static_cast<SendDatagramOp&>(op));
    case OpKind::recv_message:
      return advance_recv_message(descriptor, static_cast<RecvMessageOp&>(op));
    case OpKind::send:
    case OpKind::send_message:
    case OpKind::send_zero_copy:
    case OpKind::write:
      return advance_send(descriptor, op);
    case OpKind::read:
      return advance_read(descriptor, static_cast<ReadOp&>(op));
    case OpKind::poll:
      return advance_poll(descriptor, static_cast<PollOp&>(op));
    case OpKind::wait_child:
      return advance_wait_child(descriptor, static_cast<WaitChildOp&>(op));
    default:
      return false;  // The others do not wait on a descriptor.
  }
}

bool SimDriver::advance_accept(Descriptor& descriptor, AcceptOp& op) {
  const SimFaults& faults = world_.faults();
  auto& queue = descriptor.listener->queue;
  while (!queue.empty()) {
    if (world_.chance("accept limit", faults.accept_limit_per_mille)) return finish(op, -EMFILE);
    if (world_.chance("accept abort", faults.accept_abort_per_mille)) {
      const auto lost = std::move(queue.front());
      queue.pop_front();
      lost->reset();
      lost->close(1);
      return finish(op, -ECONNABORTED);
    }
    const int fd = install(queue.front(), 1);
    if (fd < 0) return finish(op, fd);
    queue.pop_front();
    if (world_.chance("end accept", faults.end_multishot_per_mille)) return finish(op, fd);
    give(op, fd, k_no_buffer);
  }
  return false;
}

bool SimDriver::advance_recv(Descriptor& descriptor, RecvOp& op) {
  Connection& connection = *descriptor.connection;
  const SimFaults& faults = world_.faults();
  while (const std::size_t there = connection.readable(descriptor.side)) {
    const bool starved = world_.chance("no buffers", faults.no_buffers_per_mille);
    const std::uint16_t id = starved ? k_no_buffer : buffers_.take();
    if (id == k_no_buffer) {
      ++statistics_.out_of_buffers;
      return finish(op, -ENOBUFS);
    }
    const std::size_t size = std::min<std::size_t>(there, buffers_.buffer_size());
    connection.read(descriptor.side, ByteSpan(buffers_.data(id), size));
    const auto result = static_cast<std::int32_t>(size);
    if (world_.chance("end recv", faults.end_multishot_per_mille)) return finish(op, result, id);
    give(op, result, id);
  }
  const int state = connection.receive_state(descriptor.side);
  return state <= 0 && finish(op, state);
}

bool SimDriver::advance_connect(Descriptor& descriptor, ConnectOp& op) {
  const int result = descriptor.dial->result;
  if (result == Dial::k_pending) return false;
  if (result < 0) return finish(op, result);
  descriptor.connection = std::move(descriptor.dial->connection);
  descriptor.dial = nullptr;
  descriptor.connection->attach(0, &descriptor);
  return finish(op, descriptor.fd);
}

bool SimDriver::advance_send(Descriptor& descriptor, Operation& op) {
  if (descriptor.is_null) {
    return finish(op, static_cast<std::int32_t>(static_cast<WriteOp&>(op).from.size()));
  }
  Connection& connection = *descriptor.connection;
  if (const int error = connection.send_state(descriptor.side)) return finish(op, error);
  std::size_t wanted = 0;
  each_slice(op, [&](ByteView slice) { wanted += slice.size(); });
  if (wanted == 0) return finish(op, 0);
  std::size_t take = std::min(wanted, connection.space(descriptor.side));
  if (take == 0) return false;
  const SimLink& link = world_.network().link(connection.host(0), connection.host(1));
  if (take > 1 && world_.chance("short send", link.short_send_per_mille)) {
    take = 1 + world_.choose(Random::k_network, "sent", take - 1);
  }
  std::size_t left = take;
  each_slice(op, [&](ByteView slice) {
    const std::size_t size = std::min(left, slice.size());
    left -= size;
    if (size > 0) connection.write(descriptor.side, slice.first(size));
  });
  return finish(op, static_cast<std::int32_t>(take));
}

bool SimDriver::advance_read(Descriptor& descriptor, ReadOp& op) {
  if (descriptor.is_null) return finish(op, 0);
  Connection& connection = *descriptor.connection;
  if (op.into.empty()) return finish(op, 0);
  const std::size_t size = std::min(op.into.size(), connection.readable(descriptor.side));
  if (size > 0) {
    connection.read(descriptor.side, op.into.first(size));
    return finish(op, static_cast<std::int32_t>(size));
  }
  const int state = connection.receive_state(descriptor.side);
  return state <= 0 && finish(op, state);
}

bool SimDriver::advance_poll(Descriptor& descriptor, PollOp& op) {
  std::uint32_t holds = 0;
  if (descriptor.is_null) {
    holds = k_readable | k_writable;
  } else if (descriptor.child) {
    if (descriptor.child->ended) holds |= k_readable;
  } else if (descriptor.listener) {
    if (!descriptor.listener->queue.empty()) holds |= k_readable;
  } else if (const Connection* connection = descriptor.connection.get()) {
    const int side = descriptor.side;
    const bool broken = connection->is_broken(side);
    const bool ended = connection->has_ended(side);
    const bool is_pipe = connection->kind() == Connection::Kind::pipe;
    const bool peer_gone = is_pipe && connection->is_closed(1 - side);
    if (connection->readable(side) > 0 || ended || broken) holds |= k_readable;
    if (connection->space(side) > 0 || broken || peer_gone) holds |= k_writable;
    if (broken || peer_gone) holds |= k_hang_up;
    if (is_pipe) holds &= ~(side == 0 ? k_readable : k_writable);
  } else if (descriptor.file) {
    holds = k_readable | k_writable;  // As poll(2) says of every regular file.
  } else if (const Mailbox* mailbox = descriptor.mailbox.get()) {
    holds = k_writable;
    if (!mailbox->queue.empty() || mailbox->error != 0) holds |= k_readable;
  } else if (!descriptor.dial) {
    holds = k_hang_up;
  }
  holds &= op.events | k_hang_up;
  return holds != 0 && finish(op, static_cast<std::int32_t>(holds));
}

// --- What needs no descriptor ---

void SimDriver::arm_lane(std::uint32_t lane) {
  const auto& jobs = lanes_[lane];
  if (jobs.empty()) return;
  world_.at(jobs.front().time, [driver = std::weak_ptr(self_), lane] {
    const auto alive = driver.lock();
    if (!alive) return;
    SimDriver& self = **alive;
    auto& queue = self.lanes_[lane];
    const std::int64_t now = self.world_.now();
    bool any = false;
    while (!queue.empty() && queue.front().time <= now) {
      self.finish(*queue.front().op, 0);
      queue.pop_front();
      any = true;
    }
    // Nothing was due: its job was withdrawn, and who came later armed the lane itself.
    if (any || !queue.empty()) self.arm_lane(lane);
  });
}

void SimDriver::raise(int signal) {
  RONDO_ASSERT(signal >= 1 && signal <= 64, "there is no such signal");
  raised_ |= std::uint64_t{1} << (signal - 1);
  take_signals();
}

void SimDriver::take_signals() {
  for (std::size_t i = 0; i < signals_.size();) {
    const std::uint64_t wanted = signals_[i]->mask & raised_;
    if (wanted == 0) {
      ++i;
      continue;
    }
    const int number = std::countr_zero(wanted) + 1;
    raised_ &= ~(std::uint64_t{1} << (number - 1));
    finish(*signals_[i], number);
    signals_.erase(signals_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace rondo::io::sim
