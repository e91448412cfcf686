// SPDX-License-Identifier: Apache-2.0
// FileAwaiter<Op>: an operation on a file, in the awaiter, inside the coroutine frame: on the
// driver where it takes the kind, else on a thread of the blocking pool: no disk blocks a loop.
// A read of what is in the kernel's caches needs neither.
//
// The frame may not die before the operation has ended: a cancel takes a job back that has not
// begun, asks the driver, or waits. A result >= 0 resumes also when a cancel was asked for.
// Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstdint>
#include <type_traits>

#include "rondo/core/loop.hpp"
#include "rondo/core/offload.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::detail {

template <class Op>
struct FileAwaiter : Waiter {
  struct Submitted : Op {
    FileAwaiter* awaiter = nullptr;
  };
  struct Performed : Job {
    FileAwaiter* awaiter = nullptr;
  };
  Submitted op;
  Performed job;
  std::int32_t result = 0;

  explicit FileAwaiter(PromiseBase& parent) noexcept {
    frame = &parent;
    op.awaiter = this;
    job.awaiter = this;
    op.on_complete = [](io::Operation& done, const io::Completion& how) noexcept {
      static_cast<Submitted&>(done).awaiter->complete(how.result);
    };
    job.execute = [](Job& work) noexcept {
      auto& self = *static_cast<Performed&>(work).awaiter;
      self.result = io::perform(self.op);
    };
    job.finished = [](Job& work) noexcept {
      auto& self = *static_cast<Performed&>(work).awaiter;
      self.complete(self.result);
    };
  }
  bool await_ready() noexcept {
    if constexpr (std::is_base_of_v<io::ReadOp, Op>) {
      if (cancelled(*this) || !Loop::current().driver().reads_caches()) return false;
      if (!spend_await() || (result = io::read_cached(op)) < 0) return false;
      spend_bytes(static_cast<std::size_t>(result));
      return true;
    }
    return false;
  }
  void await_suspend(std::coroutine_handle<>) {
    if (cancelled(*this)) return strike(*this);
    io::Driver& driver = Loop::current().driver();
    const bool on_thread = !takes(driver);
    if (on_thread && !lane().submit(job)) {
      result = -static_cast<std::int32_t>(Errc::try_again);  // limits::blocking_queue
      return wake(*this);
    }
    park(*this, on_thread ? &cancel_job : &cancel_operation);
    if (!on_thread) driver.submit(op);
  }

 private:
  static Lane& lane() {
    return offload_lane(Pool::blocking);
  }
  /// Reads and writes at an offset may wait for a disk: where files go to threads, they do too.
  static bool takes(const io::Driver& driver) noexcept {
    const bool moves_bytes = Op().kind == io::OpKind::read || Op().kind == io::OpKind::write;
    return driver.handles(moves_bytes ? io::OpKind::open : Op().kind);
  }
  static void cancel_job(Waiter& waiter) noexcept {
    auto& self = static_cast<FileAwaiter&>(waiter);
    if (lane().take_back(self.job)) strike(self);
  }
  static void cancel_operation(Waiter& waiter) noexcept {
    Loop::current().driver().cancel(static_cast<FileAwaiter&>(waiter).op);
  }
  void complete(std::int32_t value) noexcept {
    result = value;
    if (value < 0 && cancelled(*this)) strike(*this);
    else wake(*this);
  }
};

/// Reads from a file at an offset; yields the bytes read, 0 at its end, or a negated errno.
struct [[nodiscard("co_await it")]] ReadPart {
  int fd;
  ByteSpan into;
  std::uint64_t offset;
  struct Awaiter : FileAwaiter<io::ReadOp> {
    Awaiter(PromiseBase& parent, const ReadPart& part) noexcept : FileAwaiter(parent) {
      op.fd = part.fd;
      op.into = part.into;
      op.offset = static_cast<std::int64_t>(part.offset);
    }
    std::int32_t await_resume() const noexcept { return result; }
  };
  Awaiter awaiter(PromiseBase& parent) && noexcept { return {parent, *this}; }
};

}  // namespace rondo::detail
