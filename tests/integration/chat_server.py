# SPDX-License-Identifier: Apache-2.0
"""A `rondo chat` on free ports for the tests of this folder, a client of its lines door, counting."""
import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("RONDO_PROGRAM", os.path.join(ROOT, "build/release/bin/rondo"))
PATIENCE = 30


class Server:
    def __init__(self, data=None, args=(), stdin=subprocess.DEVNULL):
        self.data = data or tempfile.mkdtemp(prefix="rondo-chat-")
        self.own_data = data is None
        argv = [PROGRAM, "chat", "--data", self.data]
        for name in ("--listen", "--classic", "--lines"):
            if name not in args:
                argv += [name, "127.0.0.1:0"]
        self.process = subprocess.Popen(argv + list(args), stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.errors, self.doors, self.url = [], {}, ""
        self.told = threading.Event()
        threading.Thread(target=self.read_errors, daemon=True).start()
        self.guard = threading.Timer(PATIENCE, self.process.kill)
        self.guard.start()
        line = self.process.stdout.readline()
        self.guard.cancel()
        found = re.match(r"ready on (https?://\S+)", line)
        if not found:
            self.process.wait(PATIENCE)
            raise RuntimeError(f"the server is not ready: {line!r} {self.errors}")
        self.url = found.group(1)
        for name in ("classic", "lines"):
            if f"--{name}" not in args and not self.door(name):
                raise RuntimeError(f"the server told no {name} door: {self.errors}")

    def read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.rstrip())
            found = re.search(r" (classic|lines) door on ([\d.]+):(\d+)", line)
            if found:
                self.doors[found.group(1)] = (found.group(2), int(found.group(3)))
                self.told.set()

    def door(self, name):
        for _ in range(100):
            if name in self.doors:
                return self.doors[name]
            self.told.wait(0.1)
            self.told.clear()
        return None

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status

    def close(self):
        self.stop()
        if self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Lines:
    """One connection to the lines door; frames are read by a thread, so that nothing blocks it."""

    def __init__(self, address, name=None, token=None, room="lobby"):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.settimeout(None)
        self.frames = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.hello = self.want("hello")
        if name is None and token is None:
            return
        self.say({"t": "auth", "token": token} if token else {"t": "auth", "guest": name})
        self.welcome = self.want("welcome")
        self.user, self.token = self.welcome["user"], self.welcome.get("token", token)
        self.say({"t": "join", "room": room, "create": True})
        self.joined = self.want("joined")

    def read(self):
        try:
            with self.socket.makefile("rb") as stream:
                for line in stream:
                    self.frames.put(json.loads(line))
        except (OSError, ValueError):
            pass
        self.frames.put(None)

    def say(self, frame):
        self.socket.sendall(json.dumps(frame).encode() + b"\n")

    def next(self, seconds=PATIENCE):
        return self.frames.get(timeout=seconds)

    def want(self, kind, test=lambda frame: True):
        """The next frame of that kind; others are dropped."""
        while True:
            frame = self.next()
            if frame is None:
                raise EOFError(f"closed while waiting for {kind}")
            if frame["t"] == kind and test(frame):
                return frame

    def send(self, cid, body, room="lobby"):
        self.say({"t": "send", "room": room, "cid": cid, "body": body})

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} is not {wanted!r}")


def main(cases):
    """Runs the functions, prints `N passed, N failed`, ends the process."""
    failed = 0
    for case in cases:
        try:
            case()
            print(f"passed: {case.__doc__ or case.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED: {case.__doc__ or case.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
