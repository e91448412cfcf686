// SPDX-License-Identifier: Apache-2.0
// From files and options to OpenSSL's contexts, and what those ask while a handshake goes on.
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "rondo/core/loop.hpp"
#include "tls/context.hpp"

namespace rondo::tls::detail {

std::string take_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : "no reason given";
}

namespace {

/// One slot of every SSL object, for the process.
int connection_slot() noexcept {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return slot;
}

Result<> readable(const std::string& path) {
  if (::access(path.c_str(), R_OK) == 0) return {};
  return Error::from_errno(errno, "tls", path);
}

Error bad(const std::string& file) {
  return Error(Errc::bad_message, "tls", file + ": " + take_reason());
}

/// A key that wants a pass phrase must not make a server ask on its terminal.
int no_pass_phrase(char*, int, int, void*) { return 0; }

Result<SslContext> new_context(const SSL_METHOD* method, Version version_min) {
  SslContext made(SSL_CTX_new(method));
  if (!made) return Error(Errc::no_memory, "tls", take_reason());
  SSL_CTX_set_min_proto_version(made.get(),
                                version_min == Version::tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(made.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Idle connections keep no record buffers; a retried write may come from another address.
  SSL_CTX_set_mode(made.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(made.get(), &no_pass_phrase);
  // TLS 1.2 with forward secrecy and authenticated encryption only (RFC 9325 section 4.2).
  if (SSL_CTX_set_cipher_list(made.get(), "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
    return Error(Errc::bad_message, "tls", take_reason());
  }
  return made;
}

Result<> use(SSL_CTX* context, const Identity& identity) {
  if (auto good = readable(identity.certificate_file); !good) return good.error();
  if (auto good = readable(identity.key_file); !good) return good.error();
  if (SSL_CTX_use_certificate_chain_file(context, identity.certificate_file.c_str()) != 1) {
    return bad(identity.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, identity.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return bad(identity.key_file);
  }
  if (SSL_CTX_check_private_key(context) != 1) return bad(identity.key_file);
  return {};
}

Result<> believe(SSL_CTX* context, const std::string& authorities) {
  if (authorities.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return bad("the system's authorities");
    return {};
  }
  if (auto good = readable(authorities); !good) return good.error();
  if (SSL_CTX_load_verify_file(context, authorities.c_str()) != 1) return bad(authorities);
  return {};
}

// ---- What OpenSSL asks of a server

int select_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  for (const std::string& name : Connection::of(ssl)->state->alpn()) {
    // Each stands behind a byte that says its length; OpenSSL has checked that all are whole.
    for (std::size_t at = 0; at < list.size(); at += 1 + offered[at]) {
      if (list.substr(at + 1, offered[at]) != name) continue;
      *out = offered + at + 1;
      *out_size = offered[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol (RFC 7301 section 3.2).
}

int select_identity(SSL* ssl, int*, void*) {
  const Connection* connection = Connection::of(ssl);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (!name) return SSL_TLSEXT_ERR_NOACK;
  for (const Generation::One& one : connection->generation->identities) {
    X509* certificate = SSL_CTX_get0_certificate(one.context.get());
    if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) != 1)
      continue;
    if (SSL_get_SSL_CTX(ssl) != one.context.get()) SSL_set_SSL_CTX(ssl, one.context.get());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;  // A stranger's name gets the first certificate, and may refuse it.
}

int staple(SSL* ssl, void*) {
  const Connection* connection = Connection::of(ssl);
  for (const Generation::One& one : connection->generation->identities) {
    if (one.context.get() != SSL_get_SSL_CTX(ssl) || one.ocsp.empty()) continue;
    void* copy = OPENSSL_memdup(one.ocsp.data(), one.ocsp.size());  // OpenSSL frees it.
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(one.ocsp.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

int use_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac, int sealing) {
  TicketKeys& keys = Connection::of(ssl)->state->tickets;
  const TimePoint at = now();
  return sealing ? keys.seal(at, name, iv, cipher, mac) : keys.open(at, name, iv, cipher, mac);
}

// ---- And of a client

int keep_session(SSL* ssl, SSL_SESSION* session) {
  const Connection* connection = Connection::of(ssl);
  connection->state->sessions.put(connection->peer, SslSession(session));
  return 1;  // It is ours now.
}

Result<> set_resumption(SSL_CTX* context, Duration rotation) {
  if (rotation <= Duration::zero()) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return {};
  }
  // Tickets only: a cache of sessions in here would be one more thing to bound and to share.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(3 * rotation).count();
  SSL_CTX_set_timeout(context, std::max<long>(1, static_cast<long>(seconds)));
  if (SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &use_ticket_key) != 1) {
    return Error(Errc::not_supported, "tls", take_reason());
  }
  return {};
}

Result<> ask_clients(SSL_CTX* context, const ServerOptions& options) {
  if (options.client_certificate == ClientCertificate::none) return {};
  if (auto good = believe(context, options.authorities_file); !good) return good.error();
  // Names of whom we believe, so that a client with several certificates shows the right one.
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.authorities_file.c_str()));
  int mode = SSL_VERIFY_PEER;
  if (options.client_certificate == ClientCertificate::require) {
    mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_CTX_set_verify(context, mode, nullptr);
  return {};
}

Result<Generation::One> load_identity(const ServerOptions& options, const Identity& identity) {
  auto context = new_context(TLS_server_method(), options.version_min);
  if (!context) return context.error();
  SSL_CTX* raw = context->get();
  if (auto good = use(raw, identity); !good) return good.error();
  if (auto good = ask_clients(raw, options); !good) return good.error();
  if (auto good = set_resumption(raw, options.ticket_rotation); !good) return good.error();
  static constexpr unsigned char k_session_id[] = "rondo";
  SSL_CTX_set_session_id_context(raw, k_session_id, sizeof k_session_id - 1);
  SSL_CTX_set_tlsext_servername_callback(raw, &select_identity);
  SSL_CTX_set_tlsext_status_cb(raw, &staple);
  if (!options.alpn.empty()) SSL_CTX_set_alpn_select_cb(raw, &select_protocol, nullptr);
  Generation::One one{.context = std::move(*context), .ocsp = {}};
  if (!identity.ocsp_file.empty()) {
    if (auto good = readable(identity.ocsp_file); !good) return good.error();
    std::ifstream file(identity.ocsp_file, std::ios::binary);
    one.ocsp.assign(std::istreambuf_iterator<char>(file), {});
  }
  return one;
}

}  // namespace

void Connection::attach(SSL* ssl, Connection* connection) noexcept {
  SSL_set_ex_data(ssl, connection_slot(), connection);
}
Connection* Connection::of(const SSL* ssl) noexcept {
  return static_cast<Connection*>(SSL_get_ex_data(ssl, connection_slot()));
}

Result<std::shared_ptr<const Generation>> load_server(const ServerOptions& options) {
  auto made = std::make_shared<Generation>();
  for (const Identity& identity : options.identities) {
    auto one = load_identity(options, identity);
    if (!one) return one.error();
    made->identities.push_back(std::move(*one));
  }
  return std::shared_ptr<const Generation>(std::move(made));
}

Result<std::shared_ptr<const Generation>> load_client(const ClientOptions& options) {
  auto context = new_context(TLS_client_method(), options.version_min);
  if (!context) return context.error();
  SSL_CTX* raw = context->get();
  if (options.verify) {
    if (auto good = believe(raw, options.authorities_file); !good) return good.error();
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  }
  if (options.identity) {
    if (auto good = use(raw, *options.identity); !good) return good.error();
  }
  if (!options.alpn.empty()) {
    const auto wire = alpn_wire(options.alpn);
    if (!wire) return wire.error();
    SSL_CTX_set_alpn_protos(raw, reinterpret_cast<const unsigned char*>(wire->data()),
                            static_cast<unsigned>(wire->size()));
  }
  if (options.sessions_max > 0) {
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(raw, &keep_session);
  }
  auto made = std::make_shared<Generation>();
  made->identities.push_back({.context = std::move(*context), .ocsp = {}});
  return std::shared_ptr<const Generation>(std::move(made));
}

}  // namespace rondo::tls::detail
