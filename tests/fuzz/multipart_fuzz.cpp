// SPDX-License-Identifier: Apache-2.0
// Bodies of forms: any cut gives the same parts, bytes and end. Cookies: what was read is written
// again as the same, and a jar sends nothing where it does not belong.
#include <string>

#include "cuts.hpp"
#include "rondo/proto/cookie.hpp"
#include "rondo/proto/multipart.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

std::string heard(std::string_view body, std::size_t cut) {
  MultipartParser parser("B", {.parts_max = 5, .head_max = 200});
  std::string text;
  while (!body.empty()) {
    const std::size_t size = std::min(cut, body.size());
    ByteView input = as_bytes(body.substr(0, size));
    body.remove_prefix(size);
    for (bool more = true; more;) {
      switch (parser.next(input)) {
        case MultipartEvent::need_more:
          more = false;
          break;
        case MultipartEvent::part:
          text += "[" + parser.head().name + "|" + parser.head().filename + "]";
          break;
        case MultipartEvent::data:
          require(!parser.data().empty());
          text.append(as_text(parser.data()));
          break;
        case MultipartEvent::part_end:
          text += ".";
          break;
        case MultipartEvent::end:
          return text + "end";
        case MultipartEvent::error:
          return text + "!" + std::string(parser.reason());
      }
    }
    require(input.empty());
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::string whole = heard(text, size + 1);
  for (const std::size_t cut : {1, 2, 3, 7}) require(heard(text, cut) == whole);
  (void)multipart_boundary(text);

  (void)cookie_value(text, "a");
  (void)parse_cookie_date(text);
  if (const auto cookie = parse_set_cookie(text)) {
    if (const auto field = write_set_cookie(*cookie)) {
      const auto back = parse_set_cookie(*field);
      require(back && back->name == cookie->name && back->value == cookie->value);
      require(back->path == cookie->path && back->secure == cookie->secure);
    }
  }
  return 0;
}
