#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""chat_once.py URL TEXT [EARLIER]: says TEXT in the lobby over the HTTP API and reads it back, and
EARLIER, said by somebody before, too. Exit status 0 when the history holds both, each once."""
import json
import sys
import urllib.request
import uuid

url, text = sys.argv[1].rstrip("/"), sys.argv[2]
messages = url + "/api/v1/rooms/lobby/messages"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(address, body=None, token=""):
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    request = urllib.request.Request(address, data=data, headers=headers)
    with opener.open(request, timeout=20) as answer:
        return json.load(answer)


def main():
    wanted = [text] + sys.argv[3:]
    token = call(url + "/api/v1/guest", {"name": "once"})["token"]
    ack = call(messages, {"cid": uuid.uuid4().hex, "body": text}, token)
    page = call(f"{messages}?before={ack['seq'] + 1}&limit=50", token=token)
    bodies = [event.get("body") for event in page["events"]]
    print(f"said '{text}' as number {ack['seq']}; the history holds {bodies}")
    return 0 if all(bodies.count(w) == 1 for w in wanted) else 1


try:
    sys.exit(main())
except (OSError, KeyError, ValueError) as e:
    print(f"chat_once.py: {messages}: {e}")
    sys.exit(1)
