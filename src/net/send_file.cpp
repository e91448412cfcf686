// SPDX-License-Identifier: Apache-2.0
#include "rondo/net/send_file.hpp"

#include <algorithm>
#include <cerrno>

#include "net/output_lock.hpp"
#include "rondo/core/detail/file_awaiter.hpp"
#include "rondo/core/detail/one_shot.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::net {
namespace {

struct SendFileAwaiter : rondo::detail::OneShotAwaiter<io::SendFileOp> {
  SendFileAwaiter(int to, int file, std::uint64_t offset, std::size_t size,
                  rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent) {
    op.fd = to;
    op.file = file;
    op.offset = static_cast<std::int64_t>(offset);
    op.size = size;
  }
  std::int32_t await_resume() const noexcept { return result; }
};
struct [[nodiscard]] SendPart {
  int to;
  int file;
  std::uint64_t offset;
  std::size_t size;
  SendFileAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {to, file, offset, size, parent};
  }
};

/// Until a socket has room.
struct RoomAwaiter : rondo::detail::OneShotAwaiter<io::PollOp> {
  RoomAwaiter(int socket, rondo::detail::PromiseBase& parent) noexcept : OneShotAwaiter(parent) {
    op.fd = socket;
    op.events = io::k_writable;
  }
  std::int32_t await_resume() const noexcept { return result; }
};
struct [[nodiscard]] Room {
  int socket;
  RoomAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept { return {socket, parent}; }
};

/// As SendPart, at once where the file is in the kernel's caches.
Task<std::int64_t> send_part(int to, int file, std::uint64_t offset, std::size_t size) {
  const bool at_once = Loop::current().driver().reads_caches();
  while (at_once) {
    const std::int64_t sent =
        io::send_cached(to, file, static_cast<std::int64_t>(offset), size);
    if (sent == 0) break;
    if (sent != -EAGAIN) co_return sent;
    if (const std::int32_t ready = co_await Room{to}; ready < 0) co_return ready;
  }
  co_return co_await SendPart{to, file, offset, size};
}

Error error_of(std::int32_t result) { return Error::from_errno(-result, "send_file"); }

/// By reading and writing: what works with every file and every driver.
Task<Result<>> copy_file(detail::OutputLock& lock, int to, int file, std::uint64_t offset,
                         std::uint64_t length, std::uint64_t& sent) {
  Loan block = Loan::of_size(limits::copy_block.value);
  while (sent < length) {
    const ByteSpan into = block.writable().first(
        static_cast<std::size_t>(std::min<std::uint64_t>(length - sent, block.size())));
    const std::int32_t got = co_await rondo::detail::ReadPart{file, into, offset + sent};
    if (got < 0) co_return error_of(got);
    if (got == 0) break;
    const ByteView piece = ByteView(into).first(static_cast<std::size_t>(got));
    co_await detail::send_past(lock, to, piece).or_return();
    sent += piece.size();
  }
  co_return Result<>{};
}

}  // namespace

Task<Result<std::uint64_t>> send_file(Stream& stream, int descriptor, std::uint64_t offset,
                                      std::uint64_t length) {
  co_await detail::settled(stream).or_return();  // What was written before goes before.
  const int to = stream.descriptor();
  detail::OutputLock lock(detail::StreamAccess::socket(stream));
  std::uint64_t sent = 0;
  while (sent < length) {
    const auto size = static_cast<std::size_t>(
        std::min<std::uint64_t>(length - sent, std::uint64_t{1} << 30));
    const std::int64_t got = co_await send_part(to, descriptor, offset + sent, size);
    if (got == -ENOTSUP) {
      co_await copy_file(lock, to, descriptor, offset, length, sent).or_return();
      break;
    }
    if (got == -EINTR) continue;
    if (got < 0) co_return error_of(static_cast<std::int32_t>(got));
    if (got == 0) break;  // The file ended before.
    sent += static_cast<std::uint64_t>(got);
    lock.cut = true;
    if (sent < length) co_await checkpoint();  // Others' turn: the next part may not wait either.
  }
  lock.cut = false;
  co_return sent;
}

}  // namespace rondo::net
