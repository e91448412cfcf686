# SPDX-License-Identifier: Apache-2.0
"""W7, W9, W10 for Python.   py_micro.py asyncio|uvloop [spawn|files]"""
import asyncio
import json
import os
import resource
import sys
import threading
import time


def put(m, v, unit="ns"):
    print(json.dumps({"metric": m, "value": v, "unit": unit}), flush=True)


def cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


async def child(v):
    return v


async def micro():
    loop = asyncio.get_running_loop()
    now = time.perf_counter_ns
    n = 200_000
    t = now()
    for i in range(n):
        await child(i)
    put("call+await", (now() - t) / n)
    t = now()
    for i in range(n):
        await loop.create_task(child(i))
    put("spawn+await", (now() - t) / n)

    left, done = n, loop.create_future()

    def chain():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(chain)
        else:
            done.set_result(None)

    t = now()
    loop.call_soon(chain)
    await done
    put("post+run", (now() - t) / n)

    a, b = asyncio.Queue(), asyncio.Queue()

    async def player(inn, out, k, serve):
        if serve:
            out.put_nowait(0)
        for _ in range(k):
            out.put_nowait(await inn.get() + 1)

    k = 100_000
    t = now()
    await asyncio.gather(player(a, b, k, False), player(b, a, k, True))
    put("channel hop", (now() - t) / (2 * k))

    lock = asyncio.Lock()

    async def lock_player():
        for _ in range(k):
            async with lock:
                await asyncio.sleep(0)

    t = now()
    await asyncio.gather(lock_player(), lock_player())
    put("mutex hand-over", (now() - t) / (2 * k))
    t = now()
    for _ in range(k):
        async with lock:
            pass
    put("mutex lock+unlock, free", (now() - t) / k)
    t = now()
    for _ in range(5000):
        await loop.run_in_executor(None, int)
    put("pool round trip", (now() - t) / 5000 / 1e3, "us")

    over = []
    for _ in range(500):
        t = now()
        await asyncio.sleep(0.001)
        over.append((now() - t - 1_000_000) / 1e3)
    over.sort()
    put("sleep 1 ms: overshoot p50", over[250], "us")
    put("sleep 1 ms: overshoot p99", over[495], "us")

    other, up = None, threading.Event()

    def thread():
        nonlocal other

        async def run():
            nonlocal other, stop
            other, stop = asyncio.get_running_loop(), asyncio.Event()
            up.set()
            await stop.wait()

        asyncio.run(run())

    stop = None
    th = threading.Thread(target=thread)
    th.start()
    up.wait()
    rounds, left, fin = 10_000, 10_000, loop.create_future()

    def pong():
        nonlocal left
        left -= 1
        if left:
            other.call_soon_threadsafe(ping)
        else:
            fin.set_result(None)

    def ping():
        loop.call_soon_threadsafe(pong)

    t = now()
    other.call_soon_threadsafe(ping)
    await fin
    put("cross-thread round trip", (now() - t) / rounds / 1e3, "us")
    other.call_soon_threadsafe(stop.set)
    th.join()

    noop = lambda: None
    keep = [loop.call_later(60 + (i * 7919 % 1_000_000) / 1000, noop) for i in range(1_000_000)]
    m = 100_000
    t = now()
    for i in range(m):
        loop.call_later(60 + (i * 104729 % 1_000_000) / 1000, noop).cancel()
    put("timer arm+cancel, 1e6 outstanding", (now() - t) / m)
    sys.stdout.flush()
    os._exit(0)


async def spawn():
    n = 500
    t, c = time.perf_counter(), cpu()
    for _ in range(n):
        p = await asyncio.create_subprocess_exec("/bin/true")
        await p.wait()
    put("spawn+wait", n / (time.perf_counter() - t), "per s")
    put("parent CPU per spawn", (cpu() - c) * 1e6 / n, "us")
    put("wall per spawn", (time.perf_counter() - t) * 1e6 / n, "us")
    t, c = time.perf_counter(), cpu()
    for _ in range(n):
        p = await asyncio.create_subprocess_exec("/bin/echo", "hello", stdout=asyncio.subprocess.PIPE)
        if (await p.communicate())[0] != b"hello\n":
            sys.exit(1)
    put("parent CPU per capture", (cpu() - c) * 1e6 / n, "us")
    put("wall per capture", (time.perf_counter() - t) * 1e6 / n, "us")


async def files():
    import aiofiles

    d = os.environ.get("PEERS_BUILD", ".") + "/files/"
    for p in range(2):
        it = iter(range(2000))  # a fifth of the set: aiofiles is slow

        async def lane():
            for i in it:
                async with aiofiles.open(d + str(i), "rb") as f:
                    if len(await f.read()) != 4096:
                        sys.exit(1)

        t, c = time.perf_counter(), cpu()
        await asyncio.gather(*(lane() for _ in range(64)))
        if p:
            put("files", 2000 / (time.perf_counter() - t), "per s")
            put("CPU per file", (cpu() - c) * 1e6 / 2000, "us")
    t, c = time.perf_counter(), cpu()
    for i in range(2000):
        async with aiofiles.open(d + str(i), "rb") as f:
            await f.read()
    put("files, one at a time", 2000 / (time.perf_counter() - t), "per s")
    put("CPU per file, one at a time", (cpu() - c) * 1e6 / 2000, "us")


if sys.argv[1] == "uvloop":
    import uvloop

    uvloop.install()
what = sys.argv[2] if len(sys.argv) > 2 else "micro"
if what == "micro":
    os.sched_setaffinity(0, {0, 1})
asyncio.run({"micro": micro, "spawn": spawn, "files": files}[what]())
