// SPDX-License-Identifier: Apache-2.0
// The client's side of the HTTP/2 session by itself: bytes in, events and frames out.
#include <gtest/gtest.h>

#include <deque>

#include "http2_peer.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::proto {
namespace {

namespace h2 = testing::h2;

struct Stream : Http2Stream {
  Stream() : Http2Stream(Http2Role::client) {}
  std::string body, log;
};

struct Answers : Http2Events {
  void on_head(Http2Stream& s) override { of(s).log += "head "; }
  void on_interim(Http2Stream& s, int status) override {
    of(s).log += std::to_string(status) + " ";
  }
  void on_body(Http2Stream& s, ByteView piece) override { of(s).body.append(as_text(piece)); }
  void on_end(Http2Stream& s) override { of(s).log += "end "; }
  void on_taken(Http2Stream& s) override { of(s).log += "taken "; }
  void on_closed(Http2Stream& s, Http2Code code) override {
    of(s).log += "closed " + std::to_string(static_cast<unsigned>(code)) + " ";
  }
  void on_settings() override { log += "settings "; }
  void on_goaway(Http2Code) override { log += "goaway "; }
  void on_pong() override { log += "pong "; }
  static Stream& of(Http2Stream& s) { return static_cast<Stream&>(s); }
  std::string log;
};

struct Talk {
  explicit Talk(const Http2Limits& limits = {}) : session(answers, limits, Http2Role::client) {}

  Stream& get(std::string_view method = "GET", bool has_body = false) {
    const Field fields[] = {{":method", method},
                            {":scheme", "http"},
                            {":authority", "a"},
                            {":path", "/"},
                            {"X-Name", "value"}};
    EXPECT_TRUE(session.request(streams.emplace_back(), fields, has_body));
    return streams.back();
  }
  bool say(std::string_view text, std::size_t piece = 0) {
    bool open = true;
    while (!text.empty() && open) {
      const std::string_view part = text.substr(0, piece == 0 ? text.size() : piece);
      text.remove_prefix(part.size());
      open = session.feed(as_bytes(part), TimePoint{});
    }
    hear();
    return open && !session.is_over();
  }
  void hear() {
    std::string out;
    while (session.produce(out, 4'096)) {
      const std::size_t cut = std::min(skip, out.size());
      skip -= cut;
      heard.take(std::string_view(out).substr(cut));
      out.clear();
    }
  }

  Answers answers;
  std::deque<Stream> streams;
  Http2Session session;
  h2::Heard heard;
  std::size_t skip = k_http2_preface.size();
};

std::string settings(std::string_view all = {}) { return h2::frame(h2::k_settings, 0, 0, all); }

TEST(Http2ClientSession, answersBecomeHeadsOfHttp1InAnyCut) {
  for (std::size_t piece : {0U, 1U, 7U, 100U}) {
    Talk talk;
    Stream& stream = talk.get();
    talk.hear();
    EXPECT_EQ(talk.heard[1].fields["x-name"], "value") << "names in lower case";
    EXPECT_EQ(talk.heard.settings[2], 0U) << "no pushes";
    EXPECT_EQ(talk.session.peer_streams_max(), 100U) << "until it is known";
    EXPECT_TRUE(talk.say(settings(h2::setting(3, 7) + h2::setting(8, 1)) +
                             h2::headers(1, {{":status", "103"}, {"link", "x"}}, false) +
                             h2::headers(1,
                                         {{":status", "200"},
                                          {"a", "1"},
                                          {"set-cookie", "b"},
                                          {"set-cookie", "c"},
                                          {"content-length", "4"}},
                                         false) +
                             h2::data(1, "body") + h2::headers(1, {{"sum", "5"}}, true),
                         piece));
    EXPECT_EQ(stream.log, "103 head end closed 0 ");
    EXPECT_EQ(stream.body, "body");
    const ResponseHead& head = stream.response_head();
    EXPECT_EQ(head.text(),
              "HTTP/2 200\r\na: 1\r\nset-cookie: b\r\nset-cookie: c\r\n"
              "content-length: 4\r\n\r\n");
    EXPECT_EQ(head.status(), 200);
    EXPECT_EQ(head.major_version(), 2);
    EXPECT_TRUE(head.has_body() && head.keep_alive());
    EXPECT_EQ(head.content_length(), 4U);
    EXPECT_EQ(stream.trailers().get("Sum"), "5");
    EXPECT_FALSE(head.has("sum"));
    EXPECT_TRUE(stream.request_ended() && stream.answer_ended());
    EXPECT_EQ(talk.session.peer_streams_max(), 7U);
    EXPECT_TRUE(talk.session.settings_known() && talk.session.peer_allows_connect());
    EXPECT_EQ(talk.answers.log, "settings ");
  }
}

TEST(Http2ClientSession, bodiesAndTrailersLeaveAsTheWindowsAllow) {
  Talk talk;
  talk.say(settings(h2::setting(4, 10)));
  Stream& stream = talk.get("POST", true);
  const std::string body(25, 'b');
  const Field trailers[] = {{"X-Sum", "25"}};
  talk.session.set_trailers(stream, trailers);
  talk.session.supply(stream, as_bytes(body), true);
  talk.hear();
  EXPECT_EQ(talk.heard[1].body.size(), 10U);
  EXPECT_FALSE(stream.request_ended());
  talk.say(h2::window(1, 100));
  EXPECT_EQ(talk.heard[1].body, body);
  EXPECT_EQ(talk.heard[1].fields["x-sum"], "25");
  EXPECT_TRUE(talk.heard[1].ended && stream.request_ended());
  EXPECT_EQ(stream.log, "taken ");
}

TEST(Http2ClientSession, whatTheServerHasNotBegunWithIsToldAsRefused) {
  Talk talk;
  Stream& first = talk.get();
  Stream& second = talk.get();
  talk.hear();
  Stream& unsent = talk.get();
  talk.say(settings() + h2::frame(h2::k_goaway, 0, 0, h2::number(1) + h2::number(0)));
  EXPECT_EQ(second.log, "closed 7 ");
  EXPECT_EQ(unsent.log, "closed 7 ");
  EXPECT_FALSE(talk.session.can_begin());
  talk.say(h2::headers(1, {{":status", "204"}}, true));
  EXPECT_EQ(first.log, "head closed 0 ");
  EXPECT_EQ(talk.answers.log, "settings goaway ");
}

TEST(Http2ClientSession, aPushIsRefusedAndEndsTheConnectionOnceItWasForbidden) {
  const auto promise = [](std::uint32_t id) {
    return h2::frame(5, h2::k_end_headers, 1, h2::number(id) + h2::pack(h2::head_of("GET", "/")));
  };
  Talk talk;
  talk.get();
  talk.hear();
  EXPECT_TRUE(talk.say(settings() + promise(2)));
  EXPECT_EQ(talk.heard[2].reset, 8);
  EXPECT_FALSE(talk.say(h2::frame(h2::k_settings, h2::k_ack, 0) + promise(4)));
  EXPECT_EQ(talk.heard.goaway, 1);
}

TEST(Http2ClientSession, aPingIsAnsweredAndOursIsHeardOf) {
  Talk talk;
  talk.say(settings() + h2::frame(h2::k_ping, 0, 0, "12345678"));
  EXPECT_EQ(talk.heard.acks, 2);
  talk.session.ping();
  talk.hear();
  ASSERT_EQ(talk.heard.pings.size(), 1U);
  talk.say(h2::frame(h2::k_ping, h2::k_ack, 0, talk.heard.pings[0]));
  EXPECT_EQ(talk.answers.log, "settings pong ");
}

TEST(Http2ClientSession, aStatusBelow100IsNoInterimAnswer) {
  Talk talk;
  Stream& stream = talk.get();
  talk.hear();
  talk.say(settings() + h2::headers(1, {{":status", "051"}}, true));
  EXPECT_EQ(stream.log, "head closed 0 ");
  EXPECT_EQ(stream.refusal(), 400);
}

TEST(Http2ClientSession, trailersKeepToTheLimitsOfAHead) {
  Talk talk({.fields_max = 3});
  Stream& stream = talk.get();
  talk.hear();
  h2::Fields many;
  for (int i = 0; i < 4; ++i) many.push_back({"a" + std::to_string(i), "b"});
  talk.say(settings() + h2::headers(1, {{":status", "200"}}, false) + h2::headers(1, many, true));
  EXPECT_EQ(stream.log, "head closed 2 ");
  EXPECT_EQ(talk.heard[1].reset, 2);
}

}  // namespace
}  // namespace rondo::proto
