// SPDX-License-Identifier: Apache-2.0
// AsyncGenerator<T>, Generator<T>: functions that yield one value after the other.
//
//   AsyncGenerator<std::string> lines(tcp::Stream& peer) {
//     while (auto line = co_await peer.read_line()) co_yield *line;
//   }
//   auto each = lines(peer);
//   while (auto line = co_await each.next()) use(*line);
//
//   Generator<int> squares() { for (int i = 0;; ++i) co_yield i * i; }   // no co_await in it
//   for (int n : squares()) if (n > 100) break;
//
// The body runs only inside next(), as a part of the task that awaits it: it is cancelled with it,
// and its exceptions arrive there. Dropped half-way, its locals are destroyed at their co_yield.
// No scope and no clean-up can stand open across a co_yield: their bodies are Tasks, which do not
// yield. Lifetime trap: arguments by reference must outlive the generator.
// Thread rule: the loop's thread; a Generator is a value of any thread.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>

#include "rondo/core/task.hpp"

namespace rondo {

template <class T>
class [[nodiscard("co_await its next(): it runs only inside")]] AsyncGenerator {
 public:
  using GeneratorTag = void;  // For a message when it is awaited itself.
  class promise_type : public detail::PromiseBase {
   public:
    explicit promise_type(
        std::source_location definition = std::source_location::current()) noexcept
        : detail::PromiseBase(definition) {}
    AsyncGenerator get_return_object() noexcept {
      static_assert(alignof(promise_type) <= 16);
      return AsyncGenerator(std::coroutine_handle<promise_type>::from_promise(*this).address());
    }
    /// Hands the value over and continues in the consumer.
    struct Handover {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().parent->handle();
      }
      void await_resume() const noexcept {}
    };
    template <class U = T>
      requires std::constructible_from<T, U&&>
    Handover yield_value(U&& value) {
      item_->emplace(std::forward<U>(value));
      return {};
    }
    void return_void() noexcept { this->state = State::value; }

   private:
    friend AsyncGenerator;
    std::optional<T>* item_ = nullptr;  ///< where the consumer waits for it
  };

  AsyncGenerator(AsyncGenerator&& other) noexcept : frame_(other.take()) {}
  AsyncGenerator& operator=(AsyncGenerator&& other) noexcept {
    if (this != &other) {
      drop();
      frame_ = other.take();
      cancelled_ = other.cancelled_;
    }
    return *this;
  }
  ~AsyncGenerator() { drop(); }

  /// True when there is nothing more: it has returned, thrown or was cancelled.
  bool done() const noexcept { return frame_ == nullptr; }
  /// Whether it ended because a task that waited in next() was cancelled.
  bool cancelled() const noexcept { return cancelled_; }

 private:
  struct Awaiter : detail::Waiter {
    AsyncGenerator& generator;
    std::optional<T> item;

    Awaiter(AsyncGenerator& from, detail::PromiseBase& parent) : generator(from) {
      frame = &parent;
    }
    Awaiter(const Awaiter&) = delete;
    ~Awaiter() {
      if (!running) return;
      generator.running_ = false;
      // Struck inside of the body: its frames died with the consumer's.
      if (!generator.frame_) generator.cancelled_ = true;
    }
    bool await_ready() const noexcept {
      return !detail::cancelled(*this) && !generator.frame_ && detail::spend_await();
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
      // A checkpoint: a body that never waits can be cancelled all the same.
      if (detail::cancelled(*this)) return detail::strike(*this), std::noop_coroutine();
      if (!generator.frame_) return detail::wake(*this), std::noop_coroutine();
      RONDO_ASSERT(!generator.running_, "a generator has one next() at a time");
      running = generator.running_ = true;
      promise_type& body = generator.promise();
      body.parent = frame;
      body.chain = frame->chain;
      body.owner = &generator.frame_;
      body.item_ = &item;
      if (detail::spend_await()) return body.handle();
      frame = &body;  // The body's turn comes through the queue.
      detail::wake(*this);
      return std::noop_coroutine();
    }
    std::optional<T> await_resume() {
      if (std::exchange(running, false)) {
        generator.running_ = false;
        generator.after_turn();
      }
      return std::move(item);
    }
    bool running = false;
  };
  struct [[nodiscard("co_await it")]] Next {
    AsyncGenerator& generator;
    Awaiter awaiter(detail::PromiseBase& parent) && { return {generator, parent}; }
  };

 public:
  /// Runs the body until it yields: `while (auto v = co_await generator.next())`.
  /// - **Completes** at the body's next co_yield, or at its end. **Returns** the value; nullopt
  ///   when there are no more. **Errors** rethrows the body's exception, which ends it.
  /// - **Cancel** while the body waits: its frames are destroyed with the consumer's; the
  ///   generator is done. Between two calls nothing of it runs.
  /// - **Lifetime** the generator outlives the wait. **Concurrency** one at a time (asserted).
  /// - **Thread** the loop's.
  Next next() noexcept { return {*this}; }

 private:
  explicit AsyncGenerator(void* frame) noexcept : frame_(frame) {}
  promise_type& promise() noexcept {
    return std::coroutine_handle<promise_type>::from_address(frame_).promise();
  }
  void* take() noexcept {
    RONDO_ASSERT(!running_, "a generator was moved while next() waits");
    return std::exchange(frame_, nullptr);
  }
  void drop() noexcept {
    RONDO_ASSERT(!running_ || !frame_, "a generator was destroyed while next() waits");
    if (frame_) std::coroutine_handle<>::from_address(std::exchange(frame_, nullptr)).destroy();
  }
  /// The body yielded, or has ended and its frame with its arguments dies here.
  void after_turn() {
    promise_type& body = promise();
    body.owner = nullptr;
    if (body.failed()) [[unlikely]] {
      std::exception_ptr error = body.take_error();
      drop();
      std::rethrow_exception(std::move(error));
    }
    if (body.state == detail::PromiseBase::State::value) drop();
  }

  void* frame_;
  bool running_ = false;
  bool cancelled_ = false;
};

/// A generator without awaits, for range-for. Single pass; the value lives until the next step.
template <class T>
class [[nodiscard("iterate over it: it runs only then")]] Generator {
 public:
  struct promise_type {
    T* value = nullptr;
    std::exception_ptr error = nullptr;
    Generator get_return_object() noexcept { return Generator(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(T&& given) noexcept {
      value = &given;
      return {};
    }
    /// An lvalue is copied, so that the consumer may change or move what it gets.
    auto yield_value(const T& given) {
      struct Copy : std::suspend_always {
        Copy(T copy, promise_type& to) : item(std::move(copy)), promise(&to) {}
        void await_suspend(std::coroutine_handle<>) noexcept { promise->value = &item; }
        T item;
        promise_type* promise;
      };
      return Copy(given, *this);
    }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { error = std::current_exception(); }
    template <class A>
    void await_transform(A&&) = delete;  ///< a body that waits is an AsyncGenerator
  };
  using Handle = std::coroutine_handle<promise_type>;
  struct End {};
  class Iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    explicit Iterator(Handle frame) noexcept : frame_(frame) {}
    T& operator*() const noexcept { return *frame_.promise().value; }
    Iterator& operator++() {
      frame_.resume();
      if (auto error = std::exchange(frame_.promise().error, nullptr)) {
        std::rethrow_exception(std::move(error));
      }
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& at, End) noexcept { return at.frame_.done(); }

   private:
    Handle frame_;
  };

  Generator(Generator&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Generator& operator=(Generator&& other) noexcept {
    std::swap(frame_, other.frame_);
    return *this;
  }
  ~Generator() {
    if (frame_) frame_.destroy();
  }
  /// Runs the body to its first value; once.
  Iterator begin() { return ++Iterator(frame_); }
  End end() const noexcept { return {}; }

 private:
  explicit Generator(Handle frame) noexcept : frame_(frame) {}
  Handle frame_;
};

}  // namespace rondo
