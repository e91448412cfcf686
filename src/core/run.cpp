// SPDX-License-Identifier: Apache-2.0
// rondo::run: a program on one loop or on several, with the graceful stop.
//
// States: running -> stopping (soft: grace timer armed) -> cancelling (drain timer armed) -> over.
// request_stop, a first signal: running -> stopping. Second signal or the grace timer: cancelling.
// The drain timer: over without having drained: loop and frames are leaked on purpose.
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>

#include "core/crew.hpp"
#include "rondo/base/log.hpp"
#include "rondo/core/detail/signal_hub.hpp"
#include "rondo/core/loop.hpp"
#include "rondo/core/offload.hpp"

namespace rondo {
namespace {

struct Program {
  enum class State { running, stopping, cancelling, over };

  struct SignalWatch : detail::SignalSubscriber {
    Program* program = nullptr;
  };
  struct StopHook : detail::LoopHook {
    Program* program = nullptr;
  };
  struct StopTimer : detail::Timer {
    Program* program = nullptr;
  };

  explicit Program(RunOptions given)
      : options(std::move(given)),
        crew_options(crew_of(options)),
        loop(std::move(options.loop)) {
    loop.bound_stop(options.grace);
    if (crew_options.loops > 1 || options.pin) crew.emplace(loop, crew_options);
    hook.program = signals.program = timer.program = this;
    hook.run = [](detail::LoopHook& h) { static_cast<StopHook&>(h).program->stopping(); };
    timer.fire = [](detail::Timer& t) noexcept { static_cast<StopTimer&>(t).program->on_timer(); };
    signals.on_signal = [](detail::SignalSubscriber& who, int number) noexcept {
      static_cast<SignalWatch&>(who).program->on_signal(number);
    };
  }

  static detail::Crew::Options crew_of(const RunOptions& given) {
    RONDO_ASSERT(given.loops == 1 || !given.loop.own_driver,
                 "one driver is no use to several loops: set loop.driver, or simulate a host with "
                 "several loops (testing/sim_world.hpp)");
    return {.loops = given.loops == 0 ? usable_cpus() : given.loops,
            .pin = given.pin,
            .grace = given.grace,
            .driver = given.loop.driver,
            .ready_budget = given.loop.ready_budget};
  }
  void begin(Task<int> main) {
    loop.add_stop_hook(hook);
    if (options.handle_signals) {
      signals.mask = bit(SIGINT) | bit(SIGTERM);
      hub().join(signals);
    }
    branch.back = this;
    branch.start(
        std::move(main),
        [](detail::Chain& chain, detail::End how) {
          auto& self = static_cast<detail::Branch<int>&>(chain);
          self.over(how);
          static_cast<Program*>(self.back)->loop.leave();
        },
        nullptr);
  }
  detail::SignalHub& hub() { return loop.service<detail::SignalHub>(); }
  static std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

  void on_signal(int number) noexcept {
    if (number <= 0) return;  // A driver without signals.
    if (branch.finished) return;  // Came together with the end: nothing is left to stop.
    if (state == State::running) loop.request_stop();
    else if (state == State::stopping) cancel();
  }
  void stopping() noexcept {
    if (state != State::running) return;
    state = State::stopping;
    arm(options.grace);
  }
  void cancel() noexcept {
    state = State::cancelling;
    if (timer.armed()) loop.disarm(timer);
    arm(options.drain_max);
    loop.end_grace();
    loop.cancel_all();
    if (crew) crew->cancel_all();
  }
  void on_timer() noexcept {
    if (state == State::stopping) return cancel();
    state = State::over;
    loop.leave();
  }
  void arm(Duration after) noexcept {
    timer.deadline = deadline_after(loop.now(), after).time_since_epoch().count();
    loop.arm(timer);
  }

  void end_signals() {
    if (timer.armed()) loop.disarm(timer);
    if (hook.linked()) hook.unlink();
    if (!signals.linked()) return;
    hub().leave(signals);
    while (!hub().drained()) loop.poll();
  }

  std::string describe_tasks() {
    std::string text = loop.describe_tasks();
    if (crew) text.append(crew->describe_tasks());
    return text;
  }

  RunOptions options;
  detail::Crew::Options crew_options;
  Loop loop;
  std::optional<detail::Crew> crew;
  detail::Branch<int> branch;
  SignalWatch signals;
  StopHook hook;
  StopTimer timer;
  State state = State::running;
};

int outcome(Program& program) {
  // Asked to stop and all unwound: that is success. Cancelled by anything else is not.
  if (program.branch.how == detail::End::cancelled) {
    return program.state == Program::State::running ? 1 : 0;
  }
  try {
    return program.branch.take();
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());
  } catch (...) {
    log(LogLevel::error, "the main task threw something that is no std::exception");
  }
  return 1;
}

Task<int> with_status(Task<> main) {
  co_await std::move(main);
  co_return 0;
}

/// Without a driver (RONDO_DRIVER names none, or a refused one) there is no program to run: `main`
/// is dropped in the unwinding, which is no mistake of whoever wrote it.
std::unique_ptr<Program> make_program(RunOptions options, Task<int>& main) {
  try {
    Task<int> held = std::move(main);
    auto program = std::make_unique<Program>(std::move(options));
    main = std::move(held);
    return program;
  } catch (const std::exception& error) {  // A driver or a thread was refused.
    log(LogLevel::error, error.what());
    return nullptr;
  }
}

}  // namespace

int run(Task<int> main, RunOptions options) {
  detail::assert_no_task_runs(detail::t_core);
  auto program = make_program(std::move(options), main);
  if (!program) return 1;
  Loop::Entered entered(program->loop);
  program->begin(std::move(main));
  while (!program->branch.finished && program->state != Program::State::over) {
    program->loop.run_once();
  }
  if (!program->branch.finished) {
    log(LogLevel::error,
        "stopped without having drained; still running:\n" + program->describe_tasks());
    if (program->crew) program->crew->leak();
    static_cast<void>(program.release());  // Never free what may be in flight.
    return 1;
  }
  const int status = outcome(*program);
  program->branch.free_frame();  // The main task's arguments die while their loop is current.
  program->end_signals();
  return status;
}

int run(Task<> main, RunOptions options) {
  return run(with_status(std::move(main)), std::move(options));
}

}  // namespace rondo
