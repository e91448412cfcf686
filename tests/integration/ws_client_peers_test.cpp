// SPDX-License-Identifier: Apache-2.0
// Our WebSocket client against a server of others: Node's `ws`, with and without deflate.
#include <gtest/gtest.h>

#include <string>

#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/http/client.hpp"
#include "rondo/process/process.hpp"
#include "rondo/ws/socket.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* k_server = R"(
const { WebSocketServer } = require("ws");
const deflate = process.argv[1] === "deflate" ? { threshold: 0 } : false;
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: deflate,
  handleProtocols: (offered) => offered.has("b") ? "b" : false });
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => {
    if (String(data) === "close") return socket.close(4001, "as asked");
    if (String(data) === "pieces") {
      socket.send("one ", { fin: false });
      socket.ping();
      socket.send("two", { fin: true });
      return;
    }
    socket.send(data, { binary: isBinary });
  });
});
)";

void beside_node(const char* mode, Task<> (*body)(std::string url, bool deflate)) {
  Loop loop;
  loop.run([](const char* how, Task<> (*then)(std::string, bool)) -> Task<> {
        process::SpawnOptions node{
            .program = "node",
            .arguments = {"-e", k_server, how},
            .directory = RONDO_SOURCE_DIR "/apps/chat/web",
            .output = process::Stdio::pipe(),
        };
        auto child = process::Process::spawn(std::move(node)).or_throw();
        const Loan line = co_await with_timeout(20s, child.output().read_line()).or_throw();
        const std::string port(line.text().substr(0, line.size() - 1));
        co_await then("ws://127.0.0.1:" + port + "/", std::string_view(how) == "deflate");
      }(mode, body))
      .or_throw();
}

Task<> talk(std::string url, bool deflate) {
  http::Client client;
  auto socket =
      (co_await ws::connect(client, url, {.protocols = {"a", "b"}, .socket = {.deflate = deflate}}))
          .or_throw();
  EXPECT_EQ(socket.protocol(), "b");
  for (const std::size_t size : {0u, 1u, 125u, 126u, 4'096u, 65'536u, 300'000u}) {
    std::string text;
    for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i);
    (co_await socket.send_text(text)).or_throw();
    EXPECT_EQ((co_await socket.receive()).or_throw().text(), text);
  }
  if (deflate) EXPECT_GT(socket.statistics().deflated, 2u);
  (co_await socket.send_text("pieces")).or_throw();
  EXPECT_EQ((co_await socket.receive()).or_throw().text(), "one two");
  EXPECT_EQ(socket.statistics().pongs_sent, 1u);
  (co_await socket.send_text("close")).or_throw();
  EXPECT_EQ((co_await socket.receive()).error(), Errc::closed);
  EXPECT_EQ(static_cast<int>(socket.close_code()), 4001);
  EXPECT_EQ(socket.close_reason(), "as asked");
}

TEST(WsClientPeers, nodes_ws_talks_with_it) { beside_node("plain", &talk); }
TEST(WsClientPeers, nodes_ws_talks_deflated_with_it) { beside_node("deflate", &talk); }

}  // namespace
}  // namespace rondo::testing
