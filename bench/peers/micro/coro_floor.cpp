// SPDX-License-Identifier: Apache-2.0
// The floor for W7: bare C++20 coroutines, no event loop beyond an intrusive run queue.
#include <chrono>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <utility>

static double now() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
static void put(const char* metric, double v) { printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"ns\"}\n", metric, v); }

struct HeapFrames {};  // frames from operator new
struct PoolFrames {    // frames from a one-size free list
    static inline void* head = nullptr;
    static void* operator new(size_t n) {
        if (head) {
            void* p = head;
            head = *(void**)p;
            return p;
        }
        return malloc(n < 256 ? 256 : n);
    }
    static void operator delete(void* p) { *(void**)p = head, head = p; }
};

// A lazy task, awaited with symmetric transfer in both directions.
template <class Frames>
struct Task {
    struct promise_type : Frames {
        std::coroutine_handle<> back;
        int value = 0;
        Task get_return_object() { return Task{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        struct Final {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> h) noexcept { return h.promise().back; }
            void await_resume() noexcept {}
        };
        Final final_suspend() noexcept { return {}; }
        void return_value(int v) { value = v; }
        void unhandled_exception() { abort(); }
    };
    std::coroutine_handle<promise_type> h;
    explicit Task(std::coroutine_handle<promise_type> x) : h(x) {}
    Task(Task&& o) noexcept : h(std::exchange(o.h, {})) {}
    ~Task() { if (h) h.destroy(); }
    bool await_ready() { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> c) { h.promise().back = c; return h; }
    int await_resume() { return h.promise().value; }
};

struct Detached {  // runs until its first suspension, frees itself
    struct promise_type {
        Detached get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { abort(); }
    };
};

// Run queue of suspended coroutines: an intrusive FIFO, the awaiter is the node.
struct Queue;
struct Node { Node* next = nullptr; std::coroutine_handle<> h; };
struct Queue {
    Node *head = nullptr, **tail = &head;
    void push(Node* n) { n->next = nullptr, *tail = n, tail = &n->next; }
    void run() {
        while (Node* n = head) {
            if (!(head = n->next)) tail = &head;
            n->h.resume();
        }
    }
} q;
struct Yield : Node {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> c) { h = c; q.push(this); }
    void await_resume() {}
};

template <class F>
[[gnu::noinline]] static Task<F> child(int v) { co_return v; }
template <class F>
static Detached calls(long n, long* sum) {
    for (long i = 0; i < n; i++) *sum += co_await child<F>(int(i));
}
// create a task, put it on the run queue, suspend until it is done: an event-loop spawn + join
template <class F>
struct SpawnJoin : Node {
    Task<F> t;
    explicit SpawnJoin(Task<F> x) : t(std::move(x)) {}
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> c) { t.h.promise().back = c; h = t.h; q.push(this); }
    int await_resume() { return t.h.promise().value; }
};
template <class F>
static Detached spawns(long n, long* sum) {
    for (long i = 0; i < n; i++) *sum += co_await SpawnJoin<F>(child<F>(int(i)));
}
static Detached yielder(long n) {
    for (long i = 0; i < n; i++) co_await Yield{};
}
// Rendezvous channel between two coroutines, waking through the run queue.
struct Channel {
    Node* waiting = nullptr;
    int value = 0;
    bool full = false;
    struct Take : Node {
        Channel& c;
        explicit Take(Channel& x) : c(x) {}
        bool await_ready() { return c.full; }
        void await_suspend(std::coroutine_handle<> x) { h = x; c.waiting = this; }
        int await_resume() { c.full = false; return c.value; }
    };
    Take take() { return Take(*this); }
    void give(int v) {
        value = v, full = true;
        if (waiting) q.push(std::exchange(waiting, nullptr));
    }
};
static Detached player(Channel& in, Channel& out, long n, bool serve) {
    if (serve) out.give(0);
    for (long i = 0; i < n; i++) out.give(co_await in.take() + 1);
}
struct Post : Node {};
// Timer cost floor: a hashed wheel of intrusive lists.
struct Timer { Timer *prev, *next; };

int main() {
    const long n = 5'000'000;
    long sum = 0;
    double t = now();
    calls<HeapFrames>(n, &sum);
    put("call+await", (now() - t) / n);
    t = now();
    calls<PoolFrames>(n, &sum);
    put("call+await (pooled frames)", (now() - t) / n);
    t = now();
    spawns<HeapFrames>(n, &sum), q.run();
    put("spawn+await", (now() - t) / n);
    t = now();
    spawns<PoolFrames>(n, &sum), q.run();
    put("spawn+await (pooled frames)", (now() - t) / n);
    t = now();
    yielder(n), yielder(n), q.run();
    put("post+run", (now() - t) / (2 * n));
    Channel a, b;
    t = now();
    player(a, b, n, false), player(b, a, n, true), q.run();
    put("channel hop", (now() - t) / (2 * n));
    const size_t slots = 1 << 16, count = 1'000'000;
    auto* wheel = new Timer[slots];
    for (size_t i = 0; i < slots; i++) wheel[i].prev = wheel[i].next = &wheel[i];
    auto* timers = new Timer[count];
    auto arm = [&](Timer& x, size_t deadline) {
        Timer& s = wheel[deadline & (slots - 1)];
        x.next = &s, x.prev = s.prev, s.prev->next = &x, s.prev = &x;
    };
    unsigned r = 1;
    for (size_t i = 0; i < count; i++) r = r * 1664525 + 1013904223, arm(timers[i], r >> 8);
    t = now();
    for (size_t i = 0; i < count; i++) {
        Timer x;
        r = r * 1664525 + 1013904223;
        arm(x, r >> 8);
        x.prev->next = x.next, x.next->prev = x.prev;
    }
    put("timer arm+cancel, 1e6 outstanding", (now() - t) / count);
    if (sum == 42) puts("");
}
