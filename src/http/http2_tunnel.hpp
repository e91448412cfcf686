// SPDX-License-Identifier: Apache-2.0
// Http2Tunnel: a stream of HTTP/2 as a stream of bytes, for the protocol that an extended CONNECT
// has switched to (RFC 8441), on either side.
//
// Receiving: on_data() keeps what arrives in arrived_, feed() moves it into buffers while the
//   stream has room; what was moved the peer may send anew.
// Sending: queue_ is accepted, sending_ was supplied to the session; when that has all been taken
//   the queue takes its place. Large writes are copied into the queue as far as it has room.
// The owner of the stream tells what the session says of it, and on_closed() is the last of that.
#pragma once

#include <string>

#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::http::detail {

class Http2Tunnel;

/// What the tunnels of one loop share: the buffers, and those who wait for one.
class TunnelService final : public rondo::detail::LoopService {
 public:
  explicit TunnelService(Loop& loop);
  ~TunnelService() override;
  bool drained() const noexcept override { return true; }
  io::BufferPool& pool() noexcept { return pool_; }

  IntrusiveList<Http2Tunnel> starved;

 private:
  struct PrepareHook : rondo::detail::LoopHook {
    TunnelService* service = nullptr;
  };
  io::BufferPool pool_;
  PrepareHook hook_;
};

class Http2Tunnel final : public ByteStream, public ListLink {
 public:
  /// `wake` is set when the session has something to say.
  Http2Tunnel(proto::Http2Stream& stream, proto::Http2Session& session, Event& wake);
  ~Http2Tunnel();

  void on_data(ByteView piece);
  void on_end() noexcept;
  void on_taken() noexcept;
  /// `error`: what a reader is told behind what has arrived; zero: the peer ended in good order.
  void on_closed(Errc error) noexcept;
  void feed() noexcept;

  std::size_t unsent() const noexcept override { return queue_.size() + stream_.untaken().size(); }
  void shutdown_write() noexcept override;

 protected:
  void start_read() noexcept override { feed(); }
  void consumed() noexcept override { feed(); }
  bool start_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  void cancel_write(rondo::detail::WriteWaiter& waiter) noexcept override;
  Result<> queue_shared(const SharedBytes& message, std::size_t limit) noexcept override;

 private:
  bool try_accept(rondo::detail::WriteWaiter& waiter);
  void append(std::string_view bytes);
  void supply() noexcept;
  void fail_writes(Errc error) noexcept;

  TunnelService& service_;
  proto::Http2Stream& stream_;
  proto::Http2Session* session_;  // Null once it is through with the stream.
  Event& wake_;
  std::string arrived_;
  std::size_t moved_ = 0;  // Of arrived_, into buffers.
  std::string queue_;
  std::string sending_;
  rondo::detail::WriteWaiter* writer_ = nullptr;
  Errc read_end_ = Errc{0};  // What comes behind arrived_, when `ends_`.
  Errc write_error_ = Errc{0};
  bool ends_ = false;
  bool shut_ = false;
  bool last_supplied_ = false;
};

}  // namespace rondo::http::detail
