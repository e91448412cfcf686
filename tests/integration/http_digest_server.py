#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that asks for digest authentication, written from RFC 7616 and not from our client.

http_digest_server.py ALGORITHM QOP [userhash]: prints its port. Each nonce is good for three
requests, whose counts must go up by one, and is stale then. Answers "METHOD BODY USES"."""
import hashlib
import http.server
import os
import re
import sys
import urllib.parse

ALGORITHM, QOP = sys.argv[1], sys.argv[2]
USERHASH = "userhash" in sys.argv[3:]
REALM = 'a "quoted" realm, with a comma'
USER, PASSWORD = "Jäsøn Doe", "Secret, or not?"
USES_MAX = 3
uses = {}


def h(text):
    name = ALGORITHM.removesuffix("-sess").replace("SHA-512-256", "sha512_256").replace("-", "")
    data = text if isinstance(text, bytes) else text.encode()
    return hashlib.new(name.lower(), data).hexdigest()


def fields_of(text):
    scheme, _, rest = text.partition(" ")
    assert scheme.lower() == "digest", text
    found = {}
    for name, quoted, plain in re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))(?:,\s*|$)', rest):
        assert name not in found, name
        found[name] = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return found


class Door(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def verdict(self, body):
        """"" when the request is let in, else what is wrong with it."""
        if "Authorization" not in self.headers:
            return "nothing"
        got = fields_of(self.headers["Authorization"])
        if got["nonce"] not in uses:
            return "an unknown nonce"
        if USERHASH:
            known = got["username"] == h(f"{USER}:{REALM}") and got.get("userhash") == "true"
        else:
            known = got.get("username*") == "UTF-8''" + urllib.parse.quote(USER, safe="")
        if not known or got["realm"] != REALM or got["opaque"] != "o/+=" or got["uri"] != self.path:
            return "another user, realm, opaque or uri"
        if got["algorithm"] != ALGORITHM or got["qop"] != QOP:
            return "another algorithm or qop"
        secret = h(f"{USER}:{REALM}:{PASSWORD}")
        if ALGORITHM.endswith("-sess"):
            secret = h(f"{secret}:{got['nonce']}:{got['cnonce']}")
        what = f"{self.command}:{got['uri']}" + (":" + h(body) if QOP == "auth-int" else "")
        wanted = h(":".join((secret, got["nonce"], got["nc"], got["cnonce"], QOP, h(what))))
        if got["response"] != wanted:
            return "another response"
        if int(got["nc"], 16) != uses[got["nonce"]] + 1 or len(got["nc"]) != 8:
            return "another count"
        if uses[got["nonce"]] == USES_MAX:
            return "stale"
        uses[got["nonce"]] += 1
        return ""

    def answer(self):
        body = self.body()
        wrong = self.verdict(body)
        if not wrong:
            count = fields_of(self.headers["Authorization"])["nc"]
            text = f"{self.command} {body.decode()} {int(count, 16)}"
        else:
            text = wrong
        data = text.encode()
        self.send_response(401 if wrong else 200)
        if wrong:
            nonce = os.urandom(12).hex()
            uses[nonce] = 0
            realm = REALM.replace('"', '\\"')
            stale = ", stale=true" if wrong == "stale" else ""
            hidden = ", userhash=true" if USERHASH else ""
            self.send_header("WWW-Authenticate", 'Basic realm="x", Digest realm="%s", qop="%s", algorithm=%s, '
                             'nonce="%s", opaque="o/+=", charset=UTF-8%s%s' % (realm, QOP, ALGORITHM, nonce, stale, hidden))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = answer


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
print(server.server_address[1], flush=True)
server.serve_forever()
