// SPDX-License-Identifier: Apache-2.0
// Session: the inside of a Socket.
//
// Receiving: pull() decodes `input_` until it has a message or an error; wait() feeds it.
// `final_` is set once, by whatever ended the connection, and every receive() yields it.
// Closing: close_sent_ and close_received_; a Close of ours arms the timer for close_timeout,
// which is the keep-alive's timer until then. After either no message is sent any more.
// A message in several pieces is put together in `whole_`; one in one piece is a view of the loan.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rondo/core/loop.hpp"
#include "rondo/http/detail/peer_watch.hpp"
#include "rondo/proto/message_deflate.hpp"
#include "rondo/proto/websocket.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::ws::detail {

using Opcode = proto::WebSocketOpcode;

/// What the handshake has settled.
struct Agreed {
  std::string protocol;
  std::optional<proto::MessageDeflate> deflate;
};

class Session : private rondo::detail::Timer, private rondo::detail::LoopHook {
 public:
  Session(http::Upgraded upgraded, Options options, Agreed agreed);
  Session(http::ClientUpgrade upgraded, Options options, Agreed agreed);
  Session(const Session&) = delete;
  ~Session();

  bool pull(Result<Message>& message);  // False: more input is needed.
  Task<Result<Message>> wait(bool yield);
  Task<Result<>> send(Opcode opcode, ByteView payload);
  Result<> try_send(const SharedBytes& frame) noexcept;
  void start_close(CloseCode code, std::string_view reason) noexcept;

  bool is_open() const noexcept { return !close_sent_ && !close_received_ && final_ == Errc{0}; }
  ByteStream& stream() noexcept { return stream_; }

  Statistics statistics;
  std::string protocol;
  std::string reason;
  CloseCode code = CloseCode::abnormal;

 private:
  enum class Step : std::uint8_t { go_on, need_more, message, over };
  Step next_event(Message& message);
  Step data(Message& message);
  Step got_close();
  bool rate_allows() noexcept;
  Step fail(CloseCode with, Errc why);
  void end(Errc why) noexcept;
  void queue_control(SharedBytes frame) noexcept;
  void answer_ping() noexcept;
  void tick() noexcept;
  void rearm(Duration after) noexcept;
  void cut_off() noexcept;
  void flush_waiting() noexcept;

  Session(ByteStream& stream, Options options, Agreed agreed, proto::WebSocketRole role);
  void begin(Loan loan, ByteView rest);
  bool is_client() const noexcept { return client_.has_value(); }
  proto::MaskKey new_mask() noexcept;
  SharedBytes control(Opcode opcode, ByteView payload);
  SharedBytes close_frame(std::uint16_t code, std::string_view reason = {});
  Step packed_data(Message& message, ByteView piece, bool last);
  Task<Result<>> send_frame(Opcode opcode, ByteView payload, bool packed);
  Task<Result<>> send_masked(ByteView payload, proto::MaskKey key);
  Task<Result<>> write(ByteView bytes);

  std::optional<http::Upgraded> server_;
  std::optional<http::ClientUpgrade> client_;
  ByteStream& stream_;
  http::detail::PeerWatch watch_;
  Options options_;
  Loan loan_;
  ByteSpan input_;
  proto::WebSocketDecoder decoder_;
  std::optional<proto::MessageDeflate> deflate_;
  std::optional<proto::MessageInflater> inflater_;  // Of the message in whole_.
  std::string whole_;
  std::vector<SharedBytes> waiting_;  // Frames behind a large message.
  std::size_t waiting_bytes_ = 0;
  TimePoint rate_second_;
  std::uint32_t rate_count_ = 0;
  Errc final_ = Errc{0};
  std::uint8_t misses_ = 0;
  bool in_pieces_ = false;  // whole_ holds the beginning of a message.
  bool delivered_ = false;  // whole_ was given out; cleared by the next pull.
  bool heard_ = false;      // Anything, since the last tick.
  bool ping_waits_ = false;
  bool ponged_ = false;  // Since the last received buffer.
  bool sending_large_ = false;
  bool close_sent_ = false;
  bool close_received_ = false;
  bool stopping_ = false;
  std::uint8_t ping_size_ = 0;
  std::byte ping_[125];
};

}  // namespace rondo::ws::detail
