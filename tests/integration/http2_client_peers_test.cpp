// SPDX-License-Identifier: Apache-2.0
// Our HTTP/2 client against servers of others over TLS: nghttpd, nginx and Node's http2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "certificates.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/map_concurrent.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/when.hpp"
#include "rondo/http/client.hpp"
#include "rondo/net/tcp.hpp"
#include "rondo/net/unix.hpp"
#include "rondo/process/process.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;
using http::Client;
using http::ClientOptions;
using http::ClientRequest;
using ::testing::HasSubstr;

constexpr const char* k_node = R"(
const http2 = require("http2"), fs = require("fs");
const [cert, key] = process.argv.slice(1);
const server = http2.createSecureServer({cert: fs.readFileSync(cert), key: fs.readFileSync(key),
  settings: {enableConnectProtocol: true, maxConcurrentStreams: 10}});
let asked = 0;
server.on("stream", (stream, head) => {
  stream.on("error", () => {});
  const path = head[":path"];
  if (head[":method"] === "CONNECT") {
    stream.respond({":status": 200, "x-protocol": head[":protocol"]});
    stream.pipe(stream);
  } else if (path === "/echo") {
    stream.respond({":status": 200}, {waitForTrailers: true});
    let sum = 0, theirs = "none";
    stream.on("data", piece => { sum += piece.length; });
    stream.on("trailers", fields => { theirs = fields["x-sum"]; });
    const tail = () => ({"x-size": String(sum), "x-theirs": theirs});
    stream.on("wantTrailers", () => stream.sendTrailers(tail()));
    stream.pipe(stream);
  } else if (path === "/early") {
    stream.additionalHeaders({":status": 103, link: "</a>"});
    stream.respond({":status": 200});
    stream.end("early");
  } else if (path === "/reset") {
    stream.respond({":status": 200});
    stream.write("part");
    setTimeout(() => stream.destroy(new Error("told")), 20);
  } else if (path === "/goaway") {
    stream.respond({":status": 200});
    stream.end("last");
    stream.session.close();
  } else if (path === "/push") {
    stream.respond({":status": 200});
    stream.end("pushAllowed " + stream.pushAllowed);
  } else {
    stream.respond({":status": 200});
    stream.end("asked " + (++asked));
  }
});
server.listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
)";

class Http2ClientPeers : public ::testing::Test {
 protected:
  using Body = std::function<Task<>(const std::string& line)>;
  /// Runs `body` beside a child program; it is given the first line of output that holds `mark`.
  void beside(process::SpawnOptions program, std::string mark, Body body) {
    program.output = process::Stdio::pipe();
    program.errors = process::Stdio::null();
    Loop loop;
    loop.run([](process::SpawnOptions plan, std::string sign, Body then) -> Task<> {
          auto child = process::Process::spawn(std::move(plan)).or_throw();
          std::string line;
          while (!sign.empty() && line.find(sign) == std::string::npos) {
            auto got = co_await with_timeout(20s, child.output().read_line()).or_throw();
            if (got.empty()) throw std::runtime_error("the peer has ended");
            line = got.text();
          }
          co_await then(line);
        }(std::move(program), std::move(mark), std::move(body)))
        .or_throw();
  }
  ClientOptions options() {
    return {.tls = tls::Context::client({.authorities_file = made_.authority()}).or_throw(),
            .versions = http::Versions::any};
  }

  Certificates made_;
  tls::Identity site_ = made_.sign("site", {.names = {"localhost"}, .addresses = {"127.0.0.1"}});
};

Task<std::string> text_of(Client& client, std::string url) {
  auto answer = co_await client.get(std::move(url));
  if (!answer) co_return "error: " + answer.error().message();
  EXPECT_EQ(answer->version(), "HTTP/2");
  auto body = co_await answer->read_all();
  co_return body ? *body : "error: " + body.error().message();
}

/// What every server does: many files at once over one connection, also large ones.
Task<> load_files(Client& client, std::string url, const std::string& large) {
  std::vector<int> numbers(200);
  const auto all = co_await map_concurrent(numbers, 200, [&](int) -> Task<std::string> {
    co_return co_await text_of(client, url + "/small.txt");
  });
  for (const std::string& each : all) EXPECT_EQ(each, "small");
  std::vector<int> few(5);
  for (const std::string& each : co_await map_concurrent(few, 5, [&](int) -> Task<std::string> {
         co_return co_await text_of(client, url + "/large.bin");
       }))
    EXPECT_TRUE(each == large);
  {
    auto dropped = (co_await client.get(url + "/large.bin")).or_throw();
    EXPECT_FALSE((co_await dropped.read()).or_throw().empty());
  }
  EXPECT_EQ(co_await text_of(client, url + "/small.txt"), "small");
  auto missing = (co_await client.get(url + "/missing")).or_throw();
  EXPECT_EQ(missing.status(), 404);
}

TEST_F(Http2ClientPeers, node_streams_both_ways_with_trailers_and_ends_in_every_way) {
  process::SpawnOptions node{.program = "node",
                             .arguments = {"-e", k_node, site_.certificate_file, site_.key_file}};
  beside(std::move(node), "port ", [&](const std::string& line) -> Task<> {
    const std::string url = "https://127.0.0.1:" + std::to_string(std::stoi(line.substr(5)));
    Client client(options());
    std::vector<int> numbers(50);
    for (const std::string& each : co_await map_concurrent(
             numbers, 50,
             [&](int) -> Task<std::string> { co_return co_await text_of(client, url); }))
      EXPECT_THAT(each, HasSubstr("asked"));
    ClientRequest request{.method = "POST", .url = url + "/echo"};
    int left = 50;
    request.body_source = [&]() -> Task<Result<std::string>> {
      co_return left-- > 0 ? std::string(30'000, 'n') : std::string();
    };
    request.trailers = [] { return std::vector<http::Header>{{"X-Sum", "42"}}; };
    auto echo = (co_await client.send(std::move(request))).or_throw();
    EXPECT_EQ((co_await echo.read_all()).or_throw().size(), 1'500'000u);
    EXPECT_EQ(echo.trailers().get("x-size"), "1500000");
    EXPECT_EQ(echo.trailers().get("x-theirs"), "42");
    EXPECT_EQ(co_await text_of(client, url + "/early"), "early");
    EXPECT_EQ(co_await text_of(client, url + "/push"), "pushAllowed false");
    EXPECT_THAT(co_await text_of(client, url + "/reset"), HasSubstr("INTERNAL_ERROR"));
    EXPECT_LE(client.statistics().opened, 8u);
    EXPECT_EQ(co_await text_of(client, url + "/goaway"), "last");
    EXPECT_THAT(co_await text_of(client, url), HasSubstr("asked"));
  });
}

TEST_F(Http2ClientPeers, node_takes_an_extended_connect) {
  process::SpawnOptions node{.program = "node",
                             .arguments = {"-e", k_node, site_.certificate_file, site_.key_file}};
  beside(std::move(node), "port ", [&](const std::string& line) -> Task<> {
    const std::string url = "https://127.0.0.1:" + std::to_string(std::stoi(line.substr(5)));
    Client client(options());
    auto tunnel = (co_await client.upgrade({.url = url + "/chat"}, "echo", true)).or_throw();
    EXPECT_EQ(tunnel.head().get("x-protocol"), "echo");
    const std::string text(300'000, 't');
    std::string back;
    co_await when_all([&]() -> Task<> { (co_await tunnel.stream().write_all(text)).or_throw(); }(),
                      [&]() -> Task<> {
                        while (back.size() < text.size()) {
                          auto got = (co_await tunnel.stream().read()).or_throw();
                          if (got.empty()) co_return;
                          back += got.text();
                        }
                      }());
    EXPECT_TRUE(back == text);
    tunnel.stream().shutdown_write();
    EXPECT_TRUE((co_await tunnel.stream().read()).or_throw().empty());
    EXPECT_EQ(client.statistics().opened, 1u);
  });
}

TEST_F(Http2ClientPeers, nginx_serves_files_over_one_connection) {
  const std::string large(3'000'000, 'g');
  std::ofstream(made_.file("small.txt")) << "small";
  std::ofstream(made_.file("large.bin")) << large;
  const std::string socket = made_.file("socket");
  std::ofstream(made_.file("nginx.conf"))
      << "daemon off; master_process off; error_log stderr; pid " << made_.file("pid")
      << ";\nevents { worker_connections 64; }\nhttp { access_log off; client_body_temp_path "
      << made_.file("") << "a; proxy_temp_path " << made_.file("") << "b; fastcgi_temp_path "
      << made_.file("") << "c; uwsgi_temp_path " << made_.file("") << "d; scgi_temp_path "
      << made_.file("") << "e;\nkeepalive_requests 100;\nserver { listen unix:" << socket
      << " ssl http2; ssl_certificate " << site_.certificate_file << "; ssl_certificate_key "
      << site_.key_file << "; root " << made_.file("") << "; } }\n";
  process::SpawnOptions nginx{.program = "nginx",
                              .arguments = {"-c", made_.file("nginx.conf"), "-e", "stderr"}};
  beside(std::move(nginx), "", [&](const std::string&) -> Task<> {
    for (int i = 0; i < 500 && !co_await unix_stream::connect(socket); ++i)
      co_await sleep_for(20ms);
    ClientOptions plan = options();
    plan.unix_path = socket;
    plan.per_origin_max = 2;
    Client client(std::move(plan));
    // After each 100 requests nginx says GOAWAY (keepalive_requests): nothing is lost by that.
    co_await load_files(client, "https://localhost", large);
    EXPECT_GE(client.statistics().opened, 2u);
    EXPECT_EQ(client.statistics().opened, client.statistics().http2);
  });
}

TEST_F(Http2ClientPeers, nghttpd_serves_files_echoes_and_sends_trailers) {
  const std::string large(3'000'000, 'd');
  std::ofstream(made_.file("small.txt")) << "small";
  std::ofstream(made_.file("large.bin")) << large;
  std::string port;
  {
    Loop loop;
    loop.run([](std::string& into) -> Task<> {
          into = std::to_string(tcp::listen({.address = "127.0.0.1:0"}).or_throw().port());
          co_return;
        }(port))
        .or_throw();
  }
  process::SpawnOptions nghttpd{
      .program = "nghttpd",
      .arguments = {"-a", "127.0.0.1", "-d", made_.file(""), "--echo-upload", "-m", "20",
                    "--trailer", "x-tail: 1", port, site_.key_file, site_.certificate_file}};
  beside(std::move(nghttpd), "", [&](const std::string&) -> Task<> {
    const std::string address = "127.0.0.1:" + port;
    for (int i = 0; i < 500 && !co_await tcp::connect(address); ++i) co_await sleep_for(20ms);
    ClientOptions plan = options();
    plan.per_origin_max = 1;
    Client client(std::move(plan));
    const std::string url = "https://" + address;
    co_await load_files(client, url, large);
    EXPECT_EQ(client.statistics().opened, 1u);
    auto tail = (co_await client.get(url + "/small.txt")).or_throw();
    EXPECT_EQ((co_await tail.read_all()).or_throw(), "small");
    EXPECT_EQ(tail.trailers().get("x-tail"), "1");
    auto echo =
        (co_await client.send({.method = "POST", .url = url + "/", .body = large})).or_throw();
    EXPECT_TRUE((co_await echo.read_all(10'000'000)).or_throw() == large);
  });
}

}  // namespace
}  // namespace rondo::testing
