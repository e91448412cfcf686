// SPDX-License-Identifier: Apache-2.0
// SecureStream: the loop's side of a tls::Stream. It outlives its handle until nothing refers to
// its transport any more.
//
// Receiving: one task, reading_, from the end of the handshake on:
//   wanted_ -> SSL_read while there is room -> the transport's read -> again
//   It ends with the stream, or is cancelled by detach().
// Sending: small writes are collected in plain_ and become one record in the prepare phase (flush);
//   large ones are encrypted at once, as far as the transport has room. Records leave by the
//   transport's try_write, which never waits; writers wait instead, for its flush (draining_).
// Closing: detach() -> gone_; when neither task runs, the close phase frees it, and with it the
//   transport, which sends what it was given.
// Nobody but this class writes its fields.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "rondo/core/event.hpp"
#include "rondo/core/from_callback.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/tls/stream.hpp"
#include "tls/context.hpp"
#include "tls/service.hpp"

namespace rondo::tls::detail {

class SecureStream final : public ByteStream,
                           public TaggedLink<Dirty>,
                           public TaggedLink<Starved>,
                           rondo::detail::Ready {
 public:
  /// Null when there is no memory for it. `peer`: of a client, whom it expects.
  static Result<Owned<SecureStream>> make(Context context, Owned<Transport> transport,
                                          std::string peer);
  ~SecureStream();

  /// Replaces the application protocols of the context, unless empty; before the handshake.
  Result<> offer(const std::vector<std::string>& protocols) noexcept;
  /// Until both sides are agreed; nobody reads or writes before.
  Task<Result<>> shake_hands();
  /// After the handshake: a handle, and the reading task.
  static Stream begin(Owned<SecureStream> own);
  /// The handle is gone.
  void detach() noexcept;

  SSL* ssl() const noexcept { return ssl_.get(); }

  std::size_t unsent() const noexcept override;
  void shutdown_write() noexcept override;

  // For TlsService.
  void flush_records() noexcept;
  void feed() noexcept { wanted_.set(); }

 protected:
  void start_read() noexcept override;
  void consumed() noexcept override { wanted_.set(); }
  bool start_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  void cancel_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept override;

 private:
  SecureStream(Context context, Owned<Transport> transport) noexcept;

  struct Bio;  // OpenSSL's way to incoming_ and records_
  struct Over;  // tells when one of the tasks is over
  bool prepare_client(const std::string& host) noexcept;
  Error handshake_error() noexcept;
  Task<> read_on();
  bool decrypt() noexcept;
  bool read_failed(int result) noexcept;
  void mark_dirty() noexcept;
  bool encrypt(ByteView plain) noexcept;
  void push_records() noexcept;
  void say_goodbye() noexcept;
  bool is_large(const rondo::detail::WriteWaiter& waiter) const noexcept {
    return waiter.started || waiter.rest.size() > limits::cork_block.value;
  }
  bool advance_large(rondo::detail::WriteWaiter& waiter) noexcept;
  bool try_accept(rondo::detail::WriteWaiter& waiter) noexcept;
  void serve_writer() noexcept;
  void await_room() noexcept;
  void fail(Errc error) noexcept;
  void settle() noexcept;

  TlsService& service_;
  Context context_;
  std::shared_ptr<const Generation> generation_;
  Connection connection_;
  Owned<Transport> transport_;
  Ssl ssl_;
  Loan incoming_;            ///< received records; taken_ bytes of them are OpenSSL's already
  std::size_t taken_ = 0;
  std::string plain_;        ///< accepted, not yet encrypted
  std::string records_;      ///< encrypted, not yet the transport's
  Event wanted_;             ///< somebody reads, or there is room again
  CallbackOperation reading_;
  CallbackOperation draining_;
  rondo::detail::WriteWaiter* writer_ = nullptr;
  Errc write_error_ = Errc{0};
  bool reads_ = false;       ///< the reading task runs
  bool drains_ = false;      ///< the draining task runs
  bool shutdown_asked_ = false;
  bool goodbye_said_ = false;
  bool gone_ = false;
  bool freeing_ = false;
};

}  // namespace rondo::tls::detail
