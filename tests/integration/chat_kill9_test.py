#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""25 times kill -9 under load on the same data; then the history is checked against what every
client was told: nothing acknowledged is lost, doubled or moved, no gap, nobody's words appear that
nobody said. CYCLES=1000 for the long run."""
import os
import random
import shutil
import signal
import tempfile
import threading
import time

from chat_server import Lines, Server, equal, main

CYCLES = int(os.environ.get("CYCLES", "25"))
CLIENTS = 4


class Talker:
    """Sends on, whatever happens; keeps an outbox like a browser does, in order, with its cids."""

    def __init__(self, number):
        self.number, self.made, self.outbox = number, 0, []
        self.acked, self.said = {}, {}
        self.token, self.errors = None, []

    def next_entry(self):
        self.made += 1
        cid, body = f"t{self.number}-{self.made}", f"{self.number}:{self.made}"
        self.said[cid] = body
        self.outbox.append((cid, body))

    def talk(self, address, stop):
        try:
            line = Lines(address, name=None if self.token else f"talker{self.number}", token=self.token)
            self.token = line.token
            window = 16
            sent = 0
            while not stop.is_set():
                while len(self.outbox) < window:
                    self.next_entry()
                while sent < window:
                    line.send(*self.outbox[sent])
                    sent += 1
                frame = line.want("ack")
                seq = self.acked.setdefault(frame["cid"], frame["seq"])
                if seq != frame["seq"]:
                    self.errors.append(f"{frame['cid']} was acknowledged as {seq} and as {frame['seq']}")
                if self.outbox[0][0] != frame["cid"]:
                    self.errors.append(f"{frame['cid']} was acknowledged before {self.outbox[0][0]}")
                self.outbox = [entry for entry in self.outbox if entry[0] != frame["cid"]]
                sent -= 1
        except (OSError, EOFError):
            pass  # Killed: what the outbox holds goes out again with the same cids.


def history(server, token):
    line, events = Lines(server.door("lines"), token=token), []
    line.say({"t": "sync", "room": "lobby", "after": 0})
    while True:
        frame = line.next()
        if frame["t"] == "page":
            events += frame["events"]
        elif frame["t"] == "resumed":
            return events


def check(events, talkers):
    equal([e["seq"] for e in events], list(range(1, len(events) + 1)), "dense sequence: no gap, no double")
    stamps = [e["ts"] for e in events]
    if any(b <= a for a, b in zip(stamps, stamps[1:])):
        raise AssertionError("time stamps do not increase")
    stored = {}
    for e in events:
        if e["cid"] in stored:
            raise AssertionError(f"duplicate {e['cid']}")
        stored[e["cid"]] = e
    lost = moved = phantom = 0
    for talker in talkers:
        equal(talker.errors, [], "acknowledgements")
        for cid, seq in talker.acked.items():
            lost += cid not in stored
            moved += cid in stored and stored[cid]["seq"] != seq
        mine = [int(e["body"].split(":")[1]) for e in events if e["body"].startswith(f"{talker.number}:")]
        equal(mine, sorted(mine), "a sender's own order")
    said = {cid: body for talker in talkers for cid, body in talker.said.items()}
    phantom = sum(said.get(cid) != e["body"] for cid, e in stored.items())
    equal((lost, moved, phantom), (0, 0, 0), "lost, moved, phantom")


def killed_again_and_again():
    """Every acknowledged message is there once and in order after each kill -9."""
    data, talkers, chance = tempfile.mkdtemp(prefix="rondo-kill-"), [Talker(n) for n in range(CLIENTS)], random.Random(7)
    try:
        for _ in range(CYCLES):
            server, stop = Server(data=data, args=["--send-limit", "0"]), threading.Event()
            address = server.door("lines")
            threads = [threading.Thread(target=t.talk, args=(address, stop)) for t in talkers]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.02, 0.4))
            server.stop(signal.SIGKILL)
            stop.set()
            for thread in threads:
                thread.join(30)
        with Server(data=data, args=["--send-limit", "0"]) as server:
            events = history(server, talkers[0].token)
        acked = sum(len(t.acked) for t in talkers)
        print(f"{CYCLES} kills, {acked} acknowledged, {len(events)} stored")
        if acked < CYCLES:
            raise AssertionError("there was no load")
        check(events, talkers)
    finally:
        shutil.rmtree(data, ignore_errors=True)


main([killed_again_and_again])
