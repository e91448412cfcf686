// SPDX-License-Identifier: Apache-2.0
// TLS on every driver: the stream's contract, who is believed, what is agreed, and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "certificates.hpp"
#include "every_driver.hpp"
#include "net_pairs.hpp"
#include "rondo/core/memory_stream.hpp"
#include "rondo/core/when.hpp"
#include "rondo/testing/conformance.hpp"
#include "rondo/tls/stream.hpp"

namespace rondo::testing {
namespace {

using tls::Context;

struct Secured {
  tls::Stream client;
  tls::Stream server;
};

/// What both sides came to.
struct Meeting {
  Result<tls::Stream> client;
  Result<tls::Stream> server;
};

Task<Meeting> meet(Context client, Context server, std::string host = "example.org") {
  Ends ends = co_await tcp_pair();
  auto [near, far] = co_await when_all(tls::connect(client, std::move(ends.near), host),
                                       tls::accept(server, std::move(ends.far)));
  co_return Meeting{std::move(near), std::move(far)};
}

struct SecuredPair : StreamPair {
  explicit SecuredPair(Meeting&& made)
      : client(std::move(made.client).or_throw()), server(std::move(made.server).or_throw()) {}
  tls::Stream client;
  tls::Stream server;
  ByteStream& first() override { return client; }
  ByteStream& second() override { return server; }
};

class Tls : public EveryDriver {
 protected:
  Context server(tls::ServerOptions options = {}) {
    if (options.identities.empty()) options.identities.push_back(site());
    return Context::server(std::move(options)).or_throw();
  }
  Context client(tls::ClientOptions options = {}) {
    options.authorities_file = made_.authority();
    return Context::client(std::move(options)).or_throw();
  }
  const tls::Identity& site() {
    if (!site_) site_ = made_.sign("site", {.names = {"example.org"}, .addresses = {"127.0.0.1"}});
    return *site_;
  }

  Certificates made_;
  std::optional<tls::Identity> site_;
};

TEST_P(Tls, keeps_the_contract_of_streams) {
  run_on(loop_options({.buffer_count = 256}), [this]() -> Task<> {
    Context near = client();
    Context far = server();
    const auto found = co_await check_stream([near, far]() -> Task<Owned<StreamPair>> {
      co_return std::make_unique<SecuredPair>(co_await meet(near, far));
    });
    EXPECT_THAT(found, ::testing::IsEmpty());
  });
}

TEST_P(Tls, keeps_the_contract_with_tls_1_2_over_a_stream_that_is_lent) {
  run_on(loop_options({.buffer_count = 256}), [this]() -> Task<> {
    Context far = server();
    struct Lent : StreamPair {
      MemoryPair below;
      std::optional<tls::Stream> client;
      std::optional<tls::Stream> server;
      ByteStream& first() override { return *client; }
      ByteStream& second() override { return *server; }
    };
    Context near = client();
    const auto found = co_await check_stream([near, far]() -> Task<Owned<StreamPair>> {
      auto pair = std::make_unique<Lent>();
      auto [a, b] = co_await when_all(
          tls::connect(near, std::ref(pair->below.first()), "example.org:443"),
          tls::accept(far, std::ref(pair->below.second())));
      pair->client.emplace(std::move(a).or_throw());
      pair->server.emplace(std::move(b).or_throw());
      co_return Owned<StreamPair>(std::move(pair));
    });
    EXPECT_THAT(found, ::testing::IsEmpty());
  });
}

TEST_P(Tls, both_sides_know_what_was_agreed) {
  run([this]() -> Task<> {
    auto met = co_await meet(client({.alpn = {"h2", "http/1.1"}}),
                             server({.identities = {}, .alpn = {"http/1.1", "h2"}}));
    tls::Stream near = std::move(met.client).or_throw();
    tls::Stream far = std::move(met.server).or_throw();
    EXPECT_EQ(near.alpn(), "http/1.1") << "the server's order counts";
    EXPECT_EQ(far.alpn(), "http/1.1");
    EXPECT_EQ(near.version(), "TLSv1.3");
    EXPECT_THAT(near.cipher(), ::testing::StartsWith("TLS_"));
    EXPECT_EQ(far.server_name(), "example.org");
    EXPECT_FALSE(near.resumed());
    const auto shown = near.peer_certificate();
    EXPECT_TRUE(shown.has_value());
    if (!shown) co_return;
    EXPECT_EQ(shown->subject, "CN=site");
    EXPECT_EQ(shown->issuer, "CN=Test Authority");
    EXPECT_THAT(shown->names, ::testing::ElementsAre("example.org"));
    EXPECT_EQ(shown->sha256.size(), 64u);
    EXPECT_GT(shown->not_after, 1'700'000'000);
    EXPECT_FALSE(far.peer_certificate().has_value());
  });
}

TEST_P(Tls, a_protocol_nobody_shares_ends_the_handshake) {
  run([this]() -> Task<> {
    auto met =
        co_await meet(client({.alpn = {"irc"}}), server({.identities = {}, .alpn = {"h2"}}));
    EXPECT_EQ(met.server.error(), Errc::protocol_error);
    EXPECT_EQ(met.client.error(), Errc::protocol_error);
    EXPECT_THAT(met.client.error().message(), ::testing::HasSubstr("no application protocol"));
  });
}

// ---- Who is believed

TEST_P(Tls, a_certificate_for_another_host_is_not_believed) {
  run([this]() -> Task<> {
    auto met = co_await meet(client(), server(), "example.com");
    EXPECT_EQ(met.client.error(), Errc::untrusted);
    EXPECT_THAT(met.client.error().message(), ::testing::HasSubstr("example.com: "));
    EXPECT_THAT(met.client.error().message(), ::testing::HasSubstr("ostname"));
    EXPECT_FALSE(met.server.has_value()) << "the alert has told it";
  });
}

TEST_P(Tls, an_address_is_matched_against_the_addresses_of_the_certificate) {
  run([this]() -> Task<> {
    EXPECT_TRUE((co_await meet(client(), server(), "127.0.0.1:443")).client.has_value());
    EXPECT_EQ((co_await meet(client(), server(), "127.0.0.2")).client.error(), Errc::untrusted);
    EXPECT_EQ((co_await meet(client(), server(), "[::1]:443")).client.error(), Errc::untrusted);
  });
}

TEST_P(Tls, an_authority_nobody_knows_and_an_expired_certificate_are_not_believed) {
  run([this]() -> Task<> {
    Certificates others;
    auto stranger = server({.identities = {others.sign("x", {.names = {"example.org"}})}});
    EXPECT_EQ((co_await meet(client(), stranger)).client.error(), Errc::untrusted);
    auto old = server({.identities = {
                           made_.sign("old", {.names = {"example.org"}, .ends = -60})}});
    auto met = co_await meet(client(), old);
    EXPECT_EQ(met.client.error(), Errc::untrusted);
    EXPECT_THAT(met.client.error().message(), ::testing::HasSubstr("expired"));
    EXPECT_TRUE((co_await meet(client({.verify = false}), old)).client.has_value());
  });
}

TEST_P(Tls, a_name_chooses_among_the_certificates) {
  run([this]() -> Task<> {
    auto far = server({.identities = {site(), made_.sign("wild", {.names = {"*.example.net"}})}});
    auto one = co_await meet(client(), far, "example.org");
    auto two = co_await meet(client(), far, "chat.example.net");
    EXPECT_EQ(std::move(one.client).or_throw().peer_certificate()->subject, "CN=site");
    EXPECT_EQ(std::move(two.client).or_throw().peer_certificate()->subject, "CN=wild");
    auto none = co_await meet(client(), far, "example.net");
    EXPECT_EQ(none.client.error(), Errc::untrusted) << "a wildcard stands for one label";
  });
}

TEST_P(Tls, clients_show_certificates_where_they_are_asked) {
  run([this]() -> Task<> {
    const tls::Identity ada = made_.sign("ada", {.names = {}});
    auto far = server({.identities = {},
                       .client_certificate = tls::ClientCertificate::require,
                       .authorities_file = made_.authority()});
    auto good = co_await meet(client({.identity = ada}), far);
    EXPECT_EQ(std::move(good.server).or_throw().peer_certificate()->subject, "CN=ada");
    auto bare = co_await meet(client(), far);
    EXPECT_EQ(bare.server.error(), Errc::protocol_error);
    Certificates others;
    auto forged = co_await meet(client({.identity = others.sign("eve", {.names = {}})}), far);
    EXPECT_EQ(forged.server.error(), Errc::untrusted);
    if (bare.client) {  // TLS 1.3: a client learns it with the first thing it reads.
      auto got = co_await bare.client->read();
      EXPECT_EQ(got.error(), Errc::protocol_error);
    }
    auto asks = server({.identities = {},
                        .client_certificate = tls::ClientCertificate::ask,
                        .authorities_file = made_.authority()});
    EXPECT_TRUE((co_await meet(client(), asks)).server.has_value());
  });
}

// ---- Resumption, reload, stapling

/// The server says a word; whoever reads it has taken the tickets that came before it.
Task<bool> exchange(Meeting met) {
  tls::Stream near = std::move(met.client).or_throw();
  tls::Stream far = std::move(met.server).or_throw();
  (co_await far.write_all("x\n")).or_throw();
  EXPECT_EQ((co_await near.read_line()).or_throw().text(), "x\n");
  EXPECT_EQ(near.resumed(), far.resumed());
  co_return near.resumed();
}

TEST_P(Tls, a_second_connection_resumes_the_session_of_the_first) {
  run([this]() -> Task<> {
    Context near = client();
    Context far = server();
    EXPECT_FALSE(co_await exchange(co_await meet(near, far)));
    EXPECT_TRUE(co_await exchange(co_await meet(near, far)));
    EXPECT_FALSE(co_await exchange(co_await meet(client(), far))) << "another client";
    EXPECT_EQ(far.statistics().handshakes, 3u);
    EXPECT_EQ(far.statistics().resumed, 1u);
    auto without = server({.identities = {}, .ticket_rotation = Duration::zero()});
    EXPECT_FALSE(co_await exchange(co_await meet(near, without)));
    EXPECT_FALSE(co_await exchange(co_await meet(near, without)));
  });
}

TEST_P(Tls, files_are_read_again_for_new_connections_only) {
  run([this]() -> Task<> {
    const tls::Identity files = made_.sign("now", {.names = {"example.org"}});
    Context far = server({.identities = {files}});
    auto before = co_await meet(client(), far);
    (void)made_.sign("now", {.names = {"example.org"}, .ends = 600});
    far.reload().or_throw();
    auto after = co_await meet(client(), far);
    tls::Stream old = std::move(before.client).or_throw();
    tls::Stream fresh = std::move(after.client).or_throw();
    EXPECT_NE(old.peer_certificate()->sha256, fresh.peer_certificate()->sha256);
    EXPECT_EQ(far.statistics().reloads, 1u);
    tls::Stream peer = std::move(before.server).or_throw();
    (co_await peer.write_all("still here\n")).or_throw();
    EXPECT_EQ((co_await old.read_line()).or_throw().text(), "still here\n");

    std::ofstream(files.certificate_file) << "nonsense";
    const auto refused = far.reload();
    EXPECT_EQ(refused.error(), Errc::bad_message);
    EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("now.pem"));
    EXPECT_TRUE((co_await meet(client(), far)).client.has_value()) << "all stays as it was";
  });
}

TEST_P(Tls, a_stapled_response_reaches_the_client) {
  run([this]() -> Task<> {
    tls::Identity files = site();
    files.ocsp_file = made_.file("response.der");
    std::ofstream(files.ocsp_file, std::ios::binary) << std::string("0\x03\x0a\x01\x06", 5);
    auto met = co_await meet(client(), server({.identities = {files}}));
    EXPECT_EQ(as_text(std::move(met.client).or_throw().ocsp_response()), "0\x03\x0a\x01\x06");
    auto bare = co_await meet(client(), server());
    EXPECT_TRUE(std::move(bare.client).or_throw().ocsp_response().empty());
  });
}

// ---- Ends

TEST_P(Tls, a_connection_cut_without_a_word_is_truncated_not_ended) {
  run([this]() -> Task<> {
    MemoryPair below;
    auto [a, b] = co_await when_all(
        tls::connect(client(), std::ref(below.first()), "example.org"),
        tls::accept(server(), std::ref(below.second())));
    tls::Stream near = std::move(a).or_throw();
    tls::Stream far = std::move(b).or_throw();
    (co_await far.write_all("half")).or_throw();
    (co_await far.flush()).or_throw();
    below.second().shutdown_write();
    EXPECT_EQ((co_await near.read()).or_throw().text(), "half");
    EXPECT_EQ((co_await near.read()).error(), Errc::truncated);
    far.shutdown_write();
  });
}

TEST_P(Tls, stands_on_itself_as_on_any_stream) {
  run([this]() -> Task<> {
    auto outer = co_await meet(client(), server());
    auto [a, b] = co_await when_all(
        tls::connect(client(), std::move(outer.client).or_throw(), "example.org"),
        tls::accept(server(), std::move(outer.server).or_throw()));
    tls::Stream near = std::move(a).or_throw();
    tls::Stream far = std::move(b).or_throw();
    (co_await near.write_all("through two\n")).or_throw();
    EXPECT_EQ((co_await with_timeout(10s, far.read_line())).or_throw().text(), "through two\n");
    (co_await far.write_all("and back\n")).or_throw();
    EXPECT_EQ((co_await with_timeout(10s, near.read_line())).or_throw().text(), "and back\n");
  });
}

TEST_P(Tls, each_direction_ends_by_itself) {
  run([this]() -> Task<> {
    auto met = co_await meet(client(), server());
    tls::Stream near = std::move(met.client).or_throw();
    tls::Stream far = std::move(met.server).or_throw();
    near.shutdown_write();
    EXPECT_TRUE((co_await far.read()).or_throw().empty());
    EXPECT_EQ((co_await near.write_all("late")).error(), Errc::closed);
    (co_await far.write_all("answer\n")).or_throw();
    EXPECT_EQ((co_await near.read_line()).or_throw().text(), "answer\n");
  });
}

TEST_P(Tls, the_destructor_sends_what_was_accepted) {
  run([this]() -> Task<> {
    auto met = co_await meet(client(), server());
    tls::Stream far = std::move(met.server).or_throw();
    {
      tls::Stream near = std::move(met.client).or_throw();
      (co_await near.write_all("last words\n")).or_throw();
    }
    EXPECT_EQ((co_await far.read_line()).or_throw().text(), "last words\n");
    EXPECT_TRUE((co_await far.read()).or_throw().empty()) << "an end, not a cut";
  });
}

TEST_P(Tls, a_peer_that_speaks_something_else_is_an_error) {
  run([this]() -> Task<> {
    Ends ends = co_await tcp_pair();
    (co_await ends.near.write_all("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")).or_throw();
    auto refused = co_await tls::accept(server(), std::move(ends.far));
    EXPECT_EQ(refused.error(), Errc::protocol_error);
    EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("http request"));
  });
}

TEST_P(Tls, a_silent_peer_times_out_and_one_that_leaves_is_truncated) {
  run([this]() -> Task<> {
    Ends quiet = co_await tcp_pair();
    auto late = co_await tls::accept(server(), std::move(quiet.far), {.timeout = 20ms});
    EXPECT_EQ(late.error(), Errc::timed_out);
    Ends gone = co_await tcp_pair();
    gone.near.close();
    auto cut = co_await tls::accept(server(), std::move(gone.far));
    EXPECT_EQ(cut.error(), Errc::truncated);
  });
}

TEST_P(Tls, garbage_in_the_middle_breaks_the_stream) {
  run([this]() -> Task<> {
    MemoryPair below;
    auto [a, b] = co_await when_all(
        tls::connect(client(), std::ref(below.first()), "example.org"),
        tls::accept(server(), std::ref(below.second())));
    tls::Stream near = std::move(a).or_throw();
    tls::Stream far = std::move(b).or_throw();
    const std::string_view record("\x17\x03\x03\x00\x05wrong", 10);
    (co_await below.first().write_all(record)).or_throw();
    EXPECT_EQ((co_await far.read()).error(), Errc::protocol_error);
    EXPECT_EQ((co_await far.write_all("x")).error(), Errc::protocol_error);
  });
}

TEST_P(Tls, a_handshake_can_be_cancelled_at_any_time) {
  run([this]() -> Task<> {
    Context near = client();
    Context far = server();
    for (int moment = 0; moment < 12; ++moment) {
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([](Context a, Context b) -> Task<> { (void)co_await meet(a, b); }, near, far);
        co_await turns(moment);
        scope.cancel();
      });
    }
  });
}

TEST_P(Tls, reads_and_writes_can_be_cancelled_and_lose_nothing) {
  run([this]() -> Task<> {
    auto met = co_await meet(client(), server());
    tls::Stream near = std::move(met.client).or_throw();
    tls::Stream far = std::move(met.server).or_throw();
    EXPECT_EQ((co_await with_timeout(1ms, near.read())).error(), Errc::timed_out);
    (co_await far.write_all("kept\n")).or_throw();
    EXPECT_EQ((co_await near.read_line()).or_throw().text(), "kept\n");
    const std::string large(20'000'000, 'x');
    auto stuck = co_await with_timeout(20ms, far.write_all(std::string_view(large)));
    EXPECT_EQ(stuck.error(), Errc::timed_out);
    EXPECT_EQ((co_await far.write_all("x")).error(), Errc::broken);
  });
}

// ---- Contexts

TEST(TlsContext, refuses_files_that_cannot_be_used_and_says_which) {
  Certificates made;
  const tls::Identity good = made.sign("a", {.names = {"a"}});
  const tls::Identity other = made.sign("b", {.names = {"b"}});
  const auto why = [](tls::ServerOptions options) {
    return Context::server(std::move(options)).error();
  };
  EXPECT_EQ(why({.identities = {}}), Errc::invalid_argument);
  EXPECT_EQ(why({.identities = {{"/nowhere/x.pem", good.key_file}}}), Errc::no_such_file);
  EXPECT_THAT(why({.identities = {{"/nowhere/x.pem", good.key_file}}}).message(),
              ::testing::HasSubstr("/nowhere/x.pem"));
  EXPECT_EQ(why({.identities = {{good.certificate_file, other.key_file}}}), Errc::bad_message);
  EXPECT_EQ(why({.identities = {{good.key_file, good.key_file}}}), Errc::bad_message);
  EXPECT_EQ(why({.identities = {good}, .client_certificate = tls::ClientCertificate::require}),
            Errc::invalid_argument);
  EXPECT_EQ(why({.identities = {good}, .alpn = {""}}), Errc::invalid_argument);
  EXPECT_EQ(Context::client({.authorities_file = "/nowhere"}).error(), Errc::no_such_file);
}

ON_EVERY_DRIVER(Tls);

}  // namespace
}  // namespace rondo::testing
