// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/detail/immediate.hpp"
#include "rondo/net/options.hpp"

#include <cerrno>
#include <cstring>

#include "rondo/io/operation.hpp"
#include "rondo/io/socket_ops.hpp"

namespace rondo::net::detail {
namespace {

using io::SocketOption;

Result<> set_int(int descriptor, SocketOption option, int value, const char* name) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = descriptor;
  op.option = option;
  op.value = value;
  if (op.ask() < 0) return Error::from_errno(-op.result, "setsockopt", name);
  return {};
}

Result<int> get_int(int descriptor, SocketOption option, const char* name) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = descriptor;
  op.option = option;
  op.get = true;
  if (op.ask() < 0) return Error::from_errno(-op.result, "getsockopt", name);
  return op.value;
}

Result<> get_into(int descriptor, SocketOption option, const char* name, int& into) {
  auto value = get_int(descriptor, option, name);
  if (!value) return value.error();
  into = *value;
  return {};
}

Result<> get_into(int descriptor, SocketOption option, const char* name, bool& into) {
  auto value = get_int(descriptor, option, name);
  if (!value) return value.error();
  into = *value != 0;
  return {};
}

/// Whole units of U, rounded up: a time-out never becomes shorter, nor zero by rounding.
template <class U>
Result<int> whole(Duration time, const char* name) {
  const auto units = std::chrono::ceil<U>(time).count();
  if (units < 0 || units > INT32_MAX) {
    return Error(Errc::invalid_argument, "setsockopt", name);
  }
  return static_cast<int>(units);
}

template <class U>
Result<> set_time(int descriptor, SocketOption option, Duration time, const char* name) {
  auto units = whole<U>(time, name);
  if (!units) return units.error();
  return set_int(descriptor, option, *units, name);
}

template <class U>
Result<> get_time(int descriptor, SocketOption option, const char* name, Duration& into) {
  auto value = get_int(descriptor, option, name);
  if (!value) return value.error();
  into = U(*value);
  return {};
}

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

Result<> set(int fd, const NoDelay& option) {
  return set_int(fd, SocketOption::no_delay, option.on ? 1 : 0, "no_delay");
}
Result<> get(int fd, NoDelay& option) {
  return get_into(fd, SocketOption::no_delay, "no_delay", option.on);
}

Result<> set(int fd, const KeepAlive& option) {
  constexpr const char* k_name = "keep_alive";
  // The times first: on and with the old times it would be for a moment what nobody asked for.
  if (option.on) {
    auto done = set_time<seconds>(fd, SocketOption::keep_alive_idle, option.idle, k_name);
    if (done) {
      done = set_time<seconds>(fd, SocketOption::keep_alive_interval, option.interval, k_name);
    }
    if (done) done = set_int(fd, SocketOption::keep_alive_count, option.count, k_name);
    if (!done) return done;
  }
  return set_int(fd, SocketOption::keep_alive, option.on ? 1 : 0, k_name);
}
Result<> get(int fd, KeepAlive& option) {
  constexpr const char* k_name = "keep_alive";
  auto done = get_into(fd, SocketOption::keep_alive, k_name, option.on);
  if (done) done = get_time<seconds>(fd, SocketOption::keep_alive_idle, k_name, option.idle);
  if (done) {
    done = get_time<seconds>(fd, SocketOption::keep_alive_interval, k_name, option.interval);
  }
  if (done) done = get_into(fd, SocketOption::keep_alive_count, k_name, option.count);
  return done;
}

Result<> set(int fd, const Linger& option) {
  if (!option.on) return set_int(fd, SocketOption::linger, -1, "linger");
  return set_time<seconds>(fd, SocketOption::linger, option.timeout, "linger");
}
Result<> get(int fd, Linger& option) {
  auto value = get_int(fd, SocketOption::linger, "linger");
  if (!value) return value.error();
  option.on = *value >= 0;
  option.timeout = seconds(option.on ? *value : 0);
  return {};
}

Result<> set(int fd, const SendBuffer& option) {
  return set_int(fd, SocketOption::send_buffer, option.bytes, "send_buffer");
}
Result<> get(int fd, SendBuffer& option) {
  return get_into(fd, SocketOption::send_buffer, "send_buffer", option.bytes);
}
Result<> set(int fd, const ReceiveBuffer& option) {
  return set_int(fd, SocketOption::receive_buffer, option.bytes, "receive_buffer");
}
Result<> get(int fd, ReceiveBuffer& option) {
  return get_into(fd, SocketOption::receive_buffer, "receive_buffer", option.bytes);
}
Result<> set(int fd, const Ttl& option) {
  return set_int(fd, SocketOption::ttl, option.hops, "ttl");
}
Result<> get(int fd, Ttl& option) { return get_into(fd, SocketOption::ttl, "ttl", option.hops); }
Result<> set(int fd, const TypeOfService& option) {
  return set_int(fd, SocketOption::tos, option.value, "type_of_service");
}
Result<> get(int fd, TypeOfService& option) {
  return get_into(fd, SocketOption::tos, "type_of_service", option.value);
}
Result<> set(int fd, const V6Only& option) {
  return set_int(fd, SocketOption::v6_only, option.on ? 1 : 0, "v6_only");
}
Result<> get(int fd, V6Only& option) {
  return get_into(fd, SocketOption::v6_only, "v6_only", option.on);
}
Result<> set(int fd, const UserTimeout& option) {
  return set_time<milliseconds>(fd, SocketOption::user_timeout, option.time, "user_timeout");
}
Result<> get(int fd, UserTimeout& option) {
  return get_time<milliseconds>(fd, SocketOption::user_timeout, "user_timeout", option.time);
}
Result<> set(int fd, const FastOpen& option) {
  return set_int(fd, SocketOption::fast_open, option.queue, "fast_open");
}
Result<> get(int fd, FastOpen& option) {
  return get_into(fd, SocketOption::fast_open, "fast_open", option.queue);
}

Result<> set(int fd, const BindDevice& option) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = fd;
  op.option = SocketOption::bind_device;
  if (option.name.size() >= sizeof op.text) {
    return Error(Errc::invalid_argument, "setsockopt", "bind_device");
  }
  std::memcpy(op.text, option.name.data(), option.name.size());
  if (op.ask() < 0) return Error::from_errno(-op.result, "setsockopt", "bind_device");
  return {};
}
Result<> get(int fd, BindDevice& option) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = fd;
  op.option = SocketOption::bind_device;
  op.get = true;
  if (op.ask() < 0) return Error::from_errno(-op.result, "getsockopt", "bind_device");
  option.name = op.text;
  return {};
}

Result<> set(int fd, const Broadcast& option) {
  return set_int(fd, SocketOption::broadcast, option.on ? 1 : 0, "broadcast");
}
Result<> get(int fd, Broadcast& option) {
  return get_into(fd, SocketOption::broadcast, "broadcast", option.on);
}
Result<> set(int fd, const MulticastTtl& option) {
  return set_int(fd, SocketOption::multicast_ttl, option.hops, "multicast_ttl");
}
Result<> get(int fd, MulticastTtl& option) {
  return get_into(fd, SocketOption::multicast_ttl, "multicast_ttl", option.hops);
}
Result<> set(int fd, const MulticastLoop& option) {
  return set_int(fd, SocketOption::multicast_loop, option.on ? 1 : 0, "multicast_loop");
}
Result<> get(int fd, MulticastLoop& option) {
  return get_into(fd, SocketOption::multicast_loop, "multicast_loop", option.on);
}
Result<> set(int fd, const MulticastInterface& option) {
  return set_int(fd, SocketOption::multicast_interface, static_cast<int>(option.index),
                 "multicast_interface");
}
Result<> get(int fd, MulticastInterface& option) {
  int index = 0;
  auto done = get_into(fd, SocketOption::multicast_interface, "multicast_interface", index);
  option.index = static_cast<unsigned>(index);
  return done;
}

Result<> get(int fd, PeerCredentials& option) {
  rondo::detail::Immediate<io::SocketOptionOp> op;
  op.fd = fd;
  op.option = SocketOption::peer_credentials;
  op.get = true;
  if (op.ask() < 0) return Error::from_errno(-op.result, "getsockopt", "peer_credentials");
  option = {.pid = op.value, .uid = op.more[0], .gid = op.more[1]};
  return {};
}

}  // namespace rondo::net::detail
