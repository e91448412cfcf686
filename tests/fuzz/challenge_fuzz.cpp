// SPDX-License-Identifier: Apache-2.0
// WWW-Authenticate: what was read is bounded, written again it is read as the same, and the answer
// to a digest challenge is a legal field that says what the challenge said.
#include <string>

#include "cuts.hpp"
#include "http/digest.hpp"
#include "proto/challenge.hpp"
#include "rondo/proto/http1.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

constexpr std::size_t k_max = 4;

std::string quoted(std::string_view text) {
  std::string made = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') made += '\\';
    made += c;
  }
  return made += '"';
}

std::string written(const std::vector<Challenge>& all) {
  std::string text;
  for (const Challenge& each : all) {
    text += (text.empty() ? "" : ", ") + each.scheme;
    if (!each.token68.empty()) text += " " + each.token68;
    std::string_view between = " ";
    for (const auto& [name, value] : each.parameters) {
      text.append(between).append(name).append("=").append(quoted(value));
      between = ", ";
    }
  }
  return text;
}

void check_answer(const Challenge& challenge) {
  auto session = http::detail::DigestSession::begin(challenge, "us\"er\\", "password", "cnonce");
  require(session.has_value() == (http::detail::digest_strength(challenge) > 0));
  if (!session) return;
  const std::string body = "body";
  for (int i = 0; i < 2; ++i) {
    const auto field = session->authorize({.method = "GET", .uri = "/a?b", .body = &body});
    require(field && is_field_value(*field));
    const auto back = parse_challenges(*field, 1);
    require(back.size() == 1 && back[0].scheme == "Digest");
    for (const char* name : {"nonce", "opaque"}) require(back[0].get(name) == challenge.get(name));
    require(back[0].get("realm") == challenge.get("realm"));
    require(!back[0].get("response").empty() && back[0].get("uri") == "/a?b");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::vector<Challenge> all = parse_challenges(text, k_max);
  require(all.size() <= k_max);
  const std::string again = written(all);
  require(written(parse_challenges(again, k_max)) == again);
  for (const Challenge& each : all) check_answer(each);
  return 0;
}
