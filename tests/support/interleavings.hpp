// SPDX-License-Identifier: Apache-2.0
// Explorer: runs a few threads in every interleaving of their atomic operations with at most two
// preemptions, and checks each access to shared data against the orders that the atomics gave.
//
//   Explorer explorer;
//   std::string wrong = explorer.explore([&](Explorer::Run& run) {
//     auto shared = std::make_shared<Shared>();          // made of Model<T>, Cell and Signal
//     run.thread([shared] { ... });  run.thread([shared] { ... });
//   });                                                  // empty, or what failed and where
//
// After loom (Tokio) and CHESS (Musuvathi and Qadeer 2007: almost every concurrency fault shows
// with two preemptions). One thread runs at a time; it may be exchanged for another before each
// atomic operation. Values are sequentially consistent; happens-before is tracked by vector
// clocks, so that a missing release or acquire shows as a race on a Cell although the value read
// was right. Not modelled: stale values of relaxed loads.
// Thread rule: explore() on one thread; the rest on the threads it runs.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rondo::testing {

class Explorer {
 public:
  static constexpr std::size_t k_threads_max = 4;
  static constexpr int k_preemptions_max = 2;
  using Clock = std::array<unsigned, k_threads_max>;

  class Run {
   public:
    /// A thread of the scenario; the first one runs first.
    void thread(std::function<void()> body) { bodies_.push_back(std::move(body)); }

   private:
    friend class Explorer;
    std::vector<std::function<void()>> bodies_;
  };

  /// Runs `scenario` once for each interleaving; stops at the first that fails.
  std::string explore(const std::function<void(Run&)>& scenario) {
    path_.clear();
    runs_ = 0;
    do {
      ++runs_;
      run_once(scenario);
      if (!failure_.empty()) return failure_ + " in interleaving " + std::to_string(runs_);
    } while (next_path());
    return {};
  }
  std::size_t runs() const noexcept { return runs_; }

  // For the model's parts, on the thread that runs.

  static Explorer& current() noexcept { return *t_explorer; }
  /// Before an atomic operation: another thread may go on here.
  void step() { choose(true); }
  /// In a waiting loop: some other thread goes on, if there is one.
  void pause() {
    if (failed()) return;
    Thread& self = me();
    self.paused = true;
    choose(false);
  }
  /// Until `ready()`; nothing else can run and nobody will ever make it true: a failure.
  template <class F>
  void block_until(F ready) {
    while (!failed() && !ready()) {
      me().blocked = true;
      choose(false);
    }
    me().blocked = false;
  }
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
    failed_.store(true);
  }
  bool failed() const noexcept { return failed_.load(); }
  /// An object's end, without giving its memory back: who touches it from here on is found out.
  template <class T>
  void retire(const T& object) {
    const auto* first = reinterpret_cast<const std::byte*>(&object);
    retired_.emplace_back(first, first + sizeof object);
  }
  void expect_alive(const void* object, const char* otherwise) {
    const auto* at = static_cast<const std::byte*>(object);
    for (const auto& [first, last] : retired_) {
      if (at >= first && at < last) fail(otherwise);
    }
  }
  /// Something that blocked threads wait for may have come.
  void wake_all() {
    for (auto& thread : threads_) thread->blocked = false;
  }

  Clock& clock() { return me().clock; }
  std::size_t index() const noexcept { return t_index; }
  void tick() { ++me().clock[t_index]; }

 private:
  struct Thread {
    std::function<void()> body;
    std::binary_semaphore turn{0};
    Clock clock{};
    bool blocked = false;
    bool paused = false;
    bool done = false;
  };
  struct Choice {
    std::size_t taken;
    std::size_t options;
  };

  Thread& me() { return *threads_[t_index]; }

  void run_once(const std::function<void(Run&)>& scenario) {
    Run run;
    t_explorer = this;
    scenario(run);
    failure_.clear();
    failed_.store(false);
    at_ = 0;
    preemptions_ = 0;
    threads_.clear();
    retired_.clear();
    for (auto& body : run.bodies_) {
      threads_.push_back(std::make_unique<Thread>());
      threads_.back()->body = std::move(body);
    }
    std::vector<std::thread> real;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      real.emplace_back([this, i] {
        t_explorer = this;
        t_index = i;
        threads_[i]->turn.acquire();
        threads_[i]->body();
        threads_[i]->done = true;
        threads_[i]->body = nullptr;  // What it holds dies before the run is over.
        choose(false);
      });
    }
    threads_[0]->turn.release();
    for (std::thread& thread : real) thread.join();
  }

  /// Who goes on: this thread (first option, when it can) or another one. Leaving a thread that
  /// could go on is a preemption.
  void choose(bool can_stay) {
    if (failed()) return run_out();
    std::vector<std::size_t> options;
    if (can_stay) options.push_back(t_index);
    const bool may_leave = !can_stay || preemptions_ < k_preemptions_max;
    for (std::size_t i = 0; may_leave && i < threads_.size(); ++i) {
      if (i != t_index && can_run(*threads_[i])) options.push_back(i);
    }
    if (options.empty()) return stuck();
    const std::size_t next = options[take(options.size())];
    if (next == t_index) return;
    if (can_stay) ++preemptions_;
    switch_to(next);
  }
  static bool can_run(const Thread& thread) { return !thread.done && !thread.blocked; }
  /// No other thread can go on.
  void stuck() {
    Thread& self = me();
    const bool all_done =
        std::all_of(threads_.begin(), threads_.end(), [](const auto& t) { return t->done; });
    if (all_done) return;
    if (self.paused && !self.done) {
      if (++spins_ > 10) fail("livelock: it waits for what no other thread will do");
      return;
    }
    fail("deadlock: every thread that is left sleeps");
    run_out();
  }
  void switch_to(std::size_t next) {
    Thread& self = me();
    const bool done = self.done;
    spins_ = 0;
    threads_[next]->paused = false;
    threads_[next]->turn.release();
    if (!done) self.turn.acquire();
  }
  /// After a failure the threads end one after the other; nothing blocks any more.
  void run_out() {
    if (!me().done) return;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      if (!threads_[i]->done) return switch_to(i);
    }
  }

  std::size_t take(std::size_t options) {
    if (at_ == path_.size()) path_.push_back({0, options});
    return path_[at_++].taken;
  }
  bool next_path() {
    while (!path_.empty() && path_.back().taken + 1 == path_.back().options) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().taken;
    return true;
  }

  static inline thread_local Explorer* t_explorer = nullptr;
  static inline thread_local std::size_t t_index = 0;

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Choice> path_;
  std::vector<std::pair<const std::byte*, const std::byte*>> retired_;
  std::size_t at_ = 0;
  std::size_t runs_ = 0;
  int preemptions_ = 0;
  int spins_ = 0;
  std::string failure_;
  std::atomic<bool> failed_{false};
};

/// std::atomic as the explorer sees it. `Weak`: every order is taken for relaxed.
template <class T, bool Weak = false>
class Model {
 public:
  Model(T value = T()) : value_(value) {}  // NOLINT: as std::atomic.

  T load(std::memory_order order) const {
    touch();
    if (acquires(order)) join(clock(), sync_);
    return value_;
  }
  T exchange(T value, std::memory_order order) {
    return change(order, [&](T&) { return value; });
  }
  T fetch_add(T more, std::memory_order order) {
    return change(order, [&](T& old) { return static_cast<T>(old + more); });
  }
  T fetch_sub(T less, std::memory_order order) {
    return change(order, [&](T& old) { return static_cast<T>(old - less); });
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order success,
                             std::memory_order failure) {
    touch();
    if (value_ != expected) {
      expected = value_;
      if (acquires(failure)) join(clock(), sync_);
      return false;
    }
    apply(value, success);
    return true;
  }

 private:
  using Clock = Explorer::Clock;
  static bool acquires(std::memory_order order) {
    return !Weak && (order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
                     order == std::memory_order_seq_cst);
  }
  static bool releases(std::memory_order order) {
    return !Weak && (order == std::memory_order_release || order == std::memory_order_acq_rel ||
                     order == std::memory_order_seq_cst);
  }
  static void join(Clock& into, const Clock& from) {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
  }
  static Clock& clock() { return Explorer::current().clock(); }
  void touch() const {
    Explorer& explorer = Explorer::current();
    explorer.step();
    explorer.expect_alive(this, "an atomic was touched after its owner had ended");
  }
  template <class F>
  T change(std::memory_order order, F f) {
    touch();
    T old = value_;
    apply(f(old), order);
    return old;
  }
  void apply(T value, std::memory_order order) {
    if (acquires(order)) join(clock(), sync_);
    // A relaxed read-modify-write goes on with the release sequence it stands in.
    if (releases(order)) join(sync_, clock());
    value_ = value;
    Explorer::current().tick();
  }

  T value_;
  mutable Clock sync_{};  ///< what an acquiring reader of this value comes to know
};

/// Plain data: every two accesses of which one writes must be ordered by atomics.
class Cell {
 public:
  void write() { access(true); }
  void read() { access(false); }

 private:
  void access(bool writes) {
    Explorer& explorer = Explorer::current();
    const Explorer::Clock& now = explorer.clock();
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (i == explorer.index()) continue;
      const bool known = written_[i] <= now[i] && (!writes || read_[i] <= now[i]);
      if (!known) explorer.fail("a race: data was used without being ordered after its writer");
    }
    explorer.tick();
    (writes ? written_ : read_)[explorer.index()] = explorer.clock()[explorer.index()];
  }
  Explorer::Clock written_{};
  Explorer::Clock read_{};
};

/// What a driver sleeps in: a kernel's event. Orders nothing, as far as C++ knows.
class Signal {
 public:
  void raise() {
    Explorer& explorer = Explorer::current();
    explorer.step();
    explorer.expect_alive(this, "a driver was woken after its loop had ended");
    raised_ = true;
    explorer.wake_all();
  }
  void sleep() {
    Explorer::current().step();
    Explorer::current().block_until([this] { return raised_; });
    raised_ = false;
  }

 private:
  bool raised_ = false;
};

}  // namespace rondo::testing
