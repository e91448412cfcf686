#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ws_client.py URL [CERTIFICATE]: python3-websockets against an echo server; ends with 0 if all of it agrees."""
import asyncio
import os
import ssl
import sys

import websockets


async def check(url, tls):
    for compression in (None, "deflate"):
        async with websockets.connect(url, ssl=tls, max_size=None, compression=compression) as peer:
            for text in ("", "a", "ä" * 100, "x" * 126, "y" * 65_536, "z" * 70_000):
                await peer.send(text)
                assert await peer.recv() == text
            for size in (0, 125, 65_535, 65_536, 300_000):
                data = os.urandom(size)
                await peer.send(data)
                assert await peer.recv() == data
            await peer.send(["in ", "several ", "fragments"])
            assert await peer.recv() == "in several fragments"
            await asyncio.wait_for(await peer.ping(b"beat"), 20)
            many = [f"message {n}" for n in range(1_000)]
            for text in many:  # None is read in between.
                await peer.send(text)
            assert [await peer.recv() for _ in many] == many
            await peer.close(4_001, "enough")
        assert peer.close_code == 4_001, peer.close_code
    together = [websockets.connect(url, ssl=tls) for _ in range(50)]
    peers = await asyncio.gather(*together)
    await asyncio.gather(*(peer.send(str(n)) for n, peer in enumerate(peers)))
    assert await asyncio.gather(*(peer.recv() for peer in peers)) == [str(n) for n in range(50)]
    await asyncio.gather(*(peer.close() for peer in peers))


def main():
    tls = ssl.create_default_context(cafile=sys.argv[2]) if len(sys.argv) > 2 else None
    asyncio.run(asyncio.wait_for(check(sys.argv[1], tls), 60))


if __name__ == "__main__":
    main()
