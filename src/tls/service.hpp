// SPDX-License-Identifier: Apache-2.0
// TlsService: what the TLS streams of one loop share: the buffers of decrypted bytes, the streams
// with something to encrypt in the next prepare phase, and the count that keeps a loop alive until
// the last one is gone.
//
// TLS has buffers of its own: those of the driver are, on a ring, in the kernel's hands.
#pragma once

#include <cstddef>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/io/buffer_pool.hpp"

namespace rondo::tls::detail {

class SecureStream;

struct Dirty;    // tag: link of a stream with something to encrypt
struct Starved;  // tag: link of a stream that waits for a buffer

class TlsService final : public rondo::detail::LoopService {
 public:
  explicit TlsService(Loop& loop);
  ~TlsService() override;
  bool drained() const noexcept override { return open_ == 0; }
  bool holds_output() const noexcept override { return !dirty.empty(); }

  Loop& loop() noexcept { return loop_; }
  io::BufferPool& pool() noexcept { return pool_; }
  void opened() noexcept { ++open_; }
  void closed() noexcept { --open_; }

  IntrusiveList<SecureStream, Dirty> dirty;
  IntrusiveList<SecureStream, Starved> starved;

  static TlsService& current() { return Loop::current().service<TlsService>(); }

 private:
  struct PrepareHook : rondo::detail::LoopHook {
    TlsService* service = nullptr;
  };
  void prepare() noexcept;

  Loop& loop_;
  io::BufferPool pool_;
  PrepareHook hook_;
  std::size_t open_ = 0;
};

}  // namespace rondo::tls::detail
