// SPDX-License-Identifier: Apache-2.0
// Digest authentication of our client against a server that knows the rule from elsewhere
// (http_digest_server.py).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "rondo/core/cancel.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/http/client.hpp"
#include "rondo/process/process.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

Task<std::string> ask(http::Client& client, http::ClientRequest request) {
  auto answer = (co_await client.send(std::move(request))).or_throw();
  const std::string body = (co_await answer.read_all()).or_throw();
  co_return std::to_string(answer.status()) + " " + body;
}

Task<> log_in(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RONDO_SOURCE_DIR "/tests/integration/http_digest_server.py");
  auto door = process::Process::spawn(
                  {.program = "python3", .arguments = arguments, .output = process::Stdio::pipe()})
                  .or_throw();
  const Loan line = co_await with_timeout(20s, door.output().read_line()).or_throw();
  const std::string url =
      "http://127.0.0.1:" + std::string(line.text().substr(0, line.size() - 1)) + "/a/b?c=d,e";
  http::Client client(
      {.credentials = {
           {.origin = url, .user = "J\u00e4s\u00f8n Doe", .password = "Secret, or not?"}}});
  // A nonce is good for three: the fourth request asks, is told `stale`, and counts from one.
  for (const char* uses : {"1", "2", "3", "1", "2"}) {
    EXPECT_EQ(co_await ask(client, {.method = "PUT", .url = url, .body = "text"}),
              std::string("200 PUT text ") + uses);
  }
  EXPECT_EQ(co_await ask(client, {.url = url}), "200 GET  3");
  EXPECT_EQ(client.statistics().challenges, 2U);
  http::Client stranger(
      {.credentials = {{.origin = url, .user = "J\u00e4s\u00f8n Doe", .password = "guessed"}}});
  EXPECT_EQ(co_await ask(stranger, {.url = url}), "401 another response");
}

using Arguments = std::vector<std::string>;
class HttpDigestPeers : public ::testing::TestWithParam<Arguments> {};

TEST_P(HttpDigestPeers, a_server_of_another_hand_lets_it_in) {
  Loop loop;
  loop.run(log_in(GetParam())).or_throw();
}

INSTANTIATE_TEST_SUITE_P(
    Rules, HttpDigestPeers,
    ::testing::Values(Arguments{"MD5", "auth"}, Arguments{"MD5-sess", "auth"},
                      Arguments{"SHA-256", "auth"}, Arguments{"SHA-256-sess", "auth"},
                      Arguments{"SHA-512-256", "auth"}, Arguments{"SHA-256", "auth-int"},
                      Arguments{"MD5-sess", "auth-int"}, Arguments{"SHA-256", "auth", "userhash"}));

}  // namespace
}  // namespace rondo::testing
