#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rondo serve: files, listings, packing, TLS, live reload and the access log, by curl."""
import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("RONDO_PROGRAM", os.path.join(ROOT, "build/release/bin/rondo"))


class Serve(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("index.html", "<p>home</p>")
        self.write("docs/a <b>.txt", "text " * 1000)
        self.write("docs/.hidden", "secret")
        self.server = None

    def write(self, name, text):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, *options):
        self.server = subprocess.Popen([PROGRAM, "serve", self.folder.name, "--listen", "127.0.0.1:0", *options],
                                       stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.url = re.match(r"ready on (https?://\S+)", self.server.stdout.readline()).group(1)

    def end(self):
        if self.server.poll() is None:  # The test has failed before its stop().
            self.server.kill()
            self.server.wait()
        self.server.stdout.close()

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=30), 0)

    def curl(self, path, *options):
        p = subprocess.run(["curl", "-sS", "--max-time", "20", *options, self.url + path], capture_output=True, timeout=40)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout

    def test_files_ranges_and_folders(self):
        self.start()
        self.assertEqual(self.curl("/"), b"<p>home</p>")
        listing = self.curl("/docs/").decode()
        self.assertIn('href="./a%20%3Cb%3E.txt">a &lt;b&gt;.txt<', listing)
        self.assertNotIn(".hidden", listing)
        self.assertEqual(self.curl("/docs/a%20%3Cb%3E.txt", "-r", "5-8"), b"text")
        self.assertIn(b"404", self.curl("/docs/.hidden", "-o", "/dev/null", "-w", "%{http_code}"))
        outside = self.curl("/../../../../etc/passwd", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}")
        self.assertIn(outside, (b"400", b"404"))
        self.stop()

    def test_a_broken_download_goes_on_where_it_stopped(self):
        self.write("large", "0123456789" * 100_000)
        self.start()
        with tempfile.TemporaryDirectory() as to:
            part = os.path.join(to, "large")
            with open(part, "wb") as f:
                f.write(self.curl("/large", "-r", "0-400000"))
            self.curl("/large", "-C", "-", "-o", part)
            with open(part, encoding="utf-8") as f:
                self.assertEqual(f.read(), "0123456789" * 100_000)
        self.stop()

    def test_packing_fallback_and_no_list(self):
        self.start("--compress", "--spa", "--no-list")
        packed = self.curl("/docs/a%20%3Cb%3E.txt", "-H", "Accept-Encoding: gzip")
        self.assertEqual(gzip.decompress(packed).decode(), "text " * 1000)
        self.assertEqual(self.curl("/rooms/7"), b"<p>home</p>")
        self.assertEqual(self.curl("/docs/"), b"<p>home</p>", "no listing")
        self.stop()

    def test_pages_are_told_of_changes(self):
        self.start("--live")
        self.assertIn(b"EventSource", self.curl("/"))
        with subprocess.Popen(["curl", "-sSN", "--max-time", "20", self.url + "/.rondo/live"], stdout=subprocess.PIPE) as told:
            told.stdout.readline()  # The first comment: it is subscribed.
            self.write("docs/new/file.txt", "new")
            line = b""
            while line != b"data: changed\n":
                line = told.stdout.readline()
                self.assertNotEqual(line, b"", "no change was told")
            self.stop()
            self.assertEqual(told.wait(timeout=30), 0, "a stop ends the events")

    def test_each_answer_is_a_line_in_the_log(self):
        log = os.path.join(self.folder.name, ".log")
        self.start("--access-log", log)
        self.curl("/none%22")
        self.curl("/", "-I")
        self.curl("/docs/", "--http2-prior-knowledge")
        self.stop()
        with open(log, encoding="utf-8") as f:
            lines = f.read().splitlines()
        self.assertRegex(lines[0], r'^127\.0\.0\.1 - - \[[^]]+ \+0000\] "GET /none%22 HTTP/1\.1" 404 9$')
        self.assertRegex(lines[1], r'"HEAD / HTTP/1\.1" 200 0$')
        self.assertRegex(lines[2], r'"GET /docs/ HTTP/2" 200 \d+$')

    def test_over_tls(self):
        cert, key = (os.path.join(self.folder.name, name) for name in (".cert", ".key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.write("large", "x" * 3_000_000)
        self.start("--tls-cert", cert, "--tls-key", key)
        self.assertEqual(len(self.curl("/large", "--cacert", cert)), 3_000_000)
        self.stop()

    def test_wrong_use_is_said_in_a_sentence(self):
        def run(*arguments):
            return subprocess.run([PROGRAM, "serve", *arguments], capture_output=True, text=True, timeout=30)
        missing = run("/nowhere")
        self.assertEqual(missing.returncode, 1)
        self.assertRegex(missing.stderr, r"^rondo serve: .*/nowhere.*No such file.*\n$")
        self.assertEqual(run("a", "b").returncode, 2)
        self.assertEqual(run("--tls-cert", "x").returncode, 2)
        self.start()
        taken = run(self.folder.name, "--listen", self.url.removeprefix("http://"))
        self.assertEqual(taken.returncode, 1)
        self.assertIn("--listen", taken.stderr)
        self.stop()


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
