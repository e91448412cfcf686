#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rondo join: scripts that say something, reconnecting with the outbox, safe output."""
import os
import pty
import select
import signal
import socket
import subprocess
import threading
import time

from chat_server import PROGRAM, Lines, Server, equal, main


def join(*args, text=None, **kwargs):
    return subprocess.run([PROGRAM, "join", *args], input=text, capture_output=True, text=True,
                          timeout=60, **kwargs)


def piped():
    """Every line of a pipe is stored in order, and the program ends when all are acknowledged."""
    with Server(args=["--send-limit", "0"]) as server:
        line = Lines(server.door("lines"), "Watcher")
        ran = join(server.url, "--name", "ci", text="one\n\ntwo\nthree without an end")
        equal((ran.returncode, ran.stderr), (0, ""), "status")
        equal([line.want("ev")["body"] for _ in range(3)], ["one", "two", "three without an end"], "bodies")
        ran = join(server.url, "--name", "ci", "--room", "build", text="green\n")
        equal(ran.returncode, 0, "another room")
        ran = join("--classic", "{}:{}".format(*server.door("classic")), "--name", "old", text="hello\n")
        equal(ran.returncode, 0, "classic")
        equal(line.want("ev")["body"], "hello", "classic line")


def rate_limited():
    """A script that is too fast is slowed down, not cut off: 15 lines arrive."""
    with Server(args=["--send-limit", "10"]) as server:
        line = Lines(server.door("lines"), "Watcher")
        ran = join(server.url, "--name", "ci", text="".join(f"{n}\n" for n in range(15)))
        equal(ran.returncode, 0, "status")
        equal([line.want("ev")["body"] for _ in range(15)], [str(n) for n in range(15)], "bodies")


def reconnects():
    """After the server was killed and started again the outbox goes out, each line once."""
    first = Server(args=["--send-limit", "0"])
    port = first.url.rsplit(":", 1)[1]
    with subprocess.Popen([PROGRAM, "join", first.url, "--name", "ci"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        watcher = Lines(first.door("lines"), "Watcher")
        client.stdin.write("before\n")
        client.stdin.flush()
        watcher.want("ev")
        first.stop(signal.SIGKILL)
        client.stdin.write("while it was away\n")
        client.stdin.flush()
        second = Server(data=first.data, args=["--listen", f"127.0.0.1:{port}", "--send-limit", "0"])
        client.stdin.write("after\n")
        client.stdin.close()
        guard = threading.Timer(40, client.kill)
        guard.start()
        equal(client.wait(), 0, "status")
        guard.cancel()
        back = Lines(second.door("lines"), token=watcher.token)
        back.say({"t": "history", "room": "lobby", "before": 100})
        equal([e["body"] for e in back.want("page")["events"]], ["before", "while it was away", "after"], "history")
        second.stop()
    first.close()


class Terminal:
    """`rondo join` in a terminal of its own."""

    def __init__(self, *args):
        self.end, far = pty.openpty()
        self.process = subprocess.Popen([PROGRAM, "join", *args], stdin=far, stdout=far, stderr=far)
        os.close(far)
        self.text = ""

    def want(self, text):
        """Reads until the text is on the screen."""
        end = time.monotonic() + 30
        while text not in self.text:
            if not select.select([self.end], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError(f"{text!r} never came: {self.text!r}")
            try:
                self.text += os.read(self.end, 65536).decode().replace("\r\n", "\n")
            except OSError as ended:
                raise AssertionError(f"{text!r} never came: {self.text!r}") from ended

    def type(self, text):
        os.write(self.end, text.encode())

    def close(self):
        status = self.process.wait(30)
        os.close(self.end)
        return status


def greets():
    """A terminal is told where it is, who is here, how to leave, and the last ten messages in order."""
    with Server(args=["--send-limit", "0"]) as server:
        address = server.url.removeprefix("http://")
        mira = Lines(server.door("lines"), "Mira")
        for n in range(12):
            mira.send(f"c{n}", f"line {n}")
            mira.want("ack")
        screen = Terminal(server.url, "--name", "Ada")
        screen.want("Mira: line 11\n")
        equal(screen.text, "".join(f"{line}\n" for line in (
            f"#lobby on {address}, you are Ada.", "Here: Mira.", "A line and Enter says it; Ctrl+D leaves.",
            *(f"Mira: line {n}" for n in range(2, 12)))), "screen")
        mira.send("next", "and now")
        screen.want("Mira: and now\n")
        screen.type("hello\n")
        equal(mira.want("ev", lambda f: f["from"]["name"] == "Ada")["body"], "hello", "what was typed")
        screen.type("\x04")
        equal(screen.close(), 0, "status after Ctrl+D")
        first = Terminal(server.url, "--name", "Ada", "--room", "new")
        first.want("Nobody else is here.\nA line and Enter says it; Ctrl+D leaves.\n")
        first.type("\x04")
        equal(first.close(), 0, "status in an empty room")
        old = Terminal("--classic", "{}:{}".format(*server.door("classic")), "--name", "Ada")
        old.want("Connected to")
        old.type("\x04")
        equal(old.close(), 0, "status of the classic client")


def wrong_server():
    """What is no chat is told apart from nobody being there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        def answer():
            peer, _ = other.accept()
            peer.recv(4096)
            peer.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            peer.close()
        threading.Thread(target=answer, daemon=True).start()
        where = f"127.0.0.1:{other.getsockname()[1]}"
        ran = join(f"http://{where}", text="x\n")
        equal((ran.returncode, ran.stderr), (1, f"rondo join: cannot connect to {where}: the server answered 404 "
                                                "(that is no `rondo chat`)\n"), "another server")


def safe_output():
    """Escape sequences of others do not reach the terminal."""
    with Server() as server:
        with subprocess.Popen([PROGRAM, "join", server.url, "--name", "reader"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True) as client:
            line = Lines(server.door("lines"), "Eve")
            if "reader" not in [u["name"] for u in line.joined["members"]]:
                line.want("presence")
            line.send("c1", "a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x9bd\u202ee")
            line.want("ack")
            while True:
                shown = client.stdout.readline().rstrip("\n")
                if not shown.startswith("*"):
                    break
            equal(shown, "Eve: a]52;c;ZXZpbA==b[2Jcde", "line")
            client.stdin.close()
            equal(client.wait(30), 0, "status")


def stops():
    """SIGINT and SIGTERM end it at once, with status 0 when nothing waits to be stored."""
    with Server() as server:
        for how in (signal.SIGINT, signal.SIGTERM):
            watcher = Lines(server.door("lines"), "Watcher")
            with subprocess.Popen([PROGRAM, "join", server.url, "--name", "ci"], stdin=subprocess.PIPE) as client:
                watcher.want("presence")
                client.send_signal(how)
                equal(client.wait(30), 0, "status")
                client.stdin.close()
            watcher.close()


def usage():
    """Wrong use ends with status 2 and one line; no server, with status 1."""
    ran = join("--nonsense")
    equal((ran.returncode, ran.stderr.count("\n")), (2, 1), "unknown option")
    equal(join("ftp://x").returncode, 2, "scheme")
    equal(join("https://127.0.0.1:9", text="x\n").returncode, 1, "nobody there, over TLS")
    ran = join("http://127.0.0.1:9", text="x\n")
    equal(ran.returncode, 1, "nobody there")
    if "rondo join: cannot connect to 127.0.0.1:9" not in ran.stderr:
        raise AssertionError(ran.stderr)
    for args, words in ((["--room", "a b"], "1 to 64 letters"), (["--name", "n" * 60], "at most 32 characters"),
                        (["--classic", "localhost"], "HOST:PORT is wanted")):
        ran = join(*args)
        equal((ran.returncode, words in ran.stderr), (2, True), ran.stderr)
    for word in ("URL", "Ctrl+D", "RONDO_JOIN_", "RONDO_DRIVER", "Exit status", "--room", "--config"):
        equal(word in join("--help").stdout, True, word)
    helped = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=10)
    equal((helped.returncode, "rondo chat" in helped.stdout), (0, True), "help")
    equal(subprocess.run([PROGRAM, "dance"], capture_output=True, timeout=10).returncode, 2, "unknown command")


main([piped, rate_limited, reconnects, greets, wrong_server, safe_output, stops, usage])
