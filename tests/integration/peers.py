# SPDX-License-Identifier: Apache-2.0
"""What the tests against other implementations share: rondo-bench-server started on a free port, and peers run."""
import os
import signal
import socket
import subprocess
import time
import unittest

BIN = os.environ["RONDO_BIN_DIR"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def wait_for(port):
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


class PeerTest(unittest.TestCase):
    def start_server(self, mode):
        """rondo-bench-server; sets `port`, and `certificate` for the modes over TLS."""
        for _ in range(5):  # Somebody may take the port in between.
            self.port = free_port()
            self.server = subprocess.Popen([os.path.join(BIN, "rondo-bench-server"), mode, str(self.port)],
                                           stdout=subprocess.PIPE, text=True)
            said = self.server.stdout.readline()
            if said:
                break
            self.server.wait()
            self.server.stdout.close()
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.kill)
        if said.startswith("certificate "):
            self.certificate = said.split()[1]
            said = self.server.stdout.readline()
        self.assertIn("READY", said)

    def stop_server(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=30), 0)

    def run_peer(self, argv, **options):
        options.setdefault("timeout", 60)
        p = subprocess.run(argv, capture_output=True, **options)
        self.assertEqual(p.returncode, 0, (p.stdout[-800:], p.stderr[-800:]))
        return p.stdout


def main():
    result = unittest.main(module="__main__", exit=False, verbosity=0).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    return 1 if bad else 0
