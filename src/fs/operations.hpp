// SPDX-License-Identifier: Apache-2.0
// The operations of the fs layer as awaitables that yield their bare result, and how an error
// names what it was done to.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "rondo/fs/file.hpp"
#include "rondo/io/file_ops.hpp"

namespace rondo::fs {

/// An operation that `prepare(op)` fills in; yields its result. What it refers to stands in the
/// caller's frame.
template <class Op, class F>
struct [[nodiscard]] FileOperation {
  F prepare;
  struct Awaiter : detail::FileAwaiter<Op> {
    Awaiter(rondo::detail::PromiseBase& parent, F& fill) : detail::FileAwaiter<Op>(parent) {
      fill(static_cast<Op&>(this->op));
    }
    std::int32_t await_resume() const noexcept { return this->result; }
  };
  Awaiter awaiter(rondo::detail::PromiseBase& parent) && { return {parent, prepare}; }
};

template <class Op, class F>
FileOperation<Op, F> file_operation(F prepare) {
  return {std::move(prepare)};
}

/// A stat, whose answer is copied out of the operation before it is gone.
template <class F>
struct [[nodiscard]] StatOf {
  F prepare;
  FileStatus& found;
  struct Awaiter : detail::FileAwaiter<io::StatOp> {
    FileStatus& into;
    Awaiter(rondo::detail::PromiseBase& parent, F& fill, FileStatus& to)
        : detail::FileAwaiter<io::StatOp>(parent), into(to) {
      fill(static_cast<io::StatOp&>(this->op));
    }
    std::int32_t await_resume() const noexcept {
      if (this->result >= 0) into = this->op.found;
      return this->result;
    }
  };
  Awaiter awaiter(rondo::detail::PromiseBase& parent) && { return {parent, prepare, found}; }
};
template <class F>
StatOf<F> stat_into(FileStatus& found, F prepare) {
  return {std::move(prepare), found};
}

inline Error error_of(std::int32_t result, const char* operation, std::string_view path) {
  return Error::from_errno(-result, operation, path);
}

/// Nothing, or the error of a negative result.
inline Result<> outcome_of(std::int32_t result, const char* operation, std::string_view path) {
  if (result < 0) return error_of(result, operation, path);
  return {};
}

/// A path for the kernel holds no NUL; one would silently name another file.
inline bool is_path(std::string_view path) noexcept {
  return !path.empty() && path.find('\0') == std::string_view::npos;
}
inline Error bad_path(const char* operation, std::string_view path) {
  return {Errc::invalid_argument, operation, path.substr(0, path.find('\0'))};
}

/// Everything in front of the last name: "a/b" -> "a", "a" -> ".", "/a" -> "/".
std::string parent_of(std::string_view path);
/// The last name: "a/b/" -> "b".
std::string_view name_of(std::string_view path) noexcept;
/// A name nobody else has, from the driver's randomness.
std::string random_name(std::string_view prefix);

}  // namespace rondo::fs
