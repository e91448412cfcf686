// SPDX-License-Identifier: Apache-2.0
// The kernel's own share of an echo: 64-byte messages over TCP loopback pairs, both ends in
// this one thread, so that no wake-up, no second CPU and no event loop is in the figure.
// One "message" is one send and one receive, which is also what an echo server does per request.
#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/mman.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <vector>
static double now() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}
static void put(const char* m, double v) { printf("{\"metric\":\"%s\",\"value\":%.1f,\"unit\":\"ns\"}\n", m, v); }
struct Pair { int a, b; };
static Pair make() {
    int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    sockaddr_in s{};
    s.sin_family = AF_INET;
    s.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof s;
    if (bind(l, (sockaddr*)&s, sizeof s) || listen(l, 1) || getsockname(l, (sockaddr*)&s, &n)) exit(1);
    Pair p{socket(AF_INET, SOCK_STREAM, 0), -1};
    if (connect(p.a, (sockaddr*)&s, sizeof s)) exit(1);
    p.b = accept(l, nullptr, nullptr);
    close(l);
    setsockopt(p.a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(p.b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return p;
}
int main() {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(0, &s);
    sched_setaffinity(0, sizeof s, &s);
    const unsigned k = 64;
    const int rounds = 5000;
    std::vector<Pair> ps;
    for (unsigned i = 0; i < k; i++) ps.push_back(make());
    char buf[4096] = {};
    double tsend = 0, trecv = 0;
    for (int r = 0; r < rounds; r++) {
        double t0 = now();
        for (auto& p : ps) if (send(p.a, buf, 64, MSG_NOSIGNAL) != 64) return 1;
        double t1 = now();
        for (auto& p : ps) if (recv(p.b, buf, sizeof buf, 0) != 64) return 1;
        tsend += t1 - t0, trecv += now() - t1;
        for (auto& p : ps) std::swap(p.a, p.b);  // the next message carries the ACK back
    }
    put("TCP loopback message, send(2)", tsend / rounds / k);
    put("TCP loopback message, recv(2)", trecv / rounds / k);

    io_uring ring;
    io_uring_params prm{};
    prm.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(1024, &ring, &prm)) return 1;
    std::vector<char> bufs(k * 4096);
    tsend = trecv = 0;
    auto reap = [&](unsigned n) {
        io_uring_submit_and_wait(&ring, n);
        unsigned head, seen = 0;
        io_uring_cqe* c;
        io_uring_for_each_cqe(&ring, head, c) {
            seen++;
            if (c->res != 64) exit(1);
        }
        io_uring_cq_advance(&ring, seen);
    };
    for (int r = 0; r < rounds; r++) {
        double t0 = now();
        for (auto& p : ps) io_uring_prep_send(io_uring_get_sqe(&ring), p.a, buf, 64, MSG_NOSIGNAL);
        reap(k);
        double t1 = now();
        for (unsigned i = 0; i < k; i++) io_uring_prep_recv(io_uring_get_sqe(&ring), ps[i].b, &bufs[i * 4096], 4096, 0);
        reap(k);
        tsend += t1 - t0, trecv += now() - t1;
        for (auto& p : ps) std::swap(p.a, p.b);
    }
    put("TCP loopback message, io_uring send in batches of 64", tsend / rounds / k);
    put("TCP loopback message, io_uring recv in batches of 64", trecv / rounds / k);
}
