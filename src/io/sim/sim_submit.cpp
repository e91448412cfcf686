// SPDX-License-Identifier: Apache-2.0
// Starting and withdrawing operations; the immediate kinds.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include "io/sim/descriptor.hpp"
#include "io/sim/sim_driver.hpp"
#include "rondo/base/assert.hpp"

namespace rondo::io::sim {
namespace {

constexpr std::int64_t k_job_min = 1'000;      // ns
constexpr std::int64_t k_job_max = 2'000'000;  // ns
constexpr Duration k_resolve_timeout = std::chrono::seconds(5);
constexpr int k_backlog_max = 4'096;  // net.core.somaxconn

// What a read-like or send-like operation may not be done to; 0 when it may.
std::int32_t refuse_stream_op(const Descriptor& descriptor, OpKind kind) {
  const bool sends = kind == OpKind::send || kind == OpKind::send_message ||
                     kind == OpKind::send_zero_copy;
  const bool writes = sends || kind == OpKind::write;
  if (descriptor.is_null) return sends || kind == OpKind::recv ? -ENOTSOCK : 0;
  if (!descriptor.connection) return writes ? -EPIPE : -ENOTCONN;
  if (descriptor.connection->kind() != Connection::Kind::pipe) return 0;
  if (sends || kind == OpKind::recv) return -ENOTSOCK;
  return writes == (descriptor.side == 0) ? 0 : -EBADF;
}

std::int32_t objection(const Descriptor& descriptor, const Operation& op) {
  if (descriptor.file && op.kind != OpKind::poll) return -ENOTSOCK;
  switch (op.kind) {
    case OpKind::accept:
      return descriptor.listener ? 0 : -EINVAL;
    case OpKind::read:
      if (static_cast<const ReadOp&>(op).offset >= 0) return -ESPIPE;
      return refuse_stream_op(descriptor, op.kind);
    case OpKind::write:
      if (static_cast<const WriteOp&>(op).offset >= 0) return -ESPIPE;
      return refuse_stream_op(descriptor, op.kind);
    case OpKind::poll:
    case OpKind::wait_child:
      return 0;
    case OpKind::send_datagram:
    case OpKind::recv_message:
      return descriptor.mailbox ? 0 : -EOPNOTSUPP;  // Descriptors are not passed here.
    default:
      if (descriptor.mailbox) return -EOPNOTSUPP;
      return refuse_stream_op(descriptor, op.kind);
  }
}

}  // namespace

void SimDriver::start(Operation& op) {
  switch (op.kind) {
    case OpKind::accept:
      return start_on_descriptor(op, static_cast<AcceptOp&>(op).fd);
    case OpKind::recv:
      return start_on_descriptor(op, static_cast<RecvOp&>(op).fd);
    case OpKind::send:
      return start_on_descriptor(op, static_cast<SendOp&>(op).fd);
    case OpKind::send_message:
      return start_on_descriptor(op, static_cast<SendMessageOp&>(op).fd);
    case OpKind::send_zero_copy:
      return start_on_descriptor(op, static_cast<SendZeroCopyOp&>(op).fd);
    case OpKind::send_datagram:
      return start_on_descriptor(op, static_cast<SendDatagramOp&>(op).fd);
    case OpKind::recv_message:
      return start_on_descriptor(op, static_cast<RecvMessageOp&>(op).fd);
    case OpKind::send_file:
      return void(finish(op, -ENOTSUP));
    case OpKind::read:
      return start_on_descriptor(op, static_cast<ReadOp&>(op).fd);
    case OpKind::write:
      return start_on_descriptor(op, static_cast<WriteOp&>(op).fd);
    case OpKind::poll:
      return start_on_descriptor(op, static_cast<PollOp&>(op).fd);
    case OpKind::wait_child:
      return start_on_descriptor(op, static_cast<WaitChildOp&>(op).fd);
    case OpKind::connect:
      return start_connect(static_cast<ConnectOp&>(op));
    case OpKind::close:
      return start_close(static_cast<CloseOp&>(op));
    case OpKind::signal:
      return start_signal(static_cast<SignalOp&>(op));
    case OpKind::job:
      return start_job(static_cast<JobOp&>(op));
    case OpKind::resolve:
      return start_resolve(static_cast<ResolveOp&>(op));
    default:
      if (is_file_op(op.kind)) return start_file(op);
      break;  // Immediate: see below.
  }
}

void SimDriver::start_on_descriptor(Operation& op, int fd) {
  Descriptor* descriptor = find(fd);
  if (!descriptor) return void(finish(op, -EBADF));
  const bool moves_bytes = op.kind == OpKind::read || op.kind == OpKind::write;
  if (descriptor->file && moves_bytes) return start_file(op);
  if (const std::int32_t error = objection(*descriptor, op)) return void(finish(op, error));
  descriptor->ops.push_back(&op);
  touch(*descriptor);
}

void SimDriver::start_connect(ConnectOp& op) {
  const auto to = Endpoint::from(op.address);
  if (!to) return void(finish(op, -EAFNOSUPPORT));
  const auto descriptor = open();
  if (!descriptor) return void(finish(op, -EMFILE));
  op.fd = descriptor->fd;
  descriptor->dial = std::make_shared<Dial>();
  descriptor->dial->from = &host_;
  descriptor->dial->to = *to;
  descriptor->dial->owner = descriptor.get();
  descriptor->ops.push_back(&op);
  world_.network().dial(descriptor->dial);
  touch(*descriptor);
}

void SimDriver::start_close(CloseOp& op) {
  const Descriptor* descriptor = find(op.fd);
  if (!descriptor) return void(finish(op, -EBADF));
  RONDO_ASSERT(descriptor->ops.empty(),
               "a descriptor is closed while operations on it are in flight: cancel them first");
  RONDO_ASSERT(std::none_of(files_.begin(), files_.end(),
                            [&](const PendingFile& file) { return file.fd == op.fd; }),
               "a file is closed while operations on it are in flight: cancel them first");
  close(op.fd);
  finish(op, 0);
}

void SimDriver::start_signal(SignalOp& op) {
  signals_.push_back(&op);
  take_signals();
}

void SimDriver::start_job(JobOp& op) {
  auto& lane = lanes_[op.lane];
  const auto range = static_cast<std::uint64_t>(k_job_max - k_job_min + 1);
  const auto takes =
      k_job_min + static_cast<std::int64_t>(world_.choose(Random::k_scheduler, "job", range));
  const std::int64_t begins = lane.empty() ? world_.now() : lane.back().time;
  lane.push_back({&op, begins + takes});
  if (lane.size() == 1) arm_lane(op.lane);
}

void SimDriver::start_resolve(ResolveOp& op) {
  const bool fails = world_.chance("resolve", world_.faults().resolve_fail_per_mille);
  const HostName* known = world_.find_name(op.name);
  Duration delay = fails ? k_resolve_timeout : 2 * world_.faults().link.latency;
  if (known && !fails) {
    // Both families: as long as the slower answer takes.
    const bool v4 = op.family != AddressFamily::v6;
    const bool v6 = op.family != AddressFamily::v4;
    delay += std::max(v4 ? known->v4_delay : Duration{}, v6 ? known->v6_delay : Duration{});
  }
  if (delay == Duration::zero()) return void(finish(op, look_up(op)));
  const auto event = world_.at(world_.now() + delay.count(), [this, &op, fails] {
    std::erase_if(names_, [&](const PendingName& name) { return name.op == &op; });
    finish(op, fails ? -ETIMEDOUT : look_up(op));
  });
  names_.push_back({&op, event});
}

// The host table: simulated hosts, "localhost" and numeric addresses.
std::int32_t SimDriver::look_up(ResolveOp& op) {
  std::vector<Ip> found;
  if (const auto ip = Ip::parse(op.name)) {
    found.push_back(*ip);
  } else if (op.name == "localhost") {
    found = {Ip::loopback(Family::v4), Ip::loopback(Family::v6)};
  } else if (const Host* host = world_.find_host(op.name)) {
    found = host->addresses;
  } else if (const HostName* known = world_.find_name(op.name)) {
    found = known->addresses;
  }
  std::erase_if(found, [&](const Ip& ip) {
    const auto other = op.family == AddressFamily::v4 ? Family::v6 : Family::v4;
    return op.family != AddressFamily::any && ip.family == other;
  });
  if (found.empty()) return -ENOENT;
  const std::size_t count = std::min(found.size(), op.found.size());
  for (std::size_t i = 0; i < count; ++i) {
    op.found[i] = Endpoint{.ip = found[i], .port = 0, .path = {}}.to_address();
  }
  return static_cast<std::int32_t>(count);
}

// --- Withdrawing: nothing of the operation happens from now on ---

bool SimDriver::withdraw_job(JobOp& op) {
  // A thread may have begun it already: then it ends in its own time.
  const bool has_begun =
      world_.faults().cancel_races && world_.choose(Random::k_scheduler, "job begun", 2) == 1;
  if (has_begun) return false;
  std::erase_if(lanes_[op.lane], [&](const PendingJob& job) { return job.op == &op; });
  return true;
}

bool SimDriver::withdraw(Operation& op) {
  if (op.kind == OpKind::job) return withdraw_job(static_cast<JobOp&>(op));
  if (op.kind == OpKind::signal) return std::erase(signals_, static_cast<SignalOp*>(&op)) > 0;
  const bool on_disk = std::any_of(files_.begin(), files_.end(),
                                   [&](const PendingFile& file) { return file.op == &op; });
  if (on_disk) return withdraw_file(op);
  if (op.kind == OpKind::resolve) {
    const auto found = std::find_if(names_.begin(), names_.end(),
                                    [&](const PendingName& name) { return name.op == &op; });
    world_.forget(found->event);
    names_.erase(found);
    return true;
  }
  for (const auto& descriptor : descriptors_) {
    if (!descriptor || std::erase(descriptor->ops, &op) == 0) continue;
    if (op.kind == OpKind::connect) close(descriptor->fd);
    return true;
  }
  RONDO_ASSERT(false, "cancel of an operation that another driver owns");
  return false;
}

// --- Immediate kinds ---

std::int32_t SimDriver::immediate(Operation& op) {
  switch (op.kind) {
    case OpKind::listen:
      return listen(static_cast<ListenOp&>(op));
    case OpKind::shutdown:
      return shutdown(static_cast<ShutdownOp&>(op));
    case OpKind::socket_name:
      return socket_name(static_cast<SocketNameOp&>(op));
    case OpKind::socket_option:
      return socket_option(static_cast<SocketOptionOp&>(op));
    case OpKind::spawn:
      return spawn(static_cast<SpawnOp&>(op));
    case OpKind::kill_child:
      return kill_child(static_cast<const KillChildOp&>(op));
    case OpKind::make_pipe:
      return make_pipe(static_cast<MakePipeOp&>(op).fds);
    case OpKind::block_signals:
      return 0;  // raise() keeps every signal anyway.
    case OpKind::terminal:
    case OpKind::watch:
      return -ENOTSUP;
    case OpKind::datagram_socket:
      return datagram_socket(static_cast<DatagramSocketOp&>(op));
    case OpKind::refuse:
      return refuse(static_cast<RefuseOp&>(op));
    default:
      return -EINVAL;
  }
}

std::int32_t SimDriver::listen(ListenOp& op) {
  const auto bound = Endpoint::from(op.address);
  if (!bound) return -EAFNOSUPPORT;
  auto listener = std::make_unique<Listener>();
  listener->bound = *bound;
  // Linux admits one more than it was told.
  listener->backlog = static_cast<std::size_t>(std::clamp(op.backlog, 0, k_backlog_max)) + 1;
  listener->reuse_port = op.reuse_port;
  listener->v6_only = op.v6_only;
  const auto descriptor = open();
  if (!descriptor) return -EMFILE;
  if (const int error = world_.network().listen(host_, *listener)) {
    close(descriptor->fd);
    return error;
  }
  listener->owner = descriptor.get();
  descriptor->listener = std::move(listener);
  return descriptor->fd;
}

std::int32_t SimDriver::shutdown(const ShutdownOp& op) {
  Descriptor* descriptor = find(op.fd);
  if (!descriptor) return -EBADF;
  Connection* connection = descriptor->connection.get();
  if (!connection) return -ENOTCONN;
  if (connection->kind() == Connection::Kind::pipe) return -ENOTSOCK;
  if (connection->is_broken(descriptor->side)) return -ENOTCONN;
  connection->shut_write(descriptor->side);
  if (op.both) connection->shut_read(descriptor->side);
  return 0;
}

std::int32_t SimDriver::socket_name(SocketNameOp& op) {
  const Descriptor* descriptor = find(op.fd);
  if (!descriptor) return -EBADF;
  if (descriptor->listener) {
    if (op.peer) return -ENOTCONN;
    op.address = descriptor->listener->bound.to_address();
    return 0;
  }
  if (const Mailbox* mailbox = descriptor->mailbox.get()) {
    Endpoint name = op.peer ? mailbox->peer : mailbox->bound;
    if (op.peer && name.family() == Family::none) return -ENOTCONN;
    name.ip.family = mailbox->family;
    op.address = name.to_address();
    return 0;
  }
  const Connection* connection = descriptor->connection.get();
  if (!connection) return -ENOTCONN;
  if (connection->kind() == Connection::Kind::pipe) return -ENOTSOCK;
  if (op.peer && connection->is_broken(descriptor->side)) return -ENOTCONN;
  const auto& names = op.peer ? connection->peer : connection->local;
  op.address = names[descriptor->side].to_address();
  return 0;
}

std::int32_t SimDriver::socket_option(SocketOptionOp& op) {
  Descriptor* descriptor = find(op.fd);
  if (!descriptor) return -EBADF;
  const Connection* connection = descriptor->connection.get();
  if (connection && connection->kind() == Connection::Kind::pipe) return -ENOTSOCK;
  const bool is_local = (connection && connection->kind() == Connection::Kind::local) ||
                        (descriptor->mailbox && descriptor->mailbox->family == Family::local);
  if (op.option == SocketOption::peer_credentials) {
    if (!op.get || !is_local) return op.get ? -EOPNOTSUPP : -ENOPROTOOPT;
    // Every simulated process is the one that simulates it; its number is its host's.
    op.value = 1'000 + host_.index;
    op.more[0] = op.more[1] = 1'000;
    return 0;
  }
  const bool is_tcp = connection && connection->kind() == Connection::Kind::tcp;
  const bool for_tcp = op.option == SocketOption::no_delay ||
                       op.option == SocketOption::user_timeout ||
                       op.option == SocketOption::keep_alive_idle ||
                       op.option == SocketOption::keep_alive_interval ||
                       op.option == SocketOption::keep_alive_count;
  if (for_tcp && !is_tcp && !descriptor->listener) return -EOPNOTSUPP;
  if (descriptor->mailbox) {
    const std::int32_t result = mailbox_option(*descriptor->mailbox, op);
    if (result != -ENOPROTOOPT) return result;
  }
  return kept_option(*descriptor, op);
}

/// Options without an effect in here: what was set is what is read back.
std::int32_t SimDriver::kept_option(Descriptor& descriptor, SocketOptionOp& op) {
  if (op.option == SocketOption::bind_device) return -ENODEV;  // Hosts have no named devices.
  if (op.option == SocketOption::join_group || op.option == SocketOption::leave_group) {
    return -ENOPROTOOPT;
  }
  if (!op.get) {
    descriptor.options[op.option] = op.value;
    return 0;
  }
  const auto at = descriptor.options.find(op.option);
  if (at != descriptor.options.end()) {
    op.value = at->second;
    return 0;
  }
  const bool is_ip = descriptor.connection || descriptor.listener || descriptor.mailbox;
  switch (op.option) {
    case SocketOption::no_delay: op.value = is_ip ? 1 : 0; break;
    case SocketOption::linger: op.value = -1; break;
    case SocketOption::ttl: op.value = 64; break;
    case SocketOption::keep_alive_idle: op.value = 7'200; break;
    case SocketOption::keep_alive_interval: op.value = 75; break;
    case SocketOption::keep_alive_count: op.value = 9; break;
    case SocketOption::receive_buffer:
    case SocketOption::send_buffer: op.value = 212'992; break;
    default: op.value = 0; break;
  }
  return 0;
}

std::int32_t SimDriver::refuse(const RefuseOp& op) {
  Descriptor* descriptor = find(op.fd);
  if (!descriptor || !descriptor->listener) return -EBADF;
  auto& queue = descriptor->listener->queue;
  std::int32_t refused = 0;
  while (!queue.empty() && static_cast<std::uint32_t>(refused) < op.max) {
    queue.front()->close(1);
    queue.pop_front();
    ++refused;
  }
  return refused;
}

}  // namespace rondo::io::sim
