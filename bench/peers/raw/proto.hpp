// SPDX-License-Identifier: Apache-2.0
// What the two raw servers (io_uring, epoll) share: the protocols, so that they
// differ in nothing but the system interface.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

enum class Mode { echo, sink, source, fanout, http, ws, wsfan };

inline bool parse_mode(const char* s, Mode& m) {
    static const char* names[] = {"echo", "sink", "source", "fanout", "http", "ws", "wsfan"};
    for (int i = 0; i < 7; i++)
        if (!strcmp(s, names[i])) return m = Mode(i), true;
    return false;
}
inline bool is_room(Mode m) { return m == Mode::fanout || m == Mode::wsfan; }

inline int listen_loopback(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // inherited by accepted sockets
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(uint16_t(port));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (sockaddr*)&a, sizeof a) || listen(fd, 4096)) perror("listen"), exit(1);
    return fd;
}

// SHA-1 of a short string, for the WebSocket handshake only.
inline std::string sha1(std::string msg) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    uint64_t bits = msg.size() * 8;
    msg += char(0x80);
    while (msg.size() % 64 != 56) msg += '\0';
    for (int i = 7; i >= 0; i--) msg += char(bits >> (8 * i));
    auto rol = [](uint32_t v, int n) { return (v << n) | (v >> (32 - n)); };
    for (size_t o = 0; o < msg.size(); o += 64) {
        uint32_t w[80];
        for (int i = 0; i < 16; i++) {
            auto b = [&](int k) { return uint32_t(uint8_t(msg[o + size_t(4 * i + k)])); };
            w[i] = b(0) << 24 | b(1) << 16 | b(2) << 8 | b(3);
        }
        for (int i = 16; i < 80; i++) w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
        for (int i = 0; i < 80; i++) {
            uint32_t f = i < 20 ? ((b & c) | (~b & d)) : i < 40 ? (b ^ c ^ d) : i < 60 ? ((b & c) | (b & d) | (c & d)) : (b ^ c ^ d);
            uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
            uint32_t t = rol(a, 5) + f + e + k + w[i];
            e = d, d = c, c = rol(b, 30), b = a, a = t;
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
    }
    std::string out;
    for (uint32_t v : h) for (int i = 3; i >= 0; i--) out += char(v >> (8 * i));
    return out;
}
inline std::string base64(std::string_view in) {
    static const char* t = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < in.size(); i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) v = v << 8 | (i + k < in.size() ? uint8_t(in[i + k]) : 0);
        for (size_t k = 0; k < 4; k++) out += i + k <= in.size() ? t[(v >> (18 - 6 * k)) & 63] : '=';
    }
    return out;
}

inline const std::string& http_hello() {  // rebuilt once a second for its Date
    static std::string text;
    static time_t at = 0;
    timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (ts.tv_sec != at) {
        at = ts.tv_sec;
        char date[64];
        tm g;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &g));
        text = std::string("HTTP/1.1 200 OK\r\nServer: raw\r\nDate: ") + date +
               "\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
    }
    return text;
}

struct Session {
    std::string in;        // an incomplete message carried over
    bool upgraded = false; // WebSocket handshake done
};

// Consumes as many whole messages as `p[0..n)` holds, appending replies to `out`
// and room broadcasts to `room`; returns the number of bytes consumed, -1 on error.
inline long consume(Mode mode, Session& s, char* p, size_t n, std::string& out, std::string& room) {
    size_t used = 0;
    switch (mode) {
        case Mode::echo: out.append(p, n); return long(n);
        case Mode::sink:
        case Mode::source: return long(n);
        case Mode::fanout: {
            const char* last = (const char*)memrchr(p, '\n', n);
            if (!last) return 0;
            used = size_t(last + 1 - p);
            room.append(p, used);
            return long(used);
        }
        case Mode::http:
            while (char* e = (char*)memmem(p + used, n - used, "\r\n\r\n", 4)) {
                if (memcmp(p + used, "GET ", 4)) return -1;
                used = size_t(e + 4 - p);
                out += http_hello();
            }
            return long(used);
        case Mode::ws:
        case Mode::wsfan: break;
    }
    if (!s.upgraded) {
        char* e = (char*)memmem(p, n, "\r\n\r\n", 4);
        if (!e) return 0;
        const char* k = (const char*)memmem(p, n, "Sec-WebSocket-Key: ", 19);
        if (!k) return -1;
        std::string key(k + 19, size_t((const char*)memchr(k, '\r', size_t(e + 1 - k)) - (k + 19)));
        out += "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
               base64(sha1(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) + "\r\n\r\n";
        s.upgraded = true;
        used = size_t(e + 4 - p);
    }
    while (n - used >= 6) {
        auto* f = (unsigned char*)p + used;
        size_t len = f[1] & 127, head = 2;
        if (len == 126) head = 4, len = size_t(f[2]) << 8 | f[3];
        if (!(f[1] & 128) || (f[1] & 127) == 127) return -1;
        if (n - used < head + 4 + len) break;
        if ((f[0] & 15) == 8) return -1;
        unsigned char mask[4];
        memcpy(mask, f + head, 4);
        unsigned char* body = f + head + 4;
        for (size_t i = 0; i < len; i++) body[i] ^= mask[i & 3];
        std::string& to = mode == Mode::ws ? out : room;
        to += char(0x80 | (f[0] & 15));
        if (len < 126) to += char(len);
        else to += char(126), to += char(len >> 8), to += char(len);
        to.append((char*)body, len);
        used += head + 4 + len;
    }
    return long(used);
}
// The same with the carried-over incomplete message taken into account.
inline bool feed(Mode mode, Session& s, char* p, size_t n, std::string& out, std::string& room) {
    if (!s.in.empty()) {
        s.in.append(p, n);
        long used = consume(mode, s, s.in.data(), s.in.size(), out, room);
        if (used < 0) return false;
        s.in.erase(0, size_t(used));
        return true;
    }
    long used = consume(mode, s, p, n, out, room);
    if (used < 0) return false;
    if (size_t(used) < n) s.in.assign(p + used, n - size_t(used));
    return true;
}

// A chat room as one append-only ring of bytes: every member holds a cursor into it,
// so a broadcast copies nothing per member and a slow member's sends coalesce.
struct RoomLog {
    static constexpr uint64_t kSize = 64u << 20;
    char* data = (char*)malloc(kSize);
    uint64_t end = 0;
    void append(std::string_view s) {
        while (!s.empty()) {
            uint64_t at = end % kSize, k = std::min<uint64_t>(s.size(), kSize - at);
            memcpy(data + at, s.data(), k);
            end += k;
            s.remove_prefix(k);
        }
    }
    std::string_view from(uint64_t cursor, uint64_t limit = 65536) const {
        uint64_t at = cursor % kSize;
        return {data + at, std::min({end - cursor, kSize - at, limit})};
    }
    bool lost(uint64_t cursor) const { return end - cursor > kSize; }
};
