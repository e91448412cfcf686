// SPDX-License-Identifier: Apache-2.0
#include "testing/sim_programs.hpp"

#include <cerrno>
#include <csignal>
#include <utility>

#include "rondo/core/loop.hpp"

namespace rondo::testing {

/// A program that runs: the root of a chain of its own.
struct SimPrograms::Running {
  using Branch = detail::Branch<int>;

  Running(const io::ChildPlan& plan, std::shared_ptr<io::sim::Child> played)
      : self(plan), child(std::move(played)) {}

  void take_streams(io::sim::SimDriver& driver) {
    int fds[3] = {-1, -1, -1};
    for (const io::sim::Child::Given& given : std::exchange(child->given, {})) {
      const bool merged = given.as == 2 && given.fd == fds[1];
      self.merged_ = self.merged_ || merged;
      if (given.as <= 2 && !merged) fds[given.as] = given.fd;
    }
    for (int& fd : fds) {
      if (fd < 0) fd = driver.open_null();
    }
    self.streams_[0] = process::PipeStream::adopt(fds[0], -1);
    self.streams_[1] = process::PipeStream::adopt(-1, fds[1]);
    self.streams_[2] = process::PipeStream::adopt(-1, fds[2]);
  }
  void on_signal(int signal) {
    if (signal == SIGCONT || signal == SIGCHLD || signal == SIGWINCH || signal == SIGURG) return;
    const bool ignored = self.ignored_ >> (signal - 1) & 1;
    if ((ignored && signal != SIGKILL) || killed_by != 0) return;
    killed_by = signal;
    detail::request_cancel(branch);
  }
  static void ended(detail::Chain& chain, detail::End how) {
    auto& branch = static_cast<Branch&>(chain);
    std::unique_ptr<Running> own(static_cast<Running*>(branch.back));
    branch.over(how);
    io::ChildEnd end;
    if (how == detail::End::value)
      end.code = branch.take() & 0xff;
    else if (how == detail::End::exception)
      end.signal = SIGABRT;
    else
      end.signal = own->killed_by != 0 ? own->killed_by : SIGKILL;
    own->child->finish(end);
  }

  SimProcess self;
  std::shared_ptr<io::sim::Child> child;
  int killed_by = 0;
  Branch branch;  // Last: its frame refers to the process.
};

void SimPrograms::attach(io::sim::SimDriver& driver) {
  driver.set_programs(
      [this, &driver](const io::ChildPlan& plan, std::shared_ptr<io::sim::Child> child) {
        return start(driver, plan, std::move(child));
      });
}

std::int32_t SimPrograms::start(io::sim::SimDriver& driver, const io::ChildPlan& plan,
                                std::shared_ptr<io::sim::Child> child) {
  const auto found = programs_.find(plan.program.substr(plan.program.rfind('/') + 1));
  if (found == programs_.end()) return programs_.empty() ? -ENOTSUP : -ENOENT;
  auto running = std::make_unique<Running>(plan, std::move(child));
  running->take_streams(driver);
  Running& own = *running.release();  // ended() takes it back.
  own.child->on_signal = [&own](int signal) { own.on_signal(signal); };
  own.branch.back = &own;
  own.branch.start(found->second(own.self), &Running::ended, nullptr);
  return 0;
}

}  // namespace rondo::testing
