// SPDX-License-Identifier: Apache-2.0
// Decoding by Boost.JSON into one flat struct, encoding by hand.
#include "chat/server/protocol.hpp"

#include <boost/json.hpp>

#include <array>
#include <optional>

#include "chat/server/json.hpp"
#include "chat/server/text.hpp"
#include "cli/text.hpp"

namespace rondo::chat {

namespace {

namespace bj = boost::json;

constexpr std::size_t k_cursors_max = 256;

Error refuse(std::string_view code, std::string_view detail) {
  std::string text(code);
  text.append(": ").append(detail);
  return Error(Errc::bad_message, "frame", text);
}

struct KindName {
  std::string_view name;
  FrameKind kind;
};
constexpr std::array k_kinds{
    KindName{"auth", FrameKind::auth},       KindName{"join", FrameKind::join},
    KindName{"leave", FrameKind::leave},     KindName{"rooms", FrameKind::rooms},
    KindName{"send", FrameKind::send},       KindName{"resume", FrameKind::resume},
    KindName{"history", FrameKind::history}, KindName{"sync", FrameKind::sync},
    KindName{"read", FrameKind::read},       KindName{"typing", FrameKind::typing},
    KindName{"ping", FrameKind::ping},
};

std::string_view view_of(const bj::string& text) noexcept { return {text.data(), text.size()}; }

/// Takes the fields of one frame out of its object; remembers the first that is wrong.
class Fields {
 public:
  explicit Fields(const bj::object& object) noexcept : object_(object) {}

  void text(std::string_view name, std::string& into, bool required = true) {
    const bj::value* value = find(name, required);
    if (!value) return;
    if (const bj::string* found = value->if_string())
      into.assign(view_of(*found));
    else
      fail(name, "is not a text");
  }
  void count(std::string_view name, std::int64_t& into, bool required = true) {
    const bj::value* value = find(name, required);
    if (!value) return;
    const std::int64_t* found = value->if_int64();
    constexpr std::int64_t k_exact_max = (std::int64_t{1} << 53) - 1;
    if (found && *found >= 0 && *found <= k_exact_max)
      into = *found;
    else
      fail(name, "is not a whole number from 0 on");
  }
  void flag(std::string_view name, bool& into) {
    const bj::value* value = find(name, false);
    if (!value) return;
    if (const bool* found = value->if_bool())
      into = *found;
    else
      fail(name, "is neither true nor false");
  }
  void cursors(std::vector<std::pair<std::string, Seq>>& into) {
    const bj::value* value = find("cursors", true);
    if (!value) return;
    const bj::object* rooms = value->if_object();
    if (!rooms || rooms->size() > k_cursors_max)
      return fail("cursors", "is not an object of rooms");
    for (const auto& [room, at] : *rooms) {
      const std::int64_t* seq = at.if_int64();
      if (!seq || *seq < 0) return fail("cursors", "holds something that is no sequence number");
      into.emplace_back(std::string(room.data(), room.size()), *seq);
    }
  }
  bool has(std::string_view name) const noexcept { return object_.contains(key(name)); }
  const std::optional<Error>& error() const noexcept { return error_; }

 private:
  static bj::string_view key(std::string_view name) noexcept { return {name.data(), name.size()}; }
  const bj::value* find(std::string_view name, bool required) {
    const bj::value* value = object_.if_contains(key(name));
    if (!value && required) fail(name, "is missing");
    return value;
  }
  void fail(std::string_view name, std::string_view why) {
    if (error_) return;
    std::string text("`");
    text.append(name).append("` ").append(why);
    error_ = refuse("bad_frame", text);
  }

  const bj::object& object_;
  std::optional<Error> error_;
};

void take_fields(Fields& fields, ClientFrame& frame) {
  switch (frame.kind) {
    case FrameKind::auth:
      fields.text("guest", frame.guest, false);
      fields.text("token", frame.token, !fields.has("guest") && !fields.has("name"));
      return fields.text("name", frame.name, false);
    case FrameKind::join:
      fields.flag("create", frame.create);
      [[fallthrough]];
    case FrameKind::leave:
    case FrameKind::typing:
      return fields.text("room", frame.room);
    case FrameKind::send:
      fields.text("room", frame.room);
      fields.text("cid", frame.cid);
      return fields.text("body", frame.body);
    case FrameKind::resume:
      fields.text("epoch", frame.epoch);
      return fields.cursors(frame.cursors);
    case FrameKind::history:
      fields.text("room", frame.room);
      fields.count("before", frame.seq);
      frame.limit = 50;
      return fields.count("limit", frame.limit, false);
    case FrameKind::sync:
      fields.text("room", frame.room);
      return fields.count("after", frame.seq);
    case FrameKind::read:
      fields.text("room", frame.room);
      return fields.count("seq", frame.seq);
    case FrameKind::rooms:
    case FrameKind::ping:
      return;
  }
}

Result<ClientFrame> decode_object(const bj::object& object) {
  const bj::value* named = object.if_contains("t");
  const bj::string* name = named ? named->if_string() : nullptr;
  if (!name) return refuse("bad_frame", "`t` is missing");
  for (const KindName& known : k_kinds) {
    if (known.name != view_of(*name)) continue;
    ClientFrame frame;
    frame.kind = known.kind;
    Fields fields(object);
    take_fields(fields, frame);
    if (fields.error()) return *fields.error();
    return frame;
  }
  return refuse("unknown_kind", cli::terminal_text(view_of(*name).substr(0, 40)));
}

void append_user(std::string& out, const User& user) {
  out.append("{\"id\":\"u");
  append_number(out, user.id);
  out.append("\",\"name\":");
  append_quoted(out, user.name);
  out.push_back('}');
}

std::string user_json(const User& user) {
  std::string out;
  append_user(out, user);
  return out;
}

void append_rooms(Json& out, const std::vector<RoomLine>& rooms) {
  out.name("rooms").open_list();
  for (const RoomLine& room : rooms) {
    out.open().text("room", room.name).number("head", room.head).number("read", room.read).close();
  }
  out.close_list();
}

}  // namespace

Result<ClientFrame> decode(std::string_view text) {
  if (text.size() > k_frame_bytes_max)
    return refuse("too_large", "a frame has at most 131072 bytes");
  std::array<unsigned char, 4096> room;  // Most frames fit: no allocation.
  bj::monotonic_resource memory(room.data(), room.size());
  bj::parse_options options;
  options.max_depth = k_depth_max;
  bj::error_code error;
  const bj::value value =
      bj::parse(bj::string_view(text.data(), text.size()), error, &memory, options);
  if (error) return refuse("bad_frame", error.message());
  const bj::object* object = value.if_object();
  if (!object) return refuse("bad_frame", "a frame is a JSON object");
  return decode_object(*object);
}

Refusal refusal_of(const Error& error) {
  const std::string_view text = error.object();
  const auto colon = text.find(": ");
  if (colon == std::string_view::npos) return {"bad_frame", std::string(text)};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 2))};
}

std::string user_id(UserId id) {
  std::string text("u");
  append_number(text, id);
  return text;
}

std::string encode_hello(const HelloParts& parts) {
  Json out;
  out.open().text("t", "hello").text("epoch", parts.epoch).text("node", parts.node);
  out.text("session", parts.session).name("limits").open();
  out.number("body", k_body_bytes_max).number("page", k_page_bytes_max);
  out.number("name", k_name_characters_max).close();
  out.name("caps").open_list();
  if (parts.guests) out.item("guest");
  return out.close_list().close().take();
}

std::string encode_welcome(const User& user, std::string_view token,
                           const std::vector<RoomLine>& rooms) {
  Json out;
  out.open().text("t", "welcome").raw("user", user_json(user));
  if (!token.empty()) out.text("token", token);
  append_rooms(out, rooms);
  return out.close().take();
}

std::string encode_rooms(const std::vector<RoomLine>& rooms) {
  Json out;
  out.open().text("t", "rooms");
  append_rooms(out, rooms);
  return out.close().take();
}

std::string encode_ack(std::string_view cid, std::string_view room, Seq seq, std::int64_t ts,
                       bool dup) {
  Json out;
  out.open().text("t", "ack").text("cid", cid).text("room", room).number("seq", seq);
  return out.number("ts", ts).flag("dup", dup).close().take();
}

std::string encode_nack(std::string_view cid, std::string_view code, std::int64_t retry_after) {
  Json out;
  out.open().text("t", "nack").text("cid", cid).text("code", code);
  if (retry_after > 0) out.number("retry_after", retry_after);
  return out.close().take();
}

std::string encode_error(std::string_view code, std::string_view detail, std::string_view room) {
  Json out;
  out.open().text("t", "error").text("code", code);
  if (!detail.empty()) out.text("detail", detail);
  if (!room.empty()) out.text("room", room);
  return out.close().take();
}

void append_event(std::string& out, const Event& event, std::string_view room) {
  out.append("\"room\":");
  append_quoted(out, room);
  out.append(",\"seq\":");
  append_number(out, event.seq);
  out.append(",\"prev\":");
  append_number(out, event.seq - 1);
  out.append(",\"kind\":");
  append_quoted(out, event.kind);
  out.append(",\"from\":");
  append_user(out, event.from);
  out.append(",\"cid\":");
  append_quoted(out, event.cid);
  out.append(",\"ts\":");
  append_number(out, event.ts);
  out.append(",\"body\":");
  append_quoted(out, event.body);
  out.push_back('}');
}

std::string encode_event(const Event& event, std::string_view room) {
  std::string out("{\"t\":\"ev\",");
  out.reserve(event.body.size() + room.size() + 192);
  append_event(out, event, room);
  return out;
}

std::string encode_page(std::string_view room, Seq from, Seq to, std::string_view events) {
  Json out;
  out.open().text("t", "page").text("room", room).number("from", from).number("to", to);
  std::string list("[");
  list.append(events).push_back(']');
  return out.raw("events", list).close().take();
}

std::string encode_resumed(std::string_view room, Seq seq) {
  Json out;
  return out.open().text("t", "resumed").text("room", room).number("seq", seq).close().take();
}

std::string encode_reset(std::string_view room, Seq head, Seq oldest) {
  Json out;
  out.open().text("t", "reset").text("room", room).number("snapshot_seq", head);
  return out.number("oldest", oldest).close().take();
}

std::string encode_room_only(std::string_view kind, std::string_view room) {
  Json out;
  return out.open().text("t", kind).text("room", room).close().take();
}

std::string encode_read(std::string_view room, Seq seq) {
  Json out;
  return out.open().text("t", "read").text("room", room).number("seq", seq).close().take();
}

std::string encode_typing(std::string_view room, const User& user) {
  Json out;
  return out.open()
      .text("t", "typing")
      .text("room", room)
      .raw("user", user_json(user))
      .close()
      .take();
}

std::string encode_presence(std::string_view room, const User& user, bool joined) {
  Json out;
  out.open().text("t", "presence").text("room", room).raw("user", user_json(user));
  return out.text("state", joined ? "joined" : "left").close().take();
}

}  // namespace rondo::chat
