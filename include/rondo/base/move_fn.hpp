// SPDX-License-Identifier: Apache-2.0
// MoveFn<R(A...)>: a callable that is moved, never copied, and called from one place.
//
//   MoveFn<void(int)> f = [p = std::make_unique<int>(1)](int n) { use(*p, n); };
//
// Up to three pointers of captures are stored inside; larger ones take one allocation.
// It exists because <functional> is 20,000 lines that every user of a header would compile.
// Lifetime: owns the callable. Thread rule: a value; calls are as thread-safe as the callable.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/base/memory.hpp"

namespace rondo {

template <class Signature>
class MoveFn;

template <class R, class... A>
class MoveFn<R(A...)> {
  static constexpr std::size_t k_inside = 3 * sizeof(void*);
  template <class F>
  static constexpr bool fits = sizeof(F) <= k_inside && alignof(F) <= alignof(void*) &&
                               std::is_nothrow_move_constructible_v<F>;

 public:
  MoveFn() = default;
  MoveFn(std::nullptr_t) noexcept {}  // NOLINT: empty, like a null pointer.
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, MoveFn> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, A...>)
  MoveFn(F&& f) {  // NOLINT: any callable is one.
    using D = std::decay_t<F>;
    if constexpr (fits<D>) {
      detail::construct_at(reinterpret_cast<D*>(store_), std::forward<F>(f));
      table_ = &k_table<D>;
    } else {
      *reinterpret_cast<D**>(store_) = new D(std::forward<F>(f));
      table_ = &k_heap_table<D>;
    }
  }
  MoveFn(MoveFn&& other) noexcept : table_(std::exchange(other.table_, nullptr)) {
    if (table_) table_->move(store_, other.store_);
  }
  MoveFn& operator=(MoveFn&& other) noexcept {
    if (this == &other) return *this;
    reset();
    table_ = std::exchange(other.table_, nullptr);
    if (table_) table_->move(store_, other.store_);
    return *this;
  }
  ~MoveFn() { reset(); }

  explicit operator bool() const noexcept { return table_ != nullptr; }
  R operator()(A... args) {
    RONDO_ASSERT(table_, "an empty MoveFn was called");
    return table_->call(store_, std::forward<A>(args)...);
  }
  void reset() noexcept {
    if (table_) std::exchange(table_, nullptr)->destroy(store_);
  }

 private:
  struct Table {
    R (*call)(void*, A&&...);
    void (*move)(void* to, void* from) noexcept;
    void (*destroy)(void*) noexcept;
  };
  template <class D>
  static constexpr Table k_table = {
      [](void* p, A&&... args) -> R { return (*static_cast<D*>(p))(std::forward<A>(args)...); },
      [](void* to, void* from) noexcept {
        detail::construct_at(static_cast<D*>(to), std::move(*static_cast<D*>(from)));
        detail::destroy_at(static_cast<D*>(from));
      },
      [](void* p) noexcept { detail::destroy_at(static_cast<D*>(p)); }};
  template <class D>
  static constexpr Table k_heap_table = {
      [](void* p, A&&... args) -> R { return (**static_cast<D**>(p))(std::forward<A>(args)...); },
      [](void* to, void* from) noexcept {
        *static_cast<D**>(to) = std::exchange(*static_cast<D**>(from), nullptr);
      },
      [](void* p) noexcept { delete *static_cast<D**>(p); }};

  alignas(void*) std::byte store_[k_inside];
  const Table* table_ = nullptr;
};

}  // namespace rondo
