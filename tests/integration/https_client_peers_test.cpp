// SPDX-License-Identifier: Apache-2.0
// Our HTTPS client against servers of others: Python's http.server over its ssl, and openssl.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "certificates.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/fs/dir.hpp"
#include "rondo/http/client.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/process/process.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* k_python = R"(
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[3])
handler.protocol_version = http.server.SimpleHTTPRequestHandler.protocol_version = "HTTP/1.1"
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
)";

class HttpsPeers : public ::testing::Test {
 protected:
  /// Runs `body` beside a child program; it is given the first line of output that holds `mark`.
  template <class F>
  void beside(process::SpawnOptions program, std::string mark, F body) {
    program.output = process::Stdio::pipe();
    program.errors = process::Stdio::null();
    Loop loop;
    loop.run([](process::SpawnOptions plan, std::string sign, F& then) -> Task<> {
          auto child = process::Process::spawn(std::move(plan)).or_throw();
          std::string line;
          while (line.empty() || line.find(sign) == std::string::npos) {
            auto got = co_await with_timeout(20s, child.output().read_line()).or_throw();
            if (got.empty()) throw std::runtime_error("the peer has ended");
            line = got.text();
          }
          co_await then(line);
          co_return;  // The child goes with its owner.
        }(std::move(program), std::move(mark), body))
        .or_throw();
  }

  Certificates made_;
  tls::Identity site_ = made_.sign("site", {.names = {"localhost"}, .addresses = {"127.0.0.1"}});
};

TEST_F(HttpsPeers, pythons_server_sends_files_over_one_connection) {
  const std::string text(300'000, 'f');
  std::ofstream(made_.file("page.txt")) << text;
  process::SpawnOptions python{
      .program = "python3",
      .arguments = {"-c", k_python, site_.certificate_file, site_.key_file,
                    made_.file("")}};
  beside(std::move(python), "", [&](const std::string& line) -> Task<> {
    const std::string url = "https://127.0.0.1:" + std::to_string(std::stoi(line));
    http::Client one(http::ClientOptions{
        .tls = tls::Context::client({.authorities_file = made_.authority()}).or_throw()});
    for (int i = 0; i < 3; ++i) {
      auto page = co_await one.get(url + "/page.txt").or_throw();
      EXPECT_EQ(page.status(), 200);
      EXPECT_EQ((co_await page.read_all()).or_throw(), text);
    }
    auto missing = co_await one.get(url + "/none").or_throw();
    EXPECT_EQ(missing.status(), 404);
    EXPECT_EQ(one.statistics().opened, 1u);
    http::Client stranger({.retries_max = 0});
    EXPECT_EQ((co_await stranger.get(url)).error(), Errc::untrusted);
  });
}

TEST_F(HttpsPeers, openssls_server_speaks_1_2_and_1_3_and_resumes) {
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    process::SpawnOptions openssl{
        .program = "openssl",
        .arguments = {"s_server", "-www", "-accept", "127.0.0.1:0", "-cert",
                      site_.certificate_file, "-key", site_.key_file, version}};
    beside(std::move(openssl), "ACCEPT", [&](const std::string& line) -> Task<> {
      const int port = std::stoi(line.substr(line.rfind(':') + 1));
      const std::string url = "https://localhost:" + std::to_string(port) + "/";
      http::Client one(http::ClientOptions{
          .tls = tls::Context::client({.authorities_file = made_.authority()}).or_throw()});
      for (const char* session : {"New", "Reused"}) {
        auto page = co_await one.get(url).or_throw();
        EXPECT_EQ(page.status(), 200);
        const auto text = co_await page.read_all();  // HTTP/1.0: until the end.
        EXPECT_THAT(text ? *text : text.error().message(), HasSubstr(session)) << version;
      }
    });
  }
}

}  // namespace
}  // namespace rondo::testing
