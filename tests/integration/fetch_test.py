#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rondo fetch against servers of Python's own: a page with all it needs, resumed, over several hosts."""
import hashlib
import http.server
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("RONDO_PROGRAM", os.path.join(ROOT, "build/release/bin/rondo"))
PART = "#part"  # Behind the name of a file that is not whole.
LARGE = bytes(range(256)) * 40_000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        site = self.server.site
        with site.lock:
            site.asked.append((self.server.number, self.path, dict(self.headers)))
            site.under_way += 1
            site.most = max(site.most, site.under_way)
        try:
            self.answer(site)
        finally:
            with site.lock:
                site.under_way -= 1

    def answer(self, site):
        if self.path in site.special:
            return site.special[self.path](self)
        found = site.pages.get(self.path)
        if found is None:
            return self.send_error(404)
        kind, body = found
        etag = '"%s"' % hashlib.md5(body).hexdigest()
        if self.headers.get("If-None-Match") == etag:
            self.send_response(304)
            return self.end_headers()
        begin = 0
        wanted = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range") == etag:
            begin = int(wanted.group(1))
            if begin >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", kind)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        part = body[begin:]
        if self.path in site.cut and not begin:
            self.wfile.write(part[:len(part) // 2])
            self.wfile.flush()
            site.half.set()
            site.go_on.wait(30)
            self.close_connection = True
            return
        self.wfile.write(part)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Site:
    """Two servers that serve the same pages, and remember who asked for what."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pages, self.asked, self.cut, self.special = {}, [], set(), {}
        self.under_way = self.most = 0
        self.half, self.go_on = threading.Event(), threading.Event()
        self.servers = []
        for number in range(2):
            server = Server(("127.0.0.1", 0), Handler)
            server.site, server.number = self, number
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)
        self.urls = ["http://127.0.0.1:%d/" % s.server_address[1] for s in self.servers]
        self.names = ["127.0.0.1_%d" % s.server_address[1] for s in self.servers]

    def close(self):
        self.go_on.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Fetch(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.site = Site()
        self.addCleanup(self.site.close)
        self.site.pages = {
            "/": ("text/html; charset=utf-8", (
                '<!doctype html><link rel="stylesheet" href="style.css"><script src="/a.js"></script>'
                f'<img src="large.bin"><img src="{self.site.urls[1]}x y.png">'
                '<img srcset="a.png 1x, b.png?v=2 2x"><img src="/gone.png">'
                '<a href="/next#part">next</a><a href="http://elsewhere.invalid/">far</a>').encode()),
            "/style.css": ("text/css", b'@import "more.css"; p { background: url( "c.png" ) }'),
            "/more.css": ("text/css", b"@font-face { src: url(f.woff2) }"),
            "/next": ("text/html", b'<a href="/">home</a><a href="/secret/x">x</a><img src="a.png">'),
            "/secret/x": ("text/html", b"secret"),
            "/robots.txt": ("text/plain", b"User-agent: *\nDisallow: /secret/\n"),
            "/large.bin": ("application/octet-stream", LARGE),
        }
        for name in ("a.js", "x%20y.png", "a.png", "b.png?v=2", "c.png", "f.woff2"):
            self.site.pages["/" + name] = ("application/octet-stream", name.encode())

    def fetch(self, *options, status=0, urls=None):
        p = subprocess.run([PROGRAM, "fetch", *(urls or [self.site.urls[0]]), "-o", self.folder.name, *options],
                           capture_output=True, text=True, timeout=60,
                           env={k: v for k, v in os.environ.items() if "proxy" not in k.lower()})
        self.assertEqual(p.returncode, status, p.stderr)
        return p.stdout

    def path(self, name, server=0):
        return os.path.join(self.folder.name, self.site.names[server], name)

    def read(self, name, server=0):
        with open(self.path(name, server), "rb") as f:
            return f.read()

    def states(self, out):
        lines = [json.loads(line) for line in out.splitlines()]
        return {line["url"].removeprefix(self.site.urls[0]): line for line in lines if "url" in line}

    def interrupt(self):
        """A run that is stopped when half of /large.bin is there."""
        self.site.cut.add("/large.bin")
        p = subprocess.Popen([PROGRAM, "fetch", self.site.urls[0], "-o", self.folder.name],
                             stdout=subprocess.PIPE, text=True)
        self.assertTrue(self.site.half.wait(30))
        part = self.path("large.bin" + PART)
        wait = threading.Event()
        for _ in range(600):  # Until all that was sent lies in the file.
            if os.path.exists(part) and os.path.getsize(part) == len(LARGE) // 2:
                break
            wait.wait(0.05)
        source = self.read("index.html" + PART)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 1)
        self.site.go_on.set()
        self.site.asked.clear()
        return part, source, out

    def test_a_page_comes_with_all_it_needs_and_links_to_the_copies(self):
        lines = [json.loads(line) for line in self.fetch("--json").splitlines()]
        page = self.read("index.html").decode()
        self.assertTrue(page.startswith("\ufeff<!doctype html>"), "the encoding of the answer is kept")
        other = self.site.names[1]
        for link in ('href="style.css"', 'src="a.js"', 'src="large.bin"', "a.png 1x, b-"):
            self.assertIn(link, page)
        self.assertRegex(page, rf'src="\.\./{other}/x_y-[0-9a-f]{{8}}\.png"')
        self.assertIn(f'src="{self.site.urls[0]}gone.png"', page, "what there is no copy of is asked for there")
        self.assertIn(f'href="{self.site.urls[0]}next#part"', page)
        self.assertEqual(self.read("style.css"), b'@import "more.css"; p { background: url( "c.png" ) }')
        self.assertEqual(self.read("large.bin"), LARGE)
        self.assertEqual(self.read("f.woff2"), b"f.woff2")
        summary = lines.pop()
        self.assertEqual((summary["files"], summary["failed"]), (10, 1))
        states = {line["url"]: line["state"] for line in lines}
        self.assertEqual(states[self.site.urls[0] + "gone.png"], "failed")
        self.assertEqual(list(states.values()).count("done"), 10)
        asked = [path for _, path, _ in self.site.asked]
        self.assertEqual(len(asked), len(set(asked)), "each is asked for once")
        self.assertGreater(self.site.most, 1, "several at once")
        left = [name for _, _, names in os.walk(self.folder.name) for name in names if name.endswith(PART)]
        self.assertEqual(left, [])

    def test_links_are_followed_as_deep_as_asked_and_as_robots_allow(self):
        self.fetch("--depth", "2", "--quiet")
        self.assertIn(b'<a href="index.html">home</a>', self.read("next.html"))
        self.assertIn(b'href="next.html#part"', self.read("index.html"))
        self.assertFalse(os.path.exists(os.path.join(self.folder.name, self.site.names[0], "secret")))
        self.fetch("--depth", "2", "--no-robots", "--quiet")
        self.assertEqual(self.read("secret/x.html"), b"secret")

    def test_an_interrupted_run_goes_on_where_it_stopped(self):
        part, source, out = self.interrupt()
        self.assertEqual(source, self.site.pages["/"][1], "pages wait on the disk, as they came")
        self.assertIn("--resume", out)
        self.assertIn(b"<!doctype", self.read("index.html"), "the page is there all the same")
        self.assertFalse(os.path.exists(part.removesuffix(PART)))
        again = self.fetch("--resume")
        self.assertIn("resumed", again)
        self.assertIn("kept", again)
        self.assertEqual(self.read("large.bin"), LARGE)
        asked = {path: fields for _, path, fields in self.site.asked}
        self.assertEqual(asked["/large.bin"]["Range"], f"bytes={len(LARGE) // 2}-")
        self.assertIn("If-None-Match", asked["/a.png"])

    def test_a_part_that_is_of_no_use_is_dropped_and_all_of_it_asked_for(self):
        def other_range(handler):
            if "Range" not in handler.headers:
                del self.site.special["/large.bin"]
                return handler.answer(self.site)
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {len(LARGE) // 2}-{len(LARGE) // 2 + 9}/{len(LARGE)}")
            handler.send_header("Content-Length", "10")
            handler.end_headers()
            handler.wfile.write(b"0123456789")
        part, _, _ = self.interrupt()
        self.site.cut.clear()
        for special in ({}, {"/large.bin": other_range}):
            self.site.special = special
            with open(part, "ab") as f:  # As long as what there is: 416, now and at every run to come.
                f.truncate(len(LARGE) // 2 if special else len(LARGE))
            self.site.asked.clear()
            states = self.states(self.fetch("--resume", "--json"))
            self.assertEqual((states["large.bin"]["state"], states["large.bin"]["resumed"]), ("done", 0))
            self.assertEqual(self.read("large.bin"), LARGE)
            ranges = ["Range" in fields for _, path, fields in self.site.asked if path == "/large.bin"]
            self.assertEqual(ranges, [True, False])
            # Once more from the beginning, with the same part.
            os.rename(self.path("large.bin"), part)
            journal = os.path.join(self.folder.name, ".rondo-fetch")
            with open(journal, encoding="utf-8") as f:
                lines = [json.loads(line) for line in f]
            with open(journal, "w", encoding="utf-8") as f:
                for line in lines:
                    line["whole"] = line["whole"] and not line["url"].endswith("large.bin")
                    f.write(json.dumps(line) + "\n")

    def test_not_modified_is_no_answer_to_who_has_not_asked(self):
        def not_modified(handler):
            handler.send_response(304)
            handler.end_headers()
        part, _, _ = self.interrupt()
        os.unlink(part)
        self.site.special["/large.bin"] = not_modified
        states = self.states(self.fetch("--resume", "--json"))
        self.assertNotIn("If-None-Match", dict(self.site.asked[-1][2]) if self.site.asked[-1][1] == "/large.bin" else {})
        self.assertEqual((states["large.bin"]["state"], states["large.bin"]["status"]), ("failed", 304))

    def test_a_version_is_noted_when_the_one_before_is_gone(self):
        part, _, _ = self.interrupt()
        self.site.pages["/large.bin"] = ("application/octet-stream", b"new")
        with open(part, "rb") as f:
            old = f.read()
        # What is there cannot be emptied: it is a link, which is not followed.
        outside = os.path.join(self.folder.name, "outside")
        os.rename(part, outside)
        os.symlink(outside, part)
        states = self.states(self.fetch("--resume", "--json"))
        self.assertEqual(states["large.bin"]["state"], "failed")
        with open(outside, "rb") as f:
            self.assertEqual(f.read(), old)
        with open(os.path.join(self.folder.name, ".rondo-fetch"), encoding="utf-8") as f:
            noted = [line for line in map(json.loads, f) if line["url"].endswith("/large.bin")]
        self.assertTrue(noted)
        self.assertNotIn('"%s"' % hashlib.md5(b"new").hexdigest(), [line["etag"] for line in noted])

    def test_no_link_in_the_folder_leads_a_write_out_of_it(self):
        with tempfile.TemporaryDirectory() as outside:
            def put(name, text=b"kept"):
                with open(os.path.join(outside, name), "wb") as f:
                    f.write(text)
                return os.path.join(outside, name)
            os.symlink(put("journal"), os.path.join(self.folder.name, ".rondo-fetch"))
            os.mkdir(self.path(""))
            os.symlink(put("page"), self.path("index.html"))
            os.symlink(put("script"), self.path("a.js" + PART))
            os.symlink(outside, os.path.join(self.folder.name, self.site.names[1]))
            states = self.states(self.fetch("--json"))
            self.assertEqual(states["a.js"]["state"], "failed")
            self.assertEqual(states[self.site.urls[1] + "x%20y.png"]["state"], "failed")
            self.assertEqual(states["a.png"]["state"], "done", "the rest goes on")
            self.assertIn(b"<!doctype", self.read("index.html"), "the link itself was replaced")
            self.assertEqual(sorted(os.listdir(outside)), ["journal", "page", "script"])
            for name in os.listdir(outside):
                with open(os.path.join(outside, name), "rb") as f:
                    self.assertEqual(f.read(), b"kept", name)

    def test_a_page_that_cannot_be_written_fails_alone(self):
        os.makedirs(os.path.join(self.path("next.html"), "in the way"))
        states = {}
        for line in map(json.loads, self.fetch("--json", "--depth", "1").splitlines()):
            if "url" in line:
                states.setdefault(line["url"].removeprefix(self.site.urls[0]), []).append(line["state"])
            else:
                summary = line
        self.assertEqual(states["next"], ["done", "failed"])
        self.assertIn(b'src="large.bin"', self.read("index.html"))
        self.assertTrue(os.path.exists(self.path("style.css")))
        self.assertGreaterEqual(summary["failed"], 1)
        self.assertFalse(os.path.exists(self.path("next.html" + PART)))
        os.makedirs(os.path.join(self.path("elsewhere.html"), "in the way"))
        self.site.pages["/elsewhere"] = ("text/html", b"x")
        self.fetch("--quiet", status=1, urls=[self.site.urls[0] + "elsewhere"])

    def test_files_folders_and_parts_never_have_the_same_name(self):
        names = ["a.png", "a.png/b.png", "a.png/c/d.png", "large.bin", "large.bin.part", "large.bin%23part"]
        self.site.pages["/"] = ("text/html", "".join(f'<img src="{name}">' for name in names).encode())
        for name in names:
            self.site.pages["/" + name] = ("application/octet-stream", name.encode() * 1000)
        states = self.states(self.fetch("--json"))
        files = {name: states[name]["file"] for name in names}
        self.assertEqual(len(set(files.values())), len(names))
        page = self.read("index.html").decode()
        for name, file in files.items():
            with open(os.path.join(self.folder.name, file), "rb") as f:
                self.assertEqual(f.read(), name.encode() * 1000)
            self.assertIn(f'src="{file.removeprefix(self.site.names[0] + "/")}"', page)
        again = self.states(self.fetch("--json", "--resume"))
        self.assertEqual({name: again[name]["file"] for name in names}, files)

    def test_a_page_that_would_make_a_huge_tree_is_kept_as_it_came(self):
        page = b"<p>" + b"".join(b"<b a%d>" % n for n in range(1000)) + b"<p>x" * 3000 + b"<img src=a.png>"
        self.site.pages["/"] = ("text/html", page)
        states = self.states(self.fetch("--json"))
        self.assertEqual(states[""]["state"], "done")
        self.assertIn("kept as it came", states[""]["note"])
        self.assertEqual(self.read("index.html"), page)
        self.assertEqual(list(states), [""])

    def test_what_a_server_says_is_no_order_to_a_terminal(self):
        def moved(handler):
            handler.send_response(302)
            handler.send_header("Location", "http://\x9b2J\xc2\x9b2J.invalid/")
            handler.send_header("Content-Type", "text/\xc2\x9b2J\x9b")
            handler.end_headers()
            handler.close_connection = True
        def typed(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", "text/\xc2\x9b2J\x9b")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        self.site.special = {"/a.png": moved, "/a.js": typed}
        for style in ([], ["--json"]):
            p = subprocess.run([PROGRAM, "fetch", self.site.urls[0], "-o", self.folder.name, *style],
                               capture_output=True, timeout=60)
            said = (p.stdout + p.stderr).decode()
            self.assertNotRegex(said, "[\x00-\x08\x0b-\x1f\x7f-\x9f]")
        p = subprocess.run([PROGRAM, "fetch", "ftp://\u009b2J\x1b[2J\x7f"], capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 2)
        self.assertEqual(p.stderr.decode().rstrip("\n"),
                         "rondo fetch: ftp://2J[2J is no http or https URL (see rondo fetch --help)")

    def test_a_journal_of_somebody_else_names_no_file_outside_of_the_folder(self):
        etag = '"%s"' % hashlib.md5(LARGE).hexdigest()
        inside = os.path.join(self.folder.name, "copy")
        for file in ("../x", "/tmp/x", ".rondo-fetch", "large.bin", "a/../../x", "a/.x", "a/", "a#part", "", "a/b#part"):
            os.makedirs(inside, exist_ok=True)
            for whole in (True, False):
                with open(os.path.join(inside, ".rondo-fetch"), "w", encoding="utf-8") as f:
                    f.write(json.dumps({"url": self.site.urls[0] + "large.bin", "file": file, "etag": etag,
                                        "last_modified": "", "whole": whole}) + "\n")
                with open(os.path.join(self.folder.name, "x"), "wb") as f:
                    f.write(b"kept")
                states = self.states(self.fetch("--json", "--resume", "-o", inside, urls=[self.site.urls[0] + "large.bin"]))
                self.assertEqual((states["large.bin"]["state"], states["large.bin"]["resumed"]), ("done", 0), file)
                self.assertEqual(states["large.bin"]["file"], self.site.names[0] + "/large.bin")
                with open(os.path.join(self.folder.name, "x"), "rb") as f:
                    self.assertEqual(f.read(), b"kept")
        self.assertEqual(sorted(os.listdir(self.folder.name)), ["copy", "x"])

    def test_a_version_that_has_changed_is_loaded_anew(self):
        self.fetch("--quiet")
        self.site.pages["/a.png"] = ("image/png", b"another")
        self.fetch("--quiet", "--resume")
        self.assertEqual(self.read("a.png"), b"another")

    def test_a_server_that_stops_in_the_middle_is_told_and_leaves_no_file(self):
        self.site.cut.add("/large.bin")
        self.site.go_on.set()
        lines = [json.loads(line) for line in self.fetch("--json").splitlines()]
        broken = next(line for line in lines if line.get("url", "").endswith("large.bin"))
        self.assertEqual(broken["state"], "failed")
        self.assertFalse(os.path.exists(os.path.join(self.folder.name, self.site.names[0], "large.bin")))

    def test_the_picture_and_the_comparison(self):
        picture = os.path.join(self.folder.name, "w.svg")
        out = self.fetch("--sequential", "--waterfall", picture)
        self.assertIn("one after another:", out)
        with open(picture, encoding="utf-8") as f:
            self.assertEqual(f.read().count("<g>"), 11)
        page = os.path.join(self.folder.name, "w.html")
        self.fetch("--quiet", "--waterfall", page)
        with open(page, encoding="utf-8") as f:
            self.assertIn("<table>", f.read())

    def test_over_tls_one_connection_of_http_2_brings_everything(self):
        site, into = (os.path.join(self.folder.name, name) for name in ("site", "into"))
        os.mkdir(site)
        with open(os.path.join(site, "index.html"), "w", encoding="utf-8") as f:
            f.write("".join(f'<img src="{n}.png">' for n in range(30)))
        for n in range(30):
            with open(os.path.join(site, f"{n}.png"), "wb") as f:
                f.write(LARGE[:50_000])
        cert, key, picture = (os.path.join(self.folder.name, name) for name in ("cert", "key", "w.svg"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        server = subprocess.Popen([PROGRAM, "serve", site, "--listen", "127.0.0.1:0", "--tls-cert", cert,
                                   "--tls-key", key], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.kill)
        url = re.match(r"ready on (\S+)", server.stdout.readline()).group(1)
        p = subprocess.run([PROGRAM, "fetch", url, "-o", into, "--ca", cert, "--json", "--waterfall", picture],
                           capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stderr)
        items = [each for each in map(json.loads, p.stdout.splitlines()) if "url" in each]
        self.assertEqual(len(items), 31)
        self.assertTrue(all(each["http2"] for each in items), items)
        self.assertEqual(sum(not each["phases_us"]["reused"] for each in items), 1, "one connection")
        with open(picture, encoding="utf-8") as f:
            self.assertEqual(f.read().count(", h2<"), 31)

    def test_wrong_use_is_said_in_a_sentence(self):
        def run(*arguments):
            return subprocess.run([PROGRAM, "fetch", *arguments], capture_output=True, text=True, timeout=30)
        for wrong in ([], ["ftp://x/"], ["http://a/", "--concurrency", "0"], ["http://a/", "--waterfall", "x.png"],
                      ["http://a/", "--timeout", "soon"], ["http://a/", "-x"]):
            said = run(*wrong)
            self.assertEqual(said.returncode, 2, wrong)
            self.assertRegex(said.stderr, r"^rondo fetch: .+\n$")
        self.fetch(status=1, urls=[self.site.urls[0] + "gone.png"])
        said = run(self.site.urls[0], "-o", "/proc/nowhere")
        self.assertEqual(said.returncode, 1)
        self.assertIn("/proc/nowhere", said.stderr)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
