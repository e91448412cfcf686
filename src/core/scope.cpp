// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/scope.hpp"

#include "rondo/core/cancel.hpp"

namespace rondo {

CancelReason cancel_reason() noexcept {
  // The innermost bracket that was asked first; a clean-up is masked, what it belongs to is not.
  for (const detail::Chain* at = detail::core().running; at; at = at->parent) {
    if (at->cancelled && at->reason) return {at->reason};
  }
  return {};
}

void Scope::add(detail::Chain& child) noexcept {
  child.parent = owner_;
  child.locals = locals();
  if (cancelled_) {
    child.cancelled = true;
    child.reason = asked_;
  }
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
  cancel_children(reason.text);
}

void Scope::cancel_from_outside() noexcept { cancel_children(nullptr); }

void Scope::cancel_children(const char* reason) noexcept {
  if (cancelled_) return;
  cancelled_ = true;
  asked_ = reason;
  if (watch_) watch_->on_cancel(*watch_);
  for (detail::Chain* child = children_.first(); child; child = children_.next(*child)) {
    detail::request_cancel(*child, reason);
  }
}

void Scope::cancel_after(Duration after, CancelReason reason) {
  cancel_at(deadline_after(Loop::current().now(), after), reason);
}

void Scope::cancel_at(TimePoint when, CancelReason reason) {
  if (deadline_.armed()) Loop::current().disarm(deadline_);
  if (when == k_no_deadline) return;
  deadline_.scope = this;
  deadline_.why = reason;
  deadline_.deadline = when.time_since_epoch().count();
  deadline_.fire = [](detail::Timer& timer) noexcept {
    auto& due = static_cast<Deadline&>(timer);
    due.scope->cancel(due.why);
  };
  Loop::current().arm(deadline_);
}

void Scope::request_stop(Duration grace) {
  if (stop_.is_set()) return;
  stop_.set();
  cancel_after(grace, {"grace is over"});
}

void Scope::end() noexcept {
  if (deadline_.armed()) Loop::current().disarm(deadline_);
  detail::end_watch(watch_);
}

void Scope::fail(std::exception_ptr error, const detail::Chain& child) noexcept {
  if (sink_) {
    failed_ = true;
    if (sink_->cancels) cancel_children("another task of the scope failed");
    return sink_->take(*sink_, std::move(error));
  }
  if (failed_) {
    ++others_;
    return detail::report_lost(error, "a scope that failed already", &child);
  }
  failed_ = true;
  first_ = std::move(error);
  cancel_children("another task of the scope failed");
}

}  // namespace rondo
