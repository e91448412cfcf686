// SPDX-License-Identifier: Apache-2.0
// MoveFn, intrusive containers, SharedBytes, UniqueFd and deadlines: the small parts of base.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rondo/base/bytes.hpp"
#include "rondo/base/intrusive_list.hpp"
#include "rondo/base/limits.hpp"
#include "rondo/base/move_fn.hpp"
#include "rondo/base/time.hpp"
#include "rondo/base/unique_fd.hpp"

namespace rondo {
namespace {

// --- MoveFn --------------------------------------------------------------------------------

TEST(MoveFn, calls_what_it_holds_and_passes_references_and_move_only_values) {
  MoveFn<int(int&, std::unique_ptr<int>)> f = [](int& n, std::unique_ptr<int> p) {
    n += *p;
    return n * 2;
  };
  int n = 1;
  EXPECT_EQ(f(n, std::make_unique<int>(4)), 10);
  EXPECT_EQ(n, 5);
}

TEST(MoveFn, owns_small_and_large_captures_and_moves_them_once) {
  auto counted = std::make_shared<int>(0);
  {
    MoveFn<long()> small = [counted] { return counted.use_count(); };
    MoveFn<long()> large = [counted, fill = std::array<char, 200>{}] {
      return counted.use_count() + fill[0];
    };
    EXPECT_EQ(counted.use_count(), 3);
    MoveFn<long()> moved = std::move(small);
    EXPECT_FALSE(small);  // NOLINT: what is left after a move is the claim.
    EXPECT_EQ(moved(), 3);
    moved = std::move(large);
    EXPECT_EQ(counted.use_count(), 2);
    EXPECT_EQ(moved(), 2);
    MoveFn<long()>& itself = moved;
    moved = std::move(itself);
    EXPECT_EQ(moved(), 2) << "moved into itself";
    moved.reset();
    EXPECT_EQ(counted.use_count(), 1);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(MoveFn, is_empty_by_default_and_from_null) {
  MoveFn<void()> none;
  EXPECT_FALSE(none);
  MoveFn<void()> null = nullptr;
  EXPECT_FALSE(null);
  EXPECT_DEATH(none(), "an empty MoveFn was called");
}

// --- intrusive containers ------------------------------------------------------------------

struct Other;
struct Element : ListLink, TaggedLink<Other>, QueueLink<Element> {
  explicit Element(int n) : value(n) {}
  int value;
};

template <class List>
std::vector<int> values(List& list) {
  std::vector<int> all;
  for (Element* at = list.first(); at; at = list.next(*at)) all.push_back(at->value);
  return all;
}

TEST(IntrusiveList, keeps_order_and_lets_elements_leave_by_themselves) {
  Element a(1), b(2), c(3);
  IntrusiveList<Element> list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.first(), nullptr);
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(a);
  list.push_back(b);
  list.push_back(c);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  static_cast<ListLink&>(b).unlink();
  EXPECT_FALSE(static_cast<ListLink&>(b).linked());
  EXPECT_EQ(values(list), (std::vector<int>{1, 3}));
  EXPECT_EQ(list.count(), 2u);
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, one_element_is_in_one_list_per_link) {
  Element a(1), b(2);
  IntrusiveList<Element> list;
  IntrusiveList<Element, Other> other;
  list.push_back(a);
  list.push_back(b);
  other.push_back(b);
  other.push_back(a);
  EXPECT_EQ(values(list), (std::vector<int>{1, 2}));
  EXPECT_EQ(values(other), (std::vector<int>{2, 1}));
  while (list.pop_front()) {
  }
  EXPECT_EQ(other.count(), 2u);
  while (other.pop_front()) {
  }
}

TEST(IntrusiveList, splices_another_list_to_its_end) {
  Element a(1), b(2), c(3);
  IntrusiveList<Element> list;
  IntrusiveList<Element> more;
  list.splice_back(more);
  EXPECT_TRUE(list.empty());
  more.push_back(b);
  more.push_back(c);
  list.push_back(a);
  list.splice_back(more);
  EXPECT_TRUE(more.empty());
  EXPECT_EQ(values(list), (std::vector<int>{1, 2, 3}));
  while (list.pop_front()) {
  }
}

TEST(IntrusiveListDeathTest, destroying_a_linked_element_says_so) {
  EXPECT_DEATH(
      {
        IntrusiveList<Element> list;
        Element gone(1);
        list.push_back(gone);
      },
      "while in a list");
}

TEST(IntrusiveQueue, is_first_in_first_out_from_both_ends) {
  Element a(1), b(2), c(3);
  IntrusiveQueue<Element> queue;
  EXPECT_EQ(queue.pop_front(), nullptr);
  queue.push_back(b);
  queue.push_front(a);
  queue.push_back(c);
  EXPECT_EQ(queue.front(), &a);
  EXPECT_EQ(queue.pop_front(), &a);
  EXPECT_EQ(queue.pop_front(), &b);
  EXPECT_EQ(queue.pop_front(), &c);
  EXPECT_TRUE(queue.empty());
  queue.push_front(c);  // Into an empty queue: the tail must follow.
  queue.push_back(a);
  EXPECT_EQ(queue.pop_front(), &c);
  EXPECT_EQ(queue.pop_front(), &a);
}

TEST(IntrusiveQueue, take_all_leaves_it_empty_and_usable) {
  Element a(1), b(2), c(3);
  IntrusiveQueue<Element> queue;
  queue.push_back(a);
  queue.push_back(b);
  Element* all = queue.take_all();
  EXPECT_EQ(all, &a);
  EXPECT_EQ(all->queue_next, &b);
  EXPECT_EQ(b.queue_next, nullptr);
  EXPECT_TRUE(queue.empty());
  queue.push_back(c);
  EXPECT_EQ(queue.pop_front(), &c);
}

// --- SharedBytes ---------------------------------------------------------------------------

TEST(SharedBytes, is_one_block_for_all_its_copies) {
  const SharedBytes first = SharedBytes::copy("a message for many");
  SharedBytes second = first;
  EXPECT_EQ(second.bytes().data(), first.bytes().data());
  EXPECT_EQ(second.text(), "a message for many");
  SharedBytes third = std::move(second);
  EXPECT_TRUE(second.empty());  // NOLINT: what is left after a move is the claim.
  SharedBytes& itself = third;
  third = itself;
  EXPECT_EQ(third.size(), 18u);
}

TEST(SharedBytes, is_filled_in_place_and_may_be_empty) {
  const SharedBytes made = SharedBytes::make(3, [](ByteSpan into) {
    EXPECT_EQ(into.size(), 3u);
    for (std::byte& b : into) b = std::byte{'z'};
  });
  EXPECT_EQ(made.text(), "zzz");
  EXPECT_TRUE(SharedBytes().empty());
  EXPECT_EQ(SharedBytes().text(), "");
  EXPECT_TRUE(SharedBytes::copy("").empty());
}

TEST(SharedBytes, may_be_dropped_on_any_thread) {
  const SharedBytes shared = SharedBytes::copy(std::string(1'000, 's'));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([copy = shared] {
      for (int i = 0; i < 1'000; ++i) {
        const SharedBytes again = copy;
        EXPECT_EQ(again.bytes()[999], std::byte{'s'});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- UniqueFd, time, limits ----------------------------------------------------------------

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, closes_its_descriptor_once) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  {
    UniqueFd first(fds[0]);
    UniqueFd second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT: what is left after a move is the claim.
    EXPECT_EQ(second.get(), fds[0]);
    UniqueFd& itself = second;
    second = std::move(itself);
    EXPECT_TRUE(is_open(fds[0])) << "closed by a move into itself";
    second.reset(fds[1]);
    EXPECT_FALSE(is_open(fds[0]));
    EXPECT_EQ(second.release(), fds[1]);
    EXPECT_FALSE(second);
  }
  EXPECT_TRUE(is_open(fds[1])) << "a released descriptor is the caller's";
  ::close(fds[1]);
}

TEST(Time, deadlines_saturate_instead_of_overflowing) {
  using namespace literals;
  const TimePoint start{5s};
  EXPECT_EQ(deadline_after(start, 3s), TimePoint(8s));
  EXPECT_EQ(deadline_after(start, -3s), start);
  EXPECT_EQ(deadline_after(start, Duration::min()), start);
  EXPECT_EQ(deadline_after(start, Duration::max()), k_no_deadline);
  EXPECT_EQ(deadline_after(TimePoint::max() - 1s, 2s), k_no_deadline);
  EXPECT_EQ(deadline_after(k_no_deadline, 1s), k_no_deadline);
}

TEST(Limits, all_are_named_once_and_positive) {
  std::vector<std::string_view> names;
  for (const Limit& limit : limits::all()) {
    EXPECT_GT(limit.value, 0u) << limit.name;
    EXPECT_FALSE(limit.meaning.empty()) << limit.name;
    EXPECT_EQ(std::count(names.begin(), names.end(), limit.name), 0) << limit.name;
    names.push_back(limit.name);
  }
  EXPECT_GE(names.size(), 30u);
}

}  // namespace
}  // namespace rondo
