// SPDX-License-Identifier: Apache-2.0
// Exchange: one request and its answer, whatever carries them; what Request and Response are made
// of. Http1Exchange (connection.hpp) and Http2Exchange (http2_exchange.hpp) say how each is done.
//
// States: `body` of the request, `answer` of the response. An answer is begun once: by
// send_whole() and its siblings or by the first write(), flush() or send_file().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "rondo/http/message.hpp"
#include "rondo/http/router.hpp"

namespace rondo::http::detail {

class Connection;

struct Exchange {
  enum class Body : std::uint8_t { unread, ended, failed };
  enum class Answer : std::uint8_t { open, whole, streaming, upgraded };

  explicit Exchange(const proto::RequestHead& of) noexcept
      : head(of), request(*this), response(*this) {}
  Exchange(const Exchange&) = delete;

  // The request's body.
  virtual bool pull(Result<ByteView>& piece) = 0;             // False: more input is needed.
  virtual Task<Result<ByteView>> wait_body(bool yield) = 0;
  virtual bool collect(Result<std::string_view>& all) = 0;    // False: more input is needed.
  virtual Task<Result<std::string_view>> wait_all(bool yield) = 0;
  virtual void set_body_max(std::uint64_t bytes) noexcept = 0;
  virtual Task<> disconnected() = 0;
  virtual const proto::FieldList& request_trailers() const noexcept = 0;
  // The answer.
  virtual void send_whole(std::string_view body) = 0;         // Copies it.
  virtual void send_shared(SharedBytes body) = 0;
  virtual void send_owned(std::string body) = 0;
  virtual Task<Result<>> write(ByteView piece) = 0;
  virtual Task<Result<>> flush() = 0;
  virtual Task<Result<>> send_file(int fd, std::uint64_t offset, std::uint64_t length) = 0;
  /// A part of the answer has left and the rest will not come: whoever reads it must see that.
  virtual void cut() noexcept = 0;
  /// Leaves HTTP for `protocol`, which the request asked for.
  virtual Upgraded upgrade(std::string_view protocol) = 0;
  /// Ends what it was upgraded to, its handler first.
  virtual void cancel_upgraded() noexcept = 0;

  // Common to both.
  void begin(bool has_body) noexcept;            // A new request: forgets the one before.
  Result<ByteView> fail_body(Errc code) noexcept;
  bool has_no_body() const noexcept;
  /// Takes a handler's exception, in a catch block: logged, counted, answered when that can be.
  void handler_threw() noexcept;
  /// Reads and writes the part; what works with every file and every stream.
  Task<Result<>> copy_part(int fd, std::uint64_t offset, std::uint64_t length);

  const proto::RequestHead& head;
  Request request;
  Response response;
  Connection* connection = nullptr;
  Params params;
  std::string fields;            // Of the answer: lines with their CRLF.
  std::string out_trailers;      // Of a streamed one, the same.
  std::string owned;             // Body of the answer, when it came by send_owned().
  SharedBytes shared;
  std::uint64_t length_left = 0;
  std::uint64_t body_size = 0;   // Of the answer, so far.
  int status = 200;
  Body body = Body::ended;
  Answer answer = Answer::open;
  Errc body_error = Errc{0};
  bool wants_continue = false;
  bool has_length = false;
  bool bad_field = false;
  bool failed = false;           // Its handler threw, or the request's body was not to be had.
  bool close = false;            // The connection ends after this answer.

 protected:
  ~Exchange() = default;
};

/// Up to this much of a file is read at once, and sent with the head: one send, and no pipe for
/// the kernel.
inline constexpr std::uint64_t k_file_copied = 65'536;

/// Cuts the answer when the frame is destroyed in the middle of a write.
class InAnswer {
 public:
  explicit InAnswer(Exchange& exchange) noexcept : exchange_(&exchange) {}
  InAnswer(const InAnswer&) = delete;
  ~InAnswer() {
    if (exchange_) exchange_->cut();
  }
  Result<> end(Result<> how) noexcept {
    exchange_ = nullptr;
    return how;
  }

 private:
  Exchange* exchange_;
};

}  // namespace rondo::http::detail
