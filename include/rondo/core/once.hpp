// SPDX-License-Identifier: Apache-2.0
// Once, OnceCell<T>: something that is done, or made, by whoever needs it first.
//
//   OnceCell<Config> config;
//   Config* c = co_await config.get_or_init(load);            // Task<Config> load();
//   Result<Config*> r = co_await config.get_or_init(fetch);   // Task<Result<Config>> fetch();
//   Once migrated;
//   co_await migrated.call(migrate);
//
// The first caller initialises, those who come meanwhile wait for it. When its initialiser is
// cancelled, throws or yields an error, nothing is kept and the next one in line tries with its
// own. It refuses recursion: an initialiser that asks its own cell waits for ever.
// Lifetime: outlives its callers (checked). Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "rondo/core/mutex.hpp"

namespace rondo {

struct OnceStatistics {
  bool done = false;
  std::size_t waiting = 0;
  std::uint64_t attempts = 0;  ///< initialisers that were begun
};

template <class T>
class OnceCell {
  template <class F>
  using Made = typename std::invoke_result_t<F&>::value_type;
  template <class F>
  using Got = std::conditional_t<is_result<Made<F>>, Result<T*>, T*>;

 public:
  OnceCell() = default;
  OnceCell(const OnceCell&) = delete;
  OnceCell& operator=(const OnceCell&) = delete;

  /// The value, made by `co_await make()` if there is none yet.
  /// - **Completes** when there is a value, or this caller's own `make` has failed.
  /// - **Returns** a pointer to it, never null, valid as long as the cell; a Result of one when
  ///   `make` yields a Result. **Errors** what `make` yields; what it throws passes.
  /// - **Cancel** stops waiting, or cancels `make` if it is this caller's that runs: the next in
  ///   line then tries. **Lifetime** the cell outlives the call; `make` is kept.
  /// - **Concurrency** any number, first in first out. **Thread** the loop's.
  template <class F>
  Task<Got<F>> get_or_init(F make) {
    // The turn dies with this frame, however it ends: whoever is next finds a value or tries.
    auto turn = co_await turn_.lock();
    if (value_) co_return &*value_;
    ++attempts_;
    if constexpr (is_result<Made<F>>) {
      auto made = co_await make();
      if (!made) co_return std::move(made).error();
      value_.emplace(std::move(*made));
    } else if constexpr (std::is_void_v<Made<F>>) {
      co_await make();
      value_.emplace();
    } else {
      value_.emplace(co_await make());
    }
    co_return &*value_;
  }
  /// The value, or null as long as there is none.
  T* get() noexcept { return value_ ? &*value_ : nullptr; }
  const T* get() const noexcept { return value_ ? &*value_ : nullptr; }

  OnceStatistics statistics() const noexcept {
    return {value_.has_value(), turn_.statistics().waiting, attempts_};
  }

 private:
  Mutex turn_;
  std::optional<T> value_;
  std::uint64_t attempts_ = 0;
};

class Once {
  template <class F>
  static constexpr bool yields_result = is_result<typename std::invoke_result_t<F&>::value_type>;

 public:
  /// Runs `co_await f()` if nobody has yet.
  /// - **Completes** when it has been done, or this caller's own `f` has failed.
  /// - **Returns** nothing; a Result<> when `f` yields one. **Errors** what `f` yields; what it
  ///   throws passes.
  /// - **Cancel** stops waiting, or cancels `f` if it is this caller's that runs: the next in line
  ///   then tries. **Lifetime** the Once outlives the call; `f` is kept.
  /// - **Concurrency** any number, first in first out. **Thread** the loop's.
  template <class F>
  auto call(F f) -> Task<std::conditional_t<yields_result<F>, Result<>, void>> {
    if constexpr (yields_result<F>) {
      auto done = co_await done_.get_or_init([&f]() -> Task<Result<Unit>> {
        auto ended = co_await f();
        if (!ended) co_return std::move(ended).error();
        co_return Unit{};
      });
      if (!done) co_return std::move(done).error();
      co_return Result<>{};
    } else {
      static_cast<void>(co_await done_.get_or_init(std::move(f)));
    }
  }
  bool done() const noexcept { return done_.get() != nullptr; }
  OnceStatistics statistics() const noexcept { return done_.statistics(); }

 private:
  OnceCell<Unit> done_;
};

}  // namespace rondo
