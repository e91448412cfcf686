#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rondo join: scripts that say something, reconnecting with the outbox, safe output."""
import signal
import subprocess
import threading

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
    helped = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=10)
    equal((helped.returncode, "rondo chat" in helped.stdout), (0, True), "help")
    equal(subprocess.run([PROGRAM, "dance"], capture_output=True, timeout=10).returncode, 2, "unknown command")


main([piped, rate_limited, reconnects, safe_output, stops, usage])
