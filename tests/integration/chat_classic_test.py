#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The classic door, spoken to by a client written from the description of the old protocol."""
import socket
import subprocess

from chat_server import Lines, Server, equal, main


class Classic:
    """Each frame: the length in characters, left-justified in 10 characters, then the text."""

    def __init__(self, address, name):
        self.socket = socket.create_connection(address, 30)
        self.stream = self.socket.makefile("r", encoding="utf-8", newline="")
        self.send(name)

    def send(self, text):
        self.socket.sendall(f"{len(text):<10}{text}".encode())

    def read_frame(self):
        header = self.stream.read(10)
        return self.stream.read(int(header)) if header else None

    def receive(self):
        return self.read_frame(), self.read_frame()

    def close(self):
        self.stream.close()
        self.socket.close()


def talk_between_doors():
    """Classic and lines users talk in one room; no echo; joining and leaving are announced."""
    with Server() as server:
        ada = Classic(server.door("classic"), "ada lovelace")
        line = Lines(server.door("lines"), "Rahul")
        equal(ada.receive(), ("Server", "Rahul has joined the group!!"), "announcement")
        ada.send("Grüße aus München")
        event = line.want("ev")
        equal((event["from"]["name"], event["body"]), ("Ada Lovelace", "Grüße aus München"), "event")
        line.send("c1", "hello there")
        equal(ada.receive(), ("Rahul", "hello there"), "message, and no echo before it")
        grace = Classic(server.door("classic"), "GRACE")
        equal(ada.receive(), ("Server", "Grace has joined the group!!"), "title case")
        grace.send("hi")
        equal(ada.receive(), ("Grace", "hi"), "classic to classic")
        equal(line.want("ev", lambda e: e["body"] == "hi")["from"]["name"], "Grace", "to lines")
        grace.close()
        equal(ada.receive(), ("Server", "Grace has left the group!!"), "leaving")
        line.close()
        equal(ada.receive(), ("Server", "Rahul has left the group!!"), "leaving by another door")


def any_cut():
    """Frames survive being split byte by byte and merged."""
    with Server() as server:
        line = Lines(server.door("lines"), "Rahul")
        peer = socket.create_connection(server.door("classic"), 30)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = b"".join(f"{len(t):<10}{t}".encode() for t in ("mira", "ä€😀", "two", "three"))
        for byte in stream[:40]:
            peer.sendall(bytes([byte]))
        peer.sendall(stream[40:])
        equal([line.want("ev")["body"] for _ in range(3)], ["ä€😀", "two", "three"], "bodies")
        peer.close()


def bad_input():
    """A bad header, a length that is too long and bytes that are no UTF-8 close only their sender."""
    with Server() as server:
        line = Lines(server.door("lines"), "Rahul")
        for bad in (b"abcdefghij", b"99999999  x", b"4         mira3         \xff\xfe\xfd", b"          "):
            peer = socket.create_connection(server.door("classic"), 30)
            peer.sendall(bad)
            while peer.recv(4096):
                pass
            peer.close()
        line.send("c1", "still here")
        line.want("ack")


def same_name():
    """A second user of one name gets another one; a name comes back to its owner's identity."""
    with Server() as server:
        line = Lines(server.door("lines"), "Watcher")
        first = Classic(server.door("classic"), "ada")
        equal(line.want("presence")["user"]["name"], "Ada", "first")
        second = Classic(server.door("classic"), "Ada")
        equal(line.want("presence")["user"]["name"], "Ada-2", "second")
        first.close()
        gone = line.want("presence", lambda p: p["state"] == "left")
        again = Classic(server.door("classic"), "ada")
        back = line.want("presence", lambda p: p["state"] == "joined")
        equal(back["user"], gone["user"], "the same user again")
        again.close()
        second.close()


def console():
    """The console speaks as Server to every door."""
    with Server(args=["--console"], stdin=subprocess.PIPE) as server:
        ada = Classic(server.door("classic"), "ada")
        line = Lines(server.door("lines"), "Rahul")
        equal(ada.receive(), ("Server", "Rahul has joined the group!!"), "announcement")
        server.process.stdin.write("dinner is ready\n")
        server.process.stdin.flush()
        equal(ada.receive(), ("Server", "dinner is ready"), "classic")
        event = line.want("ev")
        equal((event["from"]["name"], event["body"]), ("Server", "dinner is ready"), "lines")
        server.process.stdin.close()
        ada.send("coming")
        equal(line.want("ev")["body"], "coming", "the chat goes on without its console")


def slow_reader():
    """A classic client that does not read is not cut off and gets everything, once and in order."""
    count, text = 400, "x" * 8000
    with Server(args=["--send-limit", "0"]) as server:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(server.door("classic"))
        slow.sendall(b"4         slow")
        line = Lines(server.door("lines"), "Fast")
        for n in range(count):
            line.send(f"c{n}", f"{n} {text}")
        for _ in range(count):
            line.want("ack")
        stream, got = slow.makefile("r", encoding="utf-8", newline=""), []
        while len(got) < count:
            name, body = (stream.read(int(stream.read(10))) for _ in range(2))
            if name != "Server":
                got.append(int(body.split()[0]))
        equal(got, list(range(count)), "messages")
        slow.close()


main([talk_between_doors, any_cut, bad_input, same_name, console, slow_reader])
