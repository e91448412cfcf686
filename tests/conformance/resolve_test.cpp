// SPDX-License-Identifier: Apache-2.0
// Name resolution against a name server of the test's own, on the drivers of real kernels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "every_driver.hpp"
#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/net/resolve.hpp"
#include "rondo/net/udp.hpp"
#include "rondo/testing/sim_loop.hpp"

namespace rondo::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}
std::string labels(std::string_view name) {
  std::string made;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('.'), name.size());
    made += static_cast<char>(end);
    made.append(name.substr(0, end));
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return made + '\0';
}

/// Answers questions from a table of records: "name type" -> data of each.
class NameServer {
 public:
  struct Record {
    std::string question;  ///< "a.test 1"
    std::string data;
    unsigned ttl = 60;
  };
  explicit NameServer(std::vector<Record> records)
      : records_(std::move(records)),
        socket_(udp::Socket::bind({.address = "127.0.0.1:0"}).or_throw()) {}

  std::string address() const { return socket_.local().or_throw().to_string(); }
  Task<> run() {
    std::string room(2'000, ' ');
    while (true) {
      auto got = co_await socket_.receive(std::as_writable_bytes(std::span(room)));
      if (!got) continue;
      const std::string answer = answer_to(room.substr(0, got->size));
      if (!silent) (void)co_await socket_.send_to(as_bytes(answer), got->from);
    }
  }
  std::vector<std::string> asked;
  bool silent = false;

 private:
  std::string answer_to(const std::string& query) {
    std::string name;
    std::size_t at = 12;
    for (; query.at(at) != 0; at += static_cast<std::size_t>(query[at]) + 1) {
      if (!name.empty()) name += '.';
      name += query.substr(at + 1, static_cast<std::size_t>(query[at]));
    }
    const unsigned type = static_cast<unsigned char>(query.at(at + 2));
    const std::string question = name + " " + std::to_string(type);
    asked.push_back(question);
    std::string body;
    unsigned count = 0;
    bool known = false;
    for (const Record& each : records_) {
      known = known || each.question.starts_with(name + " ");
      if (each.question != question) continue;
      ++count;
      body += "\xc0\x0c" + u16(type) + u16(1) + u16(0) + u16(each.ttl) +
              u16(static_cast<unsigned>(each.data.size())) + each.data;
    }
    const unsigned flags = 0x8180U | (known ? 0U : 3U);  // NXDOMAIN for an unknown name.
    return query.substr(0, 2) + u16(flags) + u16(1) + u16(count) + u16(0) + u16(0) +
           query.substr(12, at + 5 - 12) + body;
  }

  std::vector<Record> records_;
  udp::Socket socket_;
};

class Resolve : public EveryDriver {
 protected:
  using Body = std::function<Task<>(NameServer&)>;
  void beside(std::vector<NameServer::Record> records, Body body) {
    run([&]() -> Task<> {
      NameServer server(std::move(records));
      net::configure_dns({.servers = {server.address()}, .timeout = 100ms, .tries = 2}).or_throw();
      co_await with_scope([&](Scope& scope) -> Task<> {
        scope.start([&] { return server.run(); });
        co_await body(server);
        scope.cancel();
      });
    });
  }
};

std::string ip(unsigned char last) { return {'\x0a', '\0', '\0', static_cast<char>(last)}; }

TEST_P(Resolve, addresses_are_kept_as_long_as_they_say) {
  beside({{"a.test 1", ip(1), 1}, {"long.test 1", ip(2), 3'600}}, [](NameServer& server) -> Task<> {
    const auto v4 = io::AddressFamily::v4;
    for (int i = 0; i < 3; ++i) {
      auto found = co_await net::resolve(i == 1 ? "A.Test" : "a.test",
                                         80 + static_cast<std::uint16_t>(i), v4)
                       .or_throw();
      EXPECT_EQ(found.at(0).to_string(), "10.0.0.1:" + std::to_string(80 + i));
    }
    EXPECT_EQ(server.asked.size(), 1u);
    co_await sleep_for(1100ms);
    (void)co_await net::resolve("a.test", 80, v4).or_throw();
    EXPECT_EQ(server.asked.size(), 2u) << "it was old";
    (void)co_await net::resolve("long.test", 80, v4).or_throw();
    EXPECT_EQ(net::dns_statistics().cached, 2u);
    EXPECT_EQ(net::dns_statistics().kept, 2u);
  });
}

TEST_P(Resolve, that_there_is_no_such_name_is_kept_for_a_while) {
  beside({}, [](NameServer& server) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      auto none = co_await net::resolve("none.test", 80, io::AddressFamily::v4);
      EXPECT_EQ(none.error().code(), Errc::no_such_host);
      EXPECT_EQ(none.error().object(), "none.test");
    }
    EXPECT_EQ(server.asked.size(), 1u);
  });
}

TEST_P(Resolve, a_server_that_is_silent_is_an_error_that_is_not_kept) {
  beside({{"a.test 1", ip(1)}}, [](NameServer& server) -> Task<> {
    server.silent = true;
    auto none = co_await net::resolve("a.test", 80, io::AddressFamily::v4);
    EXPECT_EQ(none.error().code(), Errc::resolve_failed);
    auto gone = co_await with_timeout(1ms, net::resolve("a.test", 80, io::AddressFamily::v4));
    EXPECT_EQ(gone.error().code(), Errc::timed_out);
    server.silent = false;
    EXPECT_TRUE((co_await net::resolve("a.test", 80, io::AddressFamily::v4)).has_value());
  });
}

TEST_P(Resolve, services_come_in_the_order_in_which_they_are_to_be_tried) {
  const auto place = [](unsigned priority, unsigned weight, unsigned port, std::string_view host) {
    return u16(priority) + u16(weight) + u16(port) + labels(host);
  };
  const std::string question = "_x._tcp.test 33";
  beside({{question, place(20, 0, 3, "last.test")},
          {question, place(10, 0, 1, "never.test")},
          {question, place(10, 60'000, 2, "first.test")}},
         [](NameServer&) -> Task<> {
           int first = 0;
           for (int i = 0; i < 20; ++i) {
             auto found = co_await net::resolve_srv("_x._tcp.test").or_throw();
             EXPECT_EQ(found.size(), 3u);
             EXPECT_EQ(found.back().host, "last.test");
             EXPECT_EQ(found.back().port, 3);
             if (found.front().host == "first.test") ++first;
           }
           EXPECT_GE(first, 18) << "weights of 60,000 to 0";
           auto none = co_await net::resolve_srv("_y._tcp.test");
           EXPECT_EQ(none.error().code(), Errc::no_such_host);
         });
}

TEST_P(Resolve, texts_are_put_together) {
  beside({{"t.test 16", std::string("\x05v=one\x04 two")}, {"t.test 16", std::string("\x05other")}},
         [](NameServer&) -> Task<> {
           EXPECT_THAT(co_await net::resolve_txt("t.test").or_throw(),
                       UnorderedElementsAre("v=one two", "other"));
           EXPECT_EQ((co_await net::resolve_txt("")).error(), Errc::bad_address);
         });
}

TEST_P(Resolve, wrong_servers_are_refused) {
  run([]() -> Task<> {
    EXPECT_EQ(net::configure_dns({.servers = {"no address"}}).error(), Errc::bad_address);
    co_return;
  });
}

INSTANTIATE_TEST_SUITE_P(kernel_drivers, Resolve, ::testing::Values("uring", "epoll"),
                         [](const auto& which) { return std::string(which.param); });

TEST(SimulatedResolve, hasNoRecords) {
  SimLoop().run([]() -> Task<> {
    EXPECT_EQ((co_await net::resolve_srv("_x._tcp.test")).error(), Errc::not_supported);
    EXPECT_EQ((co_await net::resolve_txt("t.test")).error(), Errc::not_supported);
    EXPECT_EQ(net::configure_dns({}).error(), Errc::not_supported);
    EXPECT_EQ(net::dns_statistics().asked, 0u);
  });
}

}  // namespace
}  // namespace rondo::testing
