// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/scope.hpp"

namespace rondo {

void Scope::add(detail::Chain& child) noexcept {
  child.parent = owner_;
  if (cancelled_) child.cancelled = true;
  children_.push_back(child);
  ++live_;
}

void Scope::remove(detail::Chain& child) noexcept {
  static_cast<TaggedLink<detail::InScope>&>(child).unlink();
  if (--live_ == 0) when_empty_(*closer_);
}

void Scope::cancel(CancelReason reason) noexcept {
  if (!cancelled_ && !cancelled_here_) {
    cancelled_here_ = true;
    reason_ = reason;
  }
  cancel_from_outside();
}

void Scope::cancel_from_outside() noexcept {
  if (cancelled_) return;
  cancelled_ = true;
  for (detail::Chain* child = children_.first(); child; child = children_.next(*child)) {
    detail::request_cancel(*child);
  }
}

void Scope::fail(std::exception_ptr error) noexcept {
  if (first_) {
    ++others_;
    return;
  }
  first_ = std::move(error);
  cancel_from_outside();
}

}  // namespace rondo
