// SPDX-License-Identifier: Apache-2.0
// A client's session of HTTP/2: three requests are under way, and a server says anything. Whole
// and cut at random it gives the same answers; each head that is accepted is one that our parser
// of HTTP/1 accepts, and says the same; heads, trailers and interim answers keep to their limits.
// A third session uses up what it hears, sends bodies with trailers, pings and gives up meanwhile.
#include <string>
#include <vector>

#include "cuts.hpp"
#include "rondo/proto/http2.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

constexpr Http2Limits k_limits{.head_max = 600,
                               .fields_max = 8,
                               .stream_window = 70'000,
                               .continuations_max = 3,
                               .reset_rate = 20,
                               .control_rate = 100,
                               .interims_max = 4};

/// The head again, as HTTP/1.1 would have brought it, and without what frames a body there.
void check_head(const ResponseHead& head) {
  require(head.major_version() == 2 && head.text().size() <= k_limits.head_max + 40);
  require(head.field_count() <= k_limits.fields_max);
  require(head.status() >= 200 && head.status() <= 999);
  std::string text(head.text());
  require(text.starts_with("HTTP/2 "));
  text.replace(0, 7, "HTTP/1.1 ");
  ResponseParser parser({.head_max = 2'000, .fields_max = 20});
  parser.expect_no_body();
  ByteView input = as_bytes(text);
  require(parser.next(input) == HttpEvent::head && input.empty());
  const ResponseHead& same = parser.head();
  require(same.status() == head.status() && same.field_count() == head.field_count());
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    require(same.field(i).name == head.field(i).name);
    require(same.field(i).value == head.field(i).value);
  }
}

struct Stream : Http2Stream {
  Stream() : Http2Stream(Http2Role::client) {}
  std::string record;
  std::string body;
  int interims = 0;
  bool closed = false;
};

class Run : public Http2Events {
 public:
  explicit Run(bool uses) : uses_(uses), session_(*this, k_limits, Http2Role::client) {
    constexpr std::string_view k_methods[] = {"GET", "POST", "HEAD"};
    for (std::size_t i = 0; i < 3; ++i) {
      const Field fields[] = {
          {":method", k_methods[i]}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
      require(session_.request(streams_[i], fields, i == 1));
    }
    const Field trailers[] = {{"x-sum", "1"}};
    session_.set_trailers(streams_[1], trailers);
    session_.supply(streams_[1], as_bytes(sent_), true);
    produce();
  }

  bool feed(ByteView bytes) {
    const bool open = session_.feed(bytes, {});
    if (uses_) use();
    return open && !session_.is_over();
  }
  std::string record() {
    std::string all = log_;
    for (Stream& stream : streams_) all += stream.record + "\n";
    return all;
  }
  bool is_flooded() const { return session_.is_flooded(); }

 private:
  void on_head(Http2Stream& stream) override {
    require(of(stream).record.find("<head>") == std::string::npos);
    if (stream.refusal() == 0) check_head(stream.response_head());
    of(stream).record += "<head>" + std::to_string(stream.refusal()) +
                         std::string(stream.refusal() ? "" : stream.response_head().text());
  }
  void on_interim(Http2Stream& stream, int status) override {
    require(status >= 100 && status < 200);
    require(++of(stream).interims <= 4);
    of(stream).record += "<" + std::to_string(status) + ">";
  }
  void on_body(Http2Stream& stream, ByteView piece) override {
    require(!piece.empty() && of(stream).record.find("<head>") != std::string::npos);
    of(stream).body.append(as_text(piece));
    if (uses_) used_.emplace_back(&of(stream), piece.size());
  }
  void on_end(Http2Stream& stream) override {
    of(stream).record += of(stream).body + "<end>";
    const FieldList& trailers = stream.trailers();
    require(trailers.field_count() <= k_limits.fields_max);
    for (std::size_t i = 0; i < trailers.field_count(); ++i) {
      const Field field = trailers.field(i);
      require(is_token(field.name) && is_field_value(field.value));
      of(stream).record.append(field.name).append("=").append(field.value).append(";");
    }
  }
  void on_taken(Http2Stream&) override {}
  void on_closed(Http2Stream& stream, Http2Code code) override {
    require(!of(stream).closed);
    of(stream).closed = true;
    of(stream).record += "<" + std::to_string(static_cast<unsigned>(code)) + ">";
  }
  /// Behind the last stream and a GOAWAY the session reads on only to the end of a piece.
  void note(std::string_view what) {
    for (const Stream& stream : streams_)
      if (!stream.closed) return void(log_.append(what));
  }
  void on_settings() override { note("<settings>"); }
  void on_goaway(Http2Code) override { require(!session_.can_begin()); }
  void on_pong() override { note("<pong>"); }
  static Stream& of(Http2Stream& stream) { return static_cast<Stream&>(stream); }

  void produce() {
    std::string out;
    while (session_.produce(out, 1'000)) out.clear();
  }
  void use() {
    for (auto& [stream, size] : used_) session_.consumed(*stream, size);
    used_.clear();
    if (++turns_ == 3) session_.ping();
    if (turns_ == 5 && streams_[0].is_open()) session_.reset(streams_[0], Http2Code::cancel);
    if (turns_ == 9) session_.terminate(Http2Code::no_error);
    produce();
  }

  const bool uses_;
  const std::string sent_ = std::string(90'000, 'b');  // Beyond the first window.
  Stream streams_[3];
  std::vector<std::pair<Stream*, std::size_t>> used_;
  std::string log_;
  int turns_ = 0;
  Http2Session session_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  Cuts cuts(data[0] | std::uint32_t{data[1]} << 8 | std::uint32_t{data[2]} << 16 |
            std::uint32_t{data[3]} << 24);
  const ByteView input(reinterpret_cast<const std::byte*>(data + 4), size - 4);
  Run whole(false);
  Run cut(false);
  Run used(true);
  whole.feed(input);
  bool open = true, using_up = true;
  for (ByteView rest = input; !rest.empty() && (open || using_up);) {
    const ByteView piece = rest.first(cuts.next(rest.size()));
    rest = rest.subspan(piece.size());
    open = open && cut.feed(piece);
    using_up = using_up && used.feed(piece);
  }
  // A flood is seen before the frames in front of it are heard.
  if (!whole.is_flooded() && !cut.is_flooded()) require(whole.record() == cut.record());
  return 0;
}
