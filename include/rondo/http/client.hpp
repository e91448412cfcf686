// SPDX-License-Identifier: Apache-2.0
// Client: HTTP requests over TCP, TLS, Unix sockets and proxies (RFC 9110, RFC 9112, RFC 9113).
//
//   http::Client client;                                          // one for each loop
//   auto page = co_await client.get("https://example.org/").or_throw();
//   if (page.status() == 200) store((co_await page.read_all()).or_throw());
//   auto made = co_await client.send({.method = "POST", .url = url, .body = json});
//
// A server's TLS chooses HTTP/2 or HTTP/1.1 (`versions`). Connections are kept and used again, over
// HTTP/2 by many requests at once; at most per_origin_max to one server and connections_max in
// all, further requests wait. Redirects are followed, requests that may be repeated are, and
// every phase has its own time-out; bound the whole by with_timeout.
// What an answer says is read piece by piece, or whole up to a limit. An Answer that is dropped
// before its end closes its connection, or resets its stream.
// It refuses what would change how the message is framed: Content-Length, Transfer-Encoding,
// Connection and Host are its own fields. URLs with user information are refused: use
// ClientOptions::credentials or basic_authorization().
// Lifetime: a Client outlives its requests and their Answers. Thread rule: one client per loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/memory.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"
#include "rondo/core/stream.hpp"
#include "rondo/core/task.hpp"
#include "rondo/proto/http1.hpp"
#include "rondo/tls/context.hpp"

namespace rondo::http {

namespace detail {
struct ClientState;
struct ClientExchange;
}  // namespace detail

class CookieJar;

struct Header {
  std::string name;
  std::string value;
};

/// "Basic ..." for an Authorization or Proxy-Authorization field (RFC 7617).
std::string basic_authorization(std::string_view user, std::string_view password);

/// Who a client is to one server, told when it asks: by Digest (RFC 7616: MD5, SHA-256, SHA-512-256
/// and their -sess, the strongest of those offered), over TLS also by Basic (RFC 7617) when the
/// server offers nothing better. What a server wants is remembered for the requests behind.
struct Credentials {
  std::string origin;  ///< "https://api.example.org"; asserted to be http or https
  std::string user;    ///< without a colon (asserted)
  std::string password;
};

/// What a client speaks.
enum class Versions : std::uint8_t {
  any,    ///< over TLS what the server chooses of both, else HTTP/1.1
  http1,  ///< HTTP/1.1 only
  http2,  ///< HTTP/2 only: without TLS by prior knowledge (RFC 9113, section 3.3)
};

struct ClientOptions {
  /// Whom to believe; empty: a context of its own with the system's authorities. The application
  /// protocols that it names are not looked at: `versions` decides what is offered.
  std::optional<tls::Context> tls = {};
  Versions versions = Versions::any;
  /// With Versions::any: connections without TLS speak HTTP/2 at once, except through a proxy.
  bool http2_prior_knowledge = false;
  std::size_t connections_max = limits::http_client_connections_max.value;
  std::size_t per_origin_max = limits::http_client_per_origin_max.value;
  /// Requests that wait for a connection to one server, or for a stream of one: would_exceed.
  std::size_t waiting_max = limits::http_client_waiting_max.value;
  std::size_t redirects_max = limits::http_redirects_max.value;  ///< 0: none is followed
  /// Times a request that may be repeated (GET, HEAD, OPTIONS, PUT, DELETE, with a whole body) is
  /// sent again: after a connection that failed before the answer, after 502, 503 and 504.
  std::size_t retries_max = limits::http_retries_max.value;
  /// Before the first repetition; doubled for each, with some chance. Retry-After is heeded up to
  /// ten times as long as the last of them.
  Duration retry_delay = std::chrono::milliseconds(limits::http_retry_delay.value);
  /// Resolving and connecting, the proxy's answer included; a handshake has tls_handshake_timeout.
  Duration connect_timeout = std::chrono::milliseconds(limits::http_connect_timeout.value);
  /// From the sent request to the answer's whole head, and while nothing of a request is taken.
  Duration answer_timeout = std::chrono::milliseconds(limits::http_answer_timeout.value);
  /// Between two pieces of the answer's body.
  Duration body_timeout = std::chrono::milliseconds(limits::http_body_timeout.value);
  /// A body that expects 100 Continue is sent after that time without one.
  Duration continue_timeout = std::chrono::milliseconds(limits::http_continue_timeout.value);
  /// HTTP/2: a server that has said nothing for ping_interval is asked for a sign of life, and
  /// lost when none comes within ping_timeout. Zero: never asked.
  Duration ping_interval = Duration::zero();
  Duration ping_timeout = std::chrono::milliseconds(limits::http2_ping_timeout.value);
  /// HTTP/2: bytes of one answer that may arrive unread, and of all of a connection. Answers that
  /// nobody reads and that fill the second hold up the others.
  std::size_t stream_window = limits::http2_client_stream_window.value;
  std::size_t connection_window = limits::http2_client_connection_window.value;
  /// An idle connection is closed.
  Duration keep_alive = std::chrono::milliseconds(limits::http_keep_alive.value);
  std::size_t head_max = limits::http_head_max.value;
  std::size_t fields_max = limits::http_fields_max.value;
  /// Asks for packed answers (gzip, br, zstd) and unpacks them while they are read: at most
  /// unpacked_max bytes of each. Not for requests that have an Accept-Encoding or a Range.
  bool unpack = true;
  std::uint64_t unpacked_max = limits::http_unpacked_max.value;
  /// Sent as User-Agent; empty: none.
  std::string user_agent = "rondo";
  /// Requests whose URL has no scheme are for this one: "https://api.example.org/v1/".
  std::string base_url = {};
  /// "http://proxy:3128", for http and for https (by CONNECT); with proxy_authorization.
  std::string http_proxy = {};
  std::string https_proxy = {};
  std::string proxy_authorization = {};
  /// Hosts that are asked directly: "example.org" with all below it, "*" everybody.
  std::vector<std::string> no_proxy = {};
  /// For servers that answer 401. Nothing of one goes to another origin, and nothing at all for a
  /// request that has an Authorization of its own, or for upgrade(). A 401 is the answer when the
  /// credentials are wrong, and when the request cannot be repeated (body_source).
  std::vector<Credentials> credentials = {};
  /// Cookies are kept in it and sent from it, as browsers do (http/cookies.hpp); null: not at all.
  /// A request with a Cookie of its own gets none. It outlives the client.
  CookieJar* cookies = nullptr;
  /// Everything goes to this Unix socket, whatever host the URL names.
  std::string unix_path = {};

  /// Takes http_proxy, https_proxy (also upper case), NO_PROXY from the environment.
  ClientOptions& proxies_from_environment();
};

struct ClientRequest {
  std::string method = "GET";
  std::string url = {};
  std::vector<Header> headers = {};
  std::string body = {};
  /// A body made while it is sent: each call yields the next piece, an empty one ends it. Such a
  /// request cannot be repeated. Over HTTP/2 the answer may be there before its end: the source is
  /// called in a task of its own then, which may still be ending when the Answer, or a send() that
  /// was cancelled, is gone. So the source owns what it uses: captures by value, no references.
  MoveFn<Task<Result<std::string>>()> body_source = {};
  /// The length of body_source, if it is known; else it is sent in chunks.
  std::optional<std::uint64_t> body_size = {};
  /// Called at the end of the body: fields that are sent behind it (RFC 9110, section 6.5), over
  /// HTTP/1.1 in chunks. Illegal ones and those of framing are left out.
  MoveFn<std::vector<Header>()> trailers = {};
  /// Waits for 100 Continue before the body (RFC 9110, section 10.1.1): a server that refuses has
  /// none of it.
  bool expect_continue = false;
};

/// When each phase of the last attempt ended, from the beginning of send(); zero: there was none.
struct ClientTimings {
  Duration queued = Duration::zero();    ///< a connection was free, or could be made
  Duration resolved = Duration::zero();  ///< an address of the host, or of the proxy, is known
  Duration connected = Duration::zero();
  Duration secured = Duration::zero();  ///< TLS
  Duration sent = Duration::zero();     ///< the request was accepted
  Duration head = Duration::zero();     ///< the answer's head is there
  bool reused = false;                  ///< on a connection of before
};

/// An answer: its head, and its body as it comes.
class [[nodiscard("read it: its end gives the connection back")]] Answer {
 public:
  Answer(Answer&& other) noexcept : exchange_(std::exchange(other.exchange_, nullptr)) {}
  Answer& operator=(Answer&& other) noexcept {
    std::swap(exchange_, other.exchange_);
    return *this;
  }
  ~Answer();

  int status() const noexcept;
  /// "HTTP/1.0", "HTTP/1.1" or "HTTP/2".
  std::string_view version() const noexcept;
  /// 200..299.
  bool good() const noexcept { return status() / 100 == 2; }
  const proto::ResponseHead& head() const noexcept;
  std::string_view header(std::string_view name, std::string_view otherwise = {}) const noexcept {
    return head().get(name, otherwise);
  }
  /// The URL that answered: after redirects not the one asked for.
  std::string_view url() const noexcept;
  std::size_t redirects() const noexcept;
  const ClientTimings& timings() const noexcept;
  /// Fields that came behind the body; empty before its end was read.
  const proto::FieldList& trailers() const noexcept;
  /// The body was packed on its way: Content-Length and ETag of the head are those of the packed
  /// one.
  bool was_packed() const noexcept;

  /// Waits for the next piece of the body.
  /// - **Completes** when a piece is there, at the body's end, or on an error. **Returns** 1..n
  ///   bytes, valid until the next read; empty at the end, again and again.
  /// - **Errors** timed_out (body_timeout), truncated (the server left inside the body),
  ///   connection_reset (HTTP/2: it reset the stream), protocol_error (broken framing),
  ///   bad_message and too_large (when it is unpacked), the transport's. The connection, over
  ///   HTTP/2 the stream, is closed by then.
  /// - **Cancel** loses nothing. **Lifetime** the answer outlives the await.
  /// - **Concurrency** one reader. **Thread** the loop's.
  Task<Result<ByteView>> read();
  /// Reads the rest of the body.
  /// - **Completes** at its end. **Returns** all of it. **Errors** those of read(); too_large
  ///   beyond `max`, which closes the connection. **Cancel** loses what was read.
  /// - **Lifetime**, **Concurrency**, **Thread** as read().
  Task<Result<std::string>> read_all(std::size_t max = limits::http_answer_max.value);

 private:
  friend detail::ClientState;
  friend class Client;
  explicit Answer(detail::ClientExchange& exchange) noexcept : exchange_(&exchange) {}
  detail::ClientExchange* exchange_;
};

/// A connection that has left HTTP for another protocol (RFC 9110, section 7.8), or a stream of
/// HTTP/2 that has (RFC 8441). It is closed when it goes; a connection no longer counts among the
/// client's.
class [[nodiscard("a connection that was upgraded and dropped is closed")]] ClientUpgrade {
 public:
  ClientUpgrade(ClientUpgrade&& other) noexcept
      : exchange_(std::exchange(other.exchange_, nullptr)) {}
  ClientUpgrade& operator=(ClientUpgrade&& other) noexcept {
    std::swap(exchange_, other.exchange_);
    return *this;
  }
  ~ClientUpgrade();

  ByteStream& stream() noexcept;
  /// Of the 101, over HTTP/2 of the 200.
  const proto::ResponseHead& head() const noexcept;
  /// The other protocol's first bytes, when some came with the answer; the loan holds them.
  Loan take_rest(ByteView& rest) noexcept;

 private:
  friend class Client;
  explicit ClientUpgrade(detail::ClientExchange& exchange) noexcept : exchange_(&exchange) {}
  detail::ClientExchange* exchange_;
};

/// Plain numbers, copied; the first two are of now, the others only grow.
struct ClientStatistics {
  std::size_t connections = 0;
  std::size_t idle = 0;
  std::uint64_t opened = 0;
  std::uint64_t http2 = 0;     ///< of the opened, those that speak HTTP/2
  std::uint64_t requests = 0;  ///< sent, repetitions and redirects included
  std::uint64_t reused = 0;    ///< of them, on a connection of before
  std::uint64_t retries = 0;
  std::uint64_t redirects = 0;
  std::uint64_t challenges = 0;  ///< answered, by sending the request again
  std::uint64_t failed = 0;      ///< connections that failed, or answers that broke the protocol
};

class Client {
 public:
  explicit Client(ClientOptions options = {});
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  /// Sends a request and waits for the answer's head.
  /// - **Completes** when it is there, redirects followed. **Returns** the Answer, whatever its
  ///   status. **Errors** invalid_argument (URL, method, field); those of tcp::connect and
  ///   tls::connect; timed_out with the phase; truncated (no answer came), connection_reset (over
  ///   HTTP/2: by a reset), protocol_error, too_large (the head), would_exceed (waiting_max);
  ///   bad_message: too many redirects, or one that leads nowhere.
  /// - **Cancel** closes the connection, over HTTP/2 the stream; the server may have done what it
  ///   was asked.
  /// - **Lifetime** the client outlives it. **Concurrency** any number. **Thread** the loop's.
  Task<Result<Answer>> send(ClientRequest request);
  Task<Result<Answer>> get(std::string url) { return send({.url = std::move(url)}); }

  /// Asks a server to speak `protocol` ("websocket") on this connection from now on. With
  /// `over_http2` on a stream, if the server speaks HTTP/2 and allows that (RFC 8441), else on a
  /// connection of its own over HTTP/1.1.
  /// - **Completes** with its 101, or 200. **Returns** the connection. **Errors** those of send(),
  ///   and access_denied when it answered with another status, which the error names. Nothing is
  ///   repeated or redirected. **Cancel** closes the connection.
  /// - **Lifetime** the client outlives the connection. **Concurrency** any number.
  /// - **Thread** the loop's.
  Task<Result<ClientUpgrade>> upgrade(ClientRequest request, std::string protocol,
                                      bool over_http2 = false);

  ClientStatistics statistics() const noexcept;

 private:
  Owned<detail::ClientState> state_;
};

}  // namespace rondo::http
