// SPDX-License-Identifier: Apache-2.0
// permessage-deflate (RFC 7692) without context takeover: each message stands for itself, so that
// an idle connection keeps no state, and nothing that one message says is learnt from another's
// length (BREACH needs a shared context).
//
//   const std::string packed = deflate_message(payload, 15).or_throw();     // 00 00 ff ff cut off
//   MessageInflater inflater;                                     // one for each message
//   inflater.feed(piece, into, max).or_throw();                   // as often as pieces come
//   inflater.finish(into, max).or_throw();
//
// Lifetime: values. Thread rule: any thread, one at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "rondo/base/bytes.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/result.hpp"

namespace rondo::proto {

/// `payload` deflated with a window of 2^`window_bits` (9..15) bytes. Errors: no_memory.
Result<std::string> deflate_message(ByteView payload, int window_bits);

/// Inflates one message.
class MessageInflater {
 public:
  MessageInflater();
  MessageInflater(MessageInflater&& other) noexcept;
  ~MessageInflater();
  /// Appends what a piece of the message says. Errors: bad_message (no deflate data); too_large as
  /// soon as `into` would have more than `max` bytes: a bomb is not unpacked. Each is final.
  Result<> feed(ByteView piece, std::string& into, std::size_t max);
  /// The message has ended.
  Result<> finish(std::string& into, std::size_t max);

 private:
  struct State;
  Owned<State> state_;
};

/// What client and server agreed on.
struct MessageDeflate {
  int server_window = 15;  ///< bits of the window the server may use
};

/// What a client sends as Sec-WebSocket-Extensions.
inline constexpr std::string_view k_deflate_offer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// A server's choice among the offers of a Sec-WebSocket-Extensions field: the first it can do.
std::optional<MessageDeflate> choose_deflate(std::string_view offers);
/// The answer that says so.
std::string deflate_answer(const MessageDeflate& agreed);
/// A client's judgement of the server's answer to k_deflate_offer. Nothing for an empty field.
/// Errors: protocol_error when the server chose what was not offered.
Result<std::optional<MessageDeflate>> check_deflate_answer(std::string_view answer);

}  // namespace rondo::proto
