// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or the Error that stands in its place. What every operation yields.
//
//   Result<std::size_t> got = co_await file.read(buffer);
//   if (!got) return log(got.error().message());
//   use(*got);
//   std::size_t n = (co_await file.read(buffer)).or_throw();   // throws rondo::SystemError
//
// It is an own class, not an alias of std::expected: an alias is not [[nodiscard]], and
// libstdc++ 12 has no monadic members. A Result that is dropped unread is a compiler warning.
// It refuses to be compared with a value or to convert to T silently: say `*r` or `r.value_or(x)`.
// Lifetime: owns its value. Thread rule: a value.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include "rondo/base/assert.hpp"
#include "rondo/base/error.hpp"
#include "rondo/base/memory.hpp"

namespace rondo {

template <class T = void>
class Result;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

template <class T>
class [[nodiscard("look at it, or_throw() or or_return() it; (void) drops it")]] Result {
  static_assert(!std::is_reference_v<T>, "a Result holds values: use a pointer");

 public:
  using value_type = T;

  template <class U = T>
    requires(std::constructible_from<T, U &&> && !is_result<std::remove_cvref_t<U>> &&
             !std::same_as<std::remove_cvref_t<U>, Error> &&
             !std::same_as<std::remove_cvref_t<U>, Errc>)
  Result(U&& value) : ok_(true) {  // NOLINT: a value is a result.
    detail::construct_at(&value_, std::forward<U>(value));
  }
  Result(Error error) noexcept : ok_(false) {  // NOLINT: an error is a result.
    detail::construct_at(&error_, std::move(error));
  }
  Result(Errc code) noexcept : Result(Error(code)) {}  // NOLINT: a code is an error.
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_) detail::construct_at(&value_, other.value_);
    else detail::construct_at(&error_, other.error_);
  }
  Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : ok_(other.ok_) {
    if (ok_) detail::construct_at(&value_, std::move(other.value_));
    else detail::construct_at(&error_, std::move(other.error_));
  }
  Result& operator=(Result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    detail::destroy_at(this);
    detail::construct_at(this, std::move(other));
    return *this;
  }
  ~Result() {
    if (ok_) detail::destroy_at(&value_);
    else detail::destroy_at(&error_);
  }

  bool has_value() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }

  T& operator*() & { return checked(), value_; }
  const T& operator*() const& { return checked(), value_; }
  T&& operator*() && { return checked(), std::move(value_); }
  T* operator->() { return checked(), &value_; }
  const T* operator->() const { return checked(), &value_; }

  const Error& error() const {
    RONDO_ASSERT(!ok_, "error() of a Result that holds a value: test it first");
    return error_;
  }

  /// The value, or throws SystemError.
  T& or_throw() & { return thrown(), value_; }
  T or_throw() && { return thrown(), std::move(value_); }

  template <class U>
  T value_or(U&& other) const& {
    return ok_ ? value_ : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  T value_or(U&& other) && {
    return ok_ ? std::move(value_) : static_cast<T>(std::forward<U>(other));
  }
  /// f(value), which yields a Result, or this error.
  template <class F>
  auto and_then(F&& f) && -> std::invoke_result_t<F, T&&> {
    if (ok_) return std::forward<F>(f)(std::move(value_));
    return std::move(error_);
  }
  /// f(value) as a Result, or this error.
  template <class F>
  auto transform(F&& f) && -> Result<std::invoke_result_t<F, T&&>>;
  /// This value, or f(error), which yields a Result of the same type.
  template <class F>
  Result or_else(F&& f) && {
    if (ok_) return std::move(*this);
    return std::forward<F>(f)(error_);
  }

 private:
  void checked() const {
    RONDO_ASSERT(ok_, "value of a Result that holds an error: test it first or use or_throw()");
  }
  void thrown() const {
    if (!ok_) [[unlikely]] detail::throw_error(error_);
  }

  union {
    T value_;
    Error error_;
  };
  bool ok_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard("look at it, or_throw() or or_return() it; (void) drops it")]] Result<void> {
 public:
  using value_type = void;

  Result() noexcept : error_(k_ok) {}
  Result(Error error) noexcept : error_(std::move(error)) {}  // NOLINT: an error is a result.
  Result(Errc code) noexcept : error_(code) {}                // NOLINT: a code is an error.

  bool has_value() const noexcept { return error_.code() == k_ok; }
  explicit operator bool() const noexcept { return has_value(); }
  void operator*() const {
    RONDO_ASSERT(has_value(), "value of a Result that holds an error: test it first");
  }
  const Error& error() const {
    RONDO_ASSERT(!has_value(), "error() of a Result that succeeded: test it first");
    return error_;
  }
  /// Nothing, or throws SystemError.
  void or_throw() const {
    if (!has_value()) [[unlikely]] detail::throw_error(error_);
  }
  template <class F>
  auto and_then(F&& f) && -> std::invoke_result_t<F> {
    if (has_value()) return std::forward<F>(f)();
    return std::move(error_);
  }
  template <class F>
  auto transform(F&& f) && -> Result<std::invoke_result_t<F>> {
    if (!has_value()) return std::move(error_);
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(f)();
      return {};
    } else {
      return std::forward<F>(f)();
    }
  }
  template <class F>
  Result or_else(F&& f) && {
    if (has_value()) return {};
    return std::forward<F>(f)(error_);
  }

 private:
  static constexpr Errc k_ok = Errc{0};
  Error error_;
};

template <class T>
template <class F>
auto Result<T>::transform(F&& f) && -> Result<std::invoke_result_t<F, T&&>> {
  if (!ok_) return std::move(error_);
  if constexpr (std::is_void_v<std::invoke_result_t<F, T&&>>) {
    std::forward<F>(f)(std::move(value_));
    return {};
  } else {
    return std::forward<F>(f)(std::move(value_));
  }
}

}  // namespace rondo
