// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 parser: each case whole, byte by byte and cut at every place gives the same record.
#include "rondo/proto/http1.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace rondo;
using namespace rondo::proto;

namespace {

/// What a parser reported, as text: heads, body bytes and ends in order, then the outcome.
template <class Parser>
void feed(Parser& parser, std::string_view text, std::string& record) {
  ByteView input = as_bytes(text);
  for (int guard = 0; guard < 100'000; ++guard) {
    switch (parser.next(input)) {
      case HttpEvent::need_more:
        EXPECT_TRUE(input.empty());
        return;
      case HttpEvent::head:
        record += "<head ";
        for (std::size_t i = 0; i < parser.head().field_count(); ++i) {
          const Field field = parser.head().field(i);
          record.append(field.name).append("=").append(field.value).append(";");
        }
        record += parser.head().keep_alive() ? "keep>" : "close>";
        break;
      case HttpEvent::body:
        EXPECT_FALSE(parser.body().empty());
        record += as_text(parser.body());
        break;
      case HttpEvent::end:
        record += "<end>";
        break;
      case HttpEvent::error:
        record += "<error " + std::to_string(parser.status()) + " " + parser.reason() + ">";
        return;
    }
  }
  ADD_FAILURE() << "the parser does not come to rest";
}

template <class Parser = RequestParser>
std::string parse(const std::vector<std::string_view>& pieces, const HttpLimits& limits = {}) {
  Parser parser(limits);
  std::string record;
  for (const std::string_view piece : pieces) {
    if (parser.status() != 0) break;
    const std::string copy(piece);  // The input's memory is gone after each call.
    feed(parser, copy, record);
  }
  return record;
}

/// The record of the whole text, after checking that no cut changes it.
template <class Parser = RequestParser>
std::string parse_all_ways(std::string_view text, const HttpLimits& limits = {}) {
  const std::string whole = parse<Parser>({text}, limits);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
  EXPECT_EQ(parse<Parser>(bytes, limits), whole) << "byte by byte: " << text;
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    const std::string cut_once = parse<Parser>({text.substr(0, cut), text.substr(cut)}, limits);
    EXPECT_EQ(cut_once, whole) << "cut at " << cut << ": " << text;
    if (cut_once != whole) break;
  }
  return whole;
}

/// 0 when the text is accepted, else the status.
int status_of(std::string_view text, const HttpLimits& limits = {}) {
  const std::string record = parse_all_ways(text, limits);
  const std::size_t at = record.find("<error ");
  return at == std::string::npos ? 0 : std::stoi(record.substr(at + 7));
}

struct Malformed {
  const char* name;
  std::string text;
  int status;
};
std::string with_line(const std::string& line) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n\r\n";
}
std::string chunked(const std::string& body) {
  return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
}
using namespace std::string_literals;

const Malformed k_malformed[] = {
    {"CL and TE", with_line("Content-Length: 3\r\nTransfer-Encoding: chunked"), 400},
    {"TE and CL", with_line("Transfer-Encoding: chunked\r\nContent-Length: 3"), 400},
    {"two lengths", with_line("Content-Length: 3\r\nContent-Length: 4"), 400},
    {"the same length twice", with_line("Content-Length: 3\r\nContent-Length: 3"), 400},
    {"length list", with_line("Content-Length: 3, 3"), 400},
    {"length with plus", with_line("Content-Length: +3"), 400},
    {"negative length", with_line("Content-Length: -3"), 400},
    {"hex length", with_line("Content-Length: 0x3"), 400},
    {"empty length", with_line("Content-Length:"), 400},
    {"length with a space inside", with_line("Content-Length: 1 2"), 400},
    {"length past 64 bits", with_line("Content-Length: 18446744073709551617"), 400},
    {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
    {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"bare CR in a value", with_line("X: a\rb"), 400},
    {"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
    {"folded field", with_line("X: a\r\n b"), 400},
    {"space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"NUL in a value", with_line("X: a\0b"s), 400},
    {"NUL in a name", with_line("X\0: b"s), 400},
    {"DEL in a value", with_line("X: a\x7F"), 400},
    {"space before the colon", with_line("X : a"), 400},
    {"tab before the colon", with_line("Content-Length\t: 3"), 400},
    {"empty name", with_line(": a"), 400},
    {"no colon", with_line("abc"), 400},
    {"non-ASCII name", with_line("X\xC3\xA4: a"), 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", with_line("Host: a"), 400},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
    {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
    {"relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"fragment", "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"non-ASCII target", "GET /\xC3\xA4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"foreign scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"user in an absolute target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"RTSP", "OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n", 400},
    {"CR between fields", with_line("X: a\r\nY:\r\rContent-Length: 3"), 400},
    {"two spaces", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"tab as separator", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
    {"HTTP/0.9", "GET /\r\n\r\n", 400},
    {"lower-case http", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
    {"version with three digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
    {"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"bad method", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"method of 33 bytes", std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"TE gzip", with_line("Transfer-Encoding: gzip"), 400},
    {"TE identity", with_line("Transfer-Encoding: identity"), 400},
    {"TE gzip, chunked", with_line("Transfer-Encoding: gzip, chunked"), 501},
    {"TE chunked, gzip", with_line("Transfer-Encoding: chunked, gzip"), 400},
    {"TE chunked twice", with_line("Transfer-Encoding: chunked, chunked"), 400},
    {"TE in two fields", with_line("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
     400},
    {"TE xchunked", with_line("Transfer-Encoding: xchunked"), 400},
    {"TE empty", with_line("Transfer-Encoding:"), 400},
    {"TE with a vertical tab", with_line("Transfer-Encoding: \vchunked"), 400},
    {"TE in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"chunk size of a letter", chunked("g\r\n"), 400},
    {"chunk size with 0x", chunked("0x1\r\na\r\n"), 400},
    {"chunk size with a sign", chunked("+1\r\na\r\n"), 400},
    {"chunk size with a space", chunked("1 \r\na\r\n"), 400},
    {"chunk size missing", chunked("\r\n"), 400},
    {"chunk size of 16 digits", chunked("0000000000000001\r\na\r\n"), 400},
    {"chunk size ended by LF", chunked("1\na\r\n"), 400},
    {"chunk longer than its size", chunked("1\r\nab\r\n"), 400},
    {"chunk ended by LF", chunked("1\r\na\n0\r\n\r\n"), 400},
    {"CR in a chunk extension", chunked("1;a\rb\r\na\r\n"), 400},
    {"LF in a chunk extension", chunked("1;a\n"), 400},
    {"bad trailer name", chunked("0\r\nX : a\r\n\r\n"), 400},
    {"empty trailer name", chunked("0\r\n: a\r\n\r\n"), 400},
    {"bare LF after a trailer", chunked("0\r\nX: a\n\r\n"), 400},
    {"chunk not ended", chunked("1\r\naXY0\r\n\r\n"), 400},
    {"folded trailer", chunked("0\r\nX: a\r\n b\r\n\r\n"), 400},
    {"bare LF after trailers", chunked("0\r\n\n"), 400},
};

TEST(Http1Malformed, GivesItsStatusInWhateverPiecesItArrives) {
  for (const Malformed& bad : k_malformed) EXPECT_EQ(status_of(bad.text), bad.status) << bad.name;
}

TEST(Http1Malformed, NothingAfterAnErrorIsParsed) {
  RequestParser parser;
  std::string record;
  feed(parser, "GET / HTTP/1.1\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", record);
  EXPECT_EQ(record, "<error 400 line not ended by CRLF>");
  ByteView more = as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(parser.next(more), HttpEvent::error);
}

TEST(Http1Request, PipelinedRequestsWithBodiesComeInOrder) {
  EXPECT_EQ(
      parse_all_ways("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                     "\r\nGET / HTTP/1.1\r\nhost:b\r\nConnection: close\r\n\r\n"),
      "<head Host=a;Content-Length=5;keep>hello<end><head host=b;Connection=close;close><end>");
}

TEST(Http1Request, ChunkedBodyLosesItsFramingExtensionsAndTrailers) {
  EXPECT_EQ(parse_all_ways(chunked("4;a=\"b\"\r\nWiki\r\n5\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\n") +
                           "GET / HTTP/1.1\r\nHost: b\r\n\r\n"),
            "<head Host=a;Transfer-Encoding=chunked;keep>Wikipedia<end><head Host=b;keep><end>");
}

TEST(Http1Request, TrailersAreKeptUntilTheNextMessage) {
  const std::string all = chunked("1\r\nx\r\n0\r\nX-Sum:  1 2 \r\nx-sum: 3\r\nEmpty:\r\n\r\n") +
                          "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
  for (std::size_t piece : {1U, 7U, 1'000U}) {
    RequestParser parser;
    int ends = 0;
    for (std::string_view rest = all; !rest.empty();) {
      ByteView input = as_bytes(rest.substr(0, piece));
      rest.remove_prefix(input.size());
      while (!input.empty()) {
        const HttpEvent event = parser.next(input);
        ASSERT_NE(event, HttpEvent::error) << parser.reason();
        if (event != HttpEvent::end) continue;
        ++ends;
        const FieldList& trailers = parser.trailers();
        ASSERT_EQ(trailers.field_count(), 3U);
        EXPECT_EQ(trailers.get("x-SUM"), "1 2");
        EXPECT_EQ(trailers.field(1).value, "3");
        EXPECT_EQ(trailers.field(2).value, "");
        EXPECT_FALSE(parser.head().has("x-sum"));
      }
    }
    ByteView nothing;
    EXPECT_EQ(parser.next(nothing), HttpEvent::end);
    EXPECT_EQ(ends, 1);
    EXPECT_EQ(parser.trailers().field_count(), 0U) << "those of the message before are gone";
  }
}

TEST(Http1Request, AnyChunkExtensionIsIgnored) {
  for (const char* const extension : {";a=b;c", "; a=b", ";a=\"b c\"", ";"})
    EXPECT_EQ(parse_all_ways(chunked("1"s + extension + "\r\nx\r\n0" + extension + "\r\n\r\n")),
              "<head Host=a;Transfer-Encoding=chunked;keep>x<end>");
}

TEST(Http1Request, AnUnknownMethodHasABodyLikeAnyOther) {
  EXPECT_EQ(parse_all_ways("BREW /pot HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET / "
                           "HTTP/1.1\r\nHost: b\r\n\r\n"),
            "<head Host=a;Content-Length=2;keep>xy<end><head Host=b;keep><end>");
}

TEST(Http1Request, AConnectWithABodyIsReadToItsEnd) {
  EXPECT_EQ(parse_all_ways("CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxyGET / "
                           "HTTP/1.1\r\nHost: b\r\n\r\n"),
            "<head Host=a;Content-Length=2;keep>xy<end><head Host=b;keep><end>");
}

RequestHead head_of(std::string_view text) {
  RequestParser parser;
  ByteView input = as_bytes(text);
  EXPECT_EQ(parser.next(input), HttpEvent::head) << text << parser.reason();
  return parser.head();
}

TEST(Http1Request, TargetIsSplitInEachForm) {
  RequestHead head = head_of("GET /a/b?c=d?e HTTP/1.1\r\nHost: h:1\r\n\r\n");
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_EQ(head.query(), "c=d?e");
  EXPECT_EQ(head.authority(), "h:1");
  head = head_of("GET http://x:2?q HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.path(), "/");
  EXPECT_EQ(head.query(), "q");
  EXPECT_EQ(head.authority(), "x:2");
  head = head_of("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.path(), "*");
  head = head_of("CONNECT [::1]:443 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.method(), Method::connect);
  EXPECT_EQ(head.authority(), "[::1]:443");
  EXPECT_EQ(head.path(), "");
}

TEST(Http1Request, FieldsAreFoundInAnyCase) {
  const RequestHead head =
      head_of("BREW / HTTP/1.1\r\nHost:\t a \r\nX-A: 1\r\nx-a:2\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_EQ(head.method(), Method::other);
  EXPECT_EQ(head.method_text(), "BREW");
  EXPECT_EQ(head.get("HOST"), "a");
  EXPECT_EQ(head.get("x-A"), "1");
  EXPECT_EQ(head.field(head.find("x-a", head.find("x-a") + 1)).value, "2");
  EXPECT_EQ(head.get("none", "-"), "-");
  EXPECT_TRUE(head.expect_continue());
}

TEST(Http1Request, KeepAliveFollowsVersionAndConnection) {
  EXPECT_FALSE(head_of("GET / HTTP/1.0\r\n\r\n").keep_alive());
  EXPECT_TRUE(head_of("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive());
  EXPECT_TRUE(head_of("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive());
  EXPECT_FALSE(head_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive());
  EXPECT_FALSE(head_of("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\t\r\n\r\n").keep_alive());
  EXPECT_TRUE(head_of("GET / HTTP/1.2\r\nHost: a\r\n\r\n").keep_alive());
}

TEST(Http1Request, UpgradeLeavesWhatFollowsTheHead) {
  RequestParser parser;
  ByteView input = as_bytes(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
      "websocket\r\n\r\nXY");
  EXPECT_EQ(parser.next(input), HttpEvent::head);
  EXPECT_EQ(parser.head().upgrade(), "websocket");
  EXPECT_EQ(as_text(input), "XY");
}

std::string target_of(std::size_t size) {
  return "GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

TEST(Http1Limits, TargetBelowAtAndAboveTheLimit) {
  const HttpLimits limits{.target_max = 40};
  EXPECT_EQ(status_of(target_of(39), limits), 0);
  EXPECT_EQ(status_of(target_of(40), limits), 0);
  EXPECT_EQ(status_of(target_of(41), limits), 414);
  EXPECT_EQ(status_of(std::string("GET /") + std::string(300, 'a'), limits), 414);
}

TEST(Http1Limits, HeadBelowAtAndAboveTheLimit) {
  const std::string text = with_line("X: " + std::string(100, 'a'));
  EXPECT_EQ(status_of(text, {.head_max = text.size() + 1}), 0);
  EXPECT_EQ(status_of(text, {.head_max = text.size()}), 0);
  EXPECT_EQ(status_of(text, {.head_max = text.size() - 1}), 431);
  EXPECT_EQ(status_of(text.substr(0, 80), {.head_max = 60}), 431);
}

TEST(Http1Limits, FieldsBelowAtAndAboveTheLimit) {
  EXPECT_EQ(status_of(with_line("A: 1"), {.fields_max = 3}), 0);
  EXPECT_EQ(status_of(with_line("A: 1\r\nB: 2"), {.fields_max = 3}), 0);
  EXPECT_EQ(status_of(with_line("A: 1\r\nB: 2\r\nC: 3"), {.fields_max = 3}), 431);
}

TEST(Http1Limits, BodyBelowAtAndAboveTheLimit) {
  for (const std::size_t size : {9U, 10U, 11U}) {
    const int expected = size > 10 ? 413 : 0;
    const std::string fixed = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                              std::to_string(size) + "\r\n\r\n" + std::string(size, 'b');
    EXPECT_EQ(status_of(fixed, {.body_max = 10}), expected);
    const std::string pieces = chunked("8\r\nbbbbbbbb\r\n" + std::to_string(size - 8) + "\r\n" +
                                       std::string(size - 8, 'b') + "\r\n0\r\n\r\n");
    EXPECT_EQ(status_of(pieces, {.body_max = 10}), expected);
  }
}

TEST(Http1Limits, ARouteCanRaiseTheBodyLimitOnceItSawTheHead) {
  RequestParser parser({.body_max = 2});
  ByteView input = as_bytes("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_EQ(parser.next(input), HttpEvent::head);
  parser.set_body_max(5);
  ASSERT_EQ(parser.next(input), HttpEvent::body);
  EXPECT_EQ(as_text(parser.body()), "hello");
  EXPECT_EQ(parser.next(input), HttpEvent::end);
}

TEST(Http1Limits, ChunkExtensionsAndTrailersAreBounded) {
  const std::string extended = chunked("1;" + std::string(9, 'a') + "\r\nb\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(extended, {.chunk_extensions_max = 10}), 0);
  EXPECT_EQ(status_of(extended, {.chunk_extensions_max = 9}), 413);
  const std::string trailed = chunked("0\r\nA: " + std::string(100, 'x') + "\r\n\r\n");
  EXPECT_EQ(status_of(trailed, {.head_max = 107}), 0);
  EXPECT_EQ(status_of(trailed, {.head_max = 106}), 431);
  EXPECT_EQ(status_of(chunked("0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), {.fields_max = 2}), 431);
}

TEST(Http1Response, LengthChunksAndInterimAnswersAreFollowed) {
  EXPECT_EQ(parse_all_ways<ResponseParser>("HTTP/1.1 100 Continue\r\n\r\n"
                                           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                                           "HTTP/1.1 204\r\n\r\n"),
            "<head keep><end><head Content-Length=2;keep>hi<end><head keep><end>");
}

TEST(Http1Response, MalformedStatusLinesAreRefused) {
  for (const std::string_view line :
       {"HTTP/1.1  200 OK", "HTTP/1.1 20", "HTTP/1.1 099 OK", "HTTP/1.1 2000", "HTTP/1.1 200OK",
        "HTTP/1.1 200 O\x01K", "ICY 200 OK"})
    EXPECT_THAT(parse_all_ways<ResponseParser>(std::string(line) + "\r\n\r\n"),
                testing::StartsWith("<error 400"))
        << line;
}

TEST(Http1Response, AReasonIsNotKeptForTheNextAnswer) {
  ResponseParser parser;
  std::string record;
  feed(parser, "HTTP/1.1 100 Continue\r\n\r\n", record);
  EXPECT_EQ(parser.head().reason(), "Continue");
  feed(parser, "HTTP/1.1 204\r\n\r\n", record);
  EXPECT_EQ(parser.head().reason(), "");
}

TEST(Http1Response, WithoutALengthTheEndOfTheStreamEndsIt) {
  ResponseParser parser;
  std::string record;
  feed(parser, "HTTP/1.1 200 OK\r\n\r\nabc", record);
  EXPECT_EQ(record, "<head close>abc");
  EXPECT_EQ(parser.finish(), HttpEvent::end);
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", record);
  EXPECT_EQ(parser.finish(), HttpEvent::error);
}

TEST(Http1Response, TheAnswerToHeadHasNoBody) {
  ResponseParser parser;
  parser.expect_no_body();
  std::string record;
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 404 No\r\n"
               "Content-Length: 1\r\n\r\nx", record);
  EXPECT_EQ(record, "<head Content-Length=9;keep><end><head Content-Length=1;keep>x<end>");
  EXPECT_EQ(parser.head().status(), 404);
  EXPECT_EQ(parser.head().reason(), "No");
}

}  // namespace
