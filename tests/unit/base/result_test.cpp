// SPDX-License-Identifier: Apache-2.0
// Result and Error: every member, moved and copied, and what using them wrongly says.
#include "rondo/base/result.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rondo {
namespace {

Result<int> half(int n) {
  if (n % 2) return Error(Errc::invalid_argument, "half", std::to_string(n));
  return n / 2;
}

TEST(Result, holds_a_value_or_an_error) {
  const Result<int> good = half(8);
  EXPECT_TRUE(good.has_value());
  EXPECT_TRUE(static_cast<bool>(good));
  EXPECT_EQ(*good, 4);
  const Result<int> bad = half(3);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Errc::invalid_argument);
  EXPECT_EQ(bad.error().message(), "half 3: Invalid argument");
  const Result<int> code = Errc::closed;
  EXPECT_EQ(code.error(), Errc::closed);
}

TEST(Result, gives_access_by_star_and_arrow_in_every_value_category) {
  Result<std::string> text = std::string("abc");
  EXPECT_EQ(text->size(), 3u);
  *text += "d";
  EXPECT_EQ(std::as_const(text)->size(), 4u);
  EXPECT_EQ(*std::as_const(text), "abcd");
  const std::string taken = *std::move(text);
  EXPECT_EQ(taken, "abcd");
  Result<std::unique_ptr<int>> owner = std::make_unique<int>(7);
  std::unique_ptr<int> moved = *std::move(owner);
  EXPECT_EQ(*moved, 7);
}

TEST(Result, is_copied_moved_and_assigned_in_all_four_directions) {
  Result<std::string> value = std::string(100, 'v');
  Result<std::string> error = Error(Errc::closed, "op", "object");
  Result<std::string> target = value;
  EXPECT_EQ(*target, *value);
  target = error;
  EXPECT_EQ(target.error().message(), "op object: closed on this side");
  target = value;
  EXPECT_EQ(target->size(), 100u);
  target = std::move(error);
  EXPECT_FALSE(target);
  target = std::move(value);
  EXPECT_TRUE(target);
  Result<std::string>& itself = target;
  target = itself;
  EXPECT_EQ(target->size(), 100u);
}

TEST(Result, destroys_what_it_holds_once) {
  auto counted = std::make_shared<int>(0);
  {
    Result<std::shared_ptr<int>> one = counted;
    Result<std::shared_ptr<int>> two = one;
    one = Errc::closed;
    EXPECT_EQ(counted.use_count(), 2);
    Result<std::shared_ptr<int>> three = std::move(two);
    EXPECT_EQ(counted.use_count(), 2);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Result, or_throw_throws_a_system_error_that_carries_the_error) {
  EXPECT_EQ(half(4).or_throw(), 2);
  Result<int> kept = half(6);
  kept.or_throw() = 9;
  EXPECT_EQ(*kept, 9);
  try {
    half(5).or_throw();
    FAIL() << "nothing was thrown";
  } catch (const SystemError& error) {
    EXPECT_EQ(error.code(), Errc::invalid_argument);
    EXPECT_EQ(error.error().object(), "5");
    EXPECT_STREQ(error.what(), "half 5: Invalid argument");
  }
  Result<> nothing = Errc::stopping;
  EXPECT_THROW(nothing.or_throw(), SystemError);
  EXPECT_NO_THROW(Result<>().or_throw());
}

TEST(Result, value_or_keeps_the_value_or_takes_the_other) {
  EXPECT_EQ(half(4).value_or(-1), 2);
  EXPECT_EQ(half(5).value_or(-1), -1);
  const Result<std::string> text = Errc::closed;
  EXPECT_EQ(text.value_or("other"), "other");
  Result<std::unique_ptr<int>> owner = std::make_unique<int>(3);
  EXPECT_EQ(*std::move(owner).value_or(nullptr), 3);
}

TEST(Result, and_then_chains_and_stops_at_the_first_error) {
  EXPECT_EQ(*half(8).and_then(half).and_then(half), 1);
  int calls = 0;
  const auto stopped = half(6).and_then(half).and_then([&](int n) {
    ++calls;
    return half(n);
  });
  EXPECT_EQ(stopped.error().object(), "3");
  EXPECT_EQ(calls, 0);
}

TEST(Result, transform_maps_the_value_to_another_type_or_to_nothing) {
  EXPECT_EQ(*half(8).transform([](int n) { return std::to_string(n); }), "4");
  int seen = 0;
  const Result<> nothing = half(8).transform([&](int n) { seen = n; });
  EXPECT_TRUE(nothing);
  EXPECT_EQ(seen, 4);
  EXPECT_EQ(half(1).transform([](int) { return 0; }).error().object(), "1");
}

TEST(Result, or_else_replaces_the_error) {
  EXPECT_EQ(*half(8).or_else([](const Error&) { return Result<int>(0); }), 4);
  EXPECT_EQ(*half(7).or_else([](const Error&) { return Result<int>(0); }), 0);
}

TEST(ResultOfNothing, has_the_same_members) {
  Result<> good;
  EXPECT_TRUE(good);
  *good;
  Result<> bad = Error(Errc::broken_pipe, "write");
  EXPECT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().message(), "write: Broken pipe");
  EXPECT_EQ(*Result<>().and_then([] { return half(2); }), 1);
  EXPECT_EQ(Result<>(Errc::closed).and_then([] { return half(2); }).error(), Errc::closed);
  EXPECT_EQ(*Result<>().transform([] { return 5; }), 5);
  bool ran = false;
  EXPECT_TRUE(Result<>().transform([&] { ran = true; }));
  EXPECT_TRUE(ran);
  EXPECT_TRUE(Result<>(Errc::closed).or_else([](const Error&) { return Result<>(); }));
  EXPECT_TRUE(Result<>().or_else([](const Error&) { return Result<>(Errc::closed); }));
}

TEST(ResultDeathTest, using_the_wrong_half_says_what_to_do) {
  EXPECT_DEATH(static_cast<void>(*half(3)), "test it first or use or_throw");
  EXPECT_DEATH(static_cast<void>(half(2).error()), "holds a value");
  EXPECT_DEATH(*Result<>(Errc::closed), "test it first");
  EXPECT_DEATH(static_cast<void>(Result<>().error()), "succeeded");
}

TEST(Error, is_24_bytes_and_says_operation_object_and_reason) {
  EXPECT_EQ(sizeof(Error), 24u);
  EXPECT_EQ(Error(Errc::timed_out).message(), "timed out");
  EXPECT_EQ(Error(Errc::timed_out, "connect").message(), "connect: timed out");
  EXPECT_EQ(Error(Errc::timed_out, "connect", "127.0.0.1:80").message(),
            "connect 127.0.0.1:80: timed out");
  EXPECT_EQ(Error::from_errno(ENOENT, "open", "/x").message(),
            "open /x: No such file or directory");
  EXPECT_EQ(Error::from_errno(ECONNREFUSED, "connect"), Errc::connection_refused);
  EXPECT_EQ(Error(Errc::closed, "read").about("peer").message(), "read peer: closed on this side");
}

TEST(Error, every_own_code_has_a_phrase) {
  for (int code = static_cast<int>(Errc::cancelled); code <= static_cast<int>(Errc::failed);
       ++code) {
    EXPECT_EQ(describe(static_cast<Errc>(code)).find("Unknown"), std::string::npos) << code;
  }
}

TEST(Error, shares_its_object_between_copies_and_threads) {
  const Error first(Errc::closed, "read", "a peer with a name that is long");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([first] {
      for (int i = 0; i < 1'000; ++i) {
        Error copy = first;
        Error other(Errc::closed, "write", "another");
        other = copy;
        EXPECT_EQ(other.object(), "a peer with a name that is long");
        Error moved = std::move(copy);
        EXPECT_EQ(moved.code(), Errc::closed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(first.object(), "a peer with a name that is long");
}

}  // namespace
}  // namespace rondo
