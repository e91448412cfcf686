// SPDX-License-Identifier: Apache-2.0
// The chat's protocol: one JSON object a frame, `t` names its kind
// (docs/reference/chat-protocol.md).
//
//   auto frame = decode(text);                      // Result<ClientFrame>
//   session.send(encode_ack(cid, room, seq, ts, dup));
//
// Decoding accepts what a client may say and nothing else: unknown fields are ignored, an unknown
// kind, a field of the wrong type, bad UTF-8, depth over 32 are errors with a text for the client.
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rondo/base/result.hpp"

namespace rondo::chat {

using RoomId = std::int64_t;
using UserId = std::int64_t;
using Seq = std::int64_t;

/// The author of the server's own words; always user 1.
inline constexpr UserId k_server_user = 1;
inline constexpr std::size_t k_frame_bytes_max = 131'072;
inline constexpr std::size_t k_page_bytes_max = 262'144;
inline constexpr std::size_t k_depth_max = 32;

struct User {
  UserId id = 0;
  std::string name;
};

/// One entry of a room's log.
struct Event {
  RoomId room = 0;
  Seq seq = 0;
  std::string kind = "message";
  User from;
  std::string cid;
  std::int64_t ts = 0;  ///< ms since 1970, strictly increasing within a room
  std::string body;
};

enum class FrameKind : std::uint8_t {
  auth,
  join,
  leave,
  rooms,
  send,
  resume,
  history,
  sync,
  read,
  typing,
  ping
};

/// What a client said. Which fields count depends on the kind.
struct ClientFrame {
  FrameKind kind = FrameKind::ping;
  std::string room;
  std::string cid;
  std::string body;
  std::string guest;
  std::string token;
  std::string name;  ///< auth with name and password
  std::string epoch;
  std::vector<std::pair<std::string, Seq>> cursors;
  Seq seq = 0;  ///< read: seq, sync: after, history: before
  std::int64_t limit = 0;
  bool create = false;
};

/// Errors: bad_message, whose object is for the client ("unknown_kind: dance").
Result<ClientFrame> decode(std::string_view text);

/// The code before the colon of such an error ("unknown_kind") and the words after it.
struct Refusal {
  std::string code;
  std::string detail;
};
Refusal refusal_of(const Error& error);

/// A room as `welcome` and `rooms` tell it.
struct RoomLine {
  std::string name;
  Seq head = 0;
  Seq read = 0;
};

struct HelloParts {
  std::string_view epoch;
  std::string_view node;
  std::string_view session;
  bool guests = true;
};

std::string user_id(UserId id);  ///< "u7"
std::string encode_hello(const HelloParts& parts);
std::string encode_welcome(const User& user, std::string_view token,
                           const std::vector<RoomLine>& rooms);
std::string encode_rooms(const std::vector<RoomLine>& rooms);
std::string encode_ack(std::string_view cid, std::string_view room, Seq seq, std::int64_t ts,
                       bool dup);
std::string encode_nack(std::string_view cid, std::string_view code, std::int64_t retry_after = 0);
std::string encode_error(std::string_view code, std::string_view detail = {},
                         std::string_view room = {});
std::string encode_event(const Event& event, std::string_view room);
/// An event as an item of a page: without `t`.
void append_event(std::string& out, const Event& event, std::string_view room);
std::string encode_page(std::string_view room, Seq from, Seq to, std::string_view events);
std::string encode_resumed(std::string_view room, Seq seq);
std::string encode_reset(std::string_view room, Seq head, Seq oldest);
std::string encode_room_only(std::string_view kind, std::string_view room);  ///< left, gone
std::string encode_read(std::string_view room, Seq seq);
std::string encode_typing(std::string_view room, const User& user);
std::string encode_presence(std::string_view room, const User& user, bool joined);

}  // namespace rondo::chat
