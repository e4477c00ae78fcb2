# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: somebody floods a policy that acts; what becomes of him and others, as JSON."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from struct import Struct

LIBC = ctypes.CDLL(None)
GETPGID = 121  # number of x86_64
FLOODER, OTHER = 1234, 1235  # uids
WORDS = Struct("=QQ")  # whether to stop; calls that were made
LOG = "/result/log"
SILENT = "A policy is throttled for one owner,"


def forked(uid: int, do: Callable[[], None]) -> int:
    """The pid of a process of this user that does so."""
    pid = os.fork()
    if not pid:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        do()
        os._exit(0)
    return pid


def status(pid: int) -> int:
    """How it ended."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def flood(shared: mmap.mmap) -> None:
    """Calls for which a signal is sent that is not heard, until somebody says so."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    calls = 0
    while not WORDS.unpack_from(shared)[0]:
        for _ in range(100):
            LIBC.syscall(GETPGID, 4101)
        calls += 100
    WORDS.pack_into(shared, 0, 1, calls)


def call(number: int) -> Callable[[], None]:
    """A call that nobody survives."""
    return lambda: [None, LIBC.syscall(GETPGID, number)][0]


def wait_for(text: str) -> bool:
    """Until the log has it, for two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with open(LOG, encoding="utf-8") as file:
            if text in file.read():
                return True
        time.sleep(0.1)
    return False


def main() -> None:
    """The flood, and two who are killed meanwhile."""
    shared = mmap.mmap(-1, WORDS.size)
    flooder = forked(FLOODER, lambda: flood(shared))
    said = wait_for(SILENT)
    fates = {"silent": status(forked(FLOODER, call(4102)))}
    fates["other"] = status(forked(OTHER, call(4103)))
    shared[0] = 1
    fates["flooder"] = status(flooder)
    client = [sys.executable, "/test/tetrapy.pyz", "tracingpolicy", "list", "-o", "json"]
    listed = json.loads(subprocess.run(client, capture_output=True, check=True).stdout)
    calls = WORDS.unpack_from(shared)[1]
    json.dump({"said": said, "fates": fates, "calls": calls, "listed": listed}, sys.stdout)


if __name__ == "__main__":
    main()
