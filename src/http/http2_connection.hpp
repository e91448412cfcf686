// SPDX-License-Identifier: Apache-2.0
// HTTP/2 in the server: one Http2Connection per stream of bytes, one Http2Exchange per request.
//
// Three kinds of tasks in one scope: run() reads and hands bytes to the session, which queues
// requests in `fresh_`; each of these is started as a child (a plain handler is just called);
// write() gives the session's output to the stream, all that an iteration made in one write.
//
// An exchange is in `fresh_` from its head on, else in `open_`, until its handler has ended and
// the session has closed its stream; whichever comes last releases it:
//   running  its handler is a task. The peer's reset cancels that task, unless the answer is whole.
//   open     the session knows the stream (Http2Stream::is_open).
// `over_`: nothing more is read. `done_`: the reader has ended, what can be produced is written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/connection.hpp"
#include "http/http2_tunnel.hpp"
#include "rondo/base/intrusive_list.hpp"
#include "rondo/core/event.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/proto/http2.hpp"

namespace rondo::http::detail {

class Http2Connection;

struct Http2Exchange final : proto::Http2Stream, Exchange, ListLink {
  Http2Exchange() noexcept : Exchange(request_head()) {}

  void open(Http2Connection& at) noexcept;
  void clear() noexcept;         // Gives back what it held for one request.
  // Request.
  bool pull(Result<ByteView>& piece) override;
  Task<Result<ByteView>> wait_body(bool yield) override;
  bool collect(Result<std::string_view>& all) override;
  Task<Result<std::string_view>> wait_all(bool yield) override;
  void set_body_max(std::uint64_t bytes) noexcept override { body_max = bytes; }
  Task<> disconnected() override;
  const proto::FieldList& request_trailers() const noexcept override {
    return Http2Stream::trailers();
  }
  Result<> check_body() noexcept;
  Task<Result<>> wait_more();
  void use_up(std::size_t bytes) noexcept;
  void discard() noexcept;
  void stir() noexcept {
    moved.set();
    taken_more.set();
  }
  // Response.
  void put_head(std::uint64_t length, bool with_length, bool has_body);
  bool begin_whole(std::uint64_t length);        // True: a body has to follow.
  void begin_stream();
  void supply(ByteView bytes, bool last) noexcept;
  void append(ByteView piece);
  void send_whole(std::string_view content) override;
  void send_shared(SharedBytes content) override;
  void send_owned(std::string content) override;
  Task<Result<>> write(ByteView piece) override;
  Task<> wait_taken();
  Task<Result<>> flush() override;
  Task<Result<>> send_file(int fd, std::uint64_t offset, std::uint64_t length) override;
  void cut() noexcept override;
  Upgraded upgrade(std::string_view protocol) override;
  void cancel_upgraded() noexcept override;
  void put_trailers();
  bool is_misunderstood() noexcept;

  Http2Connection* http2 = nullptr;
  Http2Exchange* next = nullptr;   // In the server's list of free ones.
  Handler* handler = nullptr;
  std::optional<JoinHandle<void>> task;
  Owned<Http2Tunnel> tunnel;     // What an extended CONNECT has been upgraded to.
  // The body has grown, bytes were taken, or the stream has closed: for who reads, and for who
  // writes. Each resets its own.
  Event moved;
  Event taken_more;
  std::string arrived;           // Of the body, not read yet.
  std::string lent;              // What read() gave last.
  std::string out;               // Of the answer's body; its end is what the session has not taken.
  std::uint64_t body_max = 0;
  std::uint64_t received = 0;    // Bytes of the body, so far.
  std::size_t unused = 0;        // Of these, what the client may not send anew yet.
  std::uint64_t taken_before = 0;  // When stalls were looked for last.
  bool was_waiting = false;        // Then.
  bool rest_seen = false;        // The request went on behind its answer when that was looked for.
  bool collecting = false;
  bool running = false;
  bool was_cut = false;
  bool misunderstood = false;    // Its handler did not know that 200 is a tunnel.
};

class Http2Connection final : proto::Http2Events {
 public:
  explicit Http2Connection(Connection& shell);
  Http2Connection(const Http2Connection&) = delete;
  ~Http2Connection();

  /// Serves until the end; `preface` and `input`, a part of the loan, have been received already.
  Task<> run(std::string_view preface, Loan loan, ByteView input);
  /// The connection goes away behind the requests that are there.
  void stop() noexcept;
  /// Ended for a mistake of the client, who may still be sending.
  bool must_linger() const noexcept { return must_linger_; }

  Connection& shell() noexcept { return shell_; }
  proto::Http2Session& session() noexcept { return session_; }
  std::vector<proto::Field>& fields() noexcept { return fields_; }
  /// There is something to be written.
  void wake() noexcept { wake_.set(); }
  Event& wake_event() noexcept { return wake_; }
  /// A handler has ended, or was cancelled.
  void finish(Http2Exchange& exchange);
  void handler_ended(Http2Exchange& exchange, bool cancelled) noexcept;

 private:
  struct Clock : rondo::detail::Timer {
    Http2Connection* connection = nullptr;
    void arm_after(Duration time) noexcept;
  };

  proto::Http2Stream* begin() override;
  void on_head(proto::Http2Stream& stream) override;
  void on_body(proto::Http2Stream& stream, ByteView piece) override;
  void on_end(proto::Http2Stream& stream) override;
  void on_taken(proto::Http2Stream& stream) override;
  void on_closed(proto::Http2Stream& stream, proto::Http2Code code) override;

  Task<> read();
  Task<> write();
  void take(ByteView input);
  void start(Http2Exchange& exchange);
  void release(Http2Exchange& exchange) noexcept;
  Duration patience() const noexcept;
  void was_quiet() noexcept;
  void written_all() noexcept;
  void end(proto::Http2Code code) noexcept;
  void cancel_handlers(CancelReason reason) noexcept;
  void look_for_stalls() noexcept;
  void refuse_rests() noexcept;

  Connection& shell_;
  ServerState& server_;
  proto::Http2Session session_;
  PeerWatch write_watch_;
  Clock stall_clock_;            // Armed while bytes of answers wait for the client.
  Clock rest_clock_;             // Armed while a request goes on behind its answer.
  IntrusiveList<Http2Exchange> open_;
  IntrusiveList<Http2Exchange> fresh_;
  Event wake_;                   // Set while there may be output.
  Event relieved_;               // Set when output has left.
  Scope* scope_ = nullptr;
  std::string out_;              // Output on its way to the stream.
  std::vector<proto::Field> fields_;
  TimePoint head_due_ = k_no_deadline;  // Set while part of a head has arrived.
  std::uint64_t head_frame_ = 0;        // The session's frames() then.
  TimePoint idle_due_;                  // While no request is there.
  std::size_t live_ = 0;                // Exchanges.
  std::uint64_t sent_before_ = 0;       // Bytes of bodies when stalls were looked for last.
  bool draining_ = false;
  bool over_ = false;
  bool done_ = false;
  bool must_linger_ = false;
};

}  // namespace rondo::http::detail
