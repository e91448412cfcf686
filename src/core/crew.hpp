// SPDX-License-Identifier: Apache-2.0
// Crew: the loops of a program after the first, and the group that all of them form.
//
// Each runs on its own thread until it is told that the program is over; it lives through a soft
// stop, because tasks that finish may need it. Told means posted: `over` and `leaked` belong to
// the loop's own thread.
// Lifetime: within the first loop's. Thread rule: the first loop's thread.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <latch>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "rondo/core/loop.hpp"
#include "rondo/core/loop_ref.hpp"

namespace rondo::detail {

class Crew {
 public:
  struct Options {
    std::size_t loops;  ///< the first one included
    bool pin = false;
    Duration grace = Duration::max();  ///< of a soft stop (Loop::bound_stop)
    io::DriverOptions driver = {};
    int ready_budget = 128;
  };
  /// Makes the others; returns when all are turning. Throws what the first refusal was.
  Crew(Loop& first, const Options& options);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  /// Lets every loop drain and end, and joins its thread.
  ~Crew();

  std::span<const LoopRef> loops() const noexcept { return {group_->refs, group_->size}; }
  /// On every loop but the first; their grace is over.
  void cancel_all() noexcept;
  /// What still runs on them, from each that answers within limits::report_wait.
  std::string describe_tasks() const;
  /// Gives up: loops that still turn stop turning and are leaked, threads are left to themselves.
  void leak() noexcept;

 private:
  struct Member {
    std::thread thread;
    LoopRef loop;
    std::exception_ptr failed;
    bool over = false;    ///< its loop's thread only
    bool leaked = false;  ///< the same

    void tell_over() noexcept {
      over = true;
      Loop::current().leave();  // Else this iteration would sleep once more.
    }
  };

  void start(const Options& options);
  void run_member(Member& member, std::size_t cpu, const Options& options);
  void end() noexcept;

  LoopGroup* group_;
  bool pinned_;
  std::latch up_;               // Of the threads that have made their loop, or could not.
  std::deque<Member> members_;  // A deque: addresses stay.
};

}  // namespace rondo::detail
