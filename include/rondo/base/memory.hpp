// SPDX-License-Identifier: Apache-2.0
// Owned<T>: one object on the heap with one owner, for members of public headers.
//
//   Owned<State> state_;                       // incomplete here, complete in the .cpp
//   state_ = std::make_unique<State>(...);     // takes over from a unique_ptr
//
// It is std::unique_ptr without its header: <memory> is 7,650 lines in every file that includes a
// loop, a sixth of what the compiler reads. Elsewhere use std::unique_ptr.
// Lifetime: whoever destroys, assigns or resets it sees the complete T.
// Thread rule: a value.
#pragma once

#include "rondo/base/compiler.hpp"

#include <concepts>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace rondo {

template <class T>
class Owned {
 public:
  Owned() = default;
  Owned(std::nullptr_t) noexcept {}  // NOLINT: empty, like a null pointer.
  explicit Owned(T* object) noexcept : object_(object) {}
  Owned(Owned&& other) noexcept : object_(other.release()) {}
  /// Takes over from another owner, such as a unique_ptr, of T or of a class derived from it.
  template <class P>
    requires(!std::is_reference_v<P> && requires(P& owner) {
      { owner.release() } -> std::convertible_to<T*>;
    })
  Owned(P&& owner) noexcept : object_(owner.release()) {}  // NOLINT: as between unique_ptrs.
  Owned& operator=(Owned&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Owned() { reset(); }

  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  [[nodiscard("own it now")]] T* release() noexcept { return std::exchange(object_, nullptr); }
  void reset(T* object = nullptr) noexcept {
    static_assert(sizeof(T) > 0, "an Owned is destroyed where its T is complete");
    delete std::exchange(object_, object);
  }

 private:
  T* object_ = nullptr;
};

namespace detail {

/// std::construct_at and destroy_at. Call them qualified: argument lookup would find std's too.
// Conversions here are those of the caller, `co_return 1` in a Task<std::size_t> say: as in a
// system header they are no reason to warn.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
template <class T, class... A>
void construct_at(T* where, A&&... args) {
  ::new (static_cast<void*>(where)) T(std::forward<A>(args)...);
}
#pragma GCC diagnostic pop
template <class T>
void destroy_at(T* object) noexcept {
  object->~T();
}

}  // namespace detail

}  // namespace rondo
