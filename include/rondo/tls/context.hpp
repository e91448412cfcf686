// SPDX-License-Identifier: Apache-2.0
// Context: what the TLS connections of a server or a client have in common: certificates, whom to
// believe, protocols, tickets. TLS 1.2 and 1.3 by OpenSSL 3.
//
//   auto context = tls::Context::server({
//       .identities = {{.certificate_file = "site.pem", .key_file = "site.key"}},
//       .alpn = {"h2", "http/1.1"},
//   }).or_throw();
//   auto peer = co_await tls::accept(context, std::move(connection));       // tls/stream.hpp
//   context.reload();                         // new files for new connections; the others go on
//
// A Context is a counted handle: copies are the same context. Connections keep what they began
// with. It refuses SSLv3, TLS 1.0 and 1.1, compression and renegotiation.
// Files are read by server(), client() and reload(), with calls that block: at the start, or in
// run_blocking. Thread rule: any thread; loops may share one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "rondo/base/limits.hpp"
#include "rondo/base/result.hpp"
#include "rondo/base/time.hpp"

namespace rondo::tls {

namespace detail {
struct ContextState;
struct ContextAccess;
}  // namespace detail

/// A certificate and its key, as PEM files. Keys that ask for a pass phrase are refused.
struct Identity {
  std::string certificate_file;  ///< the certificate first, then those that sign it
  std::string key_file;
  /// An OCSP response in DER, stapled to handshakes (RFC 6066 section 8); empty: none.
  std::string ocsp_file = {};
};

enum class Version : std::uint8_t { tls12, tls13 };

/// What a server wants of its clients.
enum class ClientCertificate : std::uint8_t {
  none,
  ask,      ///< one that is shown must be good
  require,  ///< without a good one the handshake fails
};

struct ServerOptions {
  /// At least one. A client that names a host (SNI) gets the first whose names match it, others
  /// the first of all.
  std::vector<Identity> identities;
  /// Application protocols, best first (RFC 7301). A client that offers only others is refused;
  /// one that offers none has an empty alpn().
  std::vector<std::string> alpn = {};
  ClientCertificate client_certificate = ClientCertificate::none;
  /// PEM: who may sign the clients' certificates. Needed unless `client_certificate` is none.
  std::string authorities_file = {};
  Version version_min = Version::tls12;
  /// Sessions are resumed by tickets under keys that live in this context and are replaced after
  /// this time; a ticket is taken for up to three times as long. Zero: no resumption.
  Duration ticket_rotation = std::chrono::milliseconds(limits::tls_ticket_rotation.value);
};

struct ClientOptions {
  /// PEM: who is believed. Empty: whom the system believes.
  std::string authorities_file = {};
  /// Shown to servers that ask for one.
  std::optional<Identity> identity = {};
  /// Application protocols offered, best first.
  std::vector<std::string> alpn = {};
  Version version_min = Version::tls12;
  /// False: whoever answers is believed. For tests; nothing else protects a connection.
  bool verify = true;
  /// Sessions kept to be resumed, one for each host and port; zero: none.
  std::size_t sessions_max = limits::tls_sessions_max.value;
};

/// Plain numbers, copied; they only grow.
struct ContextStatistics {
  std::uint64_t handshakes = 0;  ///< completed
  std::uint64_t failed = 0;
  std::uint64_t resumed = 0;     ///< of the completed
  std::uint64_t reloads = 0;
};

class [[nodiscard("keep it: connections are made with it")]] Context {
 public:
  /// Reads the files. Errors: the kernel's with the file's name; bad_message with what OpenSSL
  /// says of its content, invalid_argument for options that contradict each other.
  static Result<Context> server(ServerOptions options);
  static Result<Context> client(ClientOptions options = {});

  Context(const Context& other) noexcept;
  Context(Context&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Context& operator=(Context other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Context();

  /// Reads the files again. On an error, as of server(), everything stays as it was.
  Result<> reload();
  ContextStatistics statistics() const noexcept;

 private:
  friend detail::ContextAccess;
  explicit Context(detail::ContextState& state) noexcept : state_(&state) {}
  detail::ContextState* state_;
};

}  // namespace rondo::tls
