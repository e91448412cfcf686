// SPDX-License-Identifier: Apache-2.0
// The HTTP/2 session by itself: bytes in, events and frames out, in any cut of the input.
#include "rondo/proto/http2.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>

#include "http2_peer.hpp"

namespace rondo::proto {
namespace {

namespace h2 = testing::h2;
using namespace std::chrono_literals;

struct Stream : Http2Stream {
  std::string body;
  bool head = false, ended = false, closed = false, taken = false;
  Http2Code code = Http2Code::no_error;
};

struct Requests : Http2Events {
  std::deque<Stream> streams;
  std::size_t most = 1'000;
  std::string log;

  Http2Stream* begin() override {
    return streams.size() < most ? &streams.emplace_back() : nullptr;
  }
  void on_head(Http2Stream& s) override {
    of(s).head = true;
    log.append("head ");
  }
  void on_body(Http2Stream& s, ByteView piece) override { of(s).body.append(as_text(piece)); }
  void on_end(Http2Stream& s) override {
    of(s).ended = true;
    log.append("end ");
  }
  void on_taken(Http2Stream& s) override { of(s).taken = true; }
  void on_closed(Http2Stream& s, Http2Code code) override {
    of(s).closed = true;
    of(s).code = code;
    log.append("closed ");
  }
  static Stream& of(Http2Stream& s) { return static_cast<Stream&>(s); }
};

struct Talk {
  explicit Talk(const Http2Limits& limits = {}) : session(requests, limits) {}

  /// False once the connection is over.
  bool say(std::string_view text, std::size_t piece = 0) {
    bool open = true;
    while (!text.empty() && open) {
      const std::string_view part = text.substr(0, piece == 0 ? text.size() : piece);
      text.remove_prefix(part.size());
      open = session.feed(as_bytes(part), now);
    }
    hear();
    return open;
  }
  void hear() {
    std::string out;
    while (session.produce(out, 4'096)) {
      heard.take(out);
      out.clear();
    }
  }

  Requests requests;
  Http2Session session;
  h2::Heard heard;
  TimePoint now{};
};

TEST(Http2Session, requestsBecomeHeadsOfHttp1InAnyCut) {
  const std::string all =
      h2::preface() +
      h2::get(1, "/a%20b?c=d", {{"x-name", "value"}, {"cookie", "a=1"}, {"cookie", ""},
                         {"cookie", "b=2"}, {"cookie", ""}}) +
      h2::post(3, "/echo", "ping", {{"content-length", "4"}, {"expect", "100-continue"}});
  for (std::size_t piece : {0U, 1U, 7U, 100U}) {
    Talk talk;
    EXPECT_TRUE(talk.say(all, piece));
    ASSERT_EQ(talk.requests.streams.size(), 2U);
    const RequestHead& head = talk.requests.streams[0].request_head();
    EXPECT_EQ(head.text(), "GET /a%20b?c=d HTTP/2\r\nhost: a\r\nx-name: value\r\n"
                           "cookie: a=1; b=2\r\n\r\n");
    EXPECT_EQ(head.major_version(), 2);
    EXPECT_EQ(head.method(), Method::get);
    EXPECT_EQ(head.path(), "/a%20b");
    EXPECT_EQ(head.query(), "c=d");
    EXPECT_EQ(head.authority(), "a");
    EXPECT_EQ(head.get("Cookie"), "a=1; b=2");
    EXPECT_FALSE(head.has_body());
    const Stream& second = talk.requests.streams[1];
    EXPECT_EQ(second.body, "ping");
    EXPECT_EQ(second.request_head().content_length(), 4U);
    EXPECT_TRUE(second.request_head().expect_continue() && second.request_head().has_body());
    EXPECT_EQ(talk.requests.log, "head head end ");
    EXPECT_FALSE(talk.session.in_head());
  }
}

TEST(Http2Session, answersLeaveAsTheWindowsAllow) {
  Talk talk;
  talk.say(h2::preface(h2::setting(4, 10)) + h2::get(1, "/"));
  Stream& stream = talk.requests.streams[0];
  const Field fields[] = {{"Content-Type", "text/plain"}};
  talk.session.answer(stream, 200, fields, true);
  const std::string body(25, 'b');
  talk.session.supply(stream, as_bytes(body), true);
  talk.hear();
  EXPECT_EQ(talk.heard[1].body.size(), 10U);
  EXPECT_EQ(stream.untaken().size(), 15U);
  EXPECT_EQ(talk.session.waiting(), 1U);
  EXPECT_FALSE(stream.taken);
  talk.say(h2::window(1, 100));
  EXPECT_EQ(talk.heard[1].body, body);
  EXPECT_EQ(talk.heard[1].status, 200);
  EXPECT_EQ(talk.heard[1].fields["content-type"], "text/plain");
  EXPECT_TRUE(stream.taken && stream.closed && talk.heard[1].ended);
  EXPECT_EQ(talk.session.waiting(), 0U);
}

TEST(Http2Session, outputPausesWhereItIsEnough) {
  Talk talk;
  talk.say(h2::preface(h2::setting(4, 1'000'000)) + h2::window(0, 1'000'000) + h2::get(1, "/"));
  const std::string body(300'000, 'b');
  talk.session.answer(talk.requests.streams[0], 200, {}, true);
  talk.session.supply(talk.requests.streams[0], as_bytes(body), true);
  std::string out;
  int pieces = 0;
  while (talk.session.produce(out, 20'000)) {
    EXPECT_LE(out.size(), 20'000U + 16'384U + 9U);
    talk.heard.take(out);
    out.clear();
    ++pieces;
  }
  EXPECT_GE(pieces, 300'000 / 36'393);
  EXPECT_EQ(talk.heard[1].body, body);
}

TEST(Http2Session, aBodyIsHeldBackUntilItIsUsed) {
  Talk talk({.stream_window = 20'000});
  talk.say(h2::preface() + h2::frame(h2::k_settings, h2::k_ack, 0) +
           h2::headers(1, h2::head_of("POST", "/"), false) + h2::data(1, std::string(16'000, 'x')));
  EXPECT_EQ(talk.heard.settings[4], 20'000U);
  EXPECT_EQ(talk.heard.windows[1], 0U);
  talk.session.consumed(talk.requests.streams[0], 16'000);
  talk.hear();
  EXPECT_EQ(talk.heard.windows[1], 16'000U);
  talk.say(h2::data(1, std::string(16'000, 'x')) + h2::data(1, std::string(8'000, 'x')));
  EXPECT_TRUE(talk.heard[1].reset == 3 || talk.heard.goaway == 3) << "more than was allowed";
}

struct Refused {
  const char* what;
  h2::Fields fields;
  int status;  // 0: the stream is reset as malformed.
};

TEST(Http2Session, headsThatHttp1RefusesAreRefused) {
  const auto with = [](h2::Fields more) { return h2::head_of("GET", "/", more); };
  const Refused heads[] = {
      {"upper case", with({{"X-A", "b"}}), 0},
      {"CR and LF", with({{"x", "a\r\nb: c"}}), 0},
      {"NUL", with({{"x", std::string("a\0b", 3)}}), 0},
      {"LF in a name", with({{"x\ny", "a"}}), 0},
      {"connection", with({{"connection", "close"}}), 0},
      {"transfer-encoding", with({{"transfer-encoding", "chunked"}}), 0},
      {"upgrade", with({{"upgrade", "websocket"}}), 0},
      {"te other than trailers", with({{"te", "gzip"}}), 0},
      {"late pseudo-field", with({{"x", "y"}, {":path", "/b"}}), 0},
      {"no path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}, 0},
      {"no authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, 0},
      {"LF in the path", h2::head_of("GET", "/a\nb"), 0},
      {"another host", with({{"host", "b"}}), 400},
      {"a target no URI has", h2::head_of("GET", "/a\"b"), 400},
      {"long target", h2::head_of("GET", "/" + std::string(9'000, 'a')), 414},
      {"long field", with({{"x", std::string(40'000, 'a')}}), 431},
      {"many fields", with(h2::Fields(120, {"x", "y"})), 431},
      {"long method", h2::head_of(std::string(40, 'M'), "/"), 501},
  };
  for (const Refused& head : heads) {
    Talk talk;
    std::string packed = h2::pack(head.fields);
    std::string text = h2::preface();
    text += h2::frame(h2::k_headers, packed.size() > 16'000 ? h2::k_end_stream
                                                             : h2::k_end_stream | h2::k_end_headers,
                      1, packed.substr(0, 16'000));
    for (std::size_t at = 16'000; at < packed.size(); at += 16'000) {
      text += h2::frame(h2::k_continuation, at + 16'000 >= packed.size() ? h2::k_end_headers : 0,
                        1, std::string_view(packed).substr(at, 16'000));
    }
    EXPECT_TRUE(talk.say(text)) << head.what;
    ASSERT_EQ(talk.requests.streams.size(), 1U) << head.what;
    const Stream& stream = talk.requests.streams[0];
    EXPECT_EQ(stream.refusal(), head.status) << head.what << ": " << stream.reason();
    EXPECT_EQ(stream.head, head.status != 0) << head.what;
    EXPECT_EQ(talk.heard[1].reset, head.status == 0 ? 1 : -1) << head.what;
    EXPECT_TRUE(talk.say(h2::get(3, "/next")));
    EXPECT_EQ(talk.requests.streams[1].request_head().path(), "/next") << head.what;
  }
}

TEST(Http2Session, aStreamThatIsNotLentIsRefusedAndMayComeAgain) {
  Talk talk;
  talk.requests.most = 1;
  talk.say(h2::preface() + h2::get(1, "/") + h2::post(3, "/", "body"));
  EXPECT_EQ(talk.heard[3].reset, 7);
  talk.requests.most = 2;
  talk.say(h2::get(5, "/"));
  EXPECT_EQ(talk.requests.log, "head head ");
}

TEST(Http2Session, drainingServesWhatIsOnItsWay) {
  Talk talk;
  talk.say(h2::preface() + h2::get(1, "/"));
  talk.session.drain();
  talk.hear();
  ASSERT_EQ(talk.heard.goaways.size(), 1U);
  EXPECT_EQ(talk.heard.goaways[0], 0x7FFFFFFFU);
  EXPECT_TRUE(talk.say(h2::get(3, "/")));
  ASSERT_EQ(talk.heard.pings.size(), 1U);
  talk.say(h2::frame(h2::k_ping, h2::k_ack, 0, talk.heard.pings[0]));
  EXPECT_EQ(talk.heard.goaways.back(), 3U);
  EXPECT_EQ(talk.heard.goaway, 0);
  talk.say(h2::get(5, "/"));
  EXPECT_EQ(talk.requests.streams.size(), 2U);
  for (Stream& stream : talk.requests.streams) talk.session.answer(stream, 204, {}, false);
  talk.hear();
  EXPECT_TRUE(talk.session.is_over());
}

TEST(Http2Session, whatIsNotHttp2EndsIt) {
  Talk talk;
  EXPECT_FALSE(talk.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  Talk other;
  other.say(h2::preface() + h2::frame(h2::k_data, 0, 0, "x"));
  EXPECT_EQ(other.heard.goaway, 1);
  EXPECT_TRUE(other.session.is_over());
}

struct Flood {
  const char* what;
  std::string before;  // Once.
  std::string each;    // Allowed as often as the limit says.
};

TEST(Http2Session, framesThatCarryNothingHaveARate) {
  const std::string open = h2::headers(1, h2::head_of("POST", "/"), false);
  const Flood floods[] = {
      {"settings", "", h2::frame(h2::k_settings, 0, 0)},
      {"pings", "", h2::frame(h2::k_ping, 0, 0, "12345678")},
      {"priorities", "", h2::frame(h2::k_priority, 0, 1, std::string(5, '\1'))},
      {"empty data", open, h2::data(1, "")},
      {"data of padding", open,
       h2::frame(h2::k_data, h2::k_padded, 1, std::string("\4\0\0\0\0", 5))},
      {"windows", open, h2::window(1, 1)},
      {"unknown frames", "", h2::frame(0xBE, 0, 0, "?")},
  };
  for (const Flood& flood : floods) {
    Talk talk({.control_rate = 50});
    EXPECT_TRUE(talk.say(h2::preface() + flood.before));
    for (int second = 0; second < 3; ++second) {
      talk.now += 1s;
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(talk.say(flood.each, 3)) << flood.what << i;
    }
    EXPECT_FALSE(talk.say(flood.each)) << flood.what;
    EXPECT_TRUE(talk.session.is_flooded()) << flood.what;
    EXPECT_EQ(talk.heard.goaway, 11) << flood.what;
  }
}

TEST(Http2Session, resetsHaveARateAlsoThoseThatAPeerProvokes) {
  struct Case {
    const char* what;
    std::string (*each)(std::uint32_t id);
  };
  const Case cases[] = {
      {"rapid resets", [](std::uint32_t id) { return h2::get(id, "/") + h2::reset(id); }},
      {"a window too large", [](std::uint32_t id) {
         return h2::get(id, "/") + h2::window(id, 0x7FFFFFFF);
       }},
      {"malformed", [](std::uint32_t id) { return h2::get(id, "/", {{"X", "y"}}); }},
      {"a wrong length", [](std::uint32_t id) {
         return h2::post(id, "/", "four", {{"content-length", "5"}});
       }},
  };
  for (const Case& each : cases) {
    Talk talk({.reset_rate = 40});
    talk.say(h2::preface());
    std::uint32_t id = 1;
    for (int second = 0; second < 2; ++second) {
      talk.now += 1s;
      for (int i = 0; i < 40; ++i, id += 2) EXPECT_TRUE(talk.say(each.each(id))) << each.what;
    }
    bool open = true;
    for (int i = 0; i < 3 && open; ++i, id += 2) open = talk.say(each.each(id));
    EXPECT_FALSE(open) << each.what;
    EXPECT_EQ(talk.heard.goaway, 11) << each.what;
    for (Stream& stream : talk.requests.streams) {
      EXPECT_TRUE(stream.closed || &stream == &talk.requests.streams.back()) << each.what;
    }
  }
}

TEST(Http2Session, aHeadHasSoManyContinuations) {
  for (int frames : {8, 9}) {
    Talk talk;
    const std::string packed = h2::pack(h2::head_of("GET", "/"));
    std::string text = h2::preface() + h2::frame(h2::k_headers, h2::k_end_stream, 1);
    for (int i = 1; i < frames; ++i) text += h2::frame(h2::k_continuation, 0, 1);
    text += h2::frame(h2::k_continuation, h2::k_end_headers, 1, packed);
    EXPECT_EQ(talk.say(text), frames == 8);
    EXPECT_EQ(talk.heard.goaway, frames == 8 ? -1 : 11);
  }
}

TEST(Http2Session, aPackedHeadThatUnpacksTooFarIsDropped) {
  // One long field into the table, then references to it, one byte each.
  std::string packed = h2::pack(h2::head_of("GET", "/"));
  packed += std::string("\x40") + h2::packed_length(1) + "x" + h2::packed_length(4'000) +
            std::string(4'000, 'v');
  Talk talk;
  const auto head = [&](std::size_t more) {
    return h2::preface() + h2::frame(h2::k_headers, 5, 1, packed + std::string(more, '\xBE'));
  };
  EXPECT_TRUE(talk.say(head(20)));
  EXPECT_EQ(talk.requests.streams[0].refusal(), 431);
  EXPECT_LT(talk.requests.streams[0].request_head().text().size(), 40'000U);
  Talk bomb;
  EXPECT_FALSE(bomb.say(head(10'000)));
  EXPECT_EQ(bomb.heard.goaway, 11);
  EXPECT_FALSE(bomb.requests.streams[0].head);
}

TEST(Http2Session, bodiesThatAreSentAllowWindowsToBeUpdated) {
  Talk talk({.control_rate = 20});
  talk.say(h2::preface() + h2::get(1, "/"));
  const std::string body(60'000, 'b');
  talk.session.answer(talk.requests.streams[0], 200, {}, true);
  talk.session.supply(talk.requests.streams[0], as_bytes(body), false);
  talk.hear();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(talk.say(h2::window(1, 600)));
}

}  // namespace
}  // namespace rondo::proto
