// SPDX-License-Identifier: Apache-2.0
// W7: a value, or the turn, from one task to another on the same loop, by each means there is.
// Two players; a hop is one hand-over, so each round has two.
#include <functional>

#include "measure.hpp"
#include "rondo/core/broadcast.hpp"
#include "rondo/core/channel.hpp"
#include "rondo/core/mutex.hpp"
#include "rondo/core/oneshot.hpp"
#include "rondo/core/scope.hpp"
#include "rondo/core/semaphore.hpp"
#include "rondo/core/sleep.hpp"
#include "rondo/core/thread_channel.hpp"
#include "rondo/core/watch.hpp"

namespace bench {
namespace {

using namespace rondo;

constexpr long k_rounds = 1'000'000;

/// Runs both players to their end and puts the time of a hop.
template <class F, class G>
Task<> game(const char* metric, F first, G second) {
  const Stopwatch watch;
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(std::move(second));
    scope.start(std::move(first));
    co_return;
  });
  put(metric, watch.ns_per(2.0 * k_rounds));
}

template <class C>
Task<> channel_player(C& in, C& out, bool serves) {
  if (serves) static_cast<void>(co_await out.send(0));
  for (long i = 0; i < k_rounds; ++i) {
    auto value = co_await in.receive();
    if (!serves || i + 1 < k_rounds) static_cast<void>(co_await out.send(*value + 1));
  }
}

template <class C>
Task<> channels(const char* metric) {
  C a(1);
  C b(1);
  co_await game(
      metric, [&] { return channel_player(b, a, true); },
      [&] { return channel_player(a, b, false); });
}

Task<> broadcast_player(Broadcast<int>::Subscription& in, Broadcast<int>& out, bool serves) {
  if (serves) static_cast<void>(co_await out.send(0));
  for (long i = 0; i < k_rounds; ++i) {
    auto got = co_await in.receive();
    static_cast<void>(co_await out.send(*got + 1));
  }
}

Task<> broadcasts() {
  Broadcast<int> a(2, OnLag::report);
  Broadcast<int> b(2, OnLag::report);
  auto from_a = a.subscribe();
  auto from_b = b.subscribe();
  co_await game(
      "broadcast hop", [&] { return broadcast_player(from_b, a, true); },
      [&] { return broadcast_player(from_a, b, false); });
}

Task<> watch_player(Watch<int>::Reader in, Watch<int>& out, bool serves) {
  if (serves) out.set(0);
  for (long i = 0; i < k_rounds; ++i) out.set(*co_await in.changed() + 1);
}

Task<> watches() {
  Watch<int> a;
  Watch<int> b;
  auto from_a = a.subscribe();
  auto from_b = b.subscribe();
  co_await game(
      "watch hop", [&] { return watch_player(from_b, a, true); },
      [&] { return watch_player(from_a, b, false); });
}

/// A request to a task that owns something: the question travels with a Oneshot for its answer.
Task<> ask(Channel<OneshotSender<int>>& questions) {
  const Stopwatch watch;
  for (long i = 0; i < k_rounds; ++i) {
    auto [sender, receiver] = make_oneshot<int>();
    static_cast<void>(co_await questions.send(std::move(sender)));
    static_cast<void>(co_await receiver);
  }
  put("ask+answer by channel and oneshot", watch.ns_per(k_rounds));
  questions.close();
}

Task<> answer(Channel<OneshotSender<int>>& questions) {
  while (auto question = co_await questions.receive()) question->set(1);
}

Task<> questions() {
  Channel<OneshotSender<int>> asked(1);
  co_await with_scope([&](Scope& scope) -> Task<> {
    scope.start(answer, std::ref(asked));
    scope.start(ask, std::ref(asked));
    co_return;
  });
}

/// The lock is given back while the other one waits for it: a hand-over each time. Includes one
/// turn of the loop's queue, which makes the other one come and wait.
Task<> lock_player(Mutex& mutex) {
  for (long i = 0; i < k_rounds; ++i) {
    auto guard = co_await mutex.lock();
    co_await checkpoint();
  }
}

Task<> mutexes() {
  Mutex mutex;
  co_await game(
      "mutex hand-over", [&] { return lock_player(mutex); }, [&] { return lock_player(mutex); });
}

Task<> free_lock() {
  Mutex mutex;
  const Stopwatch watch;
  for (long i = 0; i < k_rounds; ++i) auto guard = co_await mutex.lock();
  put("mutex lock+unlock, free", watch.ns_per(k_rounds));
}

Task<> free_permit() {
  Semaphore semaphore(4);
  const Stopwatch watch;
  for (long i = 0; i < k_rounds; ++i) auto permit = co_await semaphore.acquire();
  put("semaphore acquire+release, free", watch.ns_per(k_rounds));
}

}  // namespace

Task<> hops() {
  co_await channels<Channel<int>>("channel hop");
  co_await channels<ThreadChannel<int>>("thread channel hop, one loop");
  co_await broadcasts();
  co_await watches();
  co_await questions();
  co_await mutexes();
  co_await free_lock();
  co_await free_permit();
}

}  // namespace bench
