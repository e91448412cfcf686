#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Code that must not compile: tests/compile_fail/*.cpp, each with the message it must draw.

A file holds a line `// EXPECT: part of the compiler's message`, and between `#ifdef MISUSE` and
`#endif` the mistake. Without -DMISUSE it must compile, so that it fails for no other reason.
"""
import glob
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COMPILER = ["clang++-19", "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", f"{ROOT}/include"]


def judge(path):
    text = open(path, encoding="utf-8").read()
    expected = re.findall(r"^// EXPECT: (.+)$", text, re.M)
    if not expected or "#ifdef MISUSE" not in text:
        return "has no EXPECT line or no #ifdef MISUSE"
    right = subprocess.run(COMPILER + [path], capture_output=True, text=True, timeout=120)
    if right.returncode:
        return "does not compile even without the mistake:\n" + right.stderr
    wrong = subprocess.run(COMPILER + ["-DMISUSE", path], capture_output=True, text=True, timeout=120)
    if wrong.returncode == 0:
        return "compiles although it must not"
    missing = [e for e in expected if e.strip() not in wrong.stderr]
    return f"the message lacks '{missing[0]}':\n{wrong.stderr}" if missing else None


def main():
    paths = sorted(glob.glob(os.path.join(HERE, "*.cpp")))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(judge, paths))
    for path, verdict in zip(paths, verdicts):
        if verdict:
            print(f"FAILED: {os.path.relpath(path, ROOT)} {verdict}")
    failed = sum(v is not None for v in verdicts)
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
