#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command as containers do it by default: with the io_uring system calls refused (seccomp).

    no_uring.py [--errno EPERM|ENOSYS|ENOMEM] [--calls setup|all] COMMAND ARG...

EPERM is what Docker's default profile answers since v25 (moby PR 46762), ENOSYS is an old kernel or gVisor,
ENOMEM is RLIMIT_MEMLOCK used up. With --calls enter the ring can be created but not used, the nastiest case.
Standard library only, x86-64.
"""
import argparse
import ctypes
import errno
import os
import struct
import sys

SETUP, ENTER, REGISTER = 425, 426, 427
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_ERRNO, ARCH_X86_64 = 0x7FFF0000, 0x00050000, 0xC000003E
LD_ABS, JEQ, RET = 0x20, 0x15, 0x06


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--errno", default="EPERM", choices=["EPERM", "ENOSYS", "ENOMEM", "EACCES"])
    ap.add_argument("--calls", default="all", choices=["all", "setup", "enter", "register"])
    ap.add_argument("command", nargs=argparse.REMAINDER)
    a = ap.parse_args()
    calls = {"all": [SETUP, ENTER, REGISTER], "setup": [SETUP], "enter": [ENTER], "register": [REGISTER]}[a.calls]
    n = len(calls)
    prog = [(LD_ABS, 0, 0, 4), (JEQ, 1, 0, ARCH_X86_64), (RET, 0, 0, RET_ALLOW), (LD_ABS, 0, 0, 0)]
    for i, c in enumerate(calls):
        prog.append((JEQ, n - i, 0, c))
    prog.append((RET, 0, 0, RET_ALLOW))
    prog.append((RET, 0, 0, RET_ERRNO | getattr(errno, a.errno)))
    code = b"".join(struct.pack("HBBI", *p) for p in prog)
    buf = ctypes.create_string_buffer(code, len(code))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(prog), ctypes.addressof(buf)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.c_void_p(ctypes.addressof(fprog)), 0, 0):
        sys.exit("seccomp: %s" % os.strerror(ctypes.get_errno()))
    os.execvp(a.command[0], a.command)


if __name__ == "__main__":
    main()
