// SPDX-License-Identifier: Apache-2.0
// Story: g++ 12, Debian 12's default, gets the lifetime of temporaries around co_await wrong in 15
// of these 46 everyday patterns: captures of a lambda passed to co_await are copied bitwise or
// destroyed twice, initializer lists and aggregates die before the awaited coroutine reads them,
// temporaries of a destroyed suspended frame leak or are freed twice; three do not even compile.
// The worst is `co_await f([s]{...})` with a non-trivial capture, which corrupts memory in silence.
// Clang 19 gets all 46 right. The project therefore refuses GCC before 14 when it is configured,
// and this file asks the compiler in use. It stands on its own small task type, so that a fault in
// Rondo's cannot be taken for one of the compiler.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

// --- a task and a place to suspend ---------------------------------------------------------

struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) noexcept {
    return self.promise().continuation;
  }
  void await_resume() noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::exception_ptr error;
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }
};

template <class T>
struct ValuePromise : PromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& u) {
    value.emplace(std::forward<U>(u));
  }
  T take() { return std::move(*value); }
};

template <>
struct ValuePromise<void> : PromiseBase {
  void return_void() {}
  void take() {}
};

template <class T>
class Probe {
 public:
  struct promise_type : ValuePromise<T> {
    Probe get_return_object() {
      return Probe{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
  };

  Probe(Probe&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  ~Probe() {
    if (frame_) frame_.destroy();
  }

  void resume() { frame_.resume(); }
  bool done() const { return frame_.done(); }

  struct Awaiter {
    std::coroutine_handle<promise_type> frame;
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) {
      frame.promise().continuation = caller;
      return frame;
    }
    T await_resume() {
      if (frame.promise().error) std::rethrow_exception(frame.promise().error);
      return frame.promise().take();
    }
  };
  Awaiter operator co_await() && { return Awaiter{frame_}; }

 private:
  explicit Probe(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

std::coroutine_handle<> g_parked;

struct Park {
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> self) { g_parked = self; }
  void await_resume() {}
};

/// Resumes what is parked until nothing is, or `steps` times.
template <class T>
void drive(Probe<T>& probe, int steps = 1000) {
  probe.resume();
  while (--steps > 0 && !probe.done()) {
    auto next = std::exchange(g_parked, {});
    if (!next) return;
    next.resume();
  }
}

/// Counts the living and sees copies from, and destruction of, what is not alive.
struct Tracked {
  static inline long live = 0;
  static inline long bad = 0;
  static constexpr std::uint32_t k_alive = 0xC0FFEE;

  std::uint32_t magic = k_alive;
  int id;

  Tracked(int i = 0) : id(i) { ++live; }  // NOLINT: conversions are part of the patterns.
  Tracked(const Tracked& o) : id(o.id) { note(o), ++live; }
  Tracked(Tracked&& o) : id(o.id) { note(o), ++live; }
  Tracked& operator=(const Tracked&) = default;
  ~Tracked() {
    note(*this);
    magic = 0xDEAD;
    --live;
  }
  int read() const {
    note(*this);
    return id;
  }

 private:
  static void note(const Tracked& o) { bad += o.magic != k_alive; }
};

// --- callees -------------------------------------------------------------------------------

using L = Tracked;

Probe<int> take(std::function<int()> f) {
  co_await Park{};
  co_return f();
}
template <class F>
Probe<int> take_value(F f) {
  co_await Park{};
  co_return f();
}
template <class F>
Probe<int> take_ref(F&& f) {
  co_await Park{};
  co_return f();
}
Probe<int> take_one(L l) {
  co_await Park{};
  co_return l.id;
}
Probe<int> take_const_ref(const L& l) {
  co_await Park{};
  co_return l.read();
}
Probe<int> take_two(L a, L b) {
  co_await Park{};
  co_return a.id + b.id;
}
Probe<L> make(int i) {
  co_await Park{};
  co_return L(i);
}
Probe<int> take_vector(std::vector<L> v) {
  co_await Park{};
  co_return static_cast<int>(v.size());
}
Probe<int> take_list(std::initializer_list<L> v) {
  co_await Park{};
  int sum = 0;
  for (const auto& x : v) sum += x.read();
  co_return sum;
}
struct Pair {
  L a;
  L b;
};
Probe<int> take_pair(Pair p) {
  co_await Park{};
  co_return p.a.id + p.b.id;
}
Probe<std::pair<L, L>> make_pair_of() {
  co_await Park{};
  co_return std::pair<L, L>(L(1), L(2));
}
Probe<int> throws_on_one(L l) {
  co_await Park{};
  if (l.id == 1) throw std::runtime_error("one");
  co_return 1;
}
Probe<int> take_strings(std::string a, int b, std::string c) {
  co_await Park{};
  co_return static_cast<int>(a.size() + c.size()) + b;
}

// --- the patterns --------------------------------------------------------------------------

Probe<int> lambda_capture() {
  L x(3);
  co_return co_await take_value([x] { return x.id; });
}
Probe<int> std_function_capture() {
  auto p = std::make_shared<L>(4);
  co_return co_await take([p] { return p->id; });
}
Probe<int> value_argument() { co_return co_await take_one(L(5)); }
Probe<int> const_ref_argument() { co_return co_await take_const_ref(L(5)); }
Probe<int> two_arguments() { co_return co_await take_two(L(1), L(2)); }
Probe<int> two_awaits() { co_return(co_await take_one(L(1))) + (co_await take_one(L(2))); }
Probe<int> ternary(bool b) { co_return b ? co_await take_one(L(1)) : 7; }
Probe<int> ternary_object(bool b) {
  L r = b ? co_await make(1) : L(2);
  co_return r.id;
}
Probe<int> ternary_true() { return ternary(true); }
Probe<int> ternary_false() { return ternary(false); }
Probe<int> ternary_object_true() { return ternary_object(true); }
Probe<int> ternary_object_false() { return ternary_object(false); }
Probe<int> vector_argument() { co_return co_await take_vector({L(1), L(2), L(3)}); }
Probe<int> initializer_list_argument() { co_return co_await take_list({L(1), L(2), L(3)}); }
Probe<int> named_aggregate() { co_return co_await take_pair(Pair{L(1), L(2)}); }
Probe<int> braced_aggregate() { co_return co_await take_pair({L(1), L(2)}); }
Probe<int> structured_binding() {
  auto [a, b] = co_await make_pair_of();
  co_await Park{};
  co_return a.id + b.id;
}
Probe<int> range_for_temporary() {
  for (auto x : std::vector<int>{1, 2, 3}) co_await take_one(L(x));
  co_return 0;
}
Probe<int> if_with_initializer() {
  if (auto x = co_await make(3); x.id == 3) {
    co_await Park{};
    co_return x.id;
  }
  co_return 0;
}
Probe<int> called_lambda_coroutine() {
  co_return co_await [](L l) -> Probe<int> {
    co_await Park{};
    co_return l.id;
  }(L(9));
}
Probe<int> named_lambda_coroutine() {
  L x(1);
  auto add = [x](int k) -> Probe<int> {
    co_await Park{};
    co_return x.id + k;
  };
  co_return co_await add(2);
}
Probe<int> try_and_catch() {
  try {
    co_await take_one(L(1));
    throw 1;
  } catch (int) {
  }
  co_await take_one(L(2));
  co_return 0;
}
Probe<int> exception_from_child() {
  try {
    co_await throws_on_one(L(1));
  } catch (const std::exception&) {
  }
  co_return 0;
}
Probe<int> string_concatenation() {
  std::string s = "a long string that is not small at all ......";
  co_return static_cast<int>((s + std::to_string(co_await take_one(L(3)))).size());
}
Probe<int> await_among_arguments() {
  co_return co_await take_strings(std::string(100, 'x'), co_await take_one(L(1)),
                                  std::string(100, 'y'));
}
Probe<int> loop_conditions() {
  while ((co_await make(1)).id == 2) {
  }
  do {
    co_await take_one(L(0));
  } while ((co_await take_one(L(1))) == 0);
  co_return 0;
}
Probe<int> switch_on_await() {
  switch (co_await take_one(L(2))) {
    case 2: {
      L z(1);
      co_await Park{};
      co_return z.id;
    }
    default:
      co_return 0;
  }
}
Probe<int> array_of_awaits() {
  std::array<L, 2> both{co_await make(1), co_await make(2)};
  co_return both[0].id + both[1].id;
}
Probe<int> aggregate_of_awaits() {
  Pair p{co_await make(1), co_await make(2)};
  co_await Park{};
  co_return p.a.id + p.b.id;
}
Probe<int> vector_of_awaits() {
  std::vector<L> v{co_await make(1), co_await make(2)};
  co_await Park{};
  co_return static_cast<int>(v.size());
}
Probe<int> variadic_call_of_awaits() {
  auto sum = [](auto&&... xs) { return (xs.id + ...); };
  co_return sum(co_await make(1), co_await make(2), L(3));
}
Probe<int> short_circuit() {
  bool both = (co_await take_one(L(1))) == 1 && (co_await take_one(L(0))) == 1;
  co_return both;
}
Probe<int> two_init_captures() {
  co_return co_await take_value([l = L(3), m = L(4)] { return l.id + m.id; });
}
Probe<int> lambda_by_forwarding_reference() {
  co_return co_await take_ref([l = L(3)] { return l.read(); });
}
struct Member {
  L l{1};
  Probe<int> go(L x) {
    co_await Park{};
    co_return x.id + l.id;
  }
  Probe<int> via_this() {
    co_return co_await [this](L q) -> Probe<int> {
      co_await Park{};
      co_return q.id + l.id;
    }(L(2));
  }
};
Probe<int> member_coroutine() {
  Member m;
  co_return co_await m.go(L(2));
}
Probe<int> lambda_with_this() {
  Member m;
  co_return co_await m.via_this();
}
Probe<int> invoked_coroutine() {
  co_return co_await std::invoke(
      [](L a, L b) -> Probe<int> {
        co_await Park{};
        co_return a.id + b.id;
      },
      L(1), L(2));
}
Probe<int> parameter_only(L p) { co_return p.id; }
Probe<int> parameter_alone() { return parameter_only(L(1)); }
Probe<void> nothing() { co_return; }
Probe<void> nothing_twice() { co_await nothing(); }
Probe<int> void_chain() {
  co_await nothing_twice();
  co_return 1;
}
Probe<int> move_only_capture() {
  auto owned = std::make_unique<L>(1);
  co_await take_value([u = std::move(owned)] { return u->id; });
  co_return 1;
}

// --- running them --------------------------------------------------------------------------

constexpr int k_to_the_end = 1000;

struct Pattern {
  const char* name;
  Probe<int> (*start)();
  int steps;  // Resumes before the frame is destroyed; 0 destroys it before it starts.
};

// In a child process: a miscompiled pattern may crash, hang or spoil the heap.
int run_apart(const Pattern& pattern) {
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    {
      auto probe = pattern.start();
      if (pattern.steps > 0) drive(probe, pattern.steps);
      if (pattern.steps == k_to_the_end && !probe.done()) _exit(3);
    }
    _exit(L::bad != 0 ? 2 : L::live != 0 ? 1 : 0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

class CoroutineLifetime : public testing::TestWithParam<Pattern> {};

TEST_P(CoroutineLifetime, every_object_lives_exactly_as_long_as_it_should) {
  int verdict = run_apart(GetParam());
  EXPECT_EQ(verdict, 0) << "BUG in the compiler: " << GetParam().name << ": "
                        << (verdict == 1   ? "objects were never destroyed or destroyed twice"
                            : verdict == 2 ? "a dead object was read or destroyed"
                            : verdict == 3 ? "the coroutine did not end"
                                           : "it crashed or hung");
}

#define PATTERN(name) Pattern{#name, name, k_to_the_end}
INSTANTIATE_TEST_SUITE_P(
    RunToTheEnd, CoroutineLifetime,
    testing::Values(PATTERN(lambda_capture), PATTERN(std_function_capture), PATTERN(value_argument),
                    PATTERN(const_ref_argument), PATTERN(two_arguments), PATTERN(two_awaits),
                    PATTERN(ternary_true), PATTERN(ternary_false), PATTERN(ternary_object_true),
                    PATTERN(ternary_object_false), PATTERN(vector_argument),
                    PATTERN(initializer_list_argument), PATTERN(named_aggregate),
                    PATTERN(braced_aggregate), PATTERN(structured_binding),
                    PATTERN(range_for_temporary), PATTERN(if_with_initializer),
                    PATTERN(called_lambda_coroutine), PATTERN(named_lambda_coroutine),
                    PATTERN(try_and_catch), PATTERN(exception_from_child),
                    PATTERN(string_concatenation), PATTERN(await_among_arguments),
                    PATTERN(loop_conditions), PATTERN(switch_on_await), PATTERN(array_of_awaits),
                    PATTERN(aggregate_of_awaits), PATTERN(vector_of_awaits),
                    PATTERN(variadic_call_of_awaits), PATTERN(short_circuit),
                    PATTERN(two_init_captures), PATTERN(lambda_by_forwarding_reference),
                    PATTERN(member_coroutine), PATTERN(lambda_with_this),
                    PATTERN(invoked_coroutine), PATTERN(parameter_alone), PATTERN(void_chain),
                    PATTERN(move_only_capture)),
    [](const auto& info) { return std::string(info.param.name); });

INSTANTIATE_TEST_SUITE_P(
    DestroyedOnTheWay, CoroutineLifetime,
    testing::Values(Pattern{"structured_binding", structured_binding, 2},
                    Pattern{"two_arguments", two_arguments, 1},
                    Pattern{"two_init_captures", two_init_captures, 1},
                    Pattern{"unstarted_parameter", parameter_alone, 0},
                    Pattern{"await_among_arguments", await_among_arguments, 1},
                    Pattern{"ternary_object_true", ternary_object_true, 1},
                    Pattern{"vector_of_awaits", vector_of_awaits, 1},
                    Pattern{"aggregate_of_awaits", aggregate_of_awaits, 2}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
