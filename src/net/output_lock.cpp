// SPDX-License-Identifier: Apache-2.0
#include "net/output_lock.hpp"

#include "rondo/core/detail/one_shot.hpp"

namespace rondo::net::detail {
namespace {

struct SendAwaiter : rondo::detail::OneShotAwaiter<io::SendOp> {
  SendAwaiter(int to, ByteView bytes, rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent) {
    op.fd = to;
    op.data = bytes.data();
    op.size = bytes.size();
  }
  std::int32_t await_resume() const noexcept { return result; }
};
struct [[nodiscard]] Send {
  int to;
  ByteView bytes;
  SendAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {to, bytes, parent};
  }
};

}  // namespace

Task<Result<>> settled(Stream& stream) {
  Socket& socket = StreamAccess::socket(stream);
  do {
    co_await stream.flush().or_return();
  } while (socket.has_output());  // Queued by another task before this one's turn.
  co_return Result<>{};
}

Task<Result<>> send_past(OutputLock& lock, int descriptor, ByteView bytes) {
  while (!bytes.empty()) {
    const std::int32_t sent = co_await Send{descriptor, bytes};
    if (sent == -EINTR) continue;
    if (sent < 0) co_return Error::from_errno(-sent, "send");
    lock.cut = true;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  co_return Result<>{};
}

}  // namespace rondo::net::detail
