// SPDX-License-Identifier: Apache-2.0
// map_concurrent, for_each_concurrent: a function over a range, at most n at a time.
//
//   std::vector<Page> pages = co_await map_concurrent(urls, 8, fetch);
//   Result<> all = co_await for_each_concurrent(users, 16, notify);     // notify: Task<Result<>>
//
// Results stand in the order of the range, whatever ended first. The first failure (an exception,
// or a Result that holds an error) cancels the others and is the outcome.
// Lifetime: range and function are kept (copied or moved); `f` gets a reference to its item, which
// lives until all have ended. A view's elements must outlive the call.
// Thread rule: the loop's thread.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "rondo/core/scope.hpp"
#include "rondo/core/sleep.hpp"

namespace rondo {

namespace detail {

template <class R>
using ItemOf = decltype(*std::declval<R&>().begin());
template <class R, class F>
using MappedTask = std::invoke_result_t<F&, ItemOf<R>>;
template <class R, class F>
using Mapped = typename MappedTask<R, F>::value_type;

/// U of a Result<U>, else T.
template <class T>
struct PlainOf {
  using type = T;
};
template <class T>
struct PlainOf<Result<T>> {
  using type = NonVoid<T>;
};

/// What the lanes of one call share.
template <class R, class F>
struct MapState {
  using T = Mapped<R, F>;
  using Value = NonVoid<T>;
  using Iterator = decltype(std::declval<R&>().begin());
  using Sentinel = decltype(std::declval<R&>().end());

  using Plain = typename PlainOf<Value>::type;
  using Outcome = std::conditional_t<is_result<T>, Result<std::vector<Plain>>, std::vector<Plain>>;
  using End = std::conditional_t<is_result<T>, Result<>, void>;

  R& range;
  F& function;
  std::size_t limit;
  std::size_t lanes = 0;
  Iterator at = range.begin();
  Sentinel end = range.end();
  std::size_t next = 0;
  std::size_t finished = 0;
  std::vector<std::optional<Value>> values = {};
  std::optional<Error> failure = {};

  /// Takes items until there are no more. A lane runs alone until it awaits; before that it
  /// starts the next one, so that a range need be read once and there is no idle lane.
  static Task<> lane(MapState& state, Scope& scope) {
    while (state.at != state.end && !state.failure) {
      const std::size_t index = state.next++;
      auto&& item = *state.at;
      auto task = state.function(std::forward<decltype(item)>(item));
      ++state.at;
      state.start_lane(scope);
      if constexpr (std::is_void_v<T>) {
        co_await std::move(task);
        ++state.finished;
      } else {
        Value value = co_await std::move(task);
        ++state.finished;
        state.keep(index, std::move(value), scope);
      }
    }
  }
  void start_lane(Scope& scope) {
    if (lanes == limit || at == end) return;
    ++lanes;
    scope.start(Named{"map_concurrent"}, &lane, std::ref(*this), std::ref(scope));
  }
  void keep(std::size_t index, Value&& value, Scope& scope) {
    if constexpr (is_result<Value>) {
      if (!value.has_value()) {
        if (!failure) failure.emplace(value.error());
        return scope.cancel({"another item failed"});
      }
    }
    if constexpr (!std::is_same_v<T, Result<>>) {
      if (values.size() <= index) values.resize(index + 1);
      values[index].emplace(std::move(value));
    }
  }
  Task<> run() {
    co_await with_scope([this](Scope& scope) -> Task<> {
      start_lane(scope);
      co_return;
    });
    // Lanes that were cancelled from outside: the body had ended, so the scope did not strike.
    if (!failure && (finished != next || at != end)) co_await checkpoint();
  }
  std::vector<Plain> take() {
    std::vector<Plain> all;
    all.reserve(values.size());
    for (auto& one : values) {
      if constexpr (is_result<Value>)
        all.push_back(std::move(**one));
      else
        all.push_back(std::move(*one));
    }
    return all;
  }
};

}  // namespace detail

/// Runs `f(item)`, a function that returns a Task<T>, for every item, at most `limit` at a time.
/// - **Completes** when all have ended. **Returns** a vector of the values in the range's order;
///   for T = Result<U> a Result of a vector of U.
/// - **Errors** the first failure, after the others have been cancelled and have ended.
/// - **Cancel** cancels all of them. **Lifetime** keeps range and function.
/// - **Concurrency** `limit` calls at a time. **Thread** the loop's.
template <class R, class F>
auto map_concurrent(R range, std::size_t limit, F f)
    -> Task<typename detail::MapState<R, F>::Outcome> {
  detail::MapState<R, F> state{range, f, limit > 0 ? limit : 1};
  co_await state.run();
  if constexpr (is_result<detail::Mapped<R, F>>) {
    if (state.failure) co_return *state.failure;
  }
  co_return state.take();
}

/// map_concurrent for functions whose values are not wanted: Task<>, or Task<Result<>> when `f`'s
/// are Results.
template <class R, class F>
auto for_each_concurrent(R range, std::size_t limit, F f)
    -> Task<typename detail::MapState<R, F>::End> {
  detail::MapState<R, F> state{range, f, limit > 0 ? limit : 1};
  co_await state.run();
  if constexpr (is_result<detail::Mapped<R, F>>) {
    if (state.failure) co_return *state.failure;
    co_return Result<>{};
  }
}

}  // namespace rondo
