// SPDX-License-Identifier: Apache-2.0
// RAW-URING: a hand-written single-threaded server straight on liburing: the ceiling
// that a runtime is measured against. Default: SINGLE_ISSUER|DEFER_TASKRUN, multishot
// accept, multishot recv from a provided-buffer ring, one send in flight per connection,
// everything of a loop turn submitted with the next wait.
//   raw_uring MODE PORT [toggles]
// Toggles, each taking one mechanism away or adding one:
//   no-defer        plain ring: no SINGLE_ISSUER|DEFER_TASKRUN
//   coop            COOP_TASKRUN|TASKRUN_FLAG instead of DEFER_TASKRUN
//   oneshot         a recv SQE per message, still with provided buffers
//   nobufring       a recv SQE per message into the connection's own buffer
//   eager           io_uring_submit after every SQE (no batching)
//   sendsys         send(2) instead of a send SQE
//   waitall         MSG_WAITALL on sends
//   skip            no CQE for a successful send (echo of small messages; uses WAITALL)
//   fixed           direct descriptors (multishot accept_direct)
//   regring         registered ring fd
//   zc              SEND_ZC instead of SEND
//   bundle          recv bundles
//   pollfirst       IORING_RECVSEND_POLL_FIRST on recv
//   batch=N us=T    wait for N completions or T microseconds
//   spin=T          look for completions for T microseconds, without a system call, before sleeping
//   buf=N           size of one provided buffer (default 4096; sink/source 65536)
//   nbuf=N          number of provided buffers (a power of two; default 4096, 256 when large)
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <deque>
#include <vector>
#include "proto.hpp"

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif

static struct {
    bool defer = true, coop = false, multishot = true, bufring = true, eager = false, sendsys = false, waitall = false,
         skip = false, fixed = false, regring = false, zc = false, bundle = false, pollfirst = false;
    unsigned batch = 1, us = 0, bufsize = 0, spin = 0, nbuf = 0;
} o;

struct Conn : Session {
    uint32_t id = 0;
    int fd = -1;  // a descriptor or, with `fixed`, a slot
    std::string out, flying;
    const char* fly = nullptr;  // rest of the send in flight
    size_t fly_len = 0;
    unsigned zc_pending = 0;
    uint64_t cursor = 0;
    bool from_log = false, dirty = false, dead = false, used = false;
    std::vector<char> own;  // nobufring
};

enum Op : uint64_t { op_accept, op_recv, op_send, op_silent };
static uint64_t tag(Op op, uint64_t id) { return id << 8 | op; }

static Mode mode;
static io_uring ring;
static io_uring_buf_ring* br;
static char* pool;
static unsigned buf_count;
static std::deque<Conn> conns;  // by id, stable addresses
static std::vector<uint32_t> free_ids, dirty;
static RoomLog* room_log;
static uint64_t n_enter, n_cqe;

static void check(int r, const char* what) {
    if (r < 0) fprintf(stderr, "%s: %s\n", what, strerror(-r)), exit(1);
}
static io_uring_sqe* sqe() {
    io_uring_sqe* s = io_uring_get_sqe(&ring);
    if (!s) {
        n_enter++;
        check(io_uring_submit(&ring), "submit");
        s = io_uring_get_sqe(&ring);
    }
    return s;
}
static void pushed() {
    if (o.eager) n_enter++, io_uring_submit(&ring);
}
static void set_file(io_uring_sqe* s) {
    if (o.fixed) s->flags |= IOSQE_FIXED_FILE;
}
static void arm_accept(int lfd) {
    io_uring_sqe* s = sqe();
    if (o.fixed) io_uring_prep_multishot_accept_direct(s, lfd, nullptr, nullptr, 0);
    else io_uring_prep_multishot_accept(s, lfd, nullptr, nullptr, SOCK_CLOEXEC);
    io_uring_sqe_set_data64(s, tag(op_accept, uint64_t(lfd)));
    pushed();
}
static void arm_recv(Conn& c) {
    io_uring_sqe* s = sqe();
    if (!o.bufring) {
        if (c.own.empty()) c.own.resize(o.bufsize);
        io_uring_prep_recv(s, c.fd, c.own.data(), c.own.size(), 0);
    } else {
        if (o.multishot) io_uring_prep_recv_multishot(s, c.fd, nullptr, 0, 0);
        else io_uring_prep_recv(s, c.fd, nullptr, 0, 0);
        s->flags |= IOSQE_BUFFER_SELECT;
        s->buf_group = 0;
        if (o.bundle) s->ioprio |= IORING_RECVSEND_BUNDLE;
    }
    if (o.pollfirst) s->ioprio |= IORING_RECVSEND_POLL_FIRST;
    set_file(s);
    io_uring_sqe_set_data64(s, tag(op_recv, c.id));
    pushed();
}
static void start_send(Conn& c) {
    int flags = MSG_NOSIGNAL | (o.waitall || o.skip ? MSG_WAITALL : 0);
    io_uring_sqe* s = sqe();
    if (o.zc) io_uring_prep_send_zc(s, c.fd, c.fly, c.fly_len, flags, 0);
    else io_uring_prep_send(s, c.fd, c.fly, c.fly_len, flags);
    set_file(s);
    io_uring_sqe_set_data64(s, tag(op_send, c.id));
    pushed();
}
static void free_conn(Conn& c) {
    uint32_t id = c.id;
    c.out.clear(), c.in.clear(), c.flying.clear();
    c.used = c.dead = c.dirty = c.upgraded = false;
    free_ids.push_back(id);
}
static void kill_conn(Conn& c) {
    if (c.dead) return;
    c.dead = true;
    if (!o.fixed) close(c.fd);
    else {
        io_uring_sqe* s = sqe();
        io_uring_prep_close_direct(s, unsigned(c.fd));
        io_uring_sqe_set_data64(s, tag(op_silent, 0));
    }
    if (!c.fly && !c.zc_pending) free_conn(c);
}
// Starts the next send if the connection owes something and none is in flight.
static void flush(Conn& c) {
    static const std::string block(65536, 'z');
    if (c.fly || c.zc_pending || c.dead) return;
    c.from_log = false;
    if (!c.out.empty()) {
        if (o.sendsys) {
            ssize_t n = send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n == ssize_t(c.out.size())) return c.out.clear();
            if (n > 0) c.out.erase(0, size_t(n));
        }
        c.flying.clear();
        c.flying.swap(c.out);
        c.fly = c.flying.data(), c.fly_len = c.flying.size();
        if (o.skip) {
            // The kernel copies the bytes when it runs the SQE, at the next enter; the next
            // recv of this connection can only come after that, so no completion is needed.
            io_uring_sqe* s = sqe();
            io_uring_prep_send(s, c.fd, c.fly, c.fly_len, MSG_NOSIGNAL | MSG_WAITALL);
            s->flags |= IOSQE_CQE_SKIP_SUCCESS;
            set_file(s);
            io_uring_sqe_set_data64(s, tag(op_silent, 0));
            pushed();
            c.fly = nullptr;
            return;
        }
    } else if (is_room(mode) && room_log->end > c.cursor && (mode == Mode::fanout || c.upgraded)) {
        if (room_log->lost(c.cursor)) return kill_conn(c);
        auto v = room_log->from(c.cursor);
        if (o.sendsys) {
            ssize_t n = send(c.fd, v.data(), v.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n == ssize_t(v.size())) return c.cursor += uint64_t(n), void();
            if (n > 0) c.cursor += uint64_t(n), v.remove_prefix(size_t(n));
        }
        c.from_log = true;
        c.fly = v.data(), c.fly_len = v.size();
    } else if (mode == Mode::source && c.upgraded) {
        c.fly = block.data(), c.fly_len = block.size();
    } else return;
    start_send(c);
}
static void recycle(unsigned bid) {
    io_uring_buf_ring_add(br, pool + size_t(bid) * o.bufsize, o.bufsize, uint16_t(bid), int(buf_count - 1), 0);
    io_uring_buf_ring_advance(br, 1);
}

int main(int argc, char** argv) {
    if (argc < 3 || !parse_mode(argv[1], mode)) return fprintf(stderr, "raw_uring MODE PORT [toggles]\n"), 2;
    for (int i = 3; i < argc; i++) {
        std::string a = argv[i];
        if (a == "no-defer") o.defer = false;
        else if (a == "coop") o.defer = false, o.coop = true;
        else if (a == "oneshot") o.multishot = false;
        else if (a == "nobufring") o.multishot = false, o.bufring = false;
        else if (a == "eager") o.eager = true;
        else if (a == "sendsys") o.sendsys = true;
        else if (a == "waitall") o.waitall = true;
        else if (a == "skip") o.skip = true;
        else if (a == "fixed") o.fixed = true;
        else if (a == "regring") o.regring = true;
        else if (a == "zc") o.zc = true;
        else if (a == "bundle") o.bundle = true;
        else if (a == "pollfirst") o.pollfirst = true;
        else if (a.starts_with("batch=")) o.batch = unsigned(atoi(a.c_str() + 6));
        else if (a.starts_with("us=")) o.us = unsigned(atoi(a.c_str() + 3));
        else if (a.starts_with("spin=")) o.spin = unsigned(atoi(a.c_str() + 5));
        else if (a.starts_with("nbuf=")) o.nbuf = unsigned(atoi(a.c_str() + 5));
        else if (a.starts_with("buf=")) o.bufsize = unsigned(atoi(a.c_str() + 4));
        else return fprintf(stderr, "unknown toggle %s\n", argv[i]), 2;
    }
    bool bulk = mode == Mode::sink || mode == Mode::source;
    if (!o.bufsize) o.bufsize = bulk ? 65536 : 4096;
    buf_count = o.nbuf ? o.nbuf : o.bufsize > 16384 ? 256 : 4096;
    int lfd = listen_loopback(atoi(argv[2]));

    io_uring_params p{};
    p.flags = IORING_SETUP_CQSIZE;
    p.cq_entries = 16384;
    if (o.defer) p.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    if (o.spin) p.flags |= IORING_SETUP_TASKRUN_FLAG;
    if (o.coop) p.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    check(io_uring_queue_init_params(4096, &ring, &p), "io_uring_queue_init");
    if (o.regring) check(io_uring_register_ring_fd(&ring), "register_ring_fd");
    if (o.fixed) check(io_uring_register_files_sparse(&ring, 16384), "register_files");
    if (o.bufring) {
        br = (io_uring_buf_ring*)mmap(nullptr, buf_count * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        pool = (char*)mmap(nullptr, size_t(buf_count) * o.bufsize, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        io_uring_buf_reg reg{};
        reg.ring_addr = (uint64_t)br;
        reg.ring_entries = buf_count;
        check(io_uring_register_buf_ring(&ring, &reg, 0), "register_buf_ring");
        io_uring_buf_ring_init(br);
        for (unsigned i = 0; i < buf_count; i++)
            io_uring_buf_ring_add(br, pool + size_t(i) * o.bufsize, o.bufsize, uint16_t(i), int(buf_count - 1), int(i));
        io_uring_buf_ring_advance(br, int(buf_count));
    }
    if (is_room(mode)) room_log = new RoomLog;
    arm_accept(lfd);
    puts("READY"), fflush(stdout);

    std::string room;
    auto got_bytes = [&](Conn& c, char* data, size_t n) {
        if (c.dead) return;
        if (!feed(mode, c, data, n, c.out, room)) return kill_conn(c);
        if (mode == Mode::source) c.upgraded = true;
        if ((!c.out.empty() || mode == Mode::source) && !c.dirty) c.dirty = true, dirty.push_back(c.id);
    };
    for (;;) {
        io_uring_cqe* cqe;
        n_enter++;
        if (o.spin) {
            io_uring_submit(&ring);
            timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            do {
                if (io_uring_cq_ready(&ring) || (*(volatile unsigned*)ring.sq.kflags & IORING_SQ_TASKRUN)) break;
                __builtin_ia32_pause();
                clock_gettime(CLOCK_MONOTONIC, &b);
            } while ((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec < o.spin * 1000l);
        }
        if (o.us) {
            __kernel_timespec ts{0, o.us * 1000ll};
            io_uring_submit_and_wait_timeout(&ring, &cqe, o.batch, &ts, nullptr);
        } else {
            int r = io_uring_submit_and_wait(&ring, o.batch);
            if (r < 0 && r != -EINTR) check(r, "submit_and_wait");
        }
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            seen++;
            uint64_t data = io_uring_cqe_get_data64(cqe), id = data >> 8;
            int res = cqe->res;
            switch (Op(data & 255)) {
                case op_accept: {
                    if (!(cqe->flags & IORING_CQE_F_MORE)) arm_accept(lfd);
                    if (res < 0) break;
                    if (free_ids.empty()) free_ids.push_back(uint32_t(conns.size())), conns.emplace_back();
                    uint32_t k = free_ids.back();
                    free_ids.pop_back();
                    Conn& c = conns[k];
                    c.id = k, c.fd = res, c.used = true;
                    c.cursor = room_log ? room_log->end : 0;
                    arm_recv(c);
                    break;
                }
                case op_recv: {
                    Conn& c = conns[id];
                    if (res > 0 && o.bufring) {
                        unsigned bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                        size_t left = size_t(res);
                        while (left) {  // a bundle spans consecutive buffers
                            size_t k = std::min<size_t>(left, o.bufsize);
                            got_bytes(c, pool + size_t(bid) * o.bufsize, k);
                            recycle(bid);
                            bid = (bid + 1) & (buf_count - 1);
                            left -= k;
                        }
                    } else if (res > 0) got_bytes(c, c.own.data(), size_t(res));
                    if (res == -ENOBUFS || (res > 0 && !(cqe->flags & IORING_CQE_F_MORE))) {
                        if (!c.dead) arm_recv(c);
                    } else if (res <= 0) kill_conn(c);
                    break;
                }
                case op_send: {
                    Conn& c = conns[id];
                    if (cqe->flags & IORING_CQE_F_NOTIF) {
                        c.zc_pending--;
                    } else {
                        if (cqe->flags & IORING_CQE_F_MORE) c.zc_pending++;
                        if (res < 0) {
                            c.fly = nullptr;
                            kill_conn(c);
                        } else {
                            if (c.from_log) c.cursor += uint64_t(res);
                            c.fly += res, c.fly_len -= size_t(res);
                            if (c.fly_len && !c.dead) { start_send(c); break; }
                            c.fly = nullptr;
                        }
                    }
                    if (c.fly || c.zc_pending) break;
                    if (c.dead) { if (c.used) free_conn(c); break; }
                    flush(c);
                    break;
                }
                case op_silent: break;
            }
        }
        n_cqe += seen;
        io_uring_cq_advance(&ring, seen);
        for (uint32_t id : dirty) conns[id].dirty = false, flush(conns[id]);
        dirty.clear();
        if (!room.empty()) {
            room_log->append(room);
            room.clear();
            for (Conn& c : conns) if (c.used) flush(c);
        }
    }
}
