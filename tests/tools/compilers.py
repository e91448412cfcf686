#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compilers that miscompile coroutines are refused at configure time, with the way out."""
import os
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
print(f"{len(CASES) - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
