// SPDX-License-Identifier: Apache-2.0
// UniqueFd: owns one file descriptor and closes it.
//
// For descriptors outside of the loop's hands (a file just opened, a pipe before it is wrapped).
// Descriptors with operations in flight belong to the loop and are closed in its close phase.
// Thread rule: a value; close() is safe on any thread.
#pragma once

#include "rondo/base/compiler.hpp"

#include <utility>

namespace rondo {

class [[nodiscard("keep it: its end closes the descriptor")]] UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives the descriptor away; the caller closes it.
  [[nodiscard("close it")]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes the descriptor held, if any, and holds `fd`.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace rondo
