// SPDX-License-Identifier: Apache-2.0
// A server's session of HTTP/2: behind the preface any frames, whole and cut at random, give the
// same requests; each head that is accepted is one that our parser of HTTP/1 accepts, and says the
// same; bodies and heads keep to their limits. A second session is answered and drained meanwhile.
#include <map>
#include <string>
#include <vector>

#include "cuts.hpp"
#include "rondo/proto/http2.hpp"

using namespace rondo;
using namespace rondo::proto;

namespace {

constexpr Http2Limits k_limits{.head_max = 600, .fields_max = 8, .target_max = 120,
                               .streams_max = 10, .continuations_max = 3, .reset_rate = 20,
                               .control_rate = 100};

/// The head again, as HTTP/1.1 would have brought it.
void check_head(const RequestHead& head) {
  require(head.major_version() == 2 && head.text().size() <= k_limits.head_max + 120);
  require(head.field_count() <= k_limits.fields_max + 2);
  std::string text(head.text());
  const std::size_t version = text.find(" HTTP/2\r\n");
  require(version != text.npos);
  text.replace(version, 9, " HTTP/1.1\r\n");
  RequestParser parser({.head_max = 2'000, .fields_max = 20});
  ByteView input = as_bytes(text);
  require(parser.next(input) == HttpEvent::head && input.empty());
  const RequestHead& same = parser.head();
  require(same.method() == head.method() && same.method_text() == head.method_text());
  require(same.target() == head.target() && same.path() == head.path());
  require(same.query() == head.query() && same.authority() == head.authority());
  require(same.field_count() == head.field_count());
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    require(same.field(i).name == head.field(i).name);
    require(same.field(i).value == head.field(i).value);
  }
  require(same.content_length() == head.content_length());
}

struct Stream : Http2Stream {
  std::string record;
  std::string body;    // In the record once it is whole: how much of a wrong length is heard of
                       // depends on the cuts.
  bool live = false;
};

class Run : public Http2Events {
 public:
  explicit Run(bool answers) : answers_(answers), session_(*this, k_limits) {
    session_.feed(as_bytes(k_http2_preface), {});
  }

  bool feed(ByteView bytes) {
    const bool open = session_.feed(bytes, {});
    if (answers_) answer();
    return open && !session_.is_over();
  }
  std::string record() {
    std::string all;
    for (Stream& stream : streams_) all += stream.record + "\n";
    return all;
  }
  bool is_flooded() const { return session_.is_flooded(); }

 private:
  Http2Stream* begin() override {
    for (Stream& stream : streams_) {
      if (stream.live) continue;
      stream.live = true;
      stream.record += "<begin>";
      stream.body.clear();
      return &stream;
    }
    return nullptr;
  }
  void on_head(Http2Stream& stream) override {
    if (stream.refusal() == 0) check_head(stream.request_head());
    of(stream).record += std::to_string(stream.refusal()) +
                         std::string(stream.refusal() ? "" : stream.request_head().text());
    fresh_.push_back(&of(stream));
  }
  void on_body(Http2Stream& stream, ByteView piece) override {
    of(stream).body.append(as_text(piece));
    if (answers_) used_.emplace_back(&of(stream), piece.size());
  }
  void on_end(Http2Stream& stream) override { of(stream).record += of(stream).body + "<end>"; }
  void on_taken(Http2Stream&) override {}
  void on_closed(Http2Stream& stream, Http2Code code) override {
    of(stream).record += "<" + std::to_string(static_cast<unsigned>(code)) + ">";
    of(stream).live = false;
    std::erase(fresh_, &of(stream));
  }
  static Stream& of(Http2Stream& stream) { return static_cast<Stream&>(stream); }

  void answer() {
    for (auto& [stream, size] : used_) session_.consumed(*stream, size);
    used_.clear();
    for (Stream* stream : std::exchange(fresh_, {})) {
      const Field fields[] = {{"Content-Type", "text/plain"}};
      session_.answer(*stream, stream->refusal() ? stream->refusal() : 200, fields, true);
      session_.supply(*stream, as_bytes(body_), true);
      session_.refuse_rest(*stream);
      if (++answered_ == 5) session_.drain();
    }
    std::string out;
    while (session_.produce(out, 1'000)) out.clear();
  }

  const bool answers_;
  const std::string body_ = std::string(3'000, 'b');
  Stream streams_[10];
  std::vector<Stream*> fresh_;
  std::vector<std::pair<Stream*, std::size_t>> used_;
  int answered_ = 0;
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
  Run served(true);
  whole.feed(input);
  bool open = true, serving = true;
  for (ByteView rest = input; !rest.empty() && (open || serving);) {
    const ByteView piece = rest.first(cuts.next(rest.size()));
    rest = rest.subspan(piece.size());
    open = open && cut.feed(piece);
    serving = serving && served.feed(piece);
  }
  // A flood is seen before the frames in front of it are heard.
  if (!whole.is_flooded() && !cut.is_flooded()) require(whole.record() == cut.record());
  return 0;
}
