// SPDX-License-Identifier: Apache-2.0
// The one load generator of this benchmark: a single-threaded io_uring client
// (SINGLE_ISSUER|DEFER_TASKRUN, multishot recv with a provided-buffer ring, one
// submit per loop turn, no completion posted for a successful send).
//
//   loadgen rr     --port P --conns N --depth D --size B [--proto raw|ws|http]
//   loadgen fanout --port P --conns N (--rate LINES_PER_S | --window LINES) [--proto raw|ws]
//   loadgen source --port P            the server streams to us
//   loadgen sink   --port P            we stream to the server in 64 KiB writes
//   loadgen idle   --port P --conns N  memory per idle connection
//   common: --pid SERVER_PID --secs S --warm S
//
// Prints one JSON object. Server CPU is read from the server's process CPU clock
// (all threads, ns resolution) at both ends of the measuring window.
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

static uint64_t clock_ns(clockid_t c) {
    timespec t;
    if (clock_gettime(c, &t)) return 0;
    return uint64_t(t.tv_sec) * 1000000000ull + uint64_t(t.tv_nsec);
}
static uint64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }
[[noreturn]] static void die(const char* what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, strerror(errno));
    exit(1);
}

// Latency histogram: 64 sub-buckets per power of two (<= 1.6 % error).
struct Histogram {
    std::vector<uint64_t> bins = std::vector<uint64_t>(64 * 64);
    uint64_t count = 0;
    static size_t index(uint64_t v) {
        if (v < 64) return v;
        int e = 63 - __builtin_clzll(v);
        return size_t(e - 5) * 64 + ((v >> (e - 6)) & 63);
    }
    void add(uint64_t v) { bins[index(v)]++, count++; }
    double percentile(double p) const {  // in microseconds
        uint64_t want = uint64_t(p * double(count)), seen = 0;
        for (size_t i = 0; i < bins.size(); i++) {
            seen += bins[i];
            if (seen > want) {
                if (i < 64) return double(i) / 1e3;
                int e = int(i / 64) + 5;
                return double((64 + (i % 64)) << (e - 6)) / 1e3;
            }
        }
        return 0;
    }
};

struct Options {
    std::string mode, proto = "raw";
    int port = 0, conns = 64, depth = 1, size = 64, pid = 0;
    double secs = 2, warm = 0.5, rate = 0;
    int window = 0;
} opt;

// Server-side meters -------------------------------------------------------
struct Meter {
    clockid_t clk{};
    bool have = false;
    Meter() { have = opt.pid && clock_getcpuclockid(opt.pid, &clk) == 0; }
    struct Sample { uint64_t wall, server, self; double sys; };
    Sample read() const {
        return {now_ns(), have ? clock_ns(clk) : 0, clock_ns(CLOCK_PROCESS_CPUTIME_ID), sys_seconds()};
    }
    double sys_seconds() const {  // stime from /proc/PID/stat, 10 ms resolution
        if (!opt.pid) return 0;
        char path[64], buf[1024];
        snprintf(path, sizeof path, "/proc/%d/stat", opt.pid);
        int fd = open(path, O_RDONLY);
        if (fd < 0) return 0;
        ssize_t n = ::read(fd, buf, sizeof buf - 1);
        close(fd);
        if (n <= 0) return 0;
        buf[n] = 0;
        char* p = strrchr(buf, ')');
        unsigned long ut = 0, st = 0;
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st);
        return double(st) / double(sysconf(_SC_CLK_TCK));
    }
};
static long rss_kib() {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", opt.pid);
    FILE* f = fopen(path, "r");
    long v = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmRSS: %ld", &v) == 1) break;
    if (f) fclose(f);
    return v;
}

// Connections ---------------------------------------------------------------
static const char* kWsHello =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
static const char* kHttpGet = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";

static int dial() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(uint16_t(opt.port));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (sockaddr*)&a, sizeof a)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.proto == "ws") {
        if (send(fd, kWsHello, strlen(kWsHello), 0) < 0) die("ws hello");
        std::string got;
        char c[512];
        while (got.find("\r\n\r\n") == std::string::npos) {
            ssize_t n = recv(fd, c, sizeof c, 0);
            if (n <= 0) die("ws handshake");
            got.append(c, size_t(n));
        }
        if (got.find(" 101 ") == std::string::npos) { fprintf(stderr, "%s\n", got.c_str()); die("no 101"); }
    }
    return fd;
}
static std::string ws_frame(const std::string& payload) {  // masked client text frame, < 126 bytes
    std::string f{char(0x81), char(0x80 | payload.size())};
    const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    f.append((const char*)mask, 4);
    for (size_t i = 0; i < payload.size(); i++) f += char(payload[i] ^ mask[i & 3]);
    return f;
}

// The ring --------------------------------------------------------------------
constexpr unsigned kBufCount = 8192, kBufSize = 4096;
struct Ring {
    io_uring r{};
    io_uring_buf_ring* br = nullptr;
    char* pool = nullptr;
    Ring() {
        io_uring_params p{};
        p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
        p.cq_entries = 16384;
        if (int e = io_uring_queue_init_params(4096, &r, &p); e < 0) { errno = -e; die("io_uring"); }
        size_t bytes = kBufCount * sizeof(io_uring_buf);
        br = (io_uring_buf_ring*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        pool = (char*)mmap(nullptr, size_t(kBufCount) * kBufSize, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
        io_uring_buf_reg reg{};
        reg.ring_addr = (uint64_t)br;
        reg.ring_entries = kBufCount;
        reg.bgid = 0;
        if (int e = io_uring_register_buf_ring(&r, &reg, 0); e) { errno = -e; die("buf_ring"); }
        io_uring_buf_ring_init(br);
        for (unsigned i = 0; i < kBufCount; i++)
            io_uring_buf_ring_add(br, pool + size_t(i) * kBufSize, kBufSize, uint16_t(i), kBufCount - 1, int(i));
        io_uring_buf_ring_advance(br, kBufCount);
    }
    io_uring_sqe* sqe() {
        io_uring_sqe* s = io_uring_get_sqe(&r);
        if (!s) {
            io_uring_submit(&r);
            s = io_uring_get_sqe(&r);
        }
        return s;
    }
    void arm_recv(int fd, uint32_t id) {
        io_uring_sqe* s = sqe();
        io_uring_prep_recv_multishot(s, fd, nullptr, 0, 0);
        s->flags |= IOSQE_BUFFER_SELECT;
        s->buf_group = 0;
        io_uring_sqe_set_data64(s, id);
    }
    void send_static(int fd, const void* p, size_t n) {  // data must outlive the send; success is silent
        io_uring_sqe* s = sqe();
        io_uring_prep_send(s, fd, p, n, MSG_WAITALL | MSG_NOSIGNAL);
        s->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_sqe_set_data64(s, ~0ull);
    }
    void recycle(unsigned bid) {
        io_uring_buf_ring_add(br, pool + size_t(bid) * kBufSize, kBufSize, uint16_t(bid), kBufCount - 1, 0);
        io_uring_buf_ring_advance(br, 1);
    }
};

static void report(const char* unit, uint64_t n, const Meter::Sample& a, const Meter::Sample& b,
                   const Histogram& h, const char* extra = "") {
    double wall = double(b.wall - a.wall) / 1e9, cpu = double(b.server - a.server) / 1e9;
    double self = double(b.self - a.self) / 1e9, sys = b.sys - a.sys;
    printf("{\"unit\":\"%s\",\"n\":%lu,\"per_s\":%.1f,\"cpu_us\":%.4f,\"server_util\":%.3f,\"sys_share\":%.2f,"
           "\"client_util\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f%s}\n",
           unit, (unsigned long)n, double(n) / wall, n ? cpu * 1e6 / double(n) : 0, cpu / wall,
           cpu > 0 ? sys / cpu : 0, self / wall, h.percentile(0.5), h.percentile(0.99), extra);
}

// Request/response over N connections, D requests in flight per connection --------
static void run_rr() {
    struct Conn { int fd; uint32_t rx = 0, pending = 0; uint64_t t0 = 0; };
    std::string payload(size_t(opt.size), 'x'), one = payload;
    uint32_t resp = uint32_t(opt.size);
    if (opt.proto == "ws") one = ws_frame(payload), resp = uint32_t(opt.size + 2);
    if (opt.proto == "http") one = kHttpGet;
    std::string block;
    for (int i = 0; i < opt.depth; i++) block += one;

    std::vector<Conn> cs(size_t(opt.conns));
    for (auto& c : cs) c.fd = dial();
    if (opt.proto == "http") {  // learn the response size from a first exchange
        if (send(cs[0].fd, one.data(), one.size(), 0) < 0) die("send");
        std::string got;
        char buf[4096];
        for (;;) {
            ssize_t n = recv(cs[0].fd, buf, sizeof buf, 0);
            if (n <= 0) die("http first response");
            got.append(buf, size_t(n));
            size_t h = got.find("\r\n\r\n");
            if (h == std::string::npos) continue;
            size_t cl = got.find("ength: ");
            size_t len = cl == std::string::npos ? 0 : size_t(atoi(got.c_str() + cl + 7));
            if (got.size() >= h + 4 + len) { resp = uint32_t(h + 4 + len); break; }
        }
    }
    Ring ring;
    Meter meter;
    Histogram hist;
    auto fire = [&](Conn& c, uint64_t t) {
        c.t0 = t;
        c.pending = uint32_t(opt.depth);
        ring.send_static(c.fd, block.data(), block.size());
    };
    for (uint32_t i = 0; i < cs.size(); i++) ring.arm_recv(cs[i].fd, i), fire(cs[i], now_ns());

    uint64_t start = now_ns(), t_warm = start + uint64_t(opt.warm * 1e9), t_end = 0, done = 0;
    bool measuring = false;
    Meter::Sample a{}, b{};
    uint64_t n0 = 0;
    for (;;) {
        __kernel_timespec ts{0, 200000000};
        io_uring_cqe* cqe;
        io_uring_submit_and_wait_timeout(&ring.r, &cqe, 1, &ts, nullptr);
        uint64_t t = now_ns();
        if (!measuring && t >= t_warm) {
            measuring = true;
            a = meter.read();
            n0 = done;
            hist = Histogram{};
            t_end = t + uint64_t(opt.secs * 1e9);
        }
        if (measuring && t >= t_end) { b = meter.read(); break; }
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring.r, head, cqe) {
            seen++;
            uint64_t id = io_uring_cqe_get_data64(cqe);
            if (id == ~0ull) { errno = -cqe->res; die("send failed"); }
            Conn& c = cs[id];
            if (cqe->res <= 0 && cqe->res != -ENOBUFS) { errno = -cqe->res; die("connection lost"); }
            if (cqe->flags & IORING_CQE_F_BUFFER) ring.recycle(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
            if (!(cqe->flags & IORING_CQE_F_MORE)) ring.arm_recv(c.fd, uint32_t(id));
            if (cqe->res <= 0) continue;
            c.rx += uint32_t(cqe->res);
            while (c.rx >= resp) {
                c.rx -= resp;
                hist.add(t - c.t0);
                done++;
                if (--c.pending == 0) { fire(c, t); break; }
            }
        }
        io_uring_cq_advance(&ring.r, seen);
    }
    report("request", done - n0, a, b, hist);
}

// Chat fan-out: every 100-byte line a client sends comes back to all N clients ------
static void run_fanout() {
    constexpr size_t kLine = 100;
    const bool ws = opt.proto == "ws";
    const size_t wire = ws ? kLine + 2 : kLine, body = ws ? 2 : 0;
    struct Conn { int fd; uint32_t have = 0; char part[128]; };
    std::vector<Conn> cs(size_t(opt.conns));
    for (auto& c : cs) c.fd = dial();
    usleep(300000);  // let the server admit everyone
    Ring ring;
    for (uint32_t i = 0; i < cs.size(); i++) ring.arm_recv(cs[i].fd, i);
    Meter meter;
    Histogram hist;

    constexpr size_t kMax = 1 << 20;
    std::vector<uint64_t> sent_at(kMax), got(kMax);
    std::vector<std::string> slots(4096);
    size_t next = 0, complete = 0;
    auto send_line = [&](uint64_t t) {
        char text[kLine + 1];
        snprintf(text, sizeof text, "%010zu %089d", next % kMax, 7);
        text[kLine - 1] = '\n';
        sent_at[next % kMax] = t;
        got[next % kMax] = 0;
        std::string& s = slots[next % slots.size()];
        s = ws ? ws_frame(std::string(text, kLine)) : std::string(text, kLine);
        ring.send_static(cs[(next * 7919) % cs.size()].fd, s.data(), s.size());
        next++;
    };
    uint64_t deliveries = 0, n0 = 0, lines0 = 0;
    uint64_t start = now_ns(), t_warm = start + uint64_t(opt.warm * 1e9), t_end = 0;
    uint64_t period = opt.rate > 0 ? uint64_t(1e9 / opt.rate) : 0, due = start;
    bool measuring = false;
    Meter::Sample a{}, b{};
    auto on_line = [&](const char* p, uint64_t t) {
        size_t id = size_t(strtoul(p + body, nullptr, 10));
        if (id >= kMax) { errno = EPROTO; die("bad line"); }
        hist.add(t - sent_at[id]);
        deliveries++;
        if (++got[id] == cs.size()) complete++;
    };
    for (;;) {
        uint64_t t = now_ns();
        if (period) while (due <= t) send_line(due), due += period;  // latency counts from the due time
        else while (next - complete < size_t(opt.window)) send_line(t);
        uint64_t wait = period ? (due > t ? due - t : 0) : 100000000;
        __kernel_timespec ts{0, (long long)std::min<uint64_t>(wait, 100000000)};
        io_uring_cqe* cqe;
        io_uring_submit_and_wait_timeout(&ring.r, &cqe, 1, &ts, nullptr);
        t = now_ns();
        if (!measuring && t >= t_warm) {
            measuring = true;
            a = meter.read();
            n0 = deliveries, lines0 = next;
            hist = Histogram{};
            t_end = t + uint64_t(opt.secs * 1e9);
        }
        if (measuring && t >= t_end) { b = meter.read(); break; }
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&ring.r, head, cqe) {
            seen++;
            uint64_t id = io_uring_cqe_get_data64(cqe);
            if (id == ~0ull) { errno = -cqe->res; die("send failed"); }
            Conn& c = cs[id];
            if (cqe->res <= 0 && cqe->res != -ENOBUFS) { errno = -cqe->res; die("connection lost"); }
            if (cqe->res > 0) {
                unsigned bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
                const char* p = ring.pool + size_t(bid) * kBufSize;
                size_t n = size_t(cqe->res);
                if (c.have) {
                    size_t k = std::min(n, wire - c.have);
                    memcpy(c.part + c.have, p, k);
                    c.have += uint32_t(k), p += k, n -= k;
                    if (c.have == wire) on_line(c.part, t), c.have = 0;
                }
                while (n >= wire) on_line(p, t), p += wire, n -= wire;
                if (n) memcpy(c.part, p, n), c.have = uint32_t(n);
            }
            if (cqe->flags & IORING_CQE_F_BUFFER) ring.recycle(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
            if (!(cqe->flags & IORING_CQE_F_MORE)) ring.arm_recv(c.fd, uint32_t(id));
        }
        io_uring_cq_advance(&ring.r, seen);
    }
    char extra[96];
    snprintf(extra, sizeof extra, ",\"lines_per_s\":%.1f,\"backlog_lines\":%zu",
             double(next - lines0) / (double(b.wall - a.wall) / 1e9), next - complete);
    report("delivery", deliveries - n0, a, b, hist, extra);
}

// One connection, bulk bytes; n counts MB (1e6 bytes) ---------------------------------
static void run_stream(bool we_send) {
    int fd = dial();
    std::vector<char> buf(we_send ? 65536 : 262144, 'z');
    Meter meter;
    Meter::Sample a{}, b{};
    uint64_t bytes = 0, t0 = now_ns();
    bool measuring = false;
    if (!we_send && send(fd, "g", 1, 0) != 1) die("send");
    for (;;) {
        ssize_t n = we_send ? send(fd, buf.data(), buf.size(), 0) : recv(fd, buf.data(), buf.size(), 0);
        if (n <= 0) die("stream");
        bytes += uint64_t(n);
        uint64_t t = now_ns();
        if (!measuring && t - t0 > uint64_t(opt.warm * 1e9)) measuring = true, a = meter.read(), bytes = 0;
        else if (measuring && t > a.wall + uint64_t(opt.secs * 1e9)) { b = meter.read(); break; }
    }
    report("MB", bytes / 1000000, a, b, Histogram{});
}

static void run_idle() {
    long r0 = rss_kib();
    std::vector<int> fds;
    std::string msg(64, 'x');
    for (int i = 0; i < opt.conns; i++) fds.push_back(dial());
    sleep(1);
    long r1 = rss_kib();
    std::string back(64, 0);
    for (int fd : fds) {
        if (send(fd, msg.data(), msg.size(), 0) != 64) die("send");
        if (recv(fd, back.data(), back.size(), MSG_WAITALL) != 64) die("recv");
    }
    sleep(1);
    long r2 = rss_kib();
    printf("{\"unit\":\"connection\",\"n\":%d,\"base_rss_kib\":%ld,\"idle_bytes\":%.0f,\"used_bytes\":%.0f}\n", opt.conns,
           r0, double(r1 - r0) * 1024 / opt.conns, double(r2 - r0) * 1024 / opt.conns);
}

int main(int argc, char** argv) {
    if (argc < 2) return fprintf(stderr, "usage: loadgen rr|fanout|source|sink|idle --port P ...\n"), 2;
    opt.mode = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        std::string k = argv[i];
        const char* v = argv[i + 1];
        if (k == "--port") opt.port = atoi(v);
        else if (k == "--conns") opt.conns = atoi(v);
        else if (k == "--depth") opt.depth = atoi(v);
        else if (k == "--size") opt.size = atoi(v);
        else if (k == "--pid") opt.pid = atoi(v);
        else if (k == "--secs") opt.secs = atof(v);
        else if (k == "--warm") opt.warm = atof(v);
        else if (k == "--rate") opt.rate = atof(v);
        else if (k == "--window") opt.window = atoi(v);
        else if (k == "--proto") opt.proto = v;
        else return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
    }
    if (opt.mode == "rr") run_rr();
    else if (opt.mode == "fanout") run_fanout();
    else if (opt.mode == "source") run_stream(false);
    else if (opt.mode == "sink") run_stream(true);
    else if (opt.mode == "idle") run_idle();
    else return 2;
    fflush(stdout);
    _exit(0);
}
