#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""curl, nghttp and h2load against our HTTP/2, over TLS and by prior knowledge; rondo serve over it."""
import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

from peers import BIN, PeerTest, main


class Peers:
    """What both transports have in common; `flags` makes curl speak HTTP/2."""

    def curl(self, *arguments, **options):
        return self.run_peer(["curl", "-sS", "--max-time", "20", *self.flags, *arguments], **options)

    def test_curl_speaks_http_2(self):
        out = self.curl("-i", "-w", "%{http_version}", self.url).decode()
        self.assertRegex(out, r"(?s)^HTTP/2 200 .*content-length: 13.*Hello, World!2$")
        out = self.curl("-I", self.url).decode()
        self.assertIn("content-length: 13", out)
        self.assertNotIn("Hello", out)
        self.stop_server()

    def test_curl_sends_a_body_and_gets_it_back(self):
        for size in (0, 1, 100_000, 1_000_000):
            body = os.urandom(size)
            self.assertTrue(self.curl("--data-binary", "@-", self.url + "/echo", input=body) == body, size)
        self.stop_server()

    def test_curl_sees_the_answer_to_a_body_nobody_reads(self):
        for path, status in (("/nowhere", b"404"), ("/echo", b"400")):
            out = self.curl("--data-binary", "@-", "-o", "/dev/null", "-w", "%{http_code}", self.url + path,
                            input=bytes(3_000_000))
            self.assertEqual(out, status)
        self.stop_server()

    def test_nghttp_asks_many_at_once_and_uploads(self):
        out = self.run_peer(["nghttp", "-nv", "-m", "20", self.url]).decode()
        self.assertEqual(len(re.findall(r":status: 200", out)), 20, out[-2000:])
        self.assertIn("SETTINGS_MAX_CONCURRENT_STREAMS", out)
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"u" * 500_000)
            f.flush()
            out = self.run_peer(["nghttp", "-d", f.name, self.url + "/echo"])
        self.assertTrue(out == b"u" * 500_000)
        self.stop_server()

    def test_h2load_fails_in_nothing(self):
        for shape in (["-c", "8", "-m", "10"], ["-c", "2", "-m", "100"], ["-c", "4", "-m", "5", "-w", "16", "-W", "16"]):
            out = self.run_peer(["h2load", "-n", "2000", *shape, self.url]).decode()
            self.assertIn("2000 succeeded, 0 failed, 0 errored, 0 timeout", out)
        self.stop_server()

    def test_h2load_posts(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"p" * 50_000)
            f.flush()
            out = self.run_peer(["h2load", "-n", "200", "-c", "4", "-m", "10", "-d", f.name, self.url + "/echo"])
        self.assertIn("200 succeeded, 0 failed, 0 errored, 0 timeout", out.decode())
        self.stop_server()


class Plain(Peers, PeerTest):
    flags = ["--http2-prior-knowledge"]

    def setUp(self):
        self.start_server("http")
        self.url = f"http://127.0.0.1:{self.port}"

    def test_both_versions_share_the_port(self):
        for flags, version in ((["--http1.1"], b"1.1"), (self.flags, b"2"), (["--http2"], b"1.1")):
            out = self.run_peer(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_version}", *flags, self.url])
            self.assertEqual(out, version, "an upgrade is not taken, prior knowledge is")
        self.stop_server()


class Tls(Peers, PeerTest):
    def setUp(self):
        self.start_server("https")
        self.flags = ["--cacert", self.certificate]
        self.url = f"https://127.0.0.1:{self.port}"

    def test_alpn_decides(self):
        for flags, version in (([], b"2"), (["--http1.1"], b"1.1")):
            out = self.curl("-o", "/dev/null", "-w", "%{http_version}", *flags, self.url)
            self.assertEqual(out, version)
        out = self.run_peer(["openssl", "s_client", "-connect", self.url[8:], "-alpn", "http/1.1,h2"], input=b"")
        self.assertIn(b"ALPN protocol: h2", out, "the server's order counts")
        self.stop_server()

    def test_one_connection_serves_many_requests(self):
        out = self.curl("-w", "%{num_connects} ", *([self.url] * 5)).decode()
        self.assertEqual(re.findall(r"World!(\d)", out), list("10000"))
        self.stop_server()


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.text = "".join(f"line {n}\n" for n in range(2_000))
        self.large = os.urandom(3_000_000)
        for name, content in (("a.txt", self.text.encode()), ("large.bin", self.large)):
            with open(os.path.join(self.folder.name, name), "wb") as f:
                f.write(content)
        self.server = subprocess.Popen([os.path.join(BIN, "rondo"), "serve", self.folder.name, "--listen",
                                        "127.0.0.1:0", "--compress"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.kill)
        self.url = re.match(r"ready on (\S+)", self.server.stdout.readline()).group(1)

    def curl(self, path, *arguments):
        p = subprocess.run(["curl", "-sS", "--max-time", "20", "--http2-prior-knowledge", *arguments, self.url + path],
                           capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def test_files_ranges_and_conditions(self):
        self.assertTrue(self.curl("/large.bin") == self.large)
        self.assertTrue(self.curl("/large.bin", "-r", "1000-200999") == self.large[1000:201_000])
        self.assertEqual(self.curl("/a.txt").decode(), self.text)
        packed = self.curl("/a.txt", "-H", "Accept-Encoding: gzip")
        self.assertEqual(gzip.decompress(packed).decode(), self.text)
        self.assertLess(len(packed), len(self.text))
        etag = re.search(rb'(?i)etag: (\S+)', self.curl("/a.txt", "-I")).group(1).decode()
        code = self.curl("/a.txt", "-H", f"If-None-Match: {etag}", "-o", "/dev/null", "-w", "%{http_code}")
        self.assertEqual(code, b"304")
        self.assertIn(b"a.txt", self.curl("/"))
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=30), 0)


if __name__ == "__main__":
    sys.exit(main())
