#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compilers that miscompile coroutines are refused at configure time, with the way out."""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CASES = [("GNU", "12.2.0", "miscompiles coroutines"), ("GNU", "13.3.0", "miscompiles coroutines"),
         ("Clang", "14.0.6", "tested with Clang 19"), ("Clang", "18.1.8", "tested with Clang 19"),
         ("Intel", "2024.1", "only Clang 19 or later")]

failed = 0
for compiler, version, reason in CASES:
    run = subprocess.run(["cmake", f"-DCMAKE_CXX_COMPILER_ID={compiler}", f"-DCMAKE_CXX_COMPILER_VERSION={version}",
                          "-DCMAKE_SYSTEM_NAME=Linux", "-P", "cmake/compiler.cmake"],
                         cwd=ROOT, capture_output=True, text=True, timeout=60)
    said = " ".join(run.stderr.split())
    if run.returncode == 0 or reason not in said or "apt-get install clang-19" not in said:
        failed += 1
        print(f"FAILED: {compiler} {version} is not refused as it should be: {said}")
# The headers say it too, to who compiles by hand: one sentence and no riddle behind it.
OLD = [["clang++-19", "-std=c++20"]] + [[old, "-std=c++20"] for old in ("g++", "clang++-14") if shutil.which(old)]
for compiler in OLD:
    run = subprocess.run([*compiler, "-Iinclude", "-fsyntax-only", "-x", "c++", "-"], cwd=ROOT, text=True,
                         input="#include <rondo/rondo.hpp>\n", capture_output=True, timeout=60)
    told = [line for line in run.stderr.splitlines() if re.search(r"\berror: ", line)]
    if run.returncode == 0 or len(told) != 2 or "Rondo needs C" not in told[0]:
        failed += 1
        print(f"FAILED: {compiler[0]} is not refused as it should be by the headers: {run.stderr[:500]}")
print(f"{len(CASES) + len(OLD) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
