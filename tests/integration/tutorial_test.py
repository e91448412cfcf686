#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs of the tutorial, built as the reader builds them, do what their pages say."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading

from chat_server import PATIENCE, PROGRAM, ROOT, equal, main

BUILD = os.path.dirname(os.path.dirname(PROGRAM))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Tutorial:
    """The program of one page on a free port."""

    def __init__(self, page):
        with open(os.path.join(ROOT, "docs/tutorial", page), encoding="utf-8") as text:
            source = re.search(r"^```cpp\n(.*?)^```", text.read(), re.M | re.S).group(1)
        self.port = free_port()
        equal(source.count("127.0.0.1:7777") > 0, True, "an address in the program")
        source = source.replace("127.0.0.1:7777", f"127.0.0.1:{self.port}")
        with open(os.path.join(BUILD, "rondo.pc"), encoding="utf-8") as text:
            needs = re.search(r"^Requires: (.*)$", text.read(), re.M).group(1).split()
        libraries = subprocess.run(["pkg-config", "--libs", *needs], capture_output=True, text=True, check=True).stdout
        self.folder = tempfile.TemporaryDirectory()
        program = os.path.join(self.folder.name, "program")
        built = subprocess.run(["clang++-19", "-std=c++23", "-x", "c++", "-", "-x", "none", "-I", f"{ROOT}/include",
                                "-o", program, f"{BUILD}/librondo.a", "-pthread", *libraries.split()],
                               input=source, capture_output=True, text=True, timeout=300)
        equal(built.returncode, 0, built.stderr[:2000])
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.folder.cleanup()

    def connect(self):
        for _ in range(PATIENCE * 20):
            try:
                return socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    raise
                threading.Event().wait(0.05)
        raise AssertionError("the program never listened")


class Guest:
    """Says a name, and reads at once whatever comes."""

    def __init__(self, tutorial, name):
        self.socket = tutorial.connect()
        self.lines, self.came = [], threading.Condition()
        self.stream = self.socket.makefile("rb")
        equal(self.stream.read(11), b"Your name? ", "the question")
        self.socket.sendall(name.encode() + b"\n")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.stream:
            with self.came:
                self.lines.append(line.decode().rstrip("\n"))
                self.came.notify_all()

    def want(self, line):
        with self.came:
            if not self.came.wait_for(lambda: line in self.lines[-5000:], PATIENCE):
                raise AssertionError(f"{line!r} never came; the last are {self.lines[-3:]}")


def echo():
    """Step 1: every byte comes back, and Ctrl+C ends it."""
    with Tutorial("01-an-echo-server.md") as program:
        with program.connect() as peer:
            peer.sendall(b"hello\n")
            equal(peer.makefile("rb").readline(), b"hello\n", "the echo")
        program.process.send_signal(signal.SIGINT)
        equal(program.process.wait(PATIENCE), 0, "status")


def nobody_who_reads_misses_a_line():
    """Step 3: in a burst of several guests at once, whoever reads gets every line, in order."""
    count = 5000
    with Tutorial("03-time.md") as program:
        ada = Guest(program, "Ada")
        rahul = Guest(program, "Rahul")
        ada.want("Rahul has joined")
        mira = Guest(program, "Mira")
        for guest in (ada, rahul):
            guest.want("Mira has joined")
        senders = [threading.Thread(target=guest.socket.sendall, args=(
            "".join(f"{n}\n" for n in range(count)).encode(),)) for guest in (ada, rahul)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(PATIENCE)
        for name in ("Ada", "Rahul"):
            mira.want(f"{name}: {count - 1}")
        ada.want(f"Rahul: {count - 1}")
        rahul.want(f"Ada: {count - 1}")
        for reader, name in ((mira, "Ada"), (mira, "Rahul"), (ada, "Rahul"), (rahul, "Ada")):
            said = [line for line in reader.lines if line.startswith(f"{name}: ")]
            equal(said == [f"{name}: {n}" for n in range(count)], True, f"what {name} said")
        rahul.socket.shutdown(socket.SHUT_WR)
        ada.want("Rahul has left")


def pictures_at_once_take_less_than_one_after_the_other():
    """Step 6: both ways bring all bytes; forty waits in a row take their sum at least."""
    with Tutorial("06-many-things-at-once.md") as program:
        said = program.process.communicate(timeout=PATIENCE)[0].decode()
        equal(program.process.returncode, 0, "status")
    found = re.fullmatch(r"80000 bytes; one after the other (\d+) ms, twenty at a time (\d+) ms\n", said)
    equal(found is not None, True, said)
    one_by_one, at_once = map(int, found.groups())
    equal(one_by_one >= 2400, True, said)
    equal(at_once >= 100, True, said)


main([echo, nobody_who_reads_misses_a_line, pictures_at_once_take_less_than_one_after_the_other])
