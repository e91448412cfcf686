// SPDX-License-Identifier: Apache-2.0
// Owned: what a public header has in place of std::unique_ptr.
#include "rondo/base/memory.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rondo {
namespace {

struct Base {
  explicit Base(int& ended) : count(ended) {}
  virtual ~Base() { ++count; }
  int& count;
};
struct Derived : Base {
  using Base::Base;
};

static_assert(!std::is_copy_constructible_v<Owned<int>>);
static_assert(!std::is_constructible_v<Owned<Base>, std::unique_ptr<Base>&>);
static_assert(!std::is_constructible_v<Owned<Derived>, std::unique_ptr<Base>>);

TEST(Owned, ends_its_object_once) {
  int ended = 0;
  {
    Owned<Base> first(new Derived(ended));
    Owned<Base> second(std::move(first));
    EXPECT_FALSE(first);
    EXPECT_EQ(&second->count, &ended);
  }
  EXPECT_EQ(ended, 1);
}

TEST(Owned, assignment_ends_what_was_held) {
  int ended = 0;
  Owned<Base> held(new Derived(ended));
  held = Owned<Base>(new Derived(ended));
  EXPECT_EQ(ended, 1);
  held = nullptr;
  EXPECT_EQ(ended, 2);
  EXPECT_FALSE(held);
}

TEST(Owned, takes_over_from_a_unique_ptr_of_a_derived_class) {
  int ended = 0;
  auto made = std::make_unique<Derived>(ended);
  Base* const object = made.get();
  Owned<Base> held(std::move(made));
  EXPECT_EQ(made, nullptr);
  EXPECT_EQ(held.get(), object);
  std::unique_ptr<Base> back(held.release());
  EXPECT_FALSE(held);
  EXPECT_EQ(ended, 0);
}

TEST(Owned, an_object_is_made_and_ended_in_place) {
  alignas(std::string) std::byte room[sizeof(std::string)];
  auto* text = reinterpret_cast<std::string*>(room);
  detail::construct_at(text, 40, 'x');
  EXPECT_EQ(*text, std::string(40, 'x'));
  detail::destroy_at(text);  // A leak here is AddressSanitizer's to find.
}

}  // namespace
}  // namespace rondo
