// SPDX-License-Identifier: Apache-2.0
/* W7, W9, W10 for libuv.   uv_micro | uv_micro spawn | uv_micro files */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

static void put(const char* m, double v, const char* unit) { printf("{\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", m, v, unit); }
static double cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}
static void pin(int core) {
    cpu_set_t s;
    CPU_ZERO(&s);
    CPU_SET(core, &s);
    pthread_setaffinity_np(pthread_self(), sizeof s, &s);
}
static uv_loop_t* L;

/* cross-thread: uv_async both ways */
static uv_async_t here, there;
static int rounds = 50000, left;
static void on_here(uv_async_t* a) {
    if (--left) uv_async_send(&there);
    else uv_close((uv_handle_t*)a, NULL);
}
static void on_there(uv_async_t* a) {
    (void)a;
    uv_async_send(&here);
}
static void other(void* arg) {
    pin(1);
    uv_run(arg, UV_RUN_DEFAULT);
}
/* sleep */
static uv_timer_t st;
static double over[500];
static uint64_t slept;
static int nsleep;
static int by_value(const void* a, const void* b) { return *(double*)a < *(double*)b ? -1 : 1; }
static void on_sleep(uv_timer_t* t) {
    over[nsleep++] = ((double)(uv_hrtime() - slept) - 1e6) / 1e3;
    if (nsleep == 500) return;
    slept = uv_hrtime();
    uv_update_time(L);
    uv_timer_start(t, on_sleep, 1, 0);
}
/* post: an idle callback run, and an async sent from its own callback */
static long idles = 3000000;
static void on_idle(uv_idle_t* h) {
    if (!--idles) uv_idle_stop(h);
}
static void never(uv_timer_t* t) { (void)t; }
/* a function on the thread pool and its end, one at a time */
static uv_work_t work;
static int jobs = 20000;
static void on_work(uv_work_t* w) { (void)w; }
static void on_worked(uv_work_t* w, int status) {
    (void)status;
    if (--jobs) uv_queue_work(L, w, on_work, on_worked);
}

static void micro(void) {
    pin(0);
    uv_idle_t idle;
    uv_idle_init(L, &idle);
    long n = idles;
    uint64_t t = uv_hrtime();
    uv_idle_start(&idle, on_idle);
    uv_run(L, UV_RUN_DEFAULT);
    put("loop turn (uv_idle)", (double)(uv_hrtime() - t) / (double)n, "ns");

    uv_timer_init(L, &st);
    slept = uv_hrtime();
    uv_timer_start(&st, on_sleep, 1, 0);
    uv_run(L, UV_RUN_DEFAULT);
    qsort(over, 500, sizeof *over, by_value);
    put("sleep 1 ms: overshoot p50", over[250], "us");
    put("sleep 1 ms: overshoot p99", over[495], "us");

    cpu_set_t before, all;  /* its pool's threads inherit what is allowed when they start */
    pthread_getaffinity_np(pthread_self(), sizeof before, &before);
    memset(&all, 0xff, sizeof all);
    pthread_setaffinity_np(pthread_self(), sizeof all, &all);
    int count_jobs = jobs;
    t = uv_hrtime();
    uv_queue_work(L, &work, on_work, on_worked);
    uv_run(L, UV_RUN_DEFAULT);
    put("pool round trip", (double)(uv_hrtime() - t) / count_jobs / 1e3, "us");
    pthread_setaffinity_np(pthread_self(), sizeof before, &before);

    uv_loop_t l2;
    uv_loop_init(&l2);
    uv_async_init(L, &here, on_here);
    uv_async_init(&l2, &there, on_there);
    uv_thread_t th;
    uv_thread_create(&th, other, &l2);
    left = rounds;
    t = uv_hrtime();
    uv_async_send(&there);
    uv_run(L, UV_RUN_DEFAULT);
    put("cross-thread round trip", (double)(uv_hrtime() - t) / rounds / 1e3, "us");

    size_t count = 1000000;
    uv_timer_t* ts = malloc(count * sizeof *ts);
    unsigned r = 1;
    for (size_t i = 0; i < count; i++) {
        r = r * 1664525 + 1013904223;
        uv_timer_init(L, &ts[i]);
        uv_timer_start(&ts[i], never, 60000 + (r >> 12), 0);
    }
    uv_timer_t x;
    uv_timer_init(L, &x);
    t = uv_hrtime();
    for (size_t i = 0; i < count; i++) {
        r = r * 1664525 + 1013904223;
        uv_timer_start(&x, never, 60000 + (r >> 12), 0);
        uv_timer_stop(&x);
    }
    put("timer arm+cancel, 1e6 outstanding", (double)(uv_hrtime() - t) / (double)count, "ns");
    fflush(stdout);
    _Exit(0);
}
/* W9 */
static int spawned;
static void spawn_one(void);
static void on_exit_cb(uv_process_t* p, int64_t st, int sig) {
    (void)st, (void)sig;
    uv_close((uv_handle_t*)p, (uv_close_cb)(void*)free);
    if (++spawned < 2000) spawn_one();
}
static void spawn_one(void) {
    uv_process_t* p = malloc(sizeof *p);
    char* args[] = {"/bin/true", NULL};
    uv_process_options_t o = {.file = "/bin/true", .args = args, .exit_cb = on_exit_cb};
    if (uv_spawn(L, p, &o)) exit(1);
}
/* W10: open, read, close on the thread pool, 64 files at a time */
static char dir[512];
static int next_file, done_files;
typedef struct {
    uv_fs_t req;
    uv_file fd;
    uv_buf_t b;
    char buf[8192];
} lane;
static void lane_next(lane* l);
static void on_fclose(uv_fs_t* r) {
    uv_fs_req_cleanup(r);
    done_files++;
    lane_next((lane*)r);
}
static void on_fread(uv_fs_t* r) {
    lane* l = (lane*)r;
    if (r->result != 4096) exit(1);
    uv_fs_req_cleanup(r);
    uv_fs_close(L, r, l->fd, on_fclose);
}
static void on_fopen(uv_fs_t* r) {
    lane* l = (lane*)r;
    if (r->result < 0) exit(1);
    l->fd = (uv_file)r->result;
    uv_fs_req_cleanup(r);
    l->b = uv_buf_init(l->buf, sizeof l->buf);
    uv_fs_read(L, r, l->fd, &l->b, 1, 0, on_fread);
}
static void lane_next(lane* l) {
    if (next_file == 10000) return;
    char name[600];
    snprintf(name, sizeof name, "%s/files/%d", dir, next_file++);
    uv_fs_open(L, &l->req, name, O_RDONLY, 0, on_fopen);
}
int main(int argc, char** argv) {
    L = uv_default_loop();
    const char* what = argc > 1 ? argv[1] : "micro";
    if (!strcmp(what, "micro")) micro();
    uint64_t t = uv_hrtime();
    double c = cpu();
    if (!strcmp(what, "spawn")) {
        spawn_one();
        uv_run(L, UV_RUN_DEFAULT);
        put("spawn+wait", 2000 / ((double)(uv_hrtime() - t) / 1e9), "per s");
        put("parent CPU per spawn", (cpu() - c) * 1e6 / 2000, "us");
        put("wall per spawn", (double)(uv_hrtime() - t) / 2000 / 1e3, "us");
        return 0;
    }
    const char* b = getenv("PEERS_BUILD");
    snprintf(dir, sizeof dir, "%s", b ? b : ".");
    static lane lanes[64];
    for (int pass = 0; pass < 2; pass++) {
        next_file = 0;
        t = uv_hrtime(), c = cpu();
        for (int i = 0; i < 64; i++) lane_next(&lanes[i]);
        uv_run(L, UV_RUN_DEFAULT);
        if (!pass) continue;
        put("files", 10000 / ((double)(uv_hrtime() - t) / 1e9), "per s");
        put("CPU per file", (cpu() - c) * 1e6 / 10000, "us");
    }
}
