// SPDX-License-Identifier: Apache-2.0
// The rules of datagram sockets, one function each; the table at the end gives them their names.
#include <algorithm>
#include <string_view>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/testing/conformance.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

struct Check {
  const char* rule;
  DatagramContract contract;
  net::DatagramSocket& near;
  net::DatagramSocket& far;
  net::Endpoint near_at;
  net::Endpoint far_at;
  std::vector<std::string>& found;

  void expect(bool holds, const char* otherwise) {
    if (!holds) found.push_back(std::string(rule) + ": " + otherwise);
  }
  Task<> send(std::string_view text) { (co_await near.send_to(text, far_at)).or_throw(); }
  /// The next datagram's text; "cut" is put before one that was truncated.
  Task<std::string> hear() {
    net::Datagram got = co_await far.receive_from(contract.largest).or_throw();
    co_return (got.truncated ? "cut " : "") + std::string(got.data.text());
  }
};

Task<> arrives_with_its_sender(Check& check) {
  co_await check.send("hello");
  std::string room(100, ' ');
  const auto into = std::as_writable_bytes(std::span(room));
  auto got = co_await check.far.receive_from(into).or_throw();
  check.expect(got.size == 5 && room.starts_with("hello"), "its bytes are wrong");
  check.expect(!got.truncated, "it is said to be truncated");
  check.expect(got.from.to_string() == check.near_at.to_string(), "its sender is wrong");
  (co_await check.far.send_to("back", got.from)).or_throw();
  net::Datagram back = co_await check.near.receive_from().or_throw();
  check.expect(back.data.text() == "back", "the answer to its sender is wrong");
}

Task<> boundaries_are_kept(Check& check) {
  for (const char* text : {"one", "two", "three"}) co_await check.send(text);
  for (const char* text : {"one", "two", "three"}) {
    check.expect(co_await check.hear() == text, "datagrams were joined, cut or reordered");
  }
}

Task<> empty_ones_count(Check& check) {
  co_await check.send("");
  co_await check.send("after");
  check.expect(co_await check.hear() == "", "an empty datagram did not arrive");
  check.expect(co_await check.hear() == "after", "what followed it is wrong");
}

Task<> what_does_not_fit_is_told(Check& check) {
  co_await check.send("0123456789");
  co_await check.send("next");
  std::string four(4, ' ');
  auto got = co_await check.far.receive_from(std::as_writable_bytes(std::span(four))).or_throw();
  check.expect(got.size == 4 && four == "0123", "the beginning is wrong");
  check.expect(got.truncated, "the cut was not told");
  check.expect(co_await check.hear() == "next", "the rest of it was kept, or the next one lost");
}

Task<> the_largest_arrives(Check& check) {
  std::string large(check.contract.largest, 'x');
  large.front() = 'a';
  large.back() = 'z';
  co_await check.send(large);
  check.expect(co_await check.hear() == large, "it is not what was sent");
}

Task<> a_larger_one_is_refused(Check& check) {
  const std::string larger(check.contract.too_large, 'x');
  auto sent = co_await check.near.send_to(std::string_view(larger), check.far_at);
  check.expect(!sent && sent.error() == Errc::too_large, "it is not too_large");
  co_await check.send("still here");
  check.expect(co_await check.hear() == "still here", "the socket was harmed by it");
}

Task<> a_batch_takes_what_is_there(Check& check) {
  for (const char* text : {"a", "bb", "", "dddd"}) co_await check.send(text);
  net::DatagramBatch batch(8, 3);
  std::vector<std::string> heard;
  bool cut = false;
  while (heard.size() < 4) {
    const std::size_t count = co_await check.far.receive_batch(batch).or_throw();
    if (count == 0) co_return check.expect(false, "it returned none");
    for (std::size_t i = 0; i < count; ++i) {
      heard.emplace_back(as_text(batch[i]));
      cut = batch.truncated(i);
      check.expect(batch.from(i).to_string() == check.near_at.to_string(), "a sender is wrong");
    }
  }
  check.expect(heard == std::vector<std::string>({"a", "bb", "", "ddd"}), "datagrams are wrong");
  check.expect(cut, "the cut of the last one was not told");
}

Task<> cancel_before_start(Check& check) {
  co_await check.send("kept");
  const ScopeEnd end = co_await with_scope([&](Scope& scope) -> Task<> {
    scope.cancel();
    (void)co_await check.far.receive_from();
    check.expect(false, "a receive in a cancelled scope went on");
  });
  check.expect(end.cancelled, "the scope was not cancelled");
  check.expect(co_await check.hear() == "kept", "a receive that never began took a datagram");
}

Task<> a_cancelled_receive_loses_nothing(Check& check) {
  auto nothing = co_await with_timeout(1ms, check.far.receive_from());
  check.expect(!nothing && nothing.error() == Errc::timed_out, "it did not end by the time-out");
  co_await check.send("later");
  check.expect(co_await check.hear() == "later", "a datagram was lost");
}

Task<> cancels_at_every_moment_lose_nothing(Check& check) {
  constexpr int k_count = 60;
  int next = 0;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> {
      for (int i = 0; i < k_count; ++i) {
        co_await check.send(std::to_string(i));
        if (i % 3 == 0) co_await sleep_for(100us);
      }
    });
    while (next < k_count) {
      auto got = co_await with_timeout(std::chrono::microseconds(1 + next % 7 * 20),
                                       check.far.receive_from());
      if (!got) continue;
      check.expect(got->data.text() == std::to_string(next), "a datagram was lost");
      ++next;
    }
  });
}

Task<> several_receivers_take_turns(Check& check) {
  std::vector<std::string> heard;
  co_await with_scope([&](Scope& scope) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      scope.start([&]() -> Task<> { heard.push_back(co_await check.hear()); });
    }
    co_await checkpoint();
    for (const char* text : {"x", "y", "z"}) co_await check.send(text);
  });
  std::ranges::sort(heard);
  check.expect(heard == std::vector<std::string>({"x", "y", "z"}), "one was lost or doubled");
}

struct Rule {
  const char* name;
  Task<> (*run)(Check&);
};

constexpr Rule k_rules[] = {
    {"sender", &arrives_with_its_sender},
    {"boundaries", &boundaries_are_kept},
    {"empty", &empty_ones_count},
    {"truncation", &what_does_not_fit_is_told},
    {"largest", &the_largest_arrives},
    {"too large", &a_larger_one_is_refused},
    {"batch", &a_batch_takes_what_is_there},
    {"cancel before start", &cancel_before_start},
    {"cancel", &a_cancelled_receive_loses_nothing},
    {"cancel at every moment", &cancels_at_every_moment_lose_nothing},
    {"several receivers", &several_receivers_take_turns},
};

}  // namespace

Task<std::vector<std::string>> check_datagram(MakeDatagramPair make_pair,
                                              DatagramContract contract) {
  std::vector<std::string> found;
  for (const Rule& rule : k_rules) {
    Owned<DatagramPair> pair = co_await make_pair();
    Check check{rule.name,
                contract,
                pair->first(),
                pair->second(),
                pair->first().local().or_throw(),
                pair->second().local().or_throw(),
                found};
    try {
      auto ended = co_await with_timeout(contract.rule_max, rule.run(check));
      check.expect(ended.has_value(), "it did not end in time");
    } catch (const std::exception& error) {
      check.expect(false, error.what());
    }
  }
  co_return found;
}

}  // namespace rondo::testing
