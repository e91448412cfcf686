// SPDX-License-Identifier: Apache-2.0
// ByteStream: bytes in, bytes out. What TCP, Unix sockets, pipes, TLS and memory streams are.
//
//   while (auto got = co_await stream.read()) {          // a Loan of the driver's buffer
//     if (got->empty()) break;                           // the peer closed its side
//     if (!co_await stream.write_all(got->bytes())) break;
//   }
//
// Reading yields loans: views of received bytes that go back when the Loan dies. Writing means
// *accepted*: small writes are copied, corked and sent together once per iteration; large ones
// are sent from where they are. Errors of what was accepted appear at the next write, at flush()
// or at close. A cancelled read loses nothing: what arrived stays in the stream.
// One reader and one writer at a time (asserted); try_write is free for anybody on the loop.
// It refuses to be owned here: tcp::Stream and the like own, functions take `ByteStream&`.
// Lifetime: awaits must end before the owner closes. Thread rule: the loop's thread.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "rondo/base/bytes.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/core/task.hpp"
#include "rondo/io/buffer_pool.hpp"

namespace rondo {

/// Received bytes, contiguous, owned until destroyed. Move-only.
class [[nodiscard("keep it while you use its bytes")]] Loan {
 public:
  Loan() = default;
  Loan(Loan&& other) noexcept
      : data_(other.data_),
        pool_(std::exchange(other.pool_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        buffer_(other.buffer_),
        owned_(std::exchange(other.owned_, false)) {}
  Loan& operator=(Loan&& other) noexcept {
    Loan taken(std::move(other));
    std::swap(data_, taken.data_);
    std::swap(pool_, taken.pool_);
    std::swap(size_, taken.size_);
    std::swap(buffer_, taken.buffer_);
    std::swap(owned_, taken.owned_);
    return *this;
  }
  ~Loan() { give_back(); }

  ByteView bytes() const noexcept { return {data_, size_}; }
  operator ByteView() const noexcept { return bytes(); }  // NOLINT: it is a view with an owner.
  std::string_view text() const noexcept { return as_text(bytes()); }
  /// The bytes, to be changed in place (unmasking, decrypting): they are this loan's alone.
  ByteSpan writable() noexcept { return {const_cast<std::byte*>(data_), size_}; }
  std::size_t size() const noexcept { return size_; }
  /// Keeps the first `size` bytes; at most size().
  void shrink(std::size_t size) noexcept {
    RONDO_ASSERT(size <= size_, "a loan can only shrink");
    size_ = static_cast<std::uint32_t>(size);
  }
  /// True at end of stream only.
  bool empty() const noexcept { return size_ == 0; }

  /// A loan of one reference to a pool's buffer; for streams.
  static Loan of_buffer(io::BufferPool& pool, std::uint16_t buffer, ByteView part) noexcept {
    Loan loan;
    loan.data_ = part.data();
    loan.size_ = static_cast<std::uint32_t>(part.size());
    loan.pool_ = &pool;
    loan.buffer_ = buffer;
    return loan;
  }
  /// A loan of memory of its own of `size` bytes (under 4 GiB), to be filled through writable().
  static Loan of_size(std::size_t size);

 private:
  void give_back() noexcept {
    if (pool_) pool_->release(buffer_);
    else if (owned_) free_own();
  }
  void free_own() noexcept;

  const std::byte* data_ = nullptr;
  io::BufferPool* pool_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint16_t buffer_ = io::k_no_buffer;
  bool owned_ = false;
};

/// `line` without its end (LF or CRLF).
constexpr std::string_view chomp(std::string_view line) noexcept {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

class ByteStream;

namespace detail {

/// A task that waits for received bytes.
struct ReadWaiter : Waiter {
  ByteStream& stream;
  bool (*satisfied)(ReadWaiter&) noexcept = nullptr;

  ReadWaiter(ByteStream& s, PromiseBase& parent, bool (*test)(ReadWaiter&) noexcept) noexcept
      : stream(s), satisfied(test) {
    frame = &parent;
  }
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<>) noexcept;

 protected:
  static bool any_bytes(ReadWaiter& waiter) noexcept;
};

/// A task that waits until its bytes are accepted (or all is sent, for flush).
struct WriteWaiter : Waiter {
  ByteStream& stream;
  ByteView rest;
  Errc error = Errc{0};
  bool is_flush = false;
  bool started = false;  ///< some of `rest` may have left

  WriteWaiter(ByteStream& s, ByteView bytes, bool flush, PromiseBase& parent) noexcept
      : stream(s), rest(bytes), is_flush(flush) {
    frame = &parent;
  }
  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<>) noexcept;
  Result<> await_resume() const noexcept {
    if (error == Errc{0}) return {};
    return Error(error, is_flush ? "flush" : "write");
  }

 private:
  bool accepted_ = false;
};

struct LoanAwaiter : ReadWaiter {
  LoanAwaiter(ByteStream& s, PromiseBase& parent) noexcept;
  Result<Loan> await_resume();
};
struct SomeAwaiter : ReadWaiter {
  ByteSpan into;
  SomeAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept;
  Result<std::size_t> await_resume();
};
struct UntilAwaiter : ReadWaiter {
  std::string_view delimiter;
  std::size_t max;
  std::size_t scanned = 0;   ///< unread bytes known to hold no end of the delimiter
  std::size_t matched = 0;   ///< bytes of the delimiter that stand at the end of these
  std::size_t found = 0;     ///< length up to and with the delimiter, 0 while unknown
  UntilAwaiter(ByteStream& s, std::string_view what, std::size_t limit,
               PromiseBase& parent) noexcept;
  bool scan(std::size_t before, ByteView part) noexcept;
  Result<Loan> await_resume();

 private:
  std::size_t shorter_match() const noexcept;
  const char* name() const noexcept { return delimiter == "\n" ? "read_line" : "read_until"; }
};
struct PeekAwaiter : ReadWaiter {
  ByteSpan into;
  PeekAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept;
  Result<std::size_t> await_resume();
};
struct ExactAwaiter : ReadWaiter {
  ByteSpan into;
  std::size_t done = 0;      ///< bytes consumed already; only of reads beyond unread_max
  ExactAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept;
  ~ExactAwaiter();
  Result<> await_resume();
};

struct [[nodiscard("co_await it")]] ReadLoan : OperationAwaitable<ReadLoan> {
  ByteStream& stream;
  explicit ReadLoan(ByteStream& s) noexcept : stream(s) {}
  LoanAwaiter awaiter(PromiseBase& parent) && noexcept { return {stream, parent}; }
};
struct [[nodiscard("co_await it")]] ReadSome : OperationAwaitable<ReadSome> {
  ByteStream& stream;
  ByteSpan into;
  ReadSome(ByteStream& s, ByteSpan to) noexcept : stream(s), into(to) {}
  SomeAwaiter awaiter(PromiseBase& parent) && noexcept { return {stream, into, parent}; }
};
struct [[nodiscard("co_await it")]] ReadUntil : OperationAwaitable<ReadUntil> {
  ByteStream& stream;
  std::string_view delimiter;
  std::size_t max;
  ReadUntil(ByteStream& s, std::string_view what, std::size_t limit) noexcept
      : stream(s), delimiter(what), max(limit) {}
  UntilAwaiter awaiter(PromiseBase& parent) && noexcept {
    return {stream, delimiter, max, parent};
  }
};
struct [[nodiscard("co_await it")]] Peek : OperationAwaitable<Peek> {
  ByteStream& stream;
  ByteSpan into;
  Peek(ByteStream& s, ByteSpan to) noexcept : stream(s), into(to) {}
  PeekAwaiter awaiter(PromiseBase& parent) && noexcept { return {stream, into, parent}; }
};
struct [[nodiscard("co_await it")]] ReadExact : OperationAwaitable<ReadExact> {
  ByteStream& stream;
  ByteSpan into;
  ReadExact(ByteStream& s, ByteSpan to) noexcept : stream(s), into(to) {}
  ExactAwaiter awaiter(PromiseBase& parent) && noexcept { return {stream, into, parent}; }
};
struct [[nodiscard("co_await it")]] WriteAll : OperationAwaitable<WriteAll> {
  ByteStream& stream;
  ByteView bytes;
  bool is_flush;
  WriteAll(ByteStream& s, ByteView b, bool flush) noexcept
      : stream(s), bytes(b), is_flush(flush) {}
  WriteWaiter awaiter(PromiseBase& parent) && noexcept {
    return {stream, bytes, is_flush, parent};
  }
};

}  // namespace detail

class ByteStream {
 public:
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// Waits for bytes and lends them.
  /// - **Completes** when at least one byte is there, at end of stream, or on an error.
  /// - **Returns** a Loan of 1..buffer_size bytes; empty only at end of stream, again and again.
  /// - **Errors** the transport's (connection_reset, ...), after everything received before.
  /// - **Cancel** only stops waiting: no byte is lost. **Lifetime** the loan lives on its own;
  ///   hold few: beyond half of the loop's buffers they are copies.
  /// - **Concurrency** one reader. **Thread** the loop's.
  detail::ReadLoan read() noexcept { return detail::ReadLoan(*this); }

  /// Waits for bytes and copies them. As read(), but into `into` (not empty), which must outlive
  /// the await. Returns 1..into.size() bytes; 0 only at end of stream.
  detail::ReadSome read_some(ByteSpan into) noexcept { return {*this, into}; }

  /// Reads up to and with the next LF.
  /// - **Completes** when a line is there, at end of stream, or when `max` bytes (at most
  ///   limits::unread_max) hold none.
  /// - **Returns** the line with its LF; without one only at the end of the stream; empty when
  ///   nothing is left. **Errors** too_large (nothing is consumed); the transport's.
  /// - **Cancel** consumes nothing. **Lifetime** as read(). **Concurrency** one reader.
  /// - **Thread** the loop's.
  detail::ReadUntil read_line(std::size_t max = limits::line_max.value) noexcept {
    return {*this, "\n", max};
  }

  /// Reads up to and with the next `delimiter`, one or more bytes that outlive the await.
  /// Otherwise as read_line.
  detail::ReadUntil read_until(std::string_view delimiter,
                               std::size_t max = limits::line_max.value) noexcept {
    return {*this, delimiter, max};
  }

  /// Waits until `into.size()` bytes are unread, and copies them without consuming: to see what is
  /// spoken before deciding who reads on. Returns how many there are, fewer only at the end of the
  /// stream; `into` has 1..unread_max bytes. Otherwise as read_exact; a cancel loses nothing.
  detail::Peek peek(ByteSpan into) noexcept { return {*this, into}; }

  /// Fills `into`.
  /// - **Completes** when all of it is filled. **Returns** nothing. **Errors** end_of_stream when
  ///   the stream ended before (nothing is consumed up to unread_max); the transport's.
  /// - **Cancel** up to unread_max bytes consumes nothing; of a longer read what was copied is
  ///   lost, and the stream is broken: the next read says so. **Lifetime** `into` outlives it.
  /// - **Concurrency** one reader. **Thread** the loop's.
  detail::ReadExact read_exact(ByteSpan into) noexcept { return {*this, into}; }

  /// Bytes received and not yet read.
  std::size_t unread() const noexcept { return unread_bytes_; }
  /// A read() would not wait: bytes are there, or the end, or an error, that was received.
  bool readable() const noexcept { return unread_bytes_ > 0 || ended(); }

  /// Has bytes accepted for sending.
  /// - **Completes** up to 4 KiB (limits::cork_block) at once, copied; while more than cork_max
  ///   wait to be sent it waits until half of them have left; larger spans are sent from where
  ///   they are and complete when the kernel has taken all.
  /// - **Returns** nothing. **Errors** those of earlier accepted bytes and its own; broken.
  /// - **Cancel** accepted bytes stay queued; a large span sent in part breaks the stream.
  /// - **Lifetime** `bytes` outlive the await. **Concurrency** one writer. **Thread** the loop's.
  detail::WriteAll write_all(ByteView bytes) noexcept { return {*this, bytes, false}; }
  detail::WriteAll write_all(std::string_view text) noexcept {
    return {*this, as_bytes(text), false};
  }

  /// Waits until everything accepted was taken by the transport.
  /// - **Completes** when nothing is queued. **Returns** nothing. **Errors** of what was accepted.
  /// - **Cancel** only stops waiting. **Lifetime** nothing. **Concurrency** counts as the writer.
  /// - **Thread** the loop's.
  detail::WriteAll flush() noexcept { return {*this, {}, true}; }

  /// Queues a shared message without ever waiting; up to 512 bytes are copied, more referenced.
  /// Errors: would_exceed when more than `limit` bytes would be queued (nothing was taken);
  /// the stream's error. Any number of callers.
  Result<> try_write(const SharedBytes& message,
                     std::size_t limit = limits::ws_queue_max.value) noexcept {
    return queue_shared(message, limit);
  }
  /// Bytes accepted and not yet taken by the transport.
  virtual std::size_t unsent() const noexcept = 0;

  /// Sends what is queued, then tells the peer that nothing more comes; reading goes on.
  virtual void shutdown_write() noexcept = 0;

 protected:
  explicit ByteStream(io::BufferPool& pool) noexcept : pool_(&pool) {}
  ~ByteStream() { discard_unread(); }

  // What an implementation provides.

  /// Sees to it that bytes are being received; more arrive by received() and its siblings.
  virtual void start_read() noexcept = 0;
  /// The unread bytes have become fewer: receiving may go on.
  virtual void consumed() noexcept = 0;
  /// True when the request is settled (waiter.error says how); else it calls written() later.
  virtual bool start_write(detail::WriteWaiter& waiter) noexcept = 0;
  /// The waiter's task is cancelled: unlinks and strikes it, now or when its bytes are settled.
  virtual void cancel_write(detail::WriteWaiter& waiter) noexcept = 0;
  virtual Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept = 0;

  // What an implementation calls.

  /// `size` bytes arrived in `buffer`, whose one reference is handed over.
  void received(std::uint16_t buffer, std::size_t size) noexcept;
  void received_end() noexcept;
  void received_error(Errc error) noexcept;
  /// The write or flush is settled: wakes its task.
  static void written(detail::WriteWaiter& waiter, Errc error) noexcept;
  void discard_unread() noexcept;

  io::BufferPool& pool() noexcept { return *pool_; }
  bool ended() const noexcept { return end_ || read_error_ != Errc{0}; }
  bool has_reader() const noexcept { return reader_ != nullptr; }
  /// Receiving has to pause: a reader that waits for more may hold more buffers, not more bytes.
  bool full() const noexcept {
    return unread_bytes_ >= limits::unread_max.value ||
           (!reader_ && unread_buffers_ >= limits::unread_buffers_max.value);
  }

 private:
  /// Unread bytes in memory of the stream's own, while receive buffers are scarce.
  struct Spill;
  friend detail::ReadWaiter;
  friend detail::WriteWaiter;
  friend detail::LoanAwaiter;
  friend detail::SomeAwaiter;
  friend detail::UntilAwaiter;
  friend detail::PeekAwaiter;
  friend detail::ExactAwaiter;

  bool notify_reader() noexcept;
  void link_buffer(std::uint16_t buffer, std::size_t size) noexcept;
  bool append_to_last(std::uint16_t buffer, std::size_t size) noexcept;
  bool is_scarce() const noexcept { return pool_->free_count() < pool_->count() / 2; }
  std::size_t spilled() const noexcept;
  bool reserve_spill(std::size_t more) noexcept;
  void spill_unread() noexcept;
  ByteView front() const noexcept;
  Loan take_loan(std::size_t size);
  Loan lend_head(std::size_t size) noexcept;
  std::size_t copy_out(ByteSpan into) noexcept;
  void drop_from_head(std::size_t size) noexcept;
  template <class F>
  void each_unread(F&& use) const noexcept;
  bool find_end(detail::UntilAwaiter& until) noexcept;
  Error end_error(const char* operation) const noexcept;

  io::BufferPool* pool_;
  detail::ReadWaiter* reader_ = nullptr;
  Spill* spill_ = nullptr;  ///< the first unread bytes; null while it has none
  std::uint32_t unread_bytes_ = 0;
  Errc read_error_ = Errc{0};
  std::uint16_t first_ = io::k_no_buffer;  ///< unread buffers, linked through their Meta
  std::uint16_t last_ = io::k_no_buffer;
  std::uint16_t unread_buffers_ = 0;
  bool end_ = false;
};

}  // namespace rondo
