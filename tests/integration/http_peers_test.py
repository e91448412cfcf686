#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""nginx as a proxy in front of our server, wrk, testssl.sh and python3-websockets against it."""
import json
import os
import re
import subprocess
import sys
import tempfile

from peers import BIN, PeerTest, free_port, main, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
DEBIAN_PYTHON = "/usr/bin/python3"  # That one has python3-websockets, whichever runs this.
NGINX = """daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
events {{ }}
http {{ access_log off; client_max_body_size 10m;
  client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  upstream ours {{ server 127.0.0.1:{ours}; keepalive 8; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://ours; proxy_http_version 1.1; proxy_request_buffering off;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $hop; }} }}
  map $http_upgrade $hop {{ default upgrade; '' ''; }} }}"""


class BehindNginx(PeerTest):
    def start_nginx(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.proxy = free_port()
        config = os.path.join(folder.name, "nginx.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(NGINX.format(at=folder.name, ours=self.port, port=self.proxy))
        nginx = subprocess.Popen(["nginx", "-p", folder.name, "-c", config], stderr=subprocess.DEVNULL)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        wait_for(self.proxy)
        self.url = f"http://127.0.0.1:{self.proxy}"

    def curl(self, *arguments, **options):
        return self.run_peer(["curl", "-sS", "--max-time", "30", *arguments], **options)

    def test_requests_come_through_on_kept_connections(self):
        self.start_server("http")
        self.start_nginx()
        out = self.curl(*([self.url] * 50)).decode()
        self.assertEqual(out, "Hello, World!" * 50)
        self.assertEqual(self.curl("-o", "/dev/null", "-w", "%{http_code}", self.url + "/nowhere"), b"404")
        self.stop_server()

    def test_bodies_come_through_whole_both_ways(self):
        self.start_server("http")
        self.start_nginx()
        for size in (0, 1, 65_536, 900_000):
            body = os.urandom(size)
            for framing in ([], ["-H", "Transfer-Encoding: chunked"]):
                back = self.curl("--data-binary", "@-", *framing, self.url + "/echo", input=body)
                self.assertTrue(back == body, (size, framing))
        self.stop_server()

    def test_websockets_come_through(self):
        self.start_server("ws")
        self.start_nginx()
        self.run_peer([DEBIAN_PYTHON, os.path.join(HERE, "ws_client.py"), f"ws://127.0.0.1:{self.proxy}/"])
        self.stop_server()


class Websockets(PeerTest):
    def test_python_websockets_agree_with_us(self):
        self.start_server("ws")
        self.run_peer([DEBIAN_PYTHON, os.path.join(HERE, "ws_client.py"), f"ws://127.0.0.1:{self.port}/"])
        self.stop_server()

    def test_also_over_tls(self):
        self.start_server("wss")
        self.run_peer([DEBIAN_PYTHON, os.path.join(HERE, "ws_client.py"), f"wss://127.0.0.1:{self.port}/",
                       self.certificate])
        self.stop_server()


PIPELINE = """init = function(args)
  local all = {}
  for i = 1, 16 do all[i] = wrk.format("GET", "/") end
  together = table.concat(all)
end
request = function() return together end
"""


class Load(PeerTest):
    def wrk(self, *arguments):
        out = self.run_peer(["wrk", "-t1", "-c50", "-d1s", *arguments]).decode()
        self.assertNotIn("Socket errors", out)
        self.assertNotIn("Non-2xx", out)
        self.assertGreater(int(re.search(r"(\d+) requests in", out).group(1)), 0)

    def test_wrk_sees_no_error(self):
        self.start_server("http")
        self.wrk(f"http://127.0.0.1:{self.port}/")
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(PIPELINE)
            script.flush()
            self.wrk("-s", script.name, f"http://127.0.0.1:{self.port}/")
        self.stop_server()

    def test_wrk_sees_no_error_over_tls(self):
        self.start_server("https")
        self.wrk(f"https://127.0.0.1:{self.port}/")
        self.stop_server()


class Tls(PeerTest):
    def test_testssl_finds_nothing_but_our_own_certificate(self):
        """Protocols, ciphers, forward secrecy, extensions and the named attacks."""
        self.start_server("https")
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "report.json")
            subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "-p", "-s", "-f", "-P",
                            "-S", "-U", "--jsonfile", report, f"127.0.0.1:{self.port}"],
                           capture_output=True, timeout=600, stdin=subprocess.DEVNULL, check=False)
            with open(report, encoding="utf-8") as f:
                findings = json.load(f)
        found = {each["id"]: each for each in findings}
        self.assertIn("TLS1_3", found, "it ran")
        self.assertIn("heartbleed", found, "to the end")
        self.assertEqual(found["TLS1_1"]["severity"], "INFO", "not offered")
        # The certificate signs itself, for a month; tickets are not looked at by this openssl.
        bad = [(each["id"], each["severity"], each["finding"]) for each in findings
               if each["severity"] not in ("OK", "INFO") and not each["id"].startswith(("cert_", "sessionresumption"))]
        self.assertEqual(bad, [])
        self.stop_server()


if __name__ == "__main__":
    sys.exit(main())
