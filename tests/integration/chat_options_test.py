#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Options of the programs: wrong use ends with status 2 and one line, before anything is made."""
import os
import subprocess
import tempfile

from chat_server import PROGRAM, equal, main


def run(*argv, env=None):
    return subprocess.run([PROGRAM, *argv], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})


def refused(words, *argv, env=None):
    """Wrong use: status 2, one line with these words."""
    ran = run(*argv, env=env)
    equal((ran.returncode, ran.stderr.count("\n"), ran.stdout), (2, 1, ""), f"{argv}: {ran.stderr}")
    equal(words in ran.stderr, True, f"{words!r} in {ran.stderr!r}")


def unknown():
    """Unknown options and those of later versions are wrong use."""
    refused("there is no option --nonsense", "chat", "--nonsense")
    refused("later", "chat", "--bus", "nats://127.0.0.1")
    refused("1 to 64 letters", "chat", "--classic-room", "no spaces")


def addresses():
    """Every address is read before a folder is made or a door opened."""
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        good = ["--listen", "127.0.0.1:0", "--classic", "off", "--lines", "off"]
        for option in ("--listen", "--classic", "--lines"):
            for bad in ("8080", "localhost:80", "127.0.0.1:65536", ""):
                refused(f"{option} {bad}: not an address: HOST:PORT is wanted", "chat", "--data", data, *good, option, bad)
        refused("(127.0.0.1:8080)", "chat", "--data", data, "--listen", "8080")
        refused("the page needs an address", "chat", "--data", data, "--listen", "off")
        refused("--listen 8000: not an address", "serve", folder, "--listen", "8000")
        equal(os.listdir(folder), [], "what was made")


def driver():
    """A driver that does not exist is named, with those that do."""
    for command in ("chat", "serve", "join", "fetch"):
        refused("RONDO_DRIVER=foo: there is no such driver (uring and epoll are", command, env={"RONDO_DRIVER": "foo"})


def config_file():
    """What is wrong in a file is told with its line; a file that is missing, without one."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "chat.toml")
        for text, words in (("# a comment\n\nlisten = = 1\n", "line 3: "),
                            ("guests = 'on'\nnonsense = 1\n", "line 2: there is no option 'nonsense'"),
                            ("\n\n\nguests = 'maybe'\n", "line 4: guests maybe: on or off is wanted")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            refused(f"--config {path}: {words}", "chat", "--config", path)
        missing = os.path.join(folder, "missing.toml")
        refused(f"--config {missing}: No such file or directory", "chat", "--config", missing)
        refused(f"--config {folder}: Is a directory", "chat", "--config", folder)


def no_folder():
    """A file where the folder should be is told, with what is wanted."""
    with tempfile.NamedTemporaryFile() as file:
        ran = run("chat", "--listen", "127.0.0.1:0", "--classic", "off", "--lines", "off", "--data", file.name)
        equal((ran.returncode, ran.stderr), (1, f"rondo chat: --data {file.name}: Not a directory "
                                                "(a folder that can be written is wanted)\n"), "a file")


main([unknown, addresses, driver, config_file, no_folder])
