// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/runtime.hpp"

#include <memory>
#include <vector>

#include "core/crew.hpp"
#include "rondo/core/offload.hpp"

namespace rondo {

struct Runtime::State {
  explicit State(const RuntimeOptions& options)
      : loop(LoopOptions{.driver = options.driver, .ready_budget = options.ready_budget}),
        crew(loop, {.loops = options.loops == 0 ? usable_cpus() : options.loops,
                    .pin = options.pin,
                    .driver = options.driver,
                    .ready_budget = options.ready_budget}) {}

  Loop loop;
  detail::Crew crew;  // Goes first: the others end while loop 0 can still be told things.
  std::vector<MoveFn<void(Scope&)>> everywhere;
};

Runtime::Runtime(const RuntimeOptions& options) : state_(std::make_unique<State>(options)) {}
Runtime::~Runtime() = default;

Loop& Runtime::main_loop() noexcept { return state_->loop; }
std::span<const LoopRef> Runtime::loops() const noexcept { return state_->crew.loops(); }

void Runtime::request_stop() noexcept {
  // Loop 0 passes it on; it outlives this call, as the Runtime does.
  state_->loop.request_stop();
}

void Runtime::cancel_all() noexcept {
  Loop::Entered entered(state_->loop);
  state_->loop.cancel_all();
  state_->crew.cancel_all();
}

void Runtime::everywhere(MoveFn<void(Scope&)> start) {
  state_->everywhere.push_back(std::move(start));
}

void Runtime::begin_everywhere(Scope& scope) {
  for (auto& start : state_->everywhere) start(scope);
}

}  // namespace rondo
