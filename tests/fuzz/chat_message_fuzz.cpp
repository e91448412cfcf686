// SPDX-License-Identifier: Apache-2.0
// The chat's decoder: whatever comes in, it decodes or refuses with a code; and the classic
// reader: whole and cut at every place it gives the same frames.
#include <string>
#include <string_view>
#include <vector>

#include "chat/server/classic_codec.hpp"
#include "chat/server/protocol.hpp"
#include "chat/server/text.hpp"
#include "cli/text.hpp"
#include "cuts.hpp"
#include "rondo/proto/utf8.hpp"

using namespace rondo;
using namespace rondo::chat;

namespace {

void check_decoder(std::string_view text) {
  auto frame = decode(text);
  if (!frame) {
    require(!refusal_of(frame.error()).code.empty());
    return;
  }
  for (const std::string* field : {&frame->room, &frame->cid, &frame->body, &frame->guest}) {
    require(proto::is_valid_utf8(*field));
  }
  require(frame->seq >= 0 && frame->limit >= 0);
  if (auto name = clean_name(frame->guest)) require(proto::is_valid_utf8(title_case(*name)));
}

/// Everything a reader says of pieces, as one text.
std::string read_pieces(std::string_view text, std::size_t cut) {
  ClassicReader reader;
  std::string said;
  for (const std::string_view piece : {text.substr(0, cut), text.substr(cut)}) {
    reader.feed(piece);
    for (;;) {
      auto frame = reader.next();
      if (!frame) return said + "failed";
      if (!*frame) break;
      require(count_characters(**frame) <= k_classic_max);
      said += **frame + "|";
    }
  }
  return said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_decoder(text);
  require(proto::is_valid_utf8(cli::terminal_text(text)));
  const std::string whole = read_pieces(text, text.size());
  require(read_pieces(text, size / 2) == whole);
  require(read_pieces(text, size / 3) == whole);
  return 0;
}
