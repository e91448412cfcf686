// SPDX-License-Identifier: Apache-2.0
// The encodings of an Outbound, made when first asked for.
#include "chat/server/outbound.hpp"

#include "chat/server/classic_codec.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::chat {

const SharedBytes& Outbound::ws() {
  if (ws_.empty()) ws_ = ws::encode_text(json_);
  return ws_;
}

const SharedBytes& Outbound::line() {
  if (line_.empty()) line_ = SharedBytes::copy(json_ + "\n");
  return line_;
}

const SharedBytes& Outbound::classic() {
  if (classic_.empty() && has_classic()) {
    classic_ = SharedBytes::copy(classic_frame(classic_name_) + classic_frame(classic_text_));
  }
  return classic_;
}

}  // namespace rondo::chat
