// SPDX-License-Identifier: Apache-2.0
// WebSocket frames: the rules of RFC 6455, each whole, byte by byte and cut at every place.
#include "rondo/proto/websocket.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rondo/proto/http1.hpp"

using namespace rondo;
using namespace rondo::proto;
using namespace std::string_literals;

namespace {

using Role = WebSocketRole;
using Op = WebSocketOpcode;

/// What the decoder reported, as text.
void feed(WebSocketDecoder& decoder, std::string text, std::string& record) {
  ByteSpan input = std::as_writable_bytes(std::span(text));
  for (int guard = 0; guard < 1'000'000; ++guard) {
    switch (decoder.next(input)) {
      case WebSocketEvent::need_more:
        EXPECT_TRUE(input.empty());
        return;
      case WebSocketEvent::data:
        record += as_text(decoder.payload());
        if (decoder.message_end()) record += decoder.message_type() == Op::text ? "<t>" : "<b>";
        break;
      case WebSocketEvent::ping:
        record += "<ping " + std::string(as_text(decoder.payload())) + ">";
        break;
      case WebSocketEvent::pong:
        record += "<pong " + std::string(as_text(decoder.payload())) + ">";
        break;
      case WebSocketEvent::close:
        record += "<close " + std::to_string(decoder.close_code()) + " " +
                  std::string(decoder.close_reason()) + ">";
        break;
      case WebSocketEvent::error:
        record += "<error " + std::to_string(decoder.close_code()) + ">";
        return;
    }
  }
  ADD_FAILURE() << "the decoder does not come to rest";
}

/// Data before an error depends on the cut only in how much of a bad frame was handed on, so
/// errors are compared by their code.
std::string outcome(const std::string& record) {
  const std::size_t error = record.find("<error");
  return error == std::string::npos ? record : record.substr(error);
}

std::string decode(std::string_view text, WebSocketDecoder::Options options = {}) {
  const auto run = [&](std::size_t cut, std::size_t step) {
    WebSocketDecoder decoder(options);
    std::string record;
    feed(decoder, std::string(text.substr(0, cut)), record);
    for (std::size_t at = cut; at < text.size(); at += step) {
      if (record.find("<error") != std::string::npos) break;
      feed(decoder, std::string(text.substr(at, step)), record);
    }
    return record;
  };
  const std::string whole = run(text.size(), 1);
  EXPECT_EQ(outcome(run(0, 1)), outcome(whole)) << "byte by byte";
  for (std::size_t cut = 1; cut < std::min<std::size_t>(text.size(), 400); ++cut)
    EXPECT_EQ(outcome(run(cut, text.size())), outcome(whole)) << "cut at " << cut;
  return whole;
}

constexpr MaskKey k_key{std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};

/// A client's frame with these first bits, masked; the length as short as it can be.
std::string frame(unsigned first, std::string payload) {
  const SharedBytes made = make_masked_frame(Op::binary, as_bytes(payload), k_key);
  std::string text(made.text());
  text[0] = static_cast<char>(first);
  return text;
}

TEST(WebSocketRfc, TheExamplesOfSection57Decode) {
  EXPECT_EQ(decode("\x81\x05Hello"s, {.role = Role::client}), "Hello<t>");
  EXPECT_EQ(decode("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s), "Hello<t>");
  EXPECT_EQ(decode("\x01\x03Hel\x80\x02lo"s, {.role = Role::client}), "Hello<t>");
  EXPECT_EQ(decode("\x89\x05Hello"s, {.role = Role::client}), "<ping Hello>");
  EXPECT_EQ(decode("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s), "<pong Hello>");
  EXPECT_EQ(decode("\x82\x7E\x01\x00"s + std::string(256, 'x'), {.role = Role::client}),
            std::string(256, 'x') + "<b>");
  EXPECT_EQ(decode("\x82\x7F\0\0\0\0\0\1\0\0"s + std::string(65'536, 'x'), {.role = Role::client}),
            std::string(65'536, 'x') + "<b>");
}

TEST(WebSocketRfc, MaskIsRequiredOfClientsAndForbiddenToServers) {
  EXPECT_EQ(decode("\x81\x01x"s), "<error 1002>");
  EXPECT_EQ(decode(frame(0x81, "x"), {.role = Role::client}), "<error 1002>");
}

TEST(WebSocketRfc, ReservedBitsAndOpcodesAreErrors) {
  for (const unsigned bits : {0x40U, 0x20U, 0x10U})
    EXPECT_EQ(decode(frame(0x81U | bits, "x")), "<error 1002>") << bits;
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U})
    EXPECT_EQ(decode(frame(0x80U | opcode, "x")), "<error 1002>") << opcode;
}

TEST(WebSocketRfc, ControlFramesAreShortAndWhole) {
  EXPECT_EQ(decode(frame(0x89, std::string(125, 'p'))), "<ping " + std::string(125, 'p') + ">");
  EXPECT_EQ(decode(frame(0x89, std::string(126, 'p'))), "<error 1002>");
  for (const unsigned opcode : {8U, 9U, 10U})
    EXPECT_EQ(decode(frame(opcode, "")), "<error 1002>") << opcode;
}

TEST(WebSocketRfc, ControlFramesMayComeBetweenFragments) {
  EXPECT_EQ(decode(frame(0x01, "a") + frame(0x89, "p") + frame(0x00, "b") + frame(0x8A, "") +
                   frame(0x80, "c") + frame(0x82, "d")),
            "a<ping p>b<pong >c<t>d<b>");
}

TEST(WebSocketRfc, FragmentsFollowTheirMessage) {
  EXPECT_EQ(decode(frame(0x80, "x")), "<error 1002>");
  EXPECT_EQ(decode(frame(0x00, "x")), "<error 1002>");
  EXPECT_EQ(outcome(decode(frame(0x01, "a") + frame(0x81, "b"))), "<error 1002>");
  EXPECT_EQ(outcome(decode(frame(0x01, "a") + frame(0x80, "b") + frame(0x80, "c"))),
            "<error 1002>");
  EXPECT_EQ(decode(frame(0x01, "") + frame(0x00, "") + frame(0x80, "")), "<t>");
}

TEST(WebSocketRfc, LengthsAreAsShortAsTheyCanBe) {
  EXPECT_EQ(decode("\x82\x7E\x00\x7D"s, {.role = Role::client}), "<error 1002>");
  EXPECT_EQ(decode("\x82\x7F\0\0\0\0\0\0\xFF\xFF"s, {.role = Role::client}), "<error 1002>");
  EXPECT_EQ(decode("\x82\x7F\x80\0\0\0\0\1\0\0"s, {.role = Role::client}), "<error 1002>");
}

TEST(WebSocketRfc, TextIsUtf8AndBinaryIsNot) {
  EXPECT_EQ(decode(frame(0x81, "\xCE\xBA\xE1\xBD\xB9\xF0\x9F\x98\x80")),
            "\xCE\xBA\xE1\xBD\xB9\xF0\x9F\x98\x80<t>");
  EXPECT_EQ(decode(frame(0x01, "\xF0\x9F") + frame(0x80, "\x98\x80")), "\xF0\x9F\x98\x80<t>");
  EXPECT_EQ(decode(frame(0x82, "\xFF")), "\xFF<b>");
  for (const std::string& bad : {"\xFF"s, "\xC0\x80"s, "\xED\xA0\x80"s, "\xF4\x90\x80\x80"s,
                                 "\xE2\x82"s, "\x80"s, "a\xC3("s})
    EXPECT_EQ(outcome(decode(frame(0x81, bad))), "<error 1007>") << bad;
}

TEST(WebSocketRfc, BadTextFailsBeforeItsMessageEnds) {
  EXPECT_EQ(outcome(decode(frame(0x01, "a\xF4\x90"))), "<error 1007>");
  EXPECT_EQ(outcome(decode(frame(0x01, "\xED") + frame(0x00, "\xA0"))), "<error 1007>");
}

TEST(WebSocketRfc, CloseCarriesACodeThatMayBeSentAndAReason) {
  EXPECT_EQ(decode(frame(0x88, "")), "<close 1005 >");
  EXPECT_EQ(decode(frame(0x88, "\x03\xE8"s + "bye")), "<close 1000 bye>");
  EXPECT_EQ(decode(frame(0x88, "\x03")), "<error 1002>");
  EXPECT_EQ(decode(frame(0x88, "\x03\xE8\xFF"s)), "<error 1007>");
  for (unsigned code = 0; code < 65'536; code += code < 5'100 ? 1 : 997) {
    const bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                      (code >= 3000 && code <= 4999);
    WebSocketDecoder decoder;
    std::string record;
    feed(decoder, frame(0x88, {static_cast<char>(code >> 8), static_cast<char>(code & 255)}),
         record);
    EXPECT_EQ(record, good ? "<close " + std::to_string(code) + " >" : "<error 1002>");
  }
}

TEST(WebSocketRfc, WhatFollowsACloseIsDropped) {
  EXPECT_EQ(decode(frame(0x88, "") + frame(0x81, "x") + "\xFF\xFF"), "<close 1005 >");
}

TEST(WebSocketLimits, AMessageIsMeasuredOverItsFragments) {
  const WebSocketDecoder::Options options{.message_max = 10};
  EXPECT_EQ(decode(frame(0x81, std::string(9, 'a')), options), "aaaaaaaaa<t>");
  EXPECT_EQ(decode(frame(0x81, std::string(10, 'a')), options), "aaaaaaaaaa<t>");
  EXPECT_EQ(decode(frame(0x81, std::string(11, 'a')), options), "<error 1009>");
  EXPECT_EQ(outcome(decode(frame(0x01, "aaaaaa") + frame(0x80, "aaaaa"), options)),
            "<error 1009>");
  EXPECT_EQ(decode(frame(0x01, "aaaaaa") + frame(0x80, "aaaa") + frame(0x81, "b"), options),
            "aaaaaaaaaa<t>b<t>");
}

TEST(WebSocketLimits, TheNumberOfFragmentsDoesNotMatter) {
  std::string text = frame(0x02, "x");
  for (int i = 0; i < 65'534; ++i) text += frame(0x00, "x");
  text += frame(0x80, "x");
  WebSocketDecoder decoder;
  std::string record;
  feed(decoder, text, record);
  EXPECT_EQ(record, std::string(65'536, 'x') + "<b>");
}

TEST(WebSocketEncode, HeadersHaveEachLengthAndRoundTrip) {
  for (const std::size_t size : {0U, 1U, 125U, 126U, 65'535U, 65'536U}) {
    const std::string payload(size, 'q');
    const SharedBytes plain = make_frame(Op::binary, as_bytes(payload));
    EXPECT_EQ(plain.size(), size + (size < 126 ? 2U : size < 65'536 ? 4U : 10U));
    WebSocketDecoder client({.role = Role::client});
    std::string record;
    feed(client, std::string(plain.text()), record);
    EXPECT_EQ(record, payload + "<b>");
    WebSocketDecoder server;
    record.clear();
    feed(server, frame(0x82, payload), record);
    EXPECT_EQ(record, payload + "<b>");
  }
  EXPECT_EQ(make_text_frame("Hello").text(), "\x81\x05Hello");
}

TEST(WebSocketEncode, ACloseReasonIsCutBetweenCharacters) {
  const std::string reason = std::string(122, 'a') + "\xC3\xA4";
  EXPECT_EQ(decode(make_close_frame(1000, reason).text(), {.role = Role::client}),
            "<close 1000 " + std::string(122, 'a') + ">");
  EXPECT_EQ(make_close_frame(close_code::none).text(), "\x88\0"s);
}

TEST(WebSocketEncode, MaskingTwiceIsNothingFromAnyOffset) {
  for (std::size_t size = 0; size < 70; ++size) {
    std::string text(size, 'm');
    const ByteSpan bytes = std::as_writable_bytes(std::span(text));
    apply_mask(bytes, k_key, 3);
    for (std::size_t i = 0; i < size; ++i)
      ASSERT_EQ(bytes[i], std::byte{'m'} ^ k_key[(3 + i) % 4]);
  }
}

WebSocketHandshake judge(const std::string& fields, const std::string& line = "GET / HTTP/1.1") {
  static RequestParser parser;
  parser.reset();
  static std::string text;
  text = line + "\r\nHost: a\r\n" + fields + "\r\n";
  ByteView input = as_bytes(text);
  EXPECT_EQ(parser.next(input), HttpEvent::head);
  return check_handshake(parser.head());
}

TEST(WebSocketHandshake, TheRequestOfTheRfcIsAcceptedAndEachMissingPartIsNot) {
  const std::string up = "Connection: Upgrade\r\nUpgrade: WebSocket\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const auto good = judge(up + version + key + "Origin: http://a\r\n");
  EXPECT_EQ(good.status, 101);
  EXPECT_EQ(good.key, "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_EQ(good.origin, "http://a");
  EXPECT_EQ(judge(version + key).status, 426);
  EXPECT_EQ(judge(up + key).status, 426);
  EXPECT_EQ(judge(up + "Sec-WebSocket-Version: 8\r\n" + key).status, 426);
  EXPECT_EQ(judge(up + version).status, 400);
  EXPECT_EQ(judge(up + version + key + key).status, 400);
  EXPECT_EQ(judge(up + version + "Sec-WebSocket-Key: dGhl\r\n").status, 400);
  EXPECT_EQ(judge(up + version + key, "POST / HTTP/1.1").status, 405);
}

}  // namespace
