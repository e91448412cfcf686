// SPDX-License-Identifier: Apache-2.0
// The public handle, and who the peer is.
#include "rondo/tls/stream.hpp"

#include <openssl/x509v3.h>

#include <cstring>
#include <ctime>

#include "rondo/core/cancel.hpp"
#include "tls/secure_stream.hpp"

namespace rondo::tls {
namespace {

struct FreeX509 {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
struct FreeNames {
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

std::string text_of(const X509_NAME* name) {
  BIO* memory = BIO_new(BIO_s_mem());
  if (!memory) return {};
  X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253);
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  std::string text(data, static_cast<std::size_t>(std::max(0L, size)));
  BIO_free(memory);
  return text;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> found;
  std::unique_ptr<GENERAL_NAMES, FreeNames> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    found.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  return found;
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  static constexpr char k_digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text.push_back(k_digits[digest[i] >> 4]);
    text.push_back(k_digits[digest[i] & 15]);
  }
  return text;
}

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

std::string_view view(const char* text) noexcept {
  return text ? std::string_view(text) : std::string_view();
}

}  // namespace

void Stream::close() noexcept {
  if (detail::SecureStream* own = std::exchange(own_, nullptr)) own->detach();
}

std::string_view Stream::alpn() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(own().ssl(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}
std::string_view Stream::version() const noexcept { return view(SSL_get_version(own().ssl())); }
std::string_view Stream::cipher() const noexcept {
  const SSL_CIPHER* used = SSL_get_current_cipher(own().ssl());
  return view(used ? SSL_CIPHER_standard_name(used) : nullptr);
}
std::string_view Stream::server_name() const noexcept {
  return view(SSL_get_servername(own().ssl(), TLSEXT_NAMETYPE_host_name));
}
bool Stream::resumed() const noexcept { return SSL_session_reused(own().ssl()) == 1; }

std::optional<PeerCertificate> Stream::peer_certificate() const {
  const std::unique_ptr<X509, FreeX509> shown(SSL_get1_peer_certificate(own().ssl()));
  if (!shown) return std::nullopt;
  return PeerCertificate{.subject = text_of(X509_get_subject_name(shown.get())),
                         .issuer = text_of(X509_get_issuer_name(shown.get())),
                         .names = names_of(shown.get()),
                         .sha256 = fingerprint_of(shown.get()),
                         .not_after = seconds_of(X509_get0_notAfter(shown.get()))};
}

ByteView Stream::ocsp_response() const noexcept {
  const unsigned char* response = nullptr;
  const long size = SSL_get_tlsext_status_ocsp_resp(own().ssl(), &response);
  if (size <= 0) return {};
  return {reinterpret_cast<const std::byte*>(response), static_cast<std::size_t>(size)};
}

namespace detail {
namespace {

Task<Result<Stream>> shake(Context context, Owned<Transport> transport, std::string peer,
                           HandshakeOptions options) {
  ContextState& state = ContextAccess::state(context);
  auto made = SecureStream::make(context, std::move(transport), std::move(peer));
  if (!made) co_return made.error();
  SecureStream& stream = **made;
  if (auto offered = stream.offer(options.alpn); !offered) co_return offered.error();
  if (auto agreed = co_await with_timeout(options.timeout, stream.shake_hands()); !agreed) {
    state.failed.fetch_add(1, std::memory_order_relaxed);
    co_return agreed.error();
  }
  state.handshakes.fetch_add(1, std::memory_order_relaxed);
  if (SSL_session_reused(stream.ssl()) == 1) state.resumed.fetch_add(1, std::memory_order_relaxed);
  co_return SecureStream::begin(std::move(*made));
}

}  // namespace

Task<Result<Stream>> accept(Context context, Owned<Transport> transport,
                            HandshakeOptions options) {
  RONDO_ASSERT(ContextAccess::state(context).is_server(), "accept() needs a server's context");
  return shake(std::move(context), std::move(transport), {}, std::move(options));
}

Task<Result<Stream>> connect(Context context, Owned<Transport> transport, std::string host,
                             HandshakeOptions options) {
  RONDO_ASSERT(!ContextAccess::state(context).is_server(), "connect() needs a client's context");
  return shake(std::move(context), std::move(transport), std::move(host), std::move(options));
}

}  // namespace detail
}  // namespace rondo::tls
