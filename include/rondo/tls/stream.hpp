// SPDX-License-Identifier: Apache-2.0
// tls::Stream: TLS over any stream of bytes. Once shaken hands it is read and written like one.
//
//   auto peer = co_await tls::accept(context, std::move(connection));        // a tcp::Stream, say
//   auto site = co_await tls::connect(context, std::move(connection), "example.org");
//   co_await site->write_all("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
//
// connect() believes a server only when its certificate is signed by somebody the context
// believes and is for the host. A stream that ends without the peer's close_notify has been cut:
// reading it is the error `truncated`, never a quiet end (RFC 8446 section 6.1).
// The transport is moved in and owned; std::ref(stream) lends one that outlives this.
// A handle is one pointer, move-only; its destructor hands the stream to the loop: what was
// accepted and a close_notify are handed to the transport, then that is closed.
// Thread rule: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rondo/base/memory.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/tls/context.hpp"

namespace rondo::tls {

namespace detail {

class SecureStream;
ByteStream& stream_of(SecureStream& stream) noexcept;

/// The stream below, whatever it is.
struct Transport {
  virtual ~Transport() = default;
  virtual ByteStream& stream() noexcept = 0;
};
template <class S>
struct TransportOf final : Transport {
  S own;
  explicit TransportOf(S&& stream) noexcept : own(std::move(stream)) {}
  ByteStream& stream() noexcept override { return own; }
};

}  // namespace detail

/// Who the peer says it is. Verified unless the context does not verify.
struct PeerCertificate {
  std::string subject;             ///< RFC 2253: "CN=example.org,O=Example"
  std::string issuer;
  std::vector<std::string> names;  ///< DNS names of subjectAltName
  std::string sha256;              ///< of the certificate in DER, 64 hexadecimal digits
  std::int64_t not_after = 0;      ///< seconds since 1970
};

struct HandshakeOptions {
  /// The handshake must be complete.
  Duration timeout = std::chrono::milliseconds(limits::tls_handshake_timeout.value);
  /// A client's: offered in place of the context's application protocols, unless empty.
  std::vector<std::string> alpn = {};
};

class [[nodiscard("keep it: its end closes the stream")]] Stream {
 public:
  Stream(Stream&& other) noexcept : own_(std::exchange(other.own_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(own_, other.own_);
    return *this;
  }
  ~Stream() {
    if (own_) close();
  }

  ByteStream& stream() noexcept { return detail::stream_of(own()); }
  operator ByteStream&() noexcept { return stream(); }  // NOLINT: a Stream is a ByteStream.

  // The calls of ByteStream (core/stream.hpp), forwarded.
  auto read() noexcept { return stream().read(); }
  auto read_some(ByteSpan into) noexcept { return stream().read_some(into); }
  auto read_line(std::size_t max = limits::line_max.value) noexcept {
    return stream().read_line(max);
  }
  auto read_exact(ByteSpan into) noexcept { return stream().read_exact(into); }
  auto write_all(ByteView bytes) noexcept { return stream().write_all(bytes); }
  auto write_all(std::string_view text) noexcept { return stream().write_all(text); }
  auto flush() noexcept { return stream().flush(); }
  Result<> try_write(const SharedBytes& message,
                     std::size_t limit = limits::ws_queue_max.value) noexcept {
    return stream().try_write(message, limit);
  }
  /// Sends what is queued and a close_notify: the peer reads the end. Reading goes on.
  void shutdown_write() noexcept { stream().shutdown_write(); }

  /// The application protocol agreed on; empty without one.
  std::string_view alpn() const noexcept;
  /// "TLSv1.3", and the cipher suite's standard name.
  std::string_view version() const noexcept;
  std::string_view cipher() const noexcept;
  /// The host that the client asked for (SNI); empty when it named none.
  std::string_view server_name() const noexcept;
  /// No certificate was sent: a session of before was taken up again.
  bool resumed() const noexcept;
  /// Empty when the peer showed none.
  std::optional<PeerCertificate> peer_certificate() const;
  /// A client's: the OCSP response that the server stapled, DER; empty without one.
  ByteView ocsp_response() const noexcept;

  /// Closes now what the destructor would close. No task may wait in it (checked).
  void close() noexcept;
  bool is_open() const noexcept { return own_ != nullptr; }

 private:
  friend detail::SecureStream;
  explicit Stream(detail::SecureStream& own) noexcept : own_(&own) {}
  detail::SecureStream& own() const noexcept {
    RONDO_ASSERT(own_, "this tls::Stream was closed or moved from: ask is_open(), or keep it open");
    return *own_;
  }
  detail::SecureStream* own_ = nullptr;
};

namespace detail {

Task<Result<Stream>> accept(Context context, Owned<Transport> transport, HandshakeOptions options);
Task<Result<Stream>> connect(Context context, Owned<Transport> transport, std::string host,
                             HandshakeOptions options);

template <class S>
Owned<Transport> transport_of(S stream) {
  return Owned<Transport>(new TransportOf<S>(std::move(stream)));
}

}  // namespace detail

/// The server's side of a handshake.
/// - **Completes** when both sides are agreed, or it failed, after an alert has told the peer.
/// - **Returns** the Stream. **Errors** timed_out; truncated when the peer left; untrusted for its
///   certificate; protocol_error with OpenSSL's reason; the transport's.
/// - **Cancel** gives the connection up. **Lifetime** owns context and transport.
/// - **Concurrency** any number. **Thread** the loop's.
template <class S>
Task<Result<Stream>> accept(Context context, S transport, HandshakeOptions options = {}) {
  return detail::accept(std::move(context), detail::transport_of(std::move(transport)),
                        std::move(options));
}

/// The client's side of a handshake with `host`: a name or an address, with ":port" or without;
/// the port only tells sessions apart. As accept(); untrusted names host and reason.
template <class S>
Task<Result<Stream>> connect(Context context, S transport, std::string host,
                             HandshakeOptions options = {}) {
  return detail::connect(std::move(context), detail::transport_of(std::move(transport)),
                         std::move(host), std::move(options));
}

}  // namespace rondo::tls
