// SPDX-License-Identifier: Apache-2.0
// The receiving half of every stream: a queue of the pool's buffers, and who waits for it.
// Invariants:
//  1. unread_bytes_ is the sum of end - begin over the spill and the linked buffers; each has at
//     least one byte. The spill's bytes come first.
//  2. reader_ is set exactly while a task is parked in a read of this stream.
//  3. Consuming happens in await_resume only: a waiter that is struck has taken nothing.
#include "rondo/core/stream.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

namespace rondo {
namespace {

constexpr const char* k_one_reader = "one task at a time reads a stream";

}  // namespace

struct ByteStream::Spill {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t capacity = 0;
  std::byte* bytes() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  static void free(Spill* spill) noexcept { ::operator delete(spill); }
};

std::size_t ByteStream::spilled() const noexcept {
  return spill_ ? spill_->end - spill_->begin : 0;
}

/// Calls use(part) for the unread bytes in order until it returns false.
template <class F>
void ByteStream::each_unread(F&& use) const noexcept {
  if (unread_bytes_ == 0) return;
  if (spill_ && !use(ByteView{spill_->bytes() + spill_->begin, spilled()})) return;
  std::uint16_t buffer = first_;
  for (unsigned n = unread_buffers_; n > 0; --n) {
    const io::BufferPool::Meta& meta = pool_->meta(buffer);
    if (!use(ByteView{pool_->data(buffer) + meta.begin, meta.end - meta.begin})) return;
    buffer = meta.next;
  }
}

Loan Loan::of_size(std::size_t size) {
  RONDO_ASSERT(size <= UINT32_MAX, "a loan has less than 4 GiB: take several");
  Loan loan;
  loan.data_ = static_cast<std::byte*>(::operator new(size));
  loan.size_ = static_cast<std::uint32_t>(size);
  loan.owned_ = true;
  return loan;
}

void Loan::free_own() noexcept { ::operator delete(const_cast<std::byte*>(data_)); }

namespace detail {

bool ReadWaiter::await_ready() noexcept {
  RONDO_ASSERT(!stream.reader_, k_one_reader);
  if (detail::cancelled(*this)) return false;
  return satisfied(*this) && spend_await();
}

void ReadWaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (detail::cancelled(*this)) return strike(*this);
  if (satisfied(*this)) return wake(*this);
  stream.reader_ = this;
  park(*this, [](Waiter& waiter) noexcept {
    static_cast<ReadWaiter&>(waiter).stream.reader_ = nullptr;
    strike(waiter);
  });
  stream.start_read();
}

bool WriteWaiter::await_ready() noexcept {
  if (detail::cancelled(*this)) return false;
  accepted_ = stream.start_write(*this);
  return accepted_ && spend_await();
}

void WriteWaiter::await_suspend(std::coroutine_handle<>) noexcept {
  if (accepted_) return wake(*this);  // Accepted, but the task's turn is over.
  if (detail::cancelled(*this)) return strike(*this);
  park(*this, [](Waiter& waiter) noexcept {
    auto& self = static_cast<WriteWaiter&>(waiter);
    self.stream.cancel_write(self);
  });
}

bool ReadWaiter::any_bytes(ReadWaiter& waiter) noexcept { return waiter.stream.readable(); }

LoanAwaiter::LoanAwaiter(ByteStream& s, PromiseBase& parent) noexcept
    : ReadWaiter(s, parent, &ReadWaiter::any_bytes) {}

Result<Loan> LoanAwaiter::await_resume() {
  if (stream.unread_bytes_ > 0) {
    const std::size_t size =
        std::min<std::size_t>(stream.front().size(), stream.pool_->buffer_size());
    spend_bytes(size);
    return stream.take_loan(size);
  }
  if (stream.read_error_ != Errc{0}) return stream.end_error("read");
  RONDO_ASSERT(stream.end_, k_one_reader);  // Else another task took what woke this one.
  return Loan();
}

SomeAwaiter::SomeAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept
    : ReadWaiter(s, parent, &ReadWaiter::any_bytes), into(to) {
  RONDO_ASSERT(!into.empty(), "read_some needs room for at least one byte");
}

Result<std::size_t> SomeAwaiter::await_resume() {
  if (stream.unread_bytes_ > 0) {
    const std::size_t size = stream.copy_out(into);
    spend_bytes(size);
    return size;
  }
  if (stream.read_error_ != Errc{0}) return stream.end_error("read");
  RONDO_ASSERT(stream.end_, k_one_reader);
  return std::size_t{0};
}

UntilAwaiter::UntilAwaiter(ByteStream& s, std::string_view what, std::size_t limit,
                           PromiseBase& parent) noexcept
    : ReadWaiter(s, parent,
                 [](ReadWaiter& waiter) noexcept {
                   auto& self = static_cast<UntilAwaiter&>(waiter);
                   return self.stream.find_end(self) || self.scanned >= self.max ||
                          self.stream.ended();
                 }),
      delimiter(what),
      max(limit) {
  RONDO_ASSERT(max <= limits::unread_max.value,
               "a stream holds limits::unread_max bytes: read() longer ones in pieces");
  RONDO_ASSERT(!delimiter.empty(), "read_until needs a delimiter of at least one byte");
}

PeekAwaiter::PeekAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept
    : ReadWaiter(s, parent,
                 [](ReadWaiter& waiter) noexcept {
                   auto& self = static_cast<PeekAwaiter&>(waiter);
                   return self.stream.unread() >= self.into.size() || self.stream.ended();
                 }),
      into(to) {
  RONDO_ASSERT(!into.empty() && into.size() <= limits::unread_max.value,
               "peek shows 1..unread_max bytes");
}

Result<std::size_t> PeekAwaiter::await_resume() {
  if (stream.unread_bytes_ == 0 && stream.read_error_ != Errc{0}) return stream.end_error("peek");
  std::size_t done = 0;
  stream.each_unread([&](ByteView part) {
    const std::size_t size = std::min(into.size() - done, part.size());
    if (size > 0) std::memcpy(into.data() + done, part.data(), size);
    done += size;
    return done < into.size();
  });
  return done;
}

Result<Loan> UntilAwaiter::await_resume() {
  if (found > max || (found == 0 && stream.unread_bytes_ >= max)) {
    return Error(Errc::too_large, name());
  }
  RONDO_ASSERT(found <= stream.unread_bytes_ && (found > 0 || stream.ended()), k_one_reader);
  const std::size_t size = found > 0 ? found : stream.unread_bytes_;
  if (size > 0) return stream.take_loan(size);
  if (stream.read_error_ != Errc{0}) return stream.end_error(name());
  return Loan();
}

ExactAwaiter::ExactAwaiter(ByteStream& s, ByteSpan to, PromiseBase& parent) noexcept
    : ReadWaiter(s, parent,
                 [](ReadWaiter& waiter) noexcept {
                   auto& self = static_cast<ExactAwaiter&>(waiter);
                   // Beyond what a stream buffers, the bytes are moved on as they arrive.
                   if (self.into.size() > limits::unread_max.value) {
                     self.done += self.stream.copy_out(self.into.subspan(self.done));
                   }
                   return self.stream.unread() >= self.into.size() - self.done ||
                          self.stream.ended();
                 }),
      into(to) {}

ExactAwaiter::~ExactAwaiter() {
  // Destroyed by a cancellation in the middle: the position in the stream is lost.
  if (done > 0 && done < into.size() && !stream.ended()) {
    stream.discard_unread();
    stream.received_error(Errc::broken);
  }
}

Result<> ExactAwaiter::await_resume() {
  if (done + stream.unread_bytes_ >= into.size()) {
    stream.copy_out(into.subspan(done));
    done = 0;
    return {};
  }
  done = 0;
  if (stream.read_error_ != Errc{0}) return stream.end_error("read_exact");
  RONDO_ASSERT(stream.end_, k_one_reader);
  return Error(Errc::end_of_stream, "read_exact");
}

}  // namespace detail

bool ByteStream::notify_reader() noexcept {
  if (!reader_ || !reader_->satisfied(*reader_)) return false;
  detail::wake(*std::exchange(reader_, nullptr));
  return true;
}

bool ByteStream::append_to_last(std::uint16_t buffer, std::size_t size) noexcept {
  if (unread_buffers_ == 0) return false;
  io::BufferPool::Meta& meta = pool_->meta(last_);
  if (size > pool_->buffer_size() - meta.end) return false;
  std::memcpy(pool_->data(last_) + meta.end, pool_->data(buffer), size);
  meta.end += static_cast<std::uint32_t>(size);
  pool_->release(buffer);
  return true;
}

void ByteStream::received(std::uint16_t buffer, std::size_t size) noexcept {
  if (ended()) return pool_->release(buffer);  // Broken: the position in the stream is lost.
  unread_bytes_ += static_cast<std::uint32_t>(size);
  // Pieces that nobody has read yet are put together: many small ones hold one buffer, not many.
  // Loans of the last buffer are of bytes before its end: appending does not touch them.
  if (!append_to_last(buffer, size)) link_buffer(buffer, size);
  // Streams whose bytes nobody takes would keep the buffers that all the others need.
  if (!notify_reader() && is_scarce()) spill_unread();
}

void ByteStream::link_buffer(std::uint16_t buffer, std::size_t size) noexcept {
  io::BufferPool::Meta& meta = pool_->meta(buffer);
  meta.begin = 0;
  meta.end = static_cast<std::uint32_t>(size);
  meta.next = io::k_no_buffer;
  if (unread_buffers_++ == 0) first_ = buffer;
  else pool_->meta(last_).next = buffer;
  last_ = buffer;
}

/// Room for `more` bytes behind the spilled ones; false when there is no memory.
bool ByteStream::reserve_spill(std::size_t more) noexcept {
  if (spill_ && spill_->capacity - spill_->end >= more) return true;
  const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(spilled() + more, 512));
  void* block = ::operator new(sizeof(Spill) + capacity, std::nothrow);
  if (!block) return false;
  auto* wider = ::new (block) Spill;
  wider->capacity = static_cast<std::uint32_t>(capacity);
  wider->end = static_cast<std::uint32_t>(spilled());
  if (spill_) std::memcpy(wider->bytes(), spill_->bytes() + spill_->begin, wider->end);
  Spill::free(std::exchange(spill_, wider));
  return true;
}

/// Moves the unread bytes out of the pool's buffers. What it costs is bounded by unread_max.
void ByteStream::spill_unread() noexcept {
  const std::size_t queued = unread_bytes_ - spilled();
  if (queued == 0 || !reserve_spill(queued)) return;
  for (; unread_buffers_ > 0; --unread_buffers_) {
    const std::uint16_t buffer = first_;
    const io::BufferPool::Meta meta = pool_->meta(buffer);
    std::memcpy(spill_->bytes() + spill_->end, pool_->data(buffer) + meta.begin,
                meta.end - meta.begin);
    spill_->end += meta.end - meta.begin;
    first_ = meta.next;
    pool_->release(buffer);
  }
}

/// The first unread bytes that lie in one piece.
ByteView ByteStream::front() const noexcept {
  if (spill_) return {spill_->bytes() + spill_->begin, spill_->end - spill_->begin};
  const io::BufferPool::Meta& meta = pool_->meta(first_);
  return {pool_->data(first_) + meta.begin, meta.end - meta.begin};
}

void ByteStream::received_end() noexcept {
  end_ = true;
  notify_reader();
}

void ByteStream::received_error(Errc error) noexcept {
  read_error_ = error;
  notify_reader();
}

void ByteStream::written(detail::WriteWaiter& waiter, Errc error) noexcept {
  waiter.error = error;
  detail::wake(waiter);
}

void ByteStream::discard_unread() noexcept {
  while (unread_bytes_ > 0) drop_from_head(front().size());
}

void ByteStream::drop_from_head(std::size_t size) noexcept {
  unread_bytes_ -= static_cast<std::uint32_t>(size);
  if (spill_) {
    spill_->begin += static_cast<std::uint32_t>(size);
    if (spill_->begin == spill_->end) Spill::free(std::exchange(spill_, nullptr));
    return;
  }
  io::BufferPool::Meta& meta = pool_->meta(first_);
  meta.begin += static_cast<std::uint32_t>(size);
  if (meta.begin < meta.end) return;
  const std::uint16_t empty = first_;
  first_ = meta.next;
  --unread_buffers_;
  pool_->release(empty);
}

Loan ByteStream::lend_head(std::size_t size) noexcept {
  const std::uint16_t buffer = first_;
  const ByteView part{pool_->data(buffer) + pool_->meta(buffer).begin, size};
  pool_->add_ref(buffer);
  drop_from_head(size);
  return Loan::of_buffer(*pool_, buffer, part);
}

Loan ByteStream::take_loan(std::size_t size) {
  const bool in_one_buffer = !spill_ && size <= front().size();
  // Beyond half of the pool, lending would starve the other streams: copy instead.
  if (in_one_buffer && !is_scarce()) {
    Loan loan = lend_head(size);
    consumed();
    return loan;
  }
  Loan loan = Loan::of_size(size);
  copy_out(loan.writable());
  return loan;
}

std::size_t ByteStream::copy_out(ByteSpan into) noexcept {
  std::size_t done = 0;
  while (done < into.size() && unread_bytes_ > 0) {
    const ByteView part = front();
    const std::size_t size = std::min(into.size() - done, part.size());
    std::memcpy(into.data() + done, part.data(), size);
    done += size;
    drop_from_head(size);
  }
  if (done > 0) consumed();
  return done;
}

/// Of the delimiter's bytes matched so far, the longest shorter beginning that is also their end.
std::size_t detail::UntilAwaiter::shorter_match() const noexcept {
  const std::string_view so_far = delimiter.substr(0, matched);
  for (std::size_t length = matched - 1; length > 0; --length) {
    if (so_far.ends_with(delimiter.substr(0, length))) return length;
  }
  return 0;
}

/// Looks for the end of the delimiter in `part`, which stands behind `before` unread bytes.
bool detail::UntilAwaiter::scan(std::size_t before, ByteView part) noexcept {
  std::size_t at = scanned > before ? scanned - before : 0;
  for (; at < part.size(); ++at) {
    if (matched == 0) {  // The usual case: jump to where it may begin.
      const void* begin = std::memchr(part.data() + at, delimiter.front(), part.size() - at);
      if (!begin) break;
      at = static_cast<std::size_t>(static_cast<const std::byte*>(begin) - part.data());
    }
    const char byte = static_cast<char>(part[at]);
    while (matched > 0 && delimiter[matched] != byte) matched = shorter_match();
    if (delimiter[matched] == byte && ++matched == delimiter.size()) {
      found = before + at + 1;
      return true;
    }
  }
  scanned = std::max(scanned, before + part.size());
  return false;
}

bool ByteStream::find_end(detail::UntilAwaiter& until) noexcept {
  std::size_t before = 0;
  if (until.found == 0) {
    each_unread([&](ByteView part) {
      const bool found = until.scan(before, part);
      before += part.size();
      return !found;
    });
  }
  return until.found > 0;
}

Error ByteStream::end_error(const char* operation) const noexcept {
  return Error(read_error_, operation);
}

}  // namespace rondo
