// SPDX-License-Identifier: Apache-2.0
#include "core/crew.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "core/thread_start.hpp"

namespace rondo::detail {

Crew::Crew(Loop& first, const Options& options)
    : group_(new LoopGroup(options.loops)),
      pinned_(options.pin),
      up_(static_cast<std::ptrdiff_t>(options.loops - 1)) {
  try {
    start(options);
  } catch (...) {
    end();
    throw;
  }
  group_->refs[0] = first.ref();
  for (std::size_t i = 0; i < members_.size(); ++i) group_->refs[i + 1] = members_[i].loop;
  // The first thing each of them does: tasks that come later find their loops().
  for (Member& member : members_) {
    group_->holders.fetch_add(1, std::memory_order_relaxed);
    static_cast<void>(member.loop.post([group = group_] {
      join_group(*group);
      group->drop();
    }));
  }
  Loop::Entered entered(first);
  join_group(*group_);
  if (pinned_) pin_this_thread(0);
}

Crew::~Crew() { end(); }

void Crew::start(const Options& options) {
  const std::size_t count = options.loops - 1;
  std::exception_ptr refused;
  for (std::size_t i = 0; i < count; ++i) {
    Member& member = members_.emplace_back();
    try {
      member.thread =
          start_thread("rondo-loop-" + std::to_string(i + 1),
                       [this, i, &options, &member] { run_member(member, i + 1, options); });
    } catch (...) {
      members_.pop_back();
      refused = std::current_exception();
      up_.count_down(static_cast<std::ptrdiff_t>(count - i));
      break;
    }
  }
  up_.wait();
  for (Member& member : members_) {
    if (member.failed && !refused) refused = member.failed;
  }
  if (refused) std::rethrow_exception(refused);
}

void Crew::run_member(Member& member, std::size_t cpu, const Options& options) {
  if (options.pin) pin_this_thread(cpu);
  std::unique_ptr<Loop> loop;
  try {
    // Made here: a ring takes submissions from no other thread.
    loop = std::make_unique<Loop>(
        LoopOptions{.driver = options.driver, .ready_budget = options.ready_budget});
    loop->bound_stop(options.grace);
    member.loop = loop->ref();
  } catch (...) {
    member.failed = std::current_exception();
  }
  const bool made = loop != nullptr;
  up_.count_down();  // From here on the options may be gone.
  if (!made) return;
  loop->run_until(member.over);
  if (member.leaked) static_cast<void>(loop.release());  // Never free what may be in flight.
}

void Crew::end() noexcept {
  for (Member& member : members_) {
    Member* own = &member;
    static_cast<void>(member.loop.post([own] { own->tell_over(); }));
  }
  for (Member& member : members_) member.thread.join();
  members_.clear();
  group_->drop();
  if (pinned_) unpin_this_thread();
}

void Crew::cancel_all() noexcept {
  for (Member& member : members_) {
    static_cast<void>(member.loop.post([] {
      Loop::current().end_grace();
      Loop::current().cancel_all();
    }));
  }
}

std::string Crew::describe_tasks() const {
  struct Report {
    std::mutex mutex;
    std::condition_variable told;
    std::vector<std::string> texts;
    std::size_t missing;
  };
  auto report = std::make_shared<Report>();  // A loop that answers too late writes to it still.
  report->missing = members_.size();
  report->texts.assign(members_.size(), "does not answer: something blocks its thread\n");
  for (std::size_t i = 0; i < members_.size(); ++i) {
    static_cast<void>(members_[i].loop.post([report, i] {
      std::string text = Loop::current().describe_tasks();
      std::unique_lock lock(report->mutex);
      report->texts[i] = text.empty() ? "nothing\n" : "\n" + text;
      if (--report->missing == 0) report->told.notify_one();
    }));
  }
  std::unique_lock lock(report->mutex);
  report->told.wait_for(lock, std::chrono::milliseconds(limits::report_wait.value),
                        [&] { return report->missing == 0; });
  std::string all;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    all.append("loop ").append(std::to_string(i + 1)).append(": ").append(report->texts[i]);
  }
  return all;
}

void Crew::leak() noexcept {
  for (Member& member : members_) {
    Member* own = &member;
    static_cast<void>(member.loop.post([own] {
      own->leaked = true;
      own->tell_over();
    }));
    member.thread.detach();
  }
}

}  // namespace rondo::detail
