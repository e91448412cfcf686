// SPDX-License-Identifier: Apache-2.0
// with_error_group: a scope that keeps every exception, not only the first.
//
//   try {
//     co_await with_error_group([&](Scope& scope) -> Task<> {
//       for (auto& host : hosts) scope.start(check, host);
//       co_return;
//     }, {.on_failure = OnFailure::go_on});                   // all of them run to their end
//   } catch (const ErrorGroup& group) {
//     for (const std::exception_ptr& error : group.errors()) report(error);
//   }
//
// As with_scope otherwise; nothing is counted as lost here. Errors that are values (Result) are no
// exceptions: they cancel nothing and are in the children's handles.
// Thread rule: the loop's thread; the exception is a value.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "rondo/core/scope.hpp"

namespace rondo {

/// What with_error_group throws: the exceptions of body and children in the order they came.
class ErrorGroup : public std::exception {
 public:
  explicit ErrorGroup(std::vector<std::exception_ptr> errors);
  /// "3 tasks failed: " and their texts.
  const char* what() const noexcept override { return text_.c_str(); }
  const std::vector<std::exception_ptr>& errors() const noexcept { return errors_; }

 private:
  std::vector<std::exception_ptr> errors_;
  std::string text_;
};

enum class OnFailure : std::uint8_t {
  cancel,  ///< the first failure cancels the others; what fails meanwhile is kept too
  go_on,   ///< every task runs to its end
};
struct ErrorGroupOptions {
  OnFailure on_failure = OnFailure::cancel;
};

namespace detail {

template <class F>
struct ErrorGroupBracket : ScopeBracket<F>, FailureSink {
  std::vector<std::exception_ptr> errors;

  ErrorGroupBracket(PromiseBase& parent, F&& f, OnFailure mode)
      : ScopeBracket<F>(parent, std::move(f), k_no_deadline) {
    cancels = mode == OnFailure::cancel;
    take = [](FailureSink& sink, std::exception_ptr error) noexcept {
      static_cast<ErrorGroupBracket&>(sink).errors.push_back(std::move(error));
    };
    this->scope.collect_failures(*this);
  }
  auto await_resume() {
    if (!errors.empty()) throw ErrorGroup(std::move(errors));
    return ScopeBracket<F>::await_resume();
  }
};

template <class F>
struct [[maybe_unused]] ErrorGroupAwaitable {
  F function;
  OnFailure mode;
  ErrorGroupBracket<F> awaiter(PromiseBase& parent) && {
    return {parent, std::move(function), mode};
  }
};

}  // namespace detail

/// Runs `body(Scope&)` and its children as with_scope.
/// - **Completes** after the last of body and children has ended. **Returns** as with_scope.
/// - **Errors** throws ErrorGroup with all exceptions when there was one.
/// - **Cancel** as with_scope; exceptions win over it. **Lifetime** the body lives inside.
/// - **Concurrency** any number, nested at will. **Thread** the loop's.
template <class F>
detail::ErrorGroupAwaitable<std::decay_t<F>> with_error_group(F&& body,
                                                              ErrorGroupOptions options = {}) {
  return {std::forward<F>(body), options.on_failure};
}

}  // namespace rondo
