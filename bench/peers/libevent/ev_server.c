// SPDX-License-Identifier: Apache-2.0
/* libevent contender: echo and sink with bufferevents.   ev_server MODE PORT */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int sink;
static void on_read(struct bufferevent* b, void* arg) {
    (void)arg;
    struct evbuffer* in = bufferevent_get_input(b);
    if (sink) evbuffer_drain(in, evbuffer_get_length(in));
    else bufferevent_write_buffer(b, in);
}
static void on_event(struct bufferevent* b, short what, void* arg) {
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) bufferevent_free(b);
}
static void on_accept(struct evconnlistener* l, evutil_socket_t fd, struct sockaddr* a, int n, void* arg) {
    (void)a, (void)n, (void)arg;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct bufferevent* b = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(b, on_read, NULL, on_event, NULL);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}
int main(int argc, char** argv) {
    if (argc < 3) return 2;
    signal(SIGPIPE, SIG_IGN);
    sink = !strcmp(argv[1], "sink");
    struct event_base* base = event_base_new();
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (!evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 4096, (struct sockaddr*)&a, sizeof a)) return 1;
    puts("READY"), fflush(stdout);
    return event_base_dispatch(base);
}
