// SPDX-License-Identifier: Apache-2.0
#include "rondo/net/unix.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/output_lock.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/net/options.hpp"

namespace rondo::net {
namespace {

/// Before the peer is asked again whether there is room.
constexpr Duration k_full_pause = std::chrono::milliseconds(1);

Error error_of(std::int32_t result, const char* what) {
  if (result == -EOPNOTSUPP) return Error(Errc::not_supported, what);
  return Error::from_errno(-result, what);
}

struct Pass;
struct PassAwaiter : rondo::detail::OneShotAwaiter<io::SendDatagramOp> {
  PassAwaiter(const Pass& pass, rondo::detail::PromiseBase& parent) noexcept;
  Result<std::size_t> await_resume() const {
    if (result < 0) return error_of(result, "send_descriptors");
    return static_cast<std::size_t>(result);
  }
};
struct [[nodiscard]] Pass : rondo::detail::OperationAwaitable<Pass> {
  int fd;
  std::span<const int> descriptors;
  ByteView message;
  bool may_fail_full;
  Pass(int to, std::span<const int> what, ByteView with, bool may_fail = false) noexcept
      : fd(to), descriptors(what), message(with), may_fail_full(may_fail) {}
  PassAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {*this, parent}; }
};

struct TakePassedAwaiter : rondo::detail::OneShotAwaiter<io::RecvMessageOp> {
  io::MessageSlot slot;
  TakePassedAwaiter(int fd, ByteSpan into, rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent) {
    slot.into = into;
    op.fd = fd;
    op.slots = {&slot, 1};
    op.take_descriptors = true;
  }
  Result<Passed> await_resume() const {
    if (result < 0) return error_of(result, "receive_descriptors");
    Passed passed{.size = slot.size, .descriptors = {}, .descriptors_lost = op.descriptors_lost};
    for (std::size_t i = 0; i < op.descriptor_count; ++i) {
      passed.descriptors.emplace_back(op.descriptors[i]);
    }
    return passed;
  }
};
PassAwaiter::PassAwaiter(const Pass& pass, rondo::detail::PromiseBase& parent) noexcept
    : OneShotAwaiter(parent) {
  op.fd = pass.fd;
  op.data = pass.message;
  op.descriptors = pass.descriptors;
  op.may_fail_full = pass.may_fail_full;
}

struct [[nodiscard]] TakePassed : rondo::detail::OperationAwaitable<TakePassed> {
  int fd;
  ByteSpan into;
  TakePassed(int from, ByteSpan to) noexcept : fd(from), into(to) {}
  TakePassedAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {fd, into, parent};
  }
};

Result<> check(std::span<const int> descriptors, ByteView message) {
  RONDO_ASSERT(!message.empty(), "descriptors travel with a message of at least one byte");
  if (descriptors.size() <= limits::descriptors_max.value) return {};
  return Error(Errc::too_large, "send_descriptors");
}

}  // namespace
}  // namespace rondo::net

namespace rondo::unix_stream {

static_assert(limits::descriptors_max.value == io::k_descriptors_max);

Result<Listener> listen(const ListenOptions& options) {
  const std::string address = "unix:" + std::string(options.path);
  return Listener::open({.address = address, .backlog = options.backlog});
}

constexpr Duration k_full_pause_max = std::chrono::milliseconds(64);

Task<Result<Stream>> connect(std::string path) {
  auto where = net::Endpoint::unix_path(path);
  if (!where) co_return where.error();
  // The listener's backlog is full, and no event tells of room in it: asked again, as a blocking
  // connect would wait.
  for (Duration pause = net::k_full_pause;; pause = std::min(2 * pause, k_full_pause_max)) {
    auto connected = co_await tcp::connect(*where);
    if (connected || connected.error() != Errc::try_again) co_return connected;
    co_await sleep_for(pause);
  }
}

Task<Result<>> send_descriptors(Stream& stream, std::span<const int> descriptors,
                                ByteView message) {
  if (auto fits = net::check(descriptors, message); !fits) co_return fits;
  co_await net::detail::settled(stream).or_return();  // What was written before goes before.
  net::detail::OutputLock lock(net::detail::StreamAccess::socket(stream));
  const std::size_t sent =
      co_await net::Pass(stream.descriptor(), descriptors, message).or_return();
  // The descriptors went with the first bytes; the rest of a short send is plain.
  lock.cut = sent < message.size();
  co_await net::detail::send_past(lock, stream.descriptor(), message.subspan(sent)).or_return();
  lock.cut = false;
  co_return Result<>{};
}

Task<Result<>> send_descriptor(Stream& stream, int descriptor) {
  const std::array<int, 1> one{descriptor};
  const std::array<std::byte, 1> message{};
  co_return co_await send_descriptors(stream, one, message);
}

Task<Result<Passed>> receive_descriptors(Stream& stream, ByteSpan into) {
  RONDO_ASSERT(!net::detail::StreamAccess::socket(stream).is_receiving(),
               "a stream whose bytes are read loses its descriptors: receive them before read()");
  RONDO_ASSERT(!into.empty(), "receive_descriptors needs room for at least one byte");
  co_return co_await net::TakePassed(stream.descriptor(), into);
}

Task<Result<UniqueFd>> receive_descriptor(Stream& stream) {
  std::array<std::byte, 1> message;
  Passed passed = co_await receive_descriptors(stream, message).or_return();
  if (passed.size == 0) co_return Error(Errc::end_of_stream, "receive_descriptor");
  if (passed.descriptors.empty()) co_return Error(Errc::bad_message, "receive_descriptor");
  co_return std::move(passed.descriptors.front());
}

}  // namespace rondo::unix_stream

namespace rondo::unix_datagram {

Result<Socket> Socket::bind(std::string_view path) {
  auto where = net::Endpoint::unix_path(path);
  if (!where) return where.error();
  auto state = open({.bind = &*where});
  if (!state) return state.error();
  return Socket(*state);
}

Result<Socket> Socket::connect(std::string_view peer, std::string_view own) {
  auto where = net::Endpoint::unix_path(peer);
  if (!where) return where.error();
  if (own.empty()) {
    auto state = open({.peer = &*where});
    if (!state) return state.error();
    return Socket(*state);
  }
  auto here = net::Endpoint::unix_path(own);
  if (!here) return here.error();
  auto state = open({.bind = &*here, .peer = &*where});
  if (!state) return state.error();
  return Socket(*state);
}

Task<Result<>> Socket::send_descriptors(std::span<const int> descriptors, ByteView message) {
  if (auto fits = net::check(descriptors, message); !fits) co_return fits;
  const net::detail::InSocket in(state());
  while (true) {
    auto sent = co_await net::Pass(descriptor(), descriptors, message, true);
    if (sent) co_return Result<>{};
    if (sent.error() != Errc::try_again) co_return sent.error();
    co_await sleep_for(net::k_full_pause);  // The peer's queue is full, and no event tells of room.
  }
}

Task<Result<Passed>> Socket::receive_descriptors(ByteSpan into) {
  const net::detail::InSocket in(state());
  co_return co_await net::TakePassed(descriptor(), into);
}

}  // namespace rondo::unix_datagram
