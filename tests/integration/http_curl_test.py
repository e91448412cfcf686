#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""curl and raw sockets against the HTTP example: another implementation's view of the server."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.environ.get("RONDO_EXAMPLES_DIR", os.path.join(ROOT, "build", "dev", "examples"))


class HttpServer(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([os.path.join(EXAMPLES, "10_http_hello"), "127.0.0.1:0"],
                                       stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"ready on (\S+)", self.server.stdout.readline()).group(1)
        self.address = ("127.0.0.1", int(self.url.rsplit(":", 1)[1]))

    def tearDown(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=30), 0)
        self.server.stdout.close()

    def curl(self, *arguments):
        p = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, timeout=40)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def raw(self, data):
        with socket.create_connection(self.address, timeout=20) as s:
            s.sendall(data)
            heard = b""
            while piece := s.recv(65536):
                heard += piece
            return heard

    def test_a_parameter_is_decoded(self):
        self.assertEqual(self.curl(self.url + "/hello/Ada%20L."), b"Hello, Ada L.!\n")

    def test_one_connection_serves_many_urls(self):
        urls = [f"{self.url}/hello/{i}" for i in range(20)]
        out = self.curl("-w", "%{num_connects}\n", *urls).decode()
        self.assertEqual(re.findall(r"^(\d)$", out, re.M), ["1"] + ["0"] * 19)

    def test_head_has_the_headers_only(self):
        out = self.curl("-I", self.url + "/hello/Ada").decode()
        self.assertIn("HTTP/1.1 200 OK", out)
        self.assertIn("Content-Length: 12", out)

    def test_bodies_of_every_size_come_back(self):
        for size in (0, 1, 4095, 4096, 65536, 1048576):
            with tempfile.NamedTemporaryFile() as body:
                body.write(os.urandom(size))
                body.flush()
                with open(body.name, "rb") as sent:
                    expected = sent.read()
                for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]):
                    out = self.curl("--data-binary", "@" + body.name, *extra, self.url + "/echo")
                    self.assertEqual(out, expected, (size, extra))

    def test_a_body_over_the_limit_is_413(self):
        with tempfile.NamedTemporaryFile() as body:
            body.write(bytes(1_060_000))
            body.flush()
            for extra in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]):
                out = self.curl("--data-binary", "@" + body.name, *extra, "-o", "/dev/null", "-w",
                                "%{http_code}", self.url + "/echo")
                self.assertEqual(out, b"413", extra)

    def test_a_stream_arrives_in_pieces(self):
        self.assertEqual(self.curl("-N", self.url + "/count"), b"3\n2\n1\n")
        self.assertEqual(self.curl("-N", "--http1.0", self.url + "/count"), b"3\n2\n1\n")

    def test_unknown_paths_and_methods(self):
        code = ["-o", "/dev/null", "-w", "%{http_code}"]
        self.assertEqual(self.curl(*code, self.url + "/nothing"), b"404")
        self.assertEqual(self.curl(*code, "-X", "DELETE", self.url + "/echo"), b"405")
        self.assertIn(b"Allow: POST, OPTIONS", self.curl("-i", self.url + "/echo"))

    def test_pipelined_requests_are_answered_in_order(self):
        get = "GET /hello/{} HTTP/1.1\r\nHost: a\r\n{}\r\n"
        asked = "".join(get.format(i, "") for i in range(99)) + get.format(99, "Connection: close\r\n")
        heard = self.raw(asked.encode()).decode()
        self.assertEqual(re.findall(r"Hello, (\d+)!", heard), [str(i) for i in range(100)])

    def test_a_refusal_reaches_a_client_that_still_sends(self):
        heard = self.raw(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n" + b"x" * 30_000)
        self.assertTrue(heard.startswith(b"HTTP/1.1 400 "), heard)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
