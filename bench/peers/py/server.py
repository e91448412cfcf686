# SPDX-License-Identifier: Apache-2.0
"""Python contender, asyncio or uvloop.   server.py LOOP MODE PORT

echo/sink/source/fanout use Protocol classes (the fast way); echo-streams uses
StreamReader/StreamWriter; http and ws/wsfan use aiohttp; ws-websockets uses websockets.
"""
import asyncio
import socket
import sys

loop_name, mode, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


class Base(asyncio.Protocol):
    def connection_made(self, t):
        self.t = t
        t.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Echo(Base):
    def data_received(self, data):
        self.t.write(data)


class Sink(Base):
    def data_received(self, data):
        pass


class Source(Base):
    block = b"z" * 65536
    paused = False

    def data_received(self, data):
        self.pump()

    def pump(self):
        for _ in range(16):
            if self.paused or self.t.is_closing():
                return
            self.t.write(self.block)
        asyncio.get_running_loop().call_soon(self.pump)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.pump()


class Member(Base):
    room = set()

    def connection_made(self, t):
        super().connection_made(t)
        self.part = b""
        self.room.add(t)

    def connection_lost(self, exc):
        self.room.discard(self.t)

    def data_received(self, data):
        *lines, self.part = (self.part + data).split(b"\n")
        for line in lines:
            line += b"\n"
            for t in self.room:
                t.write(line)


async def streams(r, w):
    try:
        while data := await r.read(4096):
            w.write(data)
            await w.drain()
    except ConnectionError:
        pass
    w.close()


async def main():
    loop = asyncio.get_running_loop()
    if mode == "http" or mode in ("ws", "wsfan"):
        from aiohttp import web

        async def hello(req):
            return web.Response(body=b"Hello, World!", content_type="text/plain")

        room = set()

        async def ws(req):
            s = web.WebSocketResponse(compress=False)
            await s.prepare(req)
            room.add(s)
            async for m in s:
                if mode == "ws":
                    await s.send_str(m.data)
                else:
                    for x in list(room):
                        await x.send_str(m.data)
            room.discard(s)
            return s

        app = web.Application()
        app.router.add_get("/", hello if mode == "http" else ws)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    elif mode in ("ws-websockets", "wsfan-websockets"):
        import websockets

        members = set()

        async def handler(s):
            members.add(s)
            try:
                async for m in s:
                    if mode == "ws-websockets":
                        await s.send(m)
                    else:
                        websockets.broadcast(members, m)
            except websockets.ConnectionClosed:
                pass
            members.discard(s)

        await websockets.serve(handler, "127.0.0.1", port, backlog=4096, compression=None, ping_interval=None)
    elif mode == "echo-streams":
        await asyncio.start_server(streams, "127.0.0.1", port, backlog=4096)
    else:
        cls = {"echo": Echo, "sink": Sink, "source": Source, "fanout": Member}[mode]
        await loop.create_server(cls, "127.0.0.1", port, backlog=4096)
    print("READY", flush=True)
    await asyncio.Event().wait()


if loop_name == "uvloop":
    import uvloop

    uvloop.install()
asyncio.run(main())
