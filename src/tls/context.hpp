// SPDX-License-Identifier: Apache-2.0
// ContextState: what stands behind a Context, and Generation: what its files said at one time.
// A connection holds the generation it began with; reload() makes the next one.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rondo/base/result.hpp"
#include "rondo/tls/context.hpp"
#include "tls/openssl.hpp"
#include "tls/tickets.hpp"

namespace rondo::tls::detail {

struct Generation {
  struct One {
    SslContext context;
    std::string ocsp;  ///< to be stapled; empty: nothing
  };
  std::vector<One> identities;  ///< a client has one
};

/// Sessions of a client, by host and port; the one used longest ago goes first.
class SessionCache {
 public:
  explicit SessionCache(std::size_t max) noexcept : max_(max) {}
  void put(std::string_view peer, SslSession session);
  /// A TLS 1.3 ticket is for one use (RFC 8446 appendix C.4): it is taken out.
  SslSession take(std::string_view peer);

 private:
  struct Entry {
    std::string peer;
    SslSession session;
  };
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< newest first
  const std::size_t max_;
};

struct ContextState {
  explicit ContextState(ServerOptions server);
  explicit ContextState(ClientOptions client);

  bool is_server() const noexcept { return std::holds_alternative<ServerOptions>(options); }
  const std::vector<std::string>& alpn() const noexcept;
  Result<> load();
  std::shared_ptr<const Generation> generation() const {
    const std::scoped_lock lock(mutex);
    return current;
  }
  void add_ref() noexcept { refs.fetch_add(1, std::memory_order_relaxed); }  // Held by the caller.
  void drop() noexcept;

  const std::variant<ServerOptions, ClientOptions> options;
  TicketKeys tickets;
  SessionCache sessions;
  std::atomic<std::uint64_t> handshakes{0}, failed{0}, resumed{0}, reloads{0};

 private:
  std::atomic<std::uint32_t> refs{1};
  mutable std::mutex mutex;
  std::shared_ptr<const Generation> current;
};

struct ContextAccess {
  static ContextState& state(Context& context) noexcept { return *context.state_; }
};

/// What callbacks of OpenSSL find at a connection.
struct Connection {
  ContextState* state = nullptr;
  const Generation* generation = nullptr;
  std::string peer;  ///< of a client: host and port, the session cache's key
  /// At `ssl` for its life.
  static void attach(SSL* ssl, Connection* connection) noexcept;
  static Connection* of(const SSL* ssl) noexcept;
};

/// Names of application protocols as they are offered (RFC 7301, section 3.1). Errors:
/// invalid_argument for an empty or too long one.
Result<std::string> alpn_wire(const std::vector<std::string>& names);

/// Reads the files of a server's or client's options into contexts.
Result<std::shared_ptr<const Generation>> load_server(const ServerOptions& options);
Result<std::shared_ptr<const Generation>> load_client(const ClientOptions& options);

}  // namespace rondo::tls::detail
