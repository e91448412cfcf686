#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The protocol over JSON lines: acknowledgements, order, resuming, limits, slow readers, stopping."""
import json
import signal
import socket
import subprocess
import time

from chat_server import PROGRAM, Lines, Server, equal, main


def acknowledged_once():
    """A message sent again with its cid gets the same answer with dup, and is stored once."""
    with Server() as server:
        ada = Lines(server.door("lines"), "Ada")
        ada.send("c1", "ship it")
        first = ada.want("ack")
        ada.send("c1", "ship it")
        again = ada.want("ack")
        equal((again["seq"], again["ts"], again["dup"]), (first["seq"], first["ts"], True), "the repeat")
        ada.close()
        back = Lines(server.door("lines"), token=ada.token)
        equal(back.user, ada.user, "the token keeps who we are")
        back.send("c1", "ship it")
        equal(back.want("ack")["dup"], True, "also on another connection")
        back.say({"t": "history", "room": "lobby", "before": 100})
        equal([e["body"] for e in back.want("page")["events"]], ["ship it"], "history")


def half_closed():
    """Who sends lines and then shuts its writing side down gets every answer before the end."""
    with Server(args=["--send-limit", "0"]) as server:
        ada = Lines(server.door("lines"))
        frames = [{"t": "auth", "guest": "Ada"}, {"t": "join", "room": "lobby"}]
        frames += [{"t": "send", "room": "lobby", "cid": f"c{n}", "body": f"line {n}"} for n in range(300)]
        frames.append({"t": "history", "room": "lobby", "before": 1000, "limit": 3})
        ada.socket.sendall("".join(json.dumps(frame) + "\n" for frame in frames).encode())
        ada.socket.shutdown(socket.SHUT_WR)
        got = []
        while (frame := ada.next()) is not None:
            got.append(frame)
        equal([f["cid"] for f in got if f["t"] == "ack"], [f"c{n}" for n in range(300)], "acks")
        equal(len([f for f in got if f["t"] == "page"]), 1, "the page")
        equal(len([f for f in got if f["t"] == "ev"]), 300, "events")


def resumes():
    """After a lost connection resume brings what was missed, before what is live."""
    with Server(args=["--send-limit", "0"]) as server:
        ada, rahul = (Lines(server.door("lines"), name) for name in ("Ada", "Rahul"))
        ada.send("a0", "zero")
        seen = rahul.want("ev")["seq"]
        rahul.close()
        for n in range(300):
            ada.send(f"a{n + 1}", f"missed {n} " + "y" * 1000)
        for _ in range(301):
            ada.want("ack")
        back = Lines(server.door("lines"))
        back.say({"t": "auth", "token": rahul.token})
        back.want("welcome")
        back.say({"t": "resume", "epoch": back.hello["epoch"], "cursors": {"lobby": seen, "nowhere": 1}})
        ada.send("live", "live")
        got, pages, last = [], 0, None
        while last != "live":
            frame = back.next()
            if frame["t"] == "page":
                pages += 1
                got += [e["seq"] for e in frame["events"]]
                last = frame["events"][-1]["body"]
            elif frame["t"] == "ev":
                got.append(frame["seq"])
                last = frame["body"]
        equal(got, list(range(seen + 1, seen + 302)), "sequence numbers")
        if pages < 2:
            raise AssertionError("300 kB came in one page")
        back.say({"t": "resume", "epoch": "another", "cursors": {"lobby": 1}})
        back.want("reset")
        back.say({"t": "sync", "room": "lobby", "after": 10_000})
        back.want("reset")


def gone_room():
    """A cursor of a room that does not exist is answered with gone; joining it with no_such_room."""
    with Server() as server:
        ada = Lines(server.door("lines"), "Ada")
        ada.say({"t": "resume", "epoch": ada.hello["epoch"], "cursors": {"nowhere": 1}})
        equal(ada.want("gone")["room"], "nowhere", "gone")
        ada.say({"t": "join", "room": "nowhere"})
        equal(ada.want("error")["code"], "no_such_room", "join")
        ada.say({"t": "join", "room": "no spaces here", "create": True})
        refused = ada.want("error")
        equal((refused["code"], "1 to 64 letters" in refused["detail"]), ("bad_room", True), "name")
        long = Lines(server.door("lines"))
        long.say({"t": "auth", "guest": "n" * 60})
        refused = long.want("error")
        equal((refused["code"], "at most 32 characters; this one has 60" in refused["detail"]),
              ("bad_name", True), "a long name")


def presence_and_reading():
    """Presence, typing and read markers reach whom they concern."""
    with Server() as server:
        ada = Lines(server.door("lines"), "Ada")
        rahul = Lines(server.door("lines"), "Rahul")
        equal(ada.want("presence")["state"], "joined", "joined")
        equal(sorted(u["name"] for u in rahul.joined["members"]), ["Ada", "Rahul"], "members")
        rahul.say({"t": "typing", "room": "lobby"})
        equal(ada.want("typing")["user"]["name"], "Rahul", "typing")
        ada.send("c1", "one")
        ada.want("ack")
        second = Lines(server.door("lines"), token=ada.token)
        ada.say({"t": "read", "room": "lobby", "seq": 1})
        equal(second.want("read")["seq"], 1, "the other session")
        second.say({"t": "read", "room": "lobby", "seq": 0})
        second.say({"t": "rooms"})
        equal(second.want("rooms")["rooms"][0]["read"], 1, "never back")
        rahul.say({"t": "leave", "room": "lobby"})
        rahul.want("left")
        equal(ada.want("presence")["state"], "left", "left")


def refusals():
    """Limits and nonsense are answered; ten bad frames close the connection."""
    with Server() as server:
        ada = Lines(server.door("lines"), "Ada")
        ada.send("long", "z" * 16385)
        equal(ada.want("nack")["code"], "too_large", "body")
        ada.send("blank", " \n ")
        equal(ada.want("nack")["code"], "bad_body", "blank")
        ada.send("elsewhere", "x", room="build")
        equal(ada.want("nack")["code"], "not_a_member", "room")
        for n in range(21):
            ada.send(f"r{n}", "spam")
        nack = ada.want("nack")
        equal((nack["cid"], nack["code"]), ("r20", "rate_limited"), "the 21st")
        if not 1 <= nack["retry_after"] <= 10:
            raise AssertionError(nack)
        ada.say({"t": "dance"})
        equal(ada.want("error")["code"], "unknown_kind", "unknown kind")
        deep = '{"t":' + "[" * 100_000
        for bad in ("{", "[]", "7", '{"t":1}', '{"t":"send"}', '{"t":"read","room":"lobby","seq":1e300}',
                    '{"t":"join","room":"\\ud800"}', deep[:60000], '{"t":"ping"'):
            ada.socket.sendall(bad.encode() + b"\n")
        while ada.next() is not None:
            pass


def slow_readers():
    """Readers that stop are not cut off, cost their budget, and get everything when they read on."""
    count, text = 1500, "x" * 2000
    with Server(args=["--send-limit", "0"]) as server:
        fast = Lines(server.door("lines"), "Fast")
        slow = []
        for n in range(10):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(server.door("lines"))
            peer.sendall(f'{{"t":"auth","guest":"slow{n}"}}\n{{"t":"join","room":"lobby"}}\n'.encode())
            stream = peer.makefile("rb")
            while b'"joined"' not in stream.readline():
                pass
            slow.append((peer, stream))
        for n in range(count):
            fast.send(f"c{n}", f"{n} {text}")
        for _ in range(count):
            fast.want("ack")
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
            rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        if rss > 200_000:
            raise AssertionError(f"{rss} kB for ten readers with a budget of 256 kB each")
        for peer, stream in slow:
            got = []
            while len(got) < count:
                frame = json.loads(stream.readline())
                events = frame["events"] if frame["t"] == "page" else [frame] if frame["t"] == "ev" else []
                got += [int(e["body"].split()[0]) for e in events if e["seq"] > len(got)]
            equal(got, list(range(count)), "a slow reader's messages")
            peer.close()


def stops():
    """SIGTERM ends the server with status 0 within its grace; what was acknowledged is there again."""
    server = Server()
    ada = Lines(server.door("lines"), "Ada")
    ada.send("c1", "before the stop")
    ada.want("ack")
    started = time.monotonic()
    equal(server.stop(), 0, "exit status")
    if time.monotonic() - started > 20:
        raise AssertionError("stopping took too long")
    again = Server(data=server.data)
    back = Lines(again.door("lines"), token=ada.token)
    equal((back.hello["epoch"], back.user), (ada.hello["epoch"], ada.user), "epoch and user")
    back.say({"t": "history", "room": "lobby", "before": 10})
    equal([e["body"] for e in back.want("page")["events"]], ["before the stop"], "history")
    again.stop(signal.SIGTERM)
    server.close()


def second_server():
    """A second server on the same data is refused with the first one's PID; a used port names its option."""
    with Server() as server:
        def start(*args):
            return subprocess.run([PROGRAM, "chat", *args], capture_output=True, text=True, timeout=30)
        port = server.url.rsplit(":", 1)[1]
        off = ["--classic", "off", "--lines", "off"]
        refused = start("--data", server.data, "--listen", "127.0.0.1:0", *off)
        equal(refused.returncode, 1, "status")
        equal(refused.stderr, f"rondo chat: --data {server.data} is in use by the server with PID "
                              f"{server.process.pid} (stop it, or choose another folder)\n", "in use")
        refused = start("--data", server.data + "/other", "--listen", f"127.0.0.1:{port}", *off)
        equal(refused.returncode, 1, "status")
        if "--listen" not in refused.stderr or port not in refused.stderr:
            raise AssertionError(refused.stderr)


main([acknowledged_once, half_closed, resumes, gone_room, presence_and_reading, refusals, slow_readers, stops, second_server])
