// SPDX-License-Identifier: Apache-2.0
// split: one stream, a reading and a writing half, each owned by another task.
//
//   auto [in, out] = split(std::move(stream));
//   scope.start(read_commands, std::move(in));
//   scope.start(send_events, std::move(out));
//
// For S any movable owner of a ByteStream: net::Stream, a TLS stream, ... When the writing half
// goes, the peer is told that nothing more comes; when both are gone, the stream is closed.
// It refuses to share a half: one reader, one writer. Lifetime: the halves own the stream.
// Thread rule: the loop's thread.
#pragma once

#include <string_view>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/core/stream.hpp"

namespace rondo {

namespace detail {

template <class S>
struct SplitStream : Pooled {
  S owner;
  unsigned halves = 2;
  explicit SplitStream(S&& stream) : owner(std::move(stream)) {}
  ByteStream& stream() noexcept { return owner; }
  void drop() noexcept {
    if (--halves == 0) delete this;
  }
};

}  // namespace detail

template <class S>
class [[nodiscard("keep it: without its halves the stream closes")]] ReadHalf {
 public:
  explicit ReadHalf(detail::SplitStream<S>& shared) noexcept : shared_(&shared) {}
  ReadHalf(ReadHalf&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  ReadHalf& operator=(ReadHalf&& other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~ReadHalf() {
    if (shared_) shared_->drop();
  }

  // The reading calls of ByteStream (core/stream.hpp).
  auto read() noexcept { return stream().read(); }
  auto read_some(ByteSpan into) noexcept { return stream().read_some(into); }
  auto read_line(std::size_t max = limits::line_max.value) noexcept {
    return stream().read_line(max);
  }
  auto read_until(std::string_view delimiter, std::size_t max = limits::line_max.value) noexcept {
    return stream().read_until(delimiter, max);
  }
  auto read_exact(ByteSpan into) noexcept { return stream().read_exact(into); }
  auto peek(ByteSpan into) noexcept { return stream().peek(into); }
  std::size_t unread() const noexcept { return shared_->stream().unread(); }
  /// For functions that take a ByteStream&, which must only read it.
  ByteStream& stream() noexcept { return shared_->stream(); }

 private:
  template <class T>
  friend class WriteHalf;
  detail::SplitStream<S>* shared_;
};

template <class S>
class [[nodiscard("keep it: without its halves the stream closes")]] WriteHalf {
 public:
  explicit WriteHalf(detail::SplitStream<S>& shared) noexcept : shared_(&shared) {}
  WriteHalf(WriteHalf&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  WriteHalf& operator=(WriteHalf&& other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~WriteHalf() {
    if (!shared_) return;
    stream().shutdown_write();
    shared_->drop();
  }

  // The writing calls of ByteStream.
  auto write_all(ByteView bytes) noexcept { return stream().write_all(bytes); }
  auto write_all(std::string_view text) noexcept { return stream().write_all(text); }
  auto flush() noexcept { return stream().flush(); }
  Result<> try_write(const SharedBytes& message,
                     std::size_t limit = limits::ws_queue_max.value) noexcept {
    return stream().try_write(message, limit);
  }
  std::size_t unsent() const noexcept { return shared_->stream().unsent(); }
  /// For functions that take a ByteStream&, which must only write it.
  ByteStream& stream() noexcept { return shared_->stream(); }

  /// Puts the halves of one stream together again; nothing is shut down.
  S reunite(ReadHalf<S> other) && {
    RONDO_ASSERT(shared_ && shared_ == other.shared_, "these are halves of different streams");
    S whole = std::move(shared_->owner);
    std::exchange(shared_, nullptr)->drop();
    return whole;
  }

 private:
  detail::SplitStream<S>* shared_;
};

template <class S>
struct Halves {
  ReadHalf<S> read;
  WriteHalf<S> write;
};

/// Cuts a stream into its two directions.
template <class S>
Halves<S> split(S stream) {
  auto* shared = new detail::SplitStream<S>(std::move(stream));
  return {ReadHalf<S>(*shared), WriteHalf<S>(*shared)};
}

}  // namespace rondo
