// SPDX-License-Identifier: Apache-2.0
/* libuv contender: echo, sink, source, fanout.   uv_server MODE PORT
 * Idiomatic use: uv_read_start with one shared read buffer, uv_try_write first and
 * uv_write for what the kernel did not take. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum mode { M_ECHO, M_SINK, M_SOURCE, M_FANOUT, M_COUNT };
static int mode;
static uv_loop_t* loop;
static char rbuf[262144], block[65536];

typedef struct conn {
    uv_tcp_t tcp;
    struct conn *prev, *next; /* room members */
    size_t pending;           /* uv_writes in flight */
    char* part;               /* an incomplete line */
    size_t part_len;
} conn;
typedef struct {
    uv_write_t req;
    conn* c;
    char data[];
} wr;

static conn members = {.prev = &members, .next = &members};

static void on_closed(uv_handle_t* h) {
    conn* c = (conn*)h;
    free(c->part);
    free(c);
}
static void drop(conn* c) {
    if (uv_is_closing((uv_handle_t*)c)) return;
    if (c->next) c->prev->next = c->next, c->next->prev = c->prev;
    uv_close((uv_handle_t*)c, on_closed);
}
static void alloc_cb(uv_handle_t* h, size_t want, uv_buf_t* b) {
    (void)h, (void)want;
    *b = uv_buf_init(rbuf, sizeof rbuf);
}
static void on_written(uv_write_t* r, int status) {
    wr* w = (wr*)r;
    w->c->pending--;
    if (status < 0) drop(w->c);
    free(w);
}
static void put(conn* c, const char* p, size_t n) {
    if (!c->pending) {
        uv_buf_t b = uv_buf_init((char*)p, n);
        int k = uv_try_write((uv_stream_t*)c, &b, 1);
        if (k > 0) p += k, n -= (size_t)k;
        if (!n) return;
    }
    wr* w = malloc(sizeof *w + n);
    w->c = c;
    memcpy(w->data, p, n);
    uv_buf_t b = uv_buf_init(w->data, n);
    c->pending++;
    if (uv_write(&w->req, (uv_stream_t*)c, &b, 1, on_written) < 0) drop(c);
}
static void pump(uv_write_t* r, int status) { /* source: one 64 KiB write after another */
    conn* c = r->data;
    if (status < 0) {
        free(r);
        drop(c);
        return;
    }
    uv_buf_t b = uv_buf_init(block, sizeof block);
    if (uv_write(r, (uv_stream_t*)c, &b, 1, pump) < 0) free(r), drop(c);
}
static void broadcast(const char* p, size_t n) {
    for (conn *m = members.next, *next; m != &members; m = next) next = m->next, put(m, p, n);
}
static void on_read(uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
    conn* c = (conn*)s;
    if (n < 0) {
        drop(c);
        return;
    }
    if (mode == M_ECHO) put(c, b->base, (size_t)n);
    else if (mode == M_SOURCE) {
        uv_write_t* r = malloc(sizeof *r);
        r->data = c;
        pump(r, 0);
    } else if (mode == M_FANOUT) {
        char *p = b->base, *end = p + n, *nl;
        while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
            size_t len = (size_t)(nl + 1 - p);
            if (c->part_len) {
                c->part = realloc(c->part, c->part_len + len);
                memcpy(c->part + c->part_len, p, len);
                len += c->part_len, c->part_len = 0;
                broadcast(c->part, len);
            } else broadcast(p, len);
            p = nl + 1;
        }
        if (p < end) {
            c->part = realloc(c->part, c->part_len + (size_t)(end - p));
            memcpy(c->part + c->part_len, p, (size_t)(end - p));
            c->part_len += (size_t)(end - p);
        }
    }
}
static void on_connection(uv_stream_t* srv, int status) {
    if (status < 0) return;
    conn* c = calloc(1, sizeof *c);
    uv_tcp_init(loop, &c->tcp);
    if (uv_accept(srv, (uv_stream_t*)c)) {
        uv_close((uv_handle_t*)c, on_closed);
        return;
    }
    uv_tcp_nodelay(&c->tcp, 1);
    if (mode == M_FANOUT) c->next = &members, c->prev = members.prev, members.prev->next = c, members.prev = c;
    uv_read_start((uv_stream_t*)c, alloc_cb, on_read);
}
int main(int argc, char** argv) {
    static const char* names[] = {"echo", "sink", "source", "fanout"};
    for (mode = 0; mode < M_COUNT; mode++)
        if (argc > 2 && !strcmp(argv[1], names[mode])) break;
    if (mode == M_COUNT) return 2;
    signal(SIGPIPE, SIG_IGN); /* libuv leaves that to the program */
    loop = uv_default_loop();
    uv_tcp_t srv;
    struct sockaddr_in a;
    uv_ip4_addr("127.0.0.1", atoi(argv[2]), &a);
    uv_tcp_init(loop, &srv);
    uv_tcp_bind(&srv, (struct sockaddr*)&a, 0);
    if (uv_listen((uv_stream_t*)&srv, 4096, on_connection)) return 1;
    puts("READY"), fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
