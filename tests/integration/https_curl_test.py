#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""curl, openssl and Python's ssl against our HTTPS and WSS: other implementations' view of them."""
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import unittest

PROGRAM = os.path.join(os.environ["RONDO_BIN_DIR"], "rondo-bench-server")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Https(unittest.TestCase):
    mode = "https"

    def setUp(self):
        for _ in range(5):  # Somebody may take the port in between.
            self.port = free_port()
            self.server = subprocess.Popen([PROGRAM, self.mode, str(self.port)], stdout=subprocess.PIPE, text=True)
            said = self.server.stdout.readline()
            if said.startswith("certificate "):
                break
            self.server.wait()
            self.server.stdout.close()
        self.certificate = said.split()[1]
        self.assertIn("READY", self.server.stdout.readline())
        self.url = f"https://127.0.0.1:{self.port}"

    def tearDown(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=30), 0)
        self.server.stdout.close()
        self.assertFalse(os.path.exists(self.certificate), "its temporary folder is gone")

    def run_peer(self, argv, status=0, **options):
        p = subprocess.run(argv, capture_output=True, timeout=60, **options)
        self.assertEqual(p.returncode == 0, status == 0, (p.stdout[-500:], p.stderr[-500:]))
        return p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")

    def curl(self, *arguments, status=0):
        return self.run_peer(["curl", "-sS", "--max-time", "20", "--cacert", self.certificate, *arguments], status)

    def s_client(self, *arguments, status=0, text=b""):
        return self.run_peer(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile",
                              self.certificate, "-verify_return_error", *arguments], status, input=text)

    def context(self):
        return ssl.create_default_context(cafile=self.certificate)


class HttpsPeers(Https):
    def test_curl_verifies_us_and_keeps_the_connection(self):
        out, _ = self.curl("-w", "%{num_connects} %{ssl_verify_result}\n", self.url, self.url)
        self.assertEqual(re.findall(r"^Hello, World!(\d) (\d)$", out, re.M), [("1", "0"), ("0", "0")])

    def test_curl_sends_a_megabyte_and_gets_it_back(self):
        body = os.urandom(1_000_000)
        p = subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", self.certificate, "--data-binary", "@-",
                            "-H", "Content-Type: x/y", self.url + "/echo"], input=body, capture_output=True, timeout=60)
        self.assertEqual(p.stdout, body, p.stderr)

    def test_old_protocols_are_refused_and_1_2_is_spoken(self):
        out, _ = self.curl("--tls-max", "1.2", "-w", "%{http_code}", self.url)
        self.assertIn("200", out)
        self.curl("--tls-max", "1.1", "--tlsv1.0", self.url, status=1)
        for old in ("-tls1", "-tls1_1"):
            self.s_client(old, "-cipher", "ALL:@SECLEVEL=0", status=1)

    def test_openssl_agrees_on_a_protocol_and_resumes(self):
        out, _ = self.s_client("-alpn", "http/1.1", "-tls1_2", "-reconnect")
        self.assertIn("ALPN protocol: http/1.1", out)
        self.assertEqual(out.count("Reused, TLSv1.2"), 5)
        self.s_client("-alpn", "irc", status=1)

    def test_openssl_is_told_the_end(self):
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        out, err = self.s_client("-quiet", "-ign_eof", text=request)
        self.assertIn("Hello, World!", out)
        self.assertNotIn("unexpected eof", err)

    def test_python_names_a_host_and_a_stranger_is_not_believed(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain:
            with self.context().wrap_socket(plain, server_hostname="localhost") as s:
                self.assertEqual(s.version(), "TLSv1.3")
                s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain:
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.context().wrap_socket(plain, server_hostname="example.org")

    def test_somebody_who_speaks_plain_http_harms_nobody(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while s.recv(4096):
                pass
        self.assertIn("Hello", self.curl(self.url)[0])


class WssPeer(Https):
    mode = "wss"

    def test_a_node_client_talks_over_tls(self):
        script = """
            const WebSocket = require(process.argv[2]);
            const fs = require('fs');
            const s = new WebSocket(process.argv[3], {ca: fs.readFileSync(process.argv[4])});
            const long = 'x'.repeat(200000);
            s.on('open', () => s.send(long));
            s.on('message', (m) => { console.log(String(m) === long); s.close(1000); });
            s.on('close', (code) => { console.log(code); });
            s.on('error', (e) => { console.error(e); process.exit(1); });
        """
        here = os.path.dirname(os.path.abspath(__file__))
        module = os.path.join(here, "..", "..", "apps", "chat", "web", "node_modules", "ws")
        out, _ = self.run_peer(["node", "-", module, f"wss://localhost:{self.port}/", self.certificate],
                               input=script.encode())
        self.assertEqual(out.split(), ["true", "1000"])


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
