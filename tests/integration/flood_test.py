#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile clients, one kind after another, while a plain client goes on: it is always answered, and the server's
memory stays bounded. With FIGURES=1 it prints the latency of the plain client and the memory for each (to be noted in
docs/explanation/performance.md); nothing here is judged by the clock."""
import http.client
import multiprocessing
import os
import socket
import ssl
import statistics
import struct
import sys
import threading
import time

from peers import PeerTest, main

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, DATA = 1, 2, 3, 4, 6, 8, 9, 0
END_STREAM, END_HEADERS = 1, 4
GET = b"\x82\x86\x84\x41\x01x"  # :method GET, :scheme http, :path /, :authority x
POST = b"\x83\x86\x44\x05/echo\x41\x01x"
MEMORY_MAX = 64 << 20
FIGURES = bool(os.environ.get("FIGURES"))
ATTACKERS = 20
SECONDS = 3


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def streams(first, count):
    return range(first, first + 2 * count, 2)


HELLO = PREFACE + frame(SETTINGS, 0, 0)
# A table entry of 4,000 bytes, then named 10,000 times.
BOMB = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 10_000

# name -> what each connection sends: once, then again and again until the server ends it.
HTTP2 = {
    "rapid reset": (HELLO, lambda n: b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, s, GET) + frame(RST_STREAM, 0, s, b"\0\0\0\x08") for s in streams(1 + 200 * n, 100))),
    "made you reset": (HELLO, lambda n: b"".join(
        frame(HEADERS, END_HEADERS, s, POST) + frame(WINDOW_UPDATE, 0, s, b"\0\0\0\0") for s in streams(1 + 200 * n, 100))),
    "CONTINUATION": (HELLO + frame(HEADERS, 0, 1, GET), lambda n: frame(CONTINUATION, 0, 1, b"\x00\x03abc\x03def" * 1000)),
    "empty CONTINUATION": (HELLO + frame(HEADERS, 0, 1, GET), lambda n: frame(CONTINUATION, 0, 1) * 1000),
    "SETTINGS": (HELLO, lambda n: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)) * 1000),
    "PING": (HELLO, lambda n: frame(PING, 0, 0, b"12345678") * 1000),
    "PRIORITY": (HELLO, lambda n: frame(PRIORITY, 0, 3, struct.pack(">IB", 1, 9)) * 1000),
    "empty DATA": (HELLO + frame(HEADERS, END_HEADERS, 1, POST), lambda n: frame(DATA, 0, 1) * 1000),
    "HPACK bomb": (HELLO, lambda n: b"".join(
        [frame(HEADERS, END_STREAM, 1 + 2 * n, GET + BOMB[:12_000]), frame(CONTINUATION, END_HEADERS, 1 + 2 * n, BOMB[12_000:])])),
    "zero window": (PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)), lambda n: b"".join(
        frame(HEADERS, END_STREAM | END_HEADERS, s, GET) for s in streams(1 + 20 * n, 10))),
}
HTTP1 = {
    "2,000 requests, no answer read": (b"", lambda n: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000),
    "no end of a head": (b"GET / HTTP/1.1\r\nHost: x\r\n", lambda n: b"X-Field-%d: %s\r\n" % (n, b"v" * 500)),
    "no end of a line": (b"GET /", lambda n: b"a" * 10_000),
    "nonsense": (b"", lambda n: b"\x00\r\n" * 1000),
    "chunks of one byte": (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", lambda n: b"1\r\nx\r\n" * 2000),
    "bodies nobody wants": (b"", lambda n: b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"b" * 900_000),
}
UPGRADE = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
WEBSOCKET = {
    "pings": (UPGRADE, lambda n: b"\x89\x80\0\0\0\0" * 2000),
    "pongs": (UPGRADE, lambda n: b"\x8a\x80\0\0\0\0" * 2000),
    "fragments of one byte": (UPGRADE + b"\x01\x81\0\0\0\0a", lambda n: b"\x00\x81\0\0\0\0a" * 2000),
    "echoes nobody reads": (UPGRADE, lambda n: b"\x82\xfe\xff\xff\0\0\0\0" + bytes(65_535)),
}
TLS = {
    "handshakes given up": (b"", None),
    "no TLS at all": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100, lambda n: b"\x16\x03\x01\xff\xff" + bytes(65_535)),
}


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=2)
    s.settimeout(0.5)
    return s


def attack_once(port, first, again):
    with connect(port) as s:
        s.sendall(first)
        if again is None:  # A ClientHello, and away.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            outgoing = ssl.MemoryBIO()
            try:
                context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
            except ssl.SSLWantReadError:
                s.sendall(outgoing.read())
                s.recv(1)
            return
        for n in range(10_000):
            s.sendall(again(n))


def attack(port, name, started):
    """Runs in a process of its own: connections in turns, each for as long as the server bears it."""
    if FIGURES:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    first, again = {**HTTP2, **HTTP1, **WEBSOCKET, **TLS}[name]

    def one_after_another():
        while True:
            try:
                attack_once(port, first, again)
            except OSError:
                time.sleep(0.01)

    for _ in range(ATTACKERS):
        threading.Thread(target=one_after_another, daemon=True).start()
    started.set()
    time.sleep(600)  # Until it is ended.


def slow(port, started):
    """Five hundred connections that say a byte now and then."""
    held = []
    for _ in range(500):
        try:
            held.append(connect(port))
        except OSError:
            break
    started.set()
    for n in range(600):
        for s in held:
            try:
                s.sendall(b"GET / HTTP/1.1\r\nX: "[n % 19:n % 19 + 1])
            except OSError:
                pass
        time.sleep(1)


class Floods(PeerTest):
    def get(self, kept):
        """A plain GET, on a new connection or on one that is kept, in seconds."""
        begin = time.monotonic()
        if kept is None:
            client = self.client()
            client.request("GET", "/plain")
            client.getresponse().read()
            client.close()
        else:
            kept.request("GET", "/plain")
            kept.getresponse().read()
        return time.monotonic() - begin

    def client(self):
        if not hasattr(self, "certificate"):
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30,
                                           context=ssl.create_default_context(cafile=self.certificate))

    def memory(self):
        with open(f"/proc/{self.server.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) << 10

    def bears(self, mode, name, attacker, *arguments):
        self.start_server(mode)
        if FIGURES:  # The server's own delay, not that of a CPU which attackers use up.
            os.sched_setaffinity(self.server.pid, {0})
            os.sched_setaffinity(0, {1})
            os.setpriority(os.PRIO_PROCESS, self.server.pid, -10)
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        self.get(None)
        before = self.memory()
        started = multiprocessing.Event()
        process = multiprocessing.Process(target=attacker, args=(self.port, *arguments, started), daemon=True)
        process.start()
        try:
            self.assertTrue(started.wait(60))
            kept, taken, end = self.client(), [], time.monotonic() + SECONDS
            while time.monotonic() < end or len(taken) < 20:
                taken += [self.get(None), self.get(kept)]  # An error here fails the test.
                time.sleep(0.005)
        finally:
            process.kill()
            process.join()
        grown = self.memory() - before
        self.assertLess(grown, MEMORY_MAX, name)
        if FIGURES:
            p99 = statistics.quantiles(taken, n=100, method="inclusive")[98] * 1000
            print(f"| {name} | {statistics.median(taken) * 1000:.1f} ms | {p99:.1f} ms | {grown / 2**20:.1f} MiB | {len(taken)} |",
                  flush=True)
        self.stop_server()

    def each(self, mode, attacks):
        for name in attacks:
            with self.subTest(name):
                self.bears(mode, name, attack, name)

    def test_http_2(self):
        self.each("http", HTTP2)

    def test_http_1(self):
        self.each("http", HTTP1)
        self.bears("http", "slow heads, 500 connections", slow)

    def test_websockets(self):
        self.each("ws", WEBSOCKET)

    def test_tls(self):
        self.each("https", TLS)
        self.bears("https", "slow handshakes, 500 connections", slow)


if __name__ == "__main__":
    sys.exit(main())
