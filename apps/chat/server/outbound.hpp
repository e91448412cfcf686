// SPDX-License-Identifier: Apache-2.0
// Outbound: one thing to say to any number of sessions, encoded at most once for each kind of door.
//
//   Outbound out(encode_event(event, room.name));
//   out.set_classic(event.from.name, event.body, event.from.id);
//   for (Subscription* member : room.members) member->session.push(out);
//
// A door asks for the form it speaks: ws() a WebSocket frame, line() a JSON line, classic() two
// frames of the old protocol, empty when it has no words for it.
// Thread rule: the loop's thread; the SharedBytes may go anywhere.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "chat/server/protocol.hpp"
#include "rondo/base/bytes.hpp"

namespace rondo::chat {

class Outbound {
 public:
  explicit Outbound(std::string json) : json_(std::move(json)) {}

  /// What classic clients see of it: a name and a text; `about` is not told of itself.
  Outbound& set_classic(std::string_view name, std::string_view text, UserId about) {
    classic_name_.assign(name);
    classic_text_.assign(text);
    about_ = about;
    return *this;
  }
  const std::string& json() const noexcept { return json_; }
  const SharedBytes& ws();
  const SharedBytes& line();
  const SharedBytes& classic();
  bool has_classic() const noexcept { return !classic_name_.empty(); }
  UserId about() const noexcept { return about_; }

 private:
  std::string json_;
  std::string classic_name_;
  std::string classic_text_;
  UserId about_ = 0;
  SharedBytes ws_;
  SharedBytes line_;
  SharedBytes classic_;
};

}  // namespace rondo::chat
