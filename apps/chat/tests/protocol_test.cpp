// SPDX-License-Identifier: Apache-2.0
// Frames that clients send, good and bad, and what is written.
#include <gtest/gtest.h>

#include "chat/server/json.hpp"
#include "chat/server/protocol.hpp"

namespace rondo::chat {
namespace {

TEST(Decode, FieldsArriveAndUnknownOnesAreIgnored) {
  auto frame =
      decode(R"({"t":"send","room":"lobby","cid":"c1","body":"ü\n","new":[{}]})").or_throw();
  EXPECT_EQ(frame.kind, FrameKind::send);
  EXPECT_EQ(frame.room + "|" + frame.cid + "|" + frame.body, "lobby|c1|ü\n");
  auto resume = decode(R"({"t":"resume","epoch":"e","cursors":{"a":1,"b":0}})").or_throw();
  EXPECT_EQ(resume.cursors, (std::vector<std::pair<std::string, Seq>>{{"a", 1}, {"b", 0}}));
  EXPECT_TRUE(decode(R"({"t":"join","room":"x","create":true})").or_throw().create);
  EXPECT_EQ(decode(R"({"t":"history","room":"x","before":9})").or_throw().limit, 50);
}

TEST(Decode, EverythingElseIsRefusedWithACode) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "bad_frame"},
      {"[]", "bad_frame"},
      {"{}", "bad_frame"},
      {R"({"t":5})", "bad_frame"},
      {R"({"t":"dance"})", "unknown_kind"},
      {R"({"t":"send","room":"a","cid":"c"})", "bad_frame"},
      {R"({"t":"send","room":1,"cid":"c","body":"b"})", "bad_frame"},
      {R"({"t":"read","room":"a","seq":-1})", "bad_frame"},
      {R"({"t":"read","room":"a","seq":1.5})", "bad_frame"},
      {R"({"t":"read","room":"a","seq":9007199254740992})", "bad_frame"},
      {R"({"t":"resume","epoch":"e","cursors":{"a":"1"}})", "bad_frame"},
      {R"({"t":"auth"})", "bad_frame"},
      {"{\"t\":\"ping\",\"x\":\"\xff\"}", "bad_frame"},
      {"{\"t\":\"ping\",\"x\":\"\\ud800\"}", "bad_frame"},
      {"{\"t\":\"ping\",\"x\":" + std::string(33, '[') + std::string(33, ']') + "}", "bad_frame"},
      {std::string(100'000, '['), "bad_frame"},
      {std::string(k_frame_bytes_max + 1, ' '), "too_large"},
  };
  for (const auto& [text, code] : cases) {
    auto frame = decode(text);
    ASSERT_FALSE(frame) << text.substr(0, 80);
    EXPECT_EQ(refusal_of(frame.error()).code, code) << text.substr(0, 80);
  }
}

TEST(Encode, AnEventIsTheSameAloneAndInAPage) {
  const Event event{1, 13, "message", {7, "A\"da"}, "c1", 1'795'000'000'123, "ship\nit\x01"};
  const std::string inside =
      R"("room":"lobby","seq":13,"prev":12,"kind":"message","from":{"id":"u7","name":"A\"da"},)"
      R"("cid":"c1","ts":1795000000123,"body":"ship\nit\u0001"})";
  EXPECT_EQ(encode_event(event, "lobby"), R"({"t":"ev",)" + inside);
  std::string item("{");
  append_event(item, event, "lobby");
  EXPECT_EQ(encode_page("lobby", 13, 13, item),
            R"({"t":"page","room":"lobby","from":13,"to":13,"events":[{)" + inside + "]}");
}

TEST(Encode, CommasStandBetweenFieldsOnly) {
  EXPECT_EQ(encode_ack("c", "r", 1, 2, false),
            R"({"t":"ack","cid":"c","room":"r","seq":1,"ts":2,"dup":false})");
  EXPECT_EQ(encode_nack("c", "rate_limited", 2),
            R"({"t":"nack","cid":"c","code":"rate_limited","retry_after":2})");
  EXPECT_EQ(encode_welcome({7, "Ada"}, "tok", {{"lobby", 12, 10}, {"b", 0, 0}}),
            R"({"t":"welcome","user":{"id":"u7","name":"Ada"},"token":"tok","rooms":[)"
            R"({"room":"lobby","head":12,"read":10},{"room":"b","head":0,"read":0}]})");
  EXPECT_EQ(encode_hello({"e", "n1", "s1", true}),
            R"({"t":"hello","epoch":"e","node":"n1","session":"s1",)"
            R"("limits":{"body":16384,"page":262144,"name":32},"caps":["guest"]})");
}

}  // namespace
}  // namespace rondo::chat
