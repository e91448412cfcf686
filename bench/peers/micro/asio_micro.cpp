// SPDX-License-Identifier: Apache-2.0
// W7 for Boost.Asio.
#include <pthread.h>
#include <sys/resource.h>
#include <boost/asio.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>
namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
static double now() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
static void put(const char* m, double v, const char* unit = "ns") { printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", m, v, unit); }
static void pin(int core) {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(core, &s);
    pthread_setaffinity_np(pthread_self(), sizeof s, &s);
}
[[gnu::noinline]] static awaitable<int> child(int v) { co_return v; }
static awaitable<void> main_co(asio::io_context& ioc) {
    const long n = 1'000'000;
    long sum = 0;
    double t = now();
    for (long i = 0; i < n; i++) sum += co_await child(int(i));
    put("call+await", (now() - t) / n);
    t = now();
    for (long i = 0; i < n; i++) sum += co_await asio::co_spawn(ioc, child(int(i)), use_awaitable);
    put("spawn+await", (now() - t) / n);
    std::vector<double> over;
    asio::steady_timer timer(ioc);
    for (int i = 0; i < 500; i++) {
        double a = now();
        timer.expires_after(std::chrono::milliseconds(1));
        co_await timer.async_wait(use_awaitable);
        over.push_back((now() - a - 1e6) / 1e3);
    }
    std::sort(over.begin(), over.end());
    put("sleep 1 ms: overshoot p50", over[250], "us");
    put("sleep 1 ms: overshoot p99", over[495], "us");
    if (sum == 42) puts("");
}
using Channel = asio::experimental::channel<void(boost::system::error_code, int)>;
static awaitable<void> player(Channel& in, Channel& out, long n, bool serve) {
    if (serve) co_await out.async_send({}, 0, use_awaitable);
    for (long i = 0; i < n; i++) {
        int v = co_await in.async_receive(use_awaitable);
        if (i + 1 < n || !serve) co_await out.async_send({}, v + 1, use_awaitable);
    }
}
struct Chain {
    asio::io_context& ioc;
    long left;
    void operator()() {
        if (--left) asio::post(ioc, Chain{ioc, left});
    }
};
int main() {
    pin(0);
    asio::io_context ioc(1);
    asio::co_spawn(ioc, main_co(ioc), asio::detached);
    ioc.run();
    const long n = 1'000'000;
    ioc.restart();
    double t = now();
    asio::post(ioc, Chain{ioc, n});
    ioc.run();
    put("post+run", (now() - t) / n);
    {
        ioc.restart();
        Channel a(ioc, 1), b(ioc, 1);
        t = now();
        asio::co_spawn(ioc, player(a, b, n, false), asio::detached);
        asio::co_spawn(ioc, player(b, a, n, true), asio::detached);
        ioc.run();
        put("channel hop", (now() - t) / (2 * n));
    }
    {
        asio::io_context tc(1);
        std::vector<asio::steady_timer> ts;
        ts.reserve(1'000'000);
        unsigned r = 1;
        auto delay = [&] { r = r * 1664525 + 1013904223; return std::chrono::milliseconds(60000 + (r >> 12)); };
        for (int i = 0; i < 1'000'000; i++) ts.emplace_back(tc, delay()), ts.back().async_wait([](auto) {});
        asio::steady_timer x(tc);
        const int m = 300000;
        t = now();
        for (int i = 0; i < m; i++) {
            x.expires_after(delay());
            x.async_wait([](auto) {});
            x.cancel();
            tc.poll();
        }
        put("timer arm+cancel, 1e6 outstanding", (now() - t) / m);
        fflush(stdout);
    }
    asio::io_context a(1), b(1);
    auto ga = asio::make_work_guard(a);
    auto gb = std::make_optional(asio::make_work_guard(b));
    std::thread th([&] { pin(1); b.run(); });
    long left = 50000;
    const long rounds = left;
    std::function<void()> ping = [&] {
        if (left-- == 0) { ga.reset(); return; }
        asio::post(b, [&] { asio::post(a, ping); });
    };
    t = now();
    asio::post(a, ping);
    a.run();
    put("cross-thread round trip", (now() - t) / double(rounds) / 1e3, "us");
    gb.reset();
    th.join();
}
