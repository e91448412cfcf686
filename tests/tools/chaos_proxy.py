#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that makes a loopback link bad, from a seed. Standard library only.

This kernel has no netem qdisc, so delay, stalls, resets and partitions are made here, in user space.

    chaos_proxy.py --listen 127.0.0.1:7001 --to 127.0.0.1:9001 --seed 7 --latency 40 --jitter 30
    chaos_proxy.py ... --split 1                    every write cut into single bytes
    chaos_proxy.py ... --rate 20000                 bytes a second in each direction
    chaos_proxy.py ... --reset 0.01 --stall 0.02    per chunk: connection reset, or nothing moves for --stall-ms
    chaos_proxy.py ... --plan 5:cut,8:heal,12:blackhole,20:heal,25:reset

Plan steps (seconds from the start): cut = refuse new and reset open connections; blackhole = keep connections,
move nothing; heal = normal; reset = reset every open connection once; oneway = client to server only.
Prints one line for each event; stops after --for seconds.
"""
import argparse
import asyncio
import random
import socket
import struct
import time


class Link:
    def __init__(self, a):
        self.a, self.rng, self.mode, self.open, self.t0 = a, random.Random(a.seed), "heal", set(), time.monotonic()
        self.moved = [0, 0]

    def say(self, text):
        print("%8.3f %s" % (time.monotonic() - self.t0, text), flush=True)

    @staticmethod
    def kill(writer):
        sock = writer.get_extra_info("socket")
        if sock is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        writer.transport.abort()

    async def pump(self, reader, writer, way, pair):
        a, rng = self.a, self.rng
        while True:
            data = await reader.read(65536)
            if not data:
                break
            step = a.split or len(data)
            for i in range(0, len(data), step):
                chunk = data[i:i + step]
                while self.mode == "blackhole" or (self.mode == "oneway" and way == 1):
                    await asyncio.sleep(0.02)
                if a.reset and rng.random() < a.reset:
                    self.say("reset by chance")
                    for w in pair:
                        self.kill(w)
                    return
                if a.stall and rng.random() < a.stall:
                    self.say("stall %d ms" % a.stall_ms)
                    await asyncio.sleep(a.stall_ms / 1000)
                wait = (a.latency + (rng.uniform(-a.jitter, a.jitter) if a.jitter else 0)) / 1000
                if a.rate:
                    wait += len(chunk) / a.rate
                if wait > 0:
                    await asyncio.sleep(wait)
                writer.write(chunk)
                self.moved[way] += len(chunk)
                await writer.drain()
        try:
            writer.write_eof()
        except (OSError, RuntimeError):
            pass

    async def serve(self, cr, cw):
        if self.mode == "cut":
            self.kill(cw)
            return
        try:
            ur, uw = await asyncio.open_connection(*self.a.to)
        except OSError:
            self.kill(cw)
            return
        pair = (cw, uw)
        self.open.add(pair)
        try:
            await asyncio.gather(self.pump(cr, uw, 0, pair), self.pump(ur, cw, 1, pair))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(pair)
            for w in pair:
                w.close()

    async def plan(self):
        for when, what in self.a.plan:
            await asyncio.sleep(max(0, self.t0 + when - time.monotonic()))
            self.say("%s (%d connections)" % (what, len(self.open)))
            if what in ("cut", "reset"):
                for pair in list(self.open):
                    for w in pair:
                        self.kill(w)
            if what != "reset":
                self.mode = what

    async def run(self):
        server = await asyncio.start_server(self.serve, *self.a.listen)
        task = asyncio.create_task(self.plan())
        try:
            await asyncio.wait_for(server.serve_forever(), getattr(self.a, "for"))
        except asyncio.TimeoutError:
            pass
        task.cancel()
        self.say("done, %d bytes up, %d bytes down" % tuple(self.moved))


def hostport(s):
    h, _, p = s.rpartition(":")
    return h, int(p)


def steps(s):
    out = []
    for item in s.split(","):
        t, _, what = item.partition(":")
        if what not in ("cut", "blackhole", "heal", "reset", "oneway"):
            raise argparse.ArgumentTypeError("unknown step %r" % what)
        out.append((float(t), what))
    return sorted(out)


def main():
    ap = argparse.ArgumentParser(description="seeded bad TCP link")
    ap.add_argument("--listen", type=hostport, required=True)
    ap.add_argument("--to", type=hostport, required=True)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--latency", type=float, default=0, help="ms for each chunk")
    ap.add_argument("--jitter", type=float, default=0)
    ap.add_argument("--rate", type=float, default=0)
    ap.add_argument("--split", type=int, default=0)
    ap.add_argument("--reset", type=float, default=0)
    ap.add_argument("--stall", type=float, default=0)
    ap.add_argument("--stall-ms", type=float, default=2000)
    ap.add_argument("--plan", type=steps, default=[])
    ap.add_argument("--for", type=float, default=60)
    asyncio.run(Link(ap.parse_args()).run())


if __name__ == "__main__":
    main()
