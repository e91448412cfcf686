// SPDX-License-Identifier: Apache-2.0
// The rules, one function each; the table at the end gives them their names.
#include "rondo/testing/conformance.hpp"

#include <algorithm>
#include <string_view>

#include "rondo/core/cancel.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo::testing {
namespace {

using namespace std::chrono_literals;

/// One rule at work: its streams and what it found.
struct Check {
  const char* rule;
  StreamContract contract;
  ByteStream& near;
  ByteStream& far;
  std::vector<std::string>& found;

  void expect(bool holds, const char* otherwise) {
    if (!holds) found.push_back(std::string(rule) + ": " + otherwise);
  }
};

/// A small generator, so that a seed means the same everywhere.
struct Dice {
  std::uint64_t state;
  std::size_t below(std::size_t n) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(state >> 33) % n;
  }
};

/// Byte number `at` of the stream that the rules send.
char byte_at(std::size_t at) { return static_cast<char>('a' + (at * 31 + at / 251) % 26); }

std::string text_at(std::size_t at, std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = byte_at(at + i);
  return text;
}

ByteSpan span_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

/// Reads `size` bytes, or less when the stream ends before.
Task<std::string> hear(ByteStream& from, std::size_t size) {
  std::string heard;
  while (heard.size() < size) {
    std::string piece(std::min<std::size_t>(size - heard.size(), 16'384), ' ');
    auto got = co_await from.read_some(span_of(piece));
    if (!got || *got == 0) break;
    heard.append(piece, 0, *got);
  }
  co_return heard;
}

/// Waits until `bytes` stand unread in `stream`; false when they do not come.
Task<bool> until_unread(ByteStream& stream, std::size_t bytes) {
  for (int i = 0; i < 5'000; ++i) {
    if (stream.unread() >= bytes) co_return true;
    co_await sleep_for(1ms);
  }
  co_return false;
}

/// Writes until the transport takes nothing more and more than cork_max waits. Returns how much.
Task<std::size_t> fill(Check& check) {
  std::size_t written = 0;
  int refused = 0;
  while (refused < 20 && written < check.contract.too_much) {
    if (check.near.try_write(SharedBytes::copy(text_at(written, 16'384)), 131'072)) {
      written += 16'384;
      refused = 0;
    } else {
      ++refused;
      co_await sleep_for(1ms);
    }
    co_await checkpoint();
  }
  check.expect(refused > 0, "the transport never took less than it was given");
  co_return written;
}

// ---- Reading

Task<> read_lends(Check& check) {
  (co_await check.near.write_all("hello ")).or_throw();
  (co_await check.near.write_all("world")).or_throw();
  check.near.shutdown_write();
  std::string heard;
  while (true) {
    Loan got = co_await check.far.read().or_throw();
    if (got.empty()) break;
    heard.append(got.text());
  }
  check.expect(heard == "hello world", "what was read is not what was written");
  Loan again = co_await check.far.read().or_throw();
  check.expect(again.empty(), "the end of the stream is not told again");
}

Task<> loans_outlive_reads(Check& check) {
  std::vector<Loan> held;
  std::string expected;
  for (std::size_t i = 0; i < 20; ++i) {
    const std::string text = text_at(i * 100, 100);
    (co_await check.near.write_all(std::string_view(text))).or_throw();
    std::size_t got = 0;
    while (got < text.size()) {
      held.push_back(co_await check.far.read().or_throw());
      if (held.back().empty()) co_return check.expect(false, "the stream ended early");
      got += held.back().size();
    }
    expected += text;
  }
  std::string heard;
  for (const Loan& loan : held) heard.append(loan.text());
  check.expect(heard == expected, "a loan changed after a later read");
}

Task<> read_some_copies(Check& check) {
  (co_await check.near.write_all("abcdef")).or_throw();
  check.near.shutdown_write();
  std::string four(4, ' ');
  const std::size_t first = co_await check.far.read_some(span_of(four)).or_throw();
  check.expect(first >= 1 && first <= 4, "it copied more than there was room for");
  const std::string rest = co_await hear(check.far, 100);
  check.expect(four.substr(0, first) + rest == "abcdef", "bytes were lost or doubled");
  const std::size_t end = co_await check.far.read_some(span_of(four)).or_throw();
  check.expect(end == 0, "the end of the stream is not told again");
}

Task<> read_line_cuts(Check& check) {
  (co_await check.near.write_all("one\ntwo")).or_throw();
  (co_await check.near.flush()).or_throw();
  Loan line = co_await check.far.read_line().or_throw();
  check.expect(line.text() == "one\n", "the first line is wrong");
  (co_await check.near.write_all(" and more\r\nlast")).or_throw();
  line = co_await check.far.read_line().or_throw();
  check.expect(line.text() == "two and more\r\n", "a line in two pieces is wrong");
  check.near.shutdown_write();
  line = co_await check.far.read_line().or_throw();
  check.expect(line.text() == "last", "the rest without an end of line is not returned");
  line = co_await check.far.read_line().or_throw();
  check.expect(line.empty(), "there was a line after the end");
}

Task<> read_line_limits(Check& check) {
  (co_await check.near.write_all("0123456789ab\n")).or_throw();
  auto line = co_await check.far.read_line(8);
  check.expect(!line && line.error() == Errc::too_large, "a longer line is not too_large");
  line = co_await check.far.read_line(13);
  check.expect(line && line->text() == "0123456789ab\n", "the refused line was consumed");
}

Task<> read_line_longer_than_a_buffer(Check& check) {
  std::string text = text_at(0, 30'000) + "\n";
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(
        [&]() -> Task<> { (co_await check.near.write_all(std::string_view(text))).or_throw(); });
    Loan line = co_await check.far.read_line().or_throw();
    check.expect(line.text() == text, "a long line is wrong");
  });
}

Task<> read_until_cuts(Check& check) {
  (co_await check.near.write_all("a--b---\r")).or_throw();
  (co_await check.near.flush()).or_throw();
  Loan piece = co_await check.far.read_until("--").or_throw();
  check.expect(piece.text() == "a--", "the first piece is wrong");
  piece = co_await check.far.read_until("---").or_throw();
  check.expect(piece.text() == "b---", "a delimiter of three is wrong");
  (co_await check.near.write_all("\n\r\nrest")).or_throw();
  piece = co_await check.far.read_until("\r\n\r\n").or_throw();
  check.expect(piece.text() == "\r\n\r\n", "a delimiter that came in two pieces is wrong");
  auto none = co_await check.far.read_until("!", 4);
  check.expect(!none && none.error() == Errc::too_large, "the limit is not kept");
  check.near.shutdown_write();
  piece = co_await check.far.read_until("!!").or_throw();
  check.expect(piece.text() == "rest", "the rest without a delimiter is not returned");
}

Task<> peek_consumes_nothing(Check& check) {
  std::string four(4, ' ');
  auto late = co_await with_timeout(1ms, check.far.peek(span_of(four)));
  check.expect(!late, "it showed what nobody sent");
  (co_await check.near.write_all("abcdef")).or_throw();
  check.near.shutdown_write();
  std::size_t shown = co_await check.far.peek(span_of(four)).or_throw();
  check.expect(shown == 4 && four == "abcd", "what it shows is wrong");
  std::string ten(10, ' ');
  shown = co_await check.far.peek(span_of(ten)).or_throw();
  check.expect(shown == 6 && ten.starts_with("abcdef"), "the end of the stream is not told");
  check.expect(co_await hear(check.far, 10) == "abcdef", "it consumed bytes");
}

Task<> read_exact_fills(Check& check) {
  (co_await check.near.write_all("12345678")).or_throw();
  std::string five(5, ' ');
  (co_await check.far.read_exact(span_of(five))).or_throw();
  check.expect(five == "12345", "the bytes are wrong");
  check.near.shutdown_write();
  auto ended = co_await check.far.read_exact(span_of(five));
  check.expect(!ended && ended.error() == Errc::end_of_stream, "an early end is no error");
  check.expect(co_await hear(check.far, 10) == "678", "the failed read consumed bytes");
}

Task<> read_exact_beyond_the_buffers(Check& check) {
  const std::string sent = text_at(0, 200'000);
  std::string heard(sent.size(), ' ');
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(
        [&]() -> Task<> { (co_await check.near.write_all(std::string_view(sent))).or_throw(); });
    (co_await check.far.read_exact(span_of(heard))).or_throw();
  });
  check.expect(heard == sent, "the bytes are wrong");
}

// ---- Writing

Task<> small_writes_are_ready(Check& check) {
  auto none = co_await with_timeout(0ms, check.near.write_all("x"));
  check.expect(none.has_value() || none.error() == Errc::timed_out, "a write failed");
  std::string expected = none ? "x" : "";
  for (int i = 0; i < 100; ++i) {
    (co_await check.near.write_all("ab")).or_throw();
    expected += "ab";
  }
  check.near.shutdown_write();
  check.expect(co_await hear(check.far, 1'000) == expected, "small writes lost their order");
}

Task<> large_writes_arrive_whole(Check& check) {
  const std::string sent = text_at(7, 1'000'000);
  std::string heard;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> {
      (co_await check.near.write_all("start:")).or_throw();
      (co_await check.near.write_all(std::string_view(sent))).or_throw();
      (co_await check.near.write_all(":end")).or_throw();
      check.near.shutdown_write();
    });
    heard = co_await hear(check.far, 2'000'000);
  });
  check.expect(heard == "start:" + sent + ":end", "a large write among small ones is wrong");
}

Task<> try_write_is_bounded(Check& check) {
  const SharedBytes big = SharedBytes::copy(text_at(0, 2'000));
  auto taken = check.near.try_write(big, 1'999);
  check.expect(!taken && taken.error() == Errc::would_exceed, "more than the limit was taken");
  check.expect(check.near.unsent() == 0, "a refused message was queued");
  check.expect(check.near.try_write(big, 2'000).has_value(), "the limit itself was refused");
  check.expect(check.near.try_write(SharedBytes::copy("tail")).has_value(), "it was refused");
  check.near.shutdown_write();
  check.expect(co_await hear(check.far, 10'000) == text_at(0, 2'000) + "tail",
               "shared messages are wrong");
}

Task<> flush_waits(Check& check) {
  (co_await check.near.flush()).or_throw();
  (co_await check.near.write_all("abc")).or_throw();
  (co_await check.near.flush()).or_throw();
  check.expect(check.near.unsent() == 0, "flush returned before all was sent");
  check.expect(co_await hear(check.far, 3) == "abc", "what was flushed did not arrive");
}

Task<> shutdown_ends_one_side(Check& check) {
  (co_await check.near.write_all("bye")).or_throw();
  check.near.shutdown_write();
  check.near.shutdown_write();
  (co_await check.near.flush()).or_throw();
  auto late = co_await check.near.write_all("late");
  check.expect(!late && late.error() == Errc::closed, "a write after shutdown_write is not closed");
  auto shared = check.near.try_write(SharedBytes::copy("late"));
  check.expect(!shared && shared.error() == Errc::closed, "try_write after it is not closed");
  check.expect(co_await hear(check.far, 10) == "bye", "what stood before the end is wrong");
  (co_await check.far.write_all("still here")).or_throw();
  check.expect(co_await hear(check.near, 10) == "still here", "the other direction is dead");
}

Task<> a_reader_that_waits_stops_the_writer(Check& check) {
  // Armed by a first read; then nobody reads.
  (co_await check.near.write_all("!")).or_throw();
  (void)co_await hear(check.far, 1);
  const std::size_t written = co_await fill(check);
  check.expect(check.near.unsent() > 0, "a writer never waits for the reader");
  check.expect(check.far.unread() <= 2 * limits::unread_max.value,
               "a stream holds far more unread bytes than unread_max");
  check.near.shutdown_write();
  const std::string heard = co_await hear(check.far, written + 1);
  check.expect(heard == text_at(0, written), "bytes were lost or changed under back-pressure");
}

// ---- Cancelling

Task<> cancel_before_start(Check& check) {
  std::string large(10'000, 'x');
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> {
      co_await checkpoint();
      check.expect(false, "a cancelled task went on");
    });
    scope.cancel();
    scope.start([&]() -> Task<> { (void)co_await check.far.read(); });
    scope.start([&]() -> Task<> { (void)co_await check.near.write_all(std::string_view(large)); });
    co_return;
  });
  check.near.shutdown_write();
  check.expect((co_await hear(check.far, 1)).empty(), "a write that never began was sent");
}

Task<> a_cancelled_read_loses_nothing(Check& check) {
  auto none = co_await with_timeout(2ms, check.far.read());
  check.expect(!none && none.error() == Errc::timed_out, "a read without data is not timed_out");
  auto line = co_await with_timeout(2ms, check.far.read_line());
  check.expect(!line && line.error() == Errc::timed_out, "read_line is not timed_out");
  (co_await check.near.write_all("half a li")).or_throw();
  check.expect(co_await until_unread(check.far, 9), "bytes do not arrive without a reader");
  line = co_await with_timeout(2ms, check.far.read_line());
  check.expect(!line && line.error() == Errc::timed_out, "half a line is not timed_out");
  std::string twenty(20, ' ');
  auto exact = co_await with_timeout(2ms, check.far.read_exact(span_of(twenty)));
  check.expect(!exact && exact.error() == Errc::timed_out, "read_exact is not timed_out");
  (co_await check.near.write_all("ne\n")).or_throw();
  Loan all = co_await check.far.read_line().or_throw();
  check.expect(all.text() == "half a line\n", "a cancelled read consumed bytes");
}

Task<> cancels_at_every_moment_lose_nothing(Check& check) {
  constexpr std::size_t k_messages = 200;
  Dice dice{check.contract.seed};
  std::string heard;
  for (std::size_t i = 0; i < k_messages; ++i) {
    const std::string four = text_at(i * 4, 4);
    co_await with_scope([&](Scope& scope) -> Task<> {
      scope.start([&]() -> Task<> {
        auto got = co_await check.far.read();
        if (got) heard.append(got->text());
        co_await checkpoint();
      });
      (co_await check.near.write_all(std::string_view(four))).or_throw();
      for (std::size_t turns = dice.below(6); turns > 0; --turns) co_await sleep_for(0ms);
      scope.cancel();  // Before it has begun, while it waits, or with its data already there.
    });
  }
  check.near.shutdown_write();
  heard += co_await hear(check.far, k_messages * 4);
  check.expect(heard == text_at(0, k_messages * 4),
               "bytes were lost or doubled by cancelled reads");
}

Task<> a_small_write_that_waits_is_taken_back(Check& check) {
  const std::size_t written = co_await fill(check);
  auto late = co_await with_timeout(2ms, check.near.write_all("NOT SENT"));
  check.expect(!late && late.error() == Errc::timed_out, "a write beyond cork_max does not wait");
  auto flush = co_await with_timeout(2ms, check.near.flush());
  check.expect(!flush && flush.error() == Errc::timed_out, "flush does not wait");
  check.near.shutdown_write();
  check.expect(co_await hear(check.far, written + 100) == text_at(0, written),
               "a write that was cancelled while it waited was sent, or others were lost");
}

Task<> a_large_write_cut_in_two_breaks_the_stream(Check& check) {
  const std::string much = text_at(0, check.contract.too_much);
  auto cut = co_await with_timeout(30ms, check.near.write_all(std::string_view(much)));
  check.expect(!cut && cut.error() == Errc::timed_out, "nothing holds a large write back");
  auto next = co_await check.near.write_all("more");
  check.expect(!next && next.error() == Errc::broken, "the next write does not say broken");
  auto shared = check.near.try_write(SharedBytes::copy("more"));
  check.expect(!shared && shared.error() == Errc::broken, "try_write does not say broken");
}

Task<> an_exact_read_cut_in_two_breaks_the_stream(Check& check) {
  const std::string half = text_at(0, 150'000);
  std::string whole(300'000, ' ');
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> { (void)co_await check.near.write_all(std::string_view(half)); });
    auto cut = co_await with_timeout(100ms, check.far.read_exact(span_of(whole)));
    check.expect(!cut && cut.error() == Errc::timed_out, "it did not wait for the rest");
    scope.cancel();
  });
  auto next = co_await check.far.read();
  check.expect(!next && next.error() == Errc::broken, "the next read does not say broken");
}

// ---- Everything together

Task<> write_at_random(Check& check) {
  Dice dice{check.contract.seed * 2 + 1};
  std::size_t at = 0;
  while (at < check.contract.bytes) {
    constexpr std::size_t k_sizes[] = {3, 100, 700, 4'096, 4'097, 20'000, 100'000};
    const std::size_t size =
        std::min(1 + dice.below(k_sizes[dice.below(7)]), check.contract.bytes - at);
    const std::string text = text_at(at, size);
    bool taken = false;
    if (dice.below(3) == 0) taken = check.near.try_write(SharedBytes::copy(text)).has_value();
    if (!taken) (co_await check.near.write_all(std::string_view(text))).or_throw();
    if (dice.below(8) == 0) (co_await check.near.flush()).or_throw();
    at += size;
  }
  check.near.shutdown_write();
}

Task<std::size_t> read_at_random(ByteStream& from, Dice& dice, std::string& heard) {
  std::string room(1 + dice.below(9'000), ' ');
  switch (dice.below(3)) {
    case 0: {
      Loan got = co_await from.read().or_throw();
      heard.append(got.text());
      co_return got.size();
    }
    case 1: {
      const std::size_t got = co_await from.read_some(span_of(room)).or_throw();
      heard.append(room, 0, got);
      co_return got;
    }
    default:
      if (!co_await from.read_exact(span_of(room))) room.clear();
      heard.append(room);
      co_return std::size_t{1};
  }
}

Task<> bytes_keep_their_order(Check& check) {
  Dice dice{check.contract.seed};
  std::string heard;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start([&]() -> Task<> { co_await write_at_random(check); });
    while (co_await read_at_random(check.far, dice, heard) > 0) {
      if (dice.below(20) == 0) co_await sleep_for(1ms);
    }
  });
  check.expect(heard == text_at(0, check.contract.bytes), "bytes were lost, doubled or reordered");
}

struct Rule {
  const char* name;
  Task<> (*run)(Check&);
};

constexpr Rule k_rules[] = {
    {"read", &read_lends},
    {"loans", &loans_outlive_reads},
    {"read_some", &read_some_copies},
    {"read_line", &read_line_cuts},
    {"read_line's limit", &read_line_limits},
    {"read_line beyond a buffer", &read_line_longer_than_a_buffer},
    {"read_until", &read_until_cuts},
    {"peek", &peek_consumes_nothing},
    {"read_exact", &read_exact_fills},
    {"read_exact beyond unread_max", &read_exact_beyond_the_buffers},
    {"write_all, small", &small_writes_are_ready},
    {"write_all, large", &large_writes_arrive_whole},
    {"try_write", &try_write_is_bounded},
    {"flush", &flush_waits},
    {"shutdown_write", &shutdown_ends_one_side},
    {"back-pressure", &a_reader_that_waits_stops_the_writer},
    {"cancel before start", &cancel_before_start},
    {"cancel of a read", &a_cancelled_read_loses_nothing},
    {"cancel at every moment", &cancels_at_every_moment_lose_nothing},
    {"cancel of a small write", &a_small_write_that_waits_is_taken_back},
    {"cancel of a large write", &a_large_write_cut_in_two_breaks_the_stream},
    {"cancel of a long read_exact", &an_exact_read_cut_in_two_breaks_the_stream},
    {"order", &bytes_keep_their_order},
};

}  // namespace

Task<std::vector<std::string>> check_stream(MakeStreamPair make_pair, StreamContract contract) {
  std::vector<std::string> found;
  for (const Rule& rule : k_rules) {
    Owned<StreamPair> pair = co_await make_pair();
    Check check{rule.name, contract, pair->first(), pair->second(), found};
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
