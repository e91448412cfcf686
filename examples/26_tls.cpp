// SPDX-License-Identifier: Apache-2.0
// TLS: a server with a certificate made on the spot, a client that believes it, and one that does
// not. The second connection takes up the session of the first: no certificate is sent again.
#include <cstdio>
#include <rondo/rondo.hpp>

using namespace rondo;
using namespace rondo::literals;

namespace {

/// A key and a certificate for example.org that signs itself.
Task<tls::Identity> make_identity(const std::string& folder) {
  tls::Identity made{.certificate_file = folder + "/site.pem", .key_file = folder + "/site.key"};
  const auto done = co_await process::capture(
      {.program = "openssl",
       .arguments = {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", made.key_file, "-out", made.certificate_file, "-subj",
                     "/CN=example.org", "-addext", "subjectAltName=DNS:example.org"}})
                        .or_throw();
  if (!done.status.success()) throw SystemError(Error(Errc::failed, "openssl", done.errors));
  co_return made;
}

Task<> greet(tls::Context context, tcp::Stream connection) {
  auto peer = co_await tls::accept(context, std::move(connection));
  if (!peer) co_return (void)std::printf("server: handshake failed\n");
  std::printf("server: asked for %.*s, speaks %.*s\n",
              static_cast<int>(peer->server_name().size()), peer->server_name().data(),
              static_cast<int>(peer->alpn().size()), peer->alpn().data());
  (void)co_await peer->write_all("hello\n");
}

Task<> visit(tls::Context context, const net::Endpoint& where, std::string host) {
  auto connection = co_await tcp::connect(where).or_throw();
  auto site = co_await tls::connect(context, std::move(connection), host);
  if (!site) co_return (void)std::printf("client: %s\n", describe(site.error().code()).c_str());
  auto line = co_await site->read_line();
  std::printf("client: %s says %.*s%s\n", host.c_str(), 5, line->text().data(),
              site->resumed() ? ", a session taken up again" : "");
  while (auto rest = co_await site->read()) {
    if (rest->empty()) break;  // The server's close_notify: an end, not a cut.
  }
}

Task<int> program(std::string folder) {
  const tls::Identity identity = co_await make_identity(folder);
  auto server = tls::Context::server({.identities = {identity}, .alpn = {"greeting"}}).or_throw();
  auto client = tls::Context::client(
                    {.authorities_file = identity.certificate_file, .alpn = {"greeting"}})
                    .or_throw();
  auto listener = tcp::listen({.address = "127.0.0.1:0"}).or_throw();
  for (const char* host : {"example.org", "example.org", "example.com"}) {
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start(visit, client, listener.local(), host);
      auto connection = co_await listener.accept().or_throw();
      co_await greet(server, std::move(connection));
    });
  }
  co_return 0;
}

}  // namespace

int main() { return run(fs::with_temporary_directory(program)); }
