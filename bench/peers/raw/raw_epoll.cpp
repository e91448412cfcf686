// SPDX-License-Identifier: Apache-2.0
// RAW-EPOLL: a hand-written single-threaded server, level-triggered epoll, one recv
// per readable event, replies gathered per connection and sent at once.
//   raw_epoll MODE PORT
#include <fcntl.h>
#include <sys/epoll.h>
#include <vector>
#include "proto.hpp"

struct Conn : Session {
    int fd = -1;
    std::string out;      // not yet accepted by the kernel
    uint64_t cursor = 0;  // rooms: how much of the log this member has been sent
    bool want_out = false;
};

static int ep;
static Mode mode;
static std::vector<Conn*> conns;  // by fd
static std::vector<int> members;  // live fds, for rooms
static RoomLog* room_log;

static void drop(Conn* c) {
    if (is_room(mode)) std::erase(members, c->fd);
    conns[size_t(c->fd)] = nullptr;
    close(c->fd);
    delete c;
}
static void want_out(Conn* c, bool on) {
    if (c->want_out == on) return;
    c->want_out = on;
    epoll_event e{.events = EPOLLIN | (on ? uint32_t(EPOLLOUT) : 0u), .data = {.fd = c->fd}};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
// Sends what the connection owes; false when the connection is gone.
static bool flush(Conn* c) {
    static const std::string block(65536, 'z');
    for (;;) {
        std::string_view v = c->out;
        bool from_log = false;
        if (v.empty() && mode == Mode::source) v = block;
        if (v.empty() && is_room(mode) && room_log->end > c->cursor) {
            if (room_log->lost(c->cursor)) return false;
            v = room_log->from(c->cursor);
            from_log = true;
        }
        if (v.empty()) return want_out(c, false), true;
        ssize_t n = send(c->fd, v.data(), v.size(), MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) return want_out(c, true), true;
            return false;
        }
        if (from_log) c->cursor += uint64_t(n);
        else if (!c->out.empty()) c->out.erase(0, size_t(n));
        else if (size_t(n) < v.size()) return want_out(c, true), true;
    }
}

int main(int argc, char** argv) {
    if (argc < 3 || !parse_mode(argv[1], mode)) return fprintf(stderr, "raw_epoll MODE PORT\n"), 2;
    int lfd = listen_loopback(atoi(argv[2]));
    fcntl(lfd, F_SETFL, O_NONBLOCK);
    ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_event e{.events = EPOLLIN, .data = {.fd = lfd}};
    epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
    if (is_room(mode)) room_log = new RoomLog;
    puts("READY"), fflush(stdout);
    static char buf[262144];
    std::string room;
    std::vector<epoll_event> ev(1024);
    for (;;) {
        int n = epoll_wait(ep, ev.data(), int(ev.size()), -1);
        for (int i = 0; i < n; i++) {
            int fd = ev[size_t(i)].data.fd;
            if (fd == lfd) {
                int c;
                while ((c = accept4(lfd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    if (conns.size() <= size_t(c)) conns.resize(size_t(c) + 1);
                    conns[size_t(c)] = new Conn;
                    conns[size_t(c)]->fd = c;
                    if (is_room(mode)) conns[size_t(c)]->cursor = room_log->end, members.push_back(c);
                    epoll_event a{.events = EPOLLIN, .data = {.fd = c}};
                    epoll_ctl(ep, EPOLL_CTL_ADD, c, &a);
                }
                continue;
            }
            Conn* c = conns[size_t(fd)];
            if (!c) continue;
            if (ev[size_t(i)].events & EPOLLOUT) {
                if (!flush(c)) { drop(c); continue; }
            }
            if (!(ev[size_t(i)].events & ~uint32_t(EPOLLOUT))) continue;
            ssize_t k = recv(fd, buf, sizeof buf, 0);
            if (k < 0 && errno == EAGAIN) continue;
            if (k <= 0 || !feed(mode, *c, buf, size_t(k), c->out, room) || ((!c->out.empty() || mode == Mode::source) && !flush(c))) drop(c);
        }
        if (!room.empty()) {
            room_log->append(room);
            room.clear();
            for (size_t i = 0; i < members.size();) {
                Conn* c = conns[size_t(members[i])];
                if (c->want_out || flush(c)) i++;
                else drop(c);
            }
        }
    }
}
