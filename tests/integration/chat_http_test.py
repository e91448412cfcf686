#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The HTTP API by curl: tokens, messages, pages, events, health, metrics, and who is refused."""
import json
import subprocess

from chat_server import Lines, Server, equal, main


def curl(server, path, *args, body=None, token=None):
    argv = ["curl", "-s", "-S", "-m", "20", "--noproxy", "*", "-w", "\n%{http_code}", *args]
    if body is not None:
        argv += ["--data-binary", "@-"]
    if token:
        argv += ["-H", f"Authorization: Bearer {token}"]
    sent = body if isinstance(body, (str, type(None))) else json.dumps(body)
    answer = subprocess.run(argv + [server.url + path], input=sent, capture_output=True, text=True, timeout=30)
    text, status = answer.stdout.rsplit("\n", 1)
    return int(status), text


def call(*args, **kwargs):
    status, text = curl(*args, **kwargs)
    return status, json.loads(text)


MESSAGES = "/api/v1/rooms/lobby/messages"


def messages():
    """Posting answers the ack, a repeat the same with dup; pages go both ways."""
    with Server() as server:
        status, made = call(server, "/api/v1/guest", body={"name": "bot"})
        equal((status, made["user"]["name"]), (201, "bot"), "guest")
        token = made["token"]
        for n in range(5):
            status, ack = call(server, MESSAGES, body={"cid": f"c{n}", "body": f"number {n}"}, token=token)
            equal((status, ack["seq"], ack["dup"]), (200, n + 1, False), "ack")
        status, again = call(server, MESSAGES, body={"cid": "c4", "body": "number 4"}, token=token)
        equal((again["seq"], again["ts"], again["dup"]), (5, ack["ts"], True), "repeat")
        def page(query):
            return [e["seq"] for e in call(server, MESSAGES + query, token=token)[1]["events"]]
        equal(page("?after=2"), [3, 4, 5], "after")
        equal(page("?before=3"), [1, 2], "before")
        equal(page("?limit=2"), [4, 5], "the newest")
        equal(page("?after=0&before=4&limit=2"), [1, 2], "a range")
        equal(curl(server, MESSAGES + "?after=x", token=token)[0], 400, "no number")


def refusals():
    """No token, a wrong one, bad bodies, unknown rooms and foreign hosts get their status."""
    with Server() as server:
        token = call(server, "/api/v1/guest", body={"name": "bot"})[1]["token"]
        equal(curl(server, MESSAGES)[0], 401, "no token")
        equal(curl(server, MESSAGES, token="0" * 64)[0], 401, "wrong token")
        equal(curl(server, MESSAGES, body="{", token=token)[0], 400, "bad JSON")
        equal(curl(server, MESSAGES, body={"cid": "c", "body": ""}, token=token)[0], 400, "empty")
        equal(curl(server, MESSAGES, body={"body": "x"}, token=token)[0], 400, "no cid")
        equal(curl(server, MESSAGES, body="[" * 131_073, token=token)[0], 413, "too large")
        equal(curl(server, "/api/v1/rooms/nowhere/messages", token=token)[0], 404, "room")
        equal(curl(server, "/api/v1/guest", body={"name": "\u202eeve"})[0], 400, "hidden characters")
        equal(curl(server, "/", "-H", "Host: attacker.example")[0], 421, "foreign host")
        equal(curl(server, "/nowhere")[0], 404, "path")
        upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
                   "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Origin: http://attacker.example"]
        equal(curl(server, "/ws", *upgrade)[0], 403, "foreign origin")
        for n in range(21):
            status = curl(server, MESSAGES, body={"cid": f"c{n}", "body": "spam"}, token=token)[0]
        equal(status, 429, "the 21st message in ten seconds")


def events():
    """A room can be followed with curl, from any number on."""
    with Server() as server:
        ada = Lines(server.door("lines"), "Ada")
        ada.send("c1", "one")
        ada.want("ack")
        argv = ["curl", "-s", "-N", "-m", "20", "--noproxy", "*", "-H", f"Authorization: Bearer {ada.token}",
                server.url + "/api/v1/rooms/lobby/events?after=0"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as follower:
            def next_event():
                for line in follower.stdout:
                    if line.startswith("data: "):
                        return json.loads(line[6:])
                raise AssertionError("the stream ended")
            equal(next_event()["body"], "one", "what was before")
            ada.send("c2", "two\nlines")
            equal(next_event()["body"], "two\nlines", "what comes")
            follower.terminate()


def health():
    """Health, readiness and metrics answer; metrics only to this machine."""
    with Server() as server:
        equal(curl(server, "/healthz"), (200, "ok\n"), "healthz")
        equal(curl(server, "/readyz")[0], 200, "readyz")
        status, text = curl(server, "/metrics")
        equal((status, "rondo_chat_sessions 0" in text), (200, True), "metrics")
        equal(curl(server, "/metrics", "-H", "X-Forwarded-For: 192.0.2.1")[0], 403, "behind a proxy")


main([messages, refusals, events, health])
