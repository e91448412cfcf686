// SPDX-License-Identifier: Apache-2.0
// What io_uring itself costs: the floor under a runtime's post, wake-up, sleep and file read.
//   uring_floor | uring_floor files
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>
static double wall_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) * 1e9 + double(t.tv_nsec);
}
static double cpu() {
    rusage r;
    getrusage(RUSAGE_SELF, &r);
    return double(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + double(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
static void put(const char* m, double v, const char* unit) { printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", m, v, unit); }
static void make_ring(io_uring& r, unsigned n = 256) {
    io_uring_params p{};
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (io_uring_queue_init_params(n, &r, &p)) exit(1);
    io_uring_register_ring_fd(&r);
}
static void pin(int core) {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(core, &s);
    pthread_setaffinity_np(pthread_self(), sizeof s, &s);
}
static void wait_one(io_uring& r) {
    io_uring_cqe* c;
    io_uring_submit_and_wait(&r, 1);
    while (io_uring_peek_cqe(&r, &c) == 0) io_uring_cqe_seen(&r, c);
}
// Two threads on two cores, each with its ring; a message there and back.
static void cross_thread(bool msg_ring) {
    const int n = 50000;
    io_uring a;
    int efd[2] = {eventfd(0, 0), eventfd(0, 0)};
    uint64_t v[2];
    std::atomic<int> other{-1};
    pin(0);
    make_ring(a);
    auto read_efd = [&](io_uring& r, int k) {
        io_uring_sqe* s = io_uring_get_sqe(&r);
        io_uring_prep_read(s, efd[k], &v[k], 8, 0);
    };
    auto notify = [&](io_uring& r, int fd, int k) {
        if (!msg_ring) {
            uint64_t one = 1;
            if (write(efd[k], &one, 8) != 8) exit(1);
            return;
        }
        io_uring_sqe* s = io_uring_get_sqe(&r);
        io_uring_prep_msg_ring(s, fd, 0, 7, 0);
        s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    };
    std::thread t([&] {
        pin(1);
        io_uring b;
        make_ring(b);
        other = b.ring_fd;
        for (int i = 0; i < n; i++) {
            if (!msg_ring) read_efd(b, 1);
            wait_one(b);
            notify(b, a.ring_fd, 0);
        }
        io_uring_submit(&b);
    });
    while (other < 0) usleep(100);
    usleep(10000);
    double t0 = wall_ns();
    for (int i = 0; i < n; i++) {
        notify(a, other, 1);
        if (!msg_ring) read_efd(a, 0);
        wait_one(a);
    }
    put(msg_ring ? "cross-thread round trip (MSG_RING)" : "cross-thread round trip", (wall_ns() - t0) / n / 1e3, "us");
    t.join();
}
static void files() {
    const char* b = getenv("PEERS_BUILD");
    std::string dir = std::string(b ? b : ".") + "/files";
    std::vector<std::string> names;
    for (int i = 0; i < 10000; i++) names.push_back(dir + "/" + std::to_string(i));
    const unsigned lanes = 64;
    io_uring r;
    make_ring(r, 256);
    io_uring_register_files_sparse(&r, lanes);
    std::vector<char> bufs(lanes * 8192);
    std::vector<iovec> iov(lanes);
    for (unsigned i = 0; i < lanes; i++) iov[i] = {bufs.data() + i * 8192, 8192};
    io_uring_register_buffers(&r, iov.data(), lanes);
    for (int pass = 0; pass < 2; pass++) {
        double t = wall_ns(), c = cpu();
        size_t next = 0, done = 0;
        auto start = [&](unsigned lane) {  // open -> read -> close as one linked chain on a direct descriptor
            if (next >= names.size()) return;
            io_uring_sqe* s = io_uring_get_sqe(&r);
            io_uring_prep_openat_direct(s, AT_FDCWD, names[next++].c_str(), O_RDONLY, 0, lane);
            s->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
            io_uring_sqe_set_data64(s, 1000);
            s = io_uring_get_sqe(&r);
            io_uring_prep_read_fixed(s, int(lane), iov[lane].iov_base, 8192, 0, int(lane));
            // a short read breaks a normal link, and 4096 < 8192: hard link
            s->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS;
            io_uring_sqe_set_data64(s, 1001);
            s = io_uring_get_sqe(&r);
            io_uring_prep_close_direct(s, lane);
            io_uring_sqe_set_data64(s, lane);
        };
        for (unsigned i = 0; i < lanes; i++) start(i);
        while (done < names.size()) {
            io_uring_submit_and_wait(&r, 1);
            io_uring_cqe* q;
            unsigned head, seen = 0;
            std::vector<unsigned> again;
            io_uring_for_each_cqe(&r, head, q) {
                seen++;
                uint64_t d = io_uring_cqe_get_data64(q);
                if (d < lanes) done++, again.push_back(unsigned(d));
                else if (d == 1001 && q->res == 4096) continue;  // the short read reports itself
                else fprintf(stderr, "file op %d: %s\n", int(d), strerror(-q->res)), exit(1);
            }
            io_uring_cq_advance(&r, seen);
            for (unsigned l : again) start(l);
        }
        if (!pass) continue;
        put("files", 10000 / ((wall_ns() - t) / 1e9), "per s");
        put("CPU per file", (cpu() - c) * 1e6 / 10000, "us");
    }
}
int main(int argc, char** argv) {
    if (argc > 1 && !strcmp(argv[1], "files")) return files(), 0;
    io_uring r;
    make_ring(r);
    const int n = 300000;
    double t = wall_ns();
    for (int i = 0; i < n; i++) {
        io_uring_prep_nop(io_uring_get_sqe(&r));
        wait_one(r);
    }
    put("ring enter with one NOP", (wall_ns() - t) / n, "ns");
    t = wall_ns();
    for (int i = 0; i < n / 64; i++) {
        for (int k = 0; k < 64; k++) io_uring_prep_nop(io_uring_get_sqe(&r));
        io_uring_submit_and_wait(&r, 64);
        io_uring_cq_advance(&r, 64);
    }
    put("NOP in a batch of 64", (wall_ns() - t) / (n / 64 * 64), "ns");
    t = wall_ns();
    for (int i = 0; i < n; i++) getppid();
    put("bare system call (getppid)", (wall_ns() - t) / n, "ns");
    std::vector<double> over;
    for (int i = 0; i < 500; i++) {
        __kernel_timespec ts{0, 1000000};
        io_uring_prep_timeout(io_uring_get_sqe(&r), &ts, 0, 0);
        double a = wall_ns();
        wait_one(r);
        over.push_back((wall_ns() - a - 1e6) / 1e3);
    }
    std::sort(over.begin(), over.end());
    put("sleep 1 ms: overshoot p50", over[250], "us");
    put("sleep 1 ms: overshoot p99", over[495], "us");
    cross_thread(false);
    cross_thread(true);
}
