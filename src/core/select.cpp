// SPDX-License-Identifier: Apache-2.0
#include "rondo/core/select.hpp"

namespace rondo::detail {

SelectCore::SelectCore(PromiseBase& parent) noexcept {
  frame = &parent;
  on_enlist = [](Collector& all, Waiter& waiter) noexcept {
    auto& self = static_cast<SelectCore&>(all);
    for (std::size_t i = 0; i < self.count_; ++i) {
      if (self.cases_[i].waiter == &waiter) self.cases_[i].registered = true;
    }
    ++self.left_;
  };
  on_settle = [](Collector& all, Waiter& waiter, End how) noexcept {
    auto& self = static_cast<SelectCore&>(all);
    for (std::size_t i = 0; i < self.count_; ++i) {
      if (self.cases_[i].waiter != &waiter) continue;
      // Ready at once: it was never registered.
      if (std::exchange(self.cases_[i].registered, false)) --self.left_;
      return self.ended(i, how);
    }
  };
}

void SelectCore::open(SelectCase* cases, std::size_t count) noexcept {
  cases_ = cases;
  count_ = count;
  opening_ = true;
  run = &Collector::mark;
  park(*this, [](Waiter& waiter) noexcept { static_cast<SelectCore&>(waiter).withdraw(nullptr); });
}

bool SelectCore::close() noexcept {
  opening_ = false;
  for (std::size_t i = 0; i < count_; ++i) left_ += cases_[i].branch != nullptr;
  if (left_ > 0) {
    // Decided while it opened: those that were registered before are withdrawn only now.
    if (has_winner()) withdraw("another case was first");
    return true;
  }
  if (!spend_await()) return finish(), true;
  frame->chain->leaf = nullptr;
  return false;
}

void SelectCore::branch_ended(std::size_t index, End how) noexcept {
  cases_[index].registered = false;
  --left_;
  ended(index, how);
}

void SelectCore::fail(std::exception_ptr error, const Chain& branch) noexcept {
  if (error_)
    report_lost(error, "a case after the first that failed", &branch);
  else
    error_ = std::move(error);
}

void SelectCore::threw(std::size_t index, std::exception_ptr error) noexcept {
  error_ = std::move(error);
  ended(index, End::exception);
}

void SelectCore::ended(std::size_t index, End how) noexcept {
  if (how != End::cancelled && !has_winner()) {
    winner_ = index;
    if (!opening_) withdraw("another case was first");
  }
  if (!opening_ && left_ == 0 && frame->chain->leaf == this) finish();
}

void SelectCore::withdraw(const char* reason) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    SelectCase& one = cases_[i];
    if (!one.registered) continue;
    if (one.branch) {
      request_cancel(*one.branch, reason);
      continue;
    }
    one.waiter->cancel(*one.waiter);
    RONDO_ASSERT(!one.registered, "a select case did not leave where it waited: not withdrawable");
  }
}

void SelectCore::finish() noexcept {
  if (!has_winner() && detail::cancelled(*this))
    strike(*this);
  else
    wake(*this);
}

}  // namespace rondo::detail
