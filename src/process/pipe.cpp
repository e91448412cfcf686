// SPDX-License-Identifier: Apache-2.0
// Lines over one-shot reads. The block read into belongs to the frame that waits for it.
#include "rondo/process/pipe.hpp"

#include <array>

#include "rondo/core/detail/one_shot.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::process {

namespace {

struct ReadAwaiter : rondo::detail::OneShotAwaiter<io::ReadOp> {
  ReadAwaiter(int descriptor, ByteSpan into, rondo::detail::PromiseBase& parent) noexcept
      : OneShotAwaiter(parent) {
    op.fd = descriptor;
    op.into = into;
  }
  Result<std::size_t> await_resume() const {
    if (result < 0) return Error::from_errno(-result, "read");
    return static_cast<std::size_t>(result);
  }
};

struct [[nodiscard]] Read : rondo::detail::OperationAwaitable<Read> {
  int descriptor;
  ByteSpan into;
  Read(int fd, ByteSpan to) noexcept : descriptor(fd), into(to) {}
  ReadAwaiter awaiter(rondo::detail::PromiseBase& parent) && noexcept {
    return {descriptor, into, parent};
  }
};

}  // namespace

Task<Result<std::optional<std::string>>> Input::read_line() {
  std::array<std::byte, 4096> block;
  for (;;) {
    const auto end = pending_.find('\n', scanned_);
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      scanned_ = 0;
      if (std::exchange(skipping_, false)) continue;
      if (line.ends_with('\r')) line.pop_back();
      co_return std::optional<std::string>(std::move(line));
    }
    scanned_ = pending_.size();
    if (pending_.size() > line_max_) {
      pending_.clear();
      scanned_ = 0;
      if (!std::exchange(skipping_, true)) co_return Error(Errc::too_large, "read_line");
    }
    if (ended_) {
      scanned_ = 0;
      if (pending_.empty() || std::exchange(skipping_, false))
        co_return std::optional<std::string>();
      co_return std::optional<std::string>(std::exchange(pending_, {}));
    }
    const auto got = co_await Read(descriptor_, block);
    if (!got) co_return got.error();
    ended_ = *got == 0;
    pending_.append(as_text(ByteView(block).first(*got)));
  }
}

}  // namespace rondo::process
