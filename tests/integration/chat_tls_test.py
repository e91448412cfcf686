#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The chat over https: curl, rondo join, new certificates at SIGHUP, and files that are no good."""
import os
import signal
import subprocess
import tempfile
import time

from chat_server import PATIENCE, PROGRAM, Lines, Server, equal, main


def certificate(folder, name="localhost"):
    """A certificate that signs itself, in cert.pem and key.pem, replaced as one piece each."""
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key + ".new", "-out", cert + ".new", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    os.replace(key + ".new", key)
    os.replace(cert + ".new", cert)
    return ["--tls-cert", cert, "--tls-key", key]


def curl(cert, *arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", cert, *arguments], capture_output=True,
                          text=True, timeout=40)


def talks():
    """The page and the WebSocket are served over TLS, and a plain request harms nobody."""
    with tempfile.TemporaryDirectory() as folder:
        args = certificate(folder)
        with Server(args=args) as server:
            equal(server.url.startswith("https://127.0.0.1:"), True, server.url)
            page = curl(args[1], server.url + "/")
            equal((page.returncode, "<title>" in page.stdout), (0, True), page.stderr)
            version = curl(args[1], "-o", "/dev/null", "-w", "%{http_version}", server.url + "/")
            equal(version.stdout, "2", "the version that curl and the server agree on")
            plain = curl(args[1], server.url.replace("https:", "http:") + "/")
            equal(plain.returncode != 0, True, "http to the https port")
            line = Lines(server.door("lines"), "Watcher")
            ran = subprocess.run([PROGRAM, "join", server.url, "--name", "Ada", "--ca", args[1]], input="over tls\n",
                                 capture_output=True, text=True, timeout=60)
            equal((ran.returncode, ran.stderr), (0, ""), "join")
            equal(line.want("ev")["body"], "over tls", "what was said")
            stranger = subprocess.run([PROGRAM, "join", server.url, "--name", "Eve"], input="x\n",
                                      capture_output=True, text=True, timeout=60)
            equal((stranger.returncode, "--ca FILE" in stranger.stderr), (1, True), stranger.stderr)


def new_certificates():
    """SIGHUP takes new files; bad ones are told, and the old ones stay."""
    with tempfile.TemporaryDirectory() as folder:
        args = certificate(folder)
        with Server(args=args) as server:
            def told(what):
                end = time.monotonic() + PATIENCE
                while not any(what in line for line in server.errors):
                    if time.monotonic() > end:
                        raise AssertionError(f"{what!r} was not logged: {server.errors}")
                    time.sleep(0.02)

            def subject():
                return curl(args[1], "-v", "-o", "/dev/null", server.url + "/").stderr

            equal("CN=localhost" in subject(), True, "the first one")
            certificate(folder, "second")
            server.process.send_signal(signal.SIGHUP)
            told("certificates read again")
            equal("CN=second" in subject(), True, "the second one")
            with open(args[1] + ".bad", "w", encoding="utf-8") as bad:
                bad.write("nonsense")
            os.rename(args[1], args[1] + ".good")
            os.rename(args[1] + ".bad", args[1])
            server.process.send_signal(signal.SIGHUP)
            told("cert.pem")
            os.replace(args[1] + ".good", args[1])
            equal("CN=second" in subject(), True, "it stays")


def no_good_files():
    """Options and files that cannot be used end the program with a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        args = certificate(folder)
        def run(*more):
            return subprocess.run([PROGRAM, "chat", "--data", os.path.join(folder, "data"), "--listen", "127.0.0.1:0",
                                   "--classic", "off", "--lines", "off", *more], capture_output=True, text=True,
                                  timeout=60)
        half = run("--tls-cert", args[1])
        equal((half.returncode, "belong together" in half.stderr), (2, True), half.stderr)
        missing = run("--tls-cert", "/nowhere.pem", "--tls-key", args[3])
        equal((missing.returncode, "/nowhere.pem" in missing.stderr), (1, True), missing.stderr)
        swapped = run("--tls-cert", args[3], "--tls-key", args[1])
        equal((swapped.returncode, "key.pem" in swapped.stderr), (1, True), swapped.stderr)


main([talks, new_certificates, no_good_files])
