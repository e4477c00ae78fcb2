# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: processes that policies act on, and what became of them, as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
GETPGID, SYSFS = 121, 139  # numbers of x86_64; nobody else asks for the second one
GETSID = 124
POLL = 7
HEARD = (signal.SIGUSR1, signal.SIGUSR2)


def getpgid(number: int, times: int = 1) -> None:
    """A system call that does nothing, with a number that policies look for."""
    for _ in range(times):
        LIBC.syscall(GETPGID, number)


def called(call: int, number: int) -> None:
    """A system call with one argument. Raises OSError."""
    if LIBC.syscall(call, number) < 0:
        raise OSError(ctypes.get_errno(), "")


def fate(do: Callable[[], None]) -> dict[str, Any]:
    """How a process ends that does this, and which signals it heard before."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        for one in HEARD:
            signal.signal(one, lambda number, _frame: os.write(write, b"%d " % number))
        code = 0
        try:
            do()
        except OSError as err:
            code = err.errno or 255
        signal.sigpending()  # Python runs handlers when a call returns, not when it raises
        os._exit(code)
    os.close(write)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as file:
        heard = [int(word) for word in file.read().split()]
    return {"status": os.waitstatus_to_exitcode(status), "heard": heard}


def share_a_socket() -> None:
    """A child works on a socket of its parent, until policies forget whose it is."""
    with socket.socket() as shared:
        pid = os.fork()
        if not pid:
            shared.listen(1)
            shared.shutdown(socket.SHUT_RDWR)
            shared.listen(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def poll_among_others(milliseconds: int) -> None:
    """A system call that waits, while as many threads wait in it as a kretprobe has no room for."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        for _ in range(64):
            threading.Thread(target=LIBC.syscall, args=(POLL, 0, 0, -1), daemon=True).start()
        os.write(write, b"1")
        signal.pause()
    os.read(read, 1)
    time.sleep(0.5)  # all are there
    LIBC.syscall(POLL, 0, 0, milliseconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def client(*words: str) -> str:
    """What the client of the agent's API says."""
    command = [sys.executable, "/test/tetrapy.pyz", "tracingpolicy", *words]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def settable(number: int) -> list[int]:
    """What tests/support/settable.c has in its memory behind the probes."""
    command = ["/test/settable", str(number)]
    found: list[int] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def overridden() -> dict[str, Any]:
    """What became of system calls, and the policies of test_policy_overrides.py."""

    def armed(number: int) -> None:
        getpgid(number)
        called(GETSID, 0)

    fates = {f"getpgid {n}": fate(partial(called, GETPGID, n)) for n in range(4202, 4207)}
    fates["sysfs 4201"] = fate(lambda: called(SYSFS, 4201))
    fates["armed"] = fate(lambda: armed(4210))
    fates["signalled"] = fate(lambda: armed(4211))
    fates["unarmed"] = fate(lambda: called(GETSID, 0))
    listed = json.loads(client("list", "-o", "json"))
    return {"fates": fates, "listed": listed}


def main() -> None:
    """All fates, in the order of the policies in test_policy_actions.py."""
    if sys.argv[1] == "overridden":
        json.dump(overridden(), sys.stdout)
        return
    agent = int(sys.argv[1])
    fates = {
        "spared": fate(lambda: getpgid(4100)),
        "kprobe": fate(lambda: getpgid(4101)),
        "tracepoint": fate(lambda: getpgid(4102)),
        "raw": fate(lambda: [None, LIBC.syscall(SYSFS, 3)][0]),
        "uprobe": fate(lambda: [None, LIBC.getpgid(4104)][0]),
        "quiet": fate(lambda: getpgid(4105)),
        "limited": fate(lambda: getpgid(4106, 5)),
        "return": fate(lambda: getpgid(4107)),
        "both": fate(lambda: getpgid(4108)),
        "second": fate(lambda: getpgid(4109)),
        "crowded": fate(lambda: poll_among_others(41)),
        "readable": fate(lambda: os.close(os.open("/tmp/act/readable", os.O_RDONLY))),
        "refused": fate(lambda: os.close(os.open("/tmp/act/refused", os.O_RDONLY))),
        "secret": fate(lambda: os.close(os.open("/tmp/act/secret", os.O_RDONLY))),
        "deadly": fate(lambda: os.close(os.open("/tmp/act/deadly", os.O_RDONLY))),
        "mkdir": fate(lambda: os.mkdir("/tmp/act/forbidden")),
        "mkdir_other": fate(lambda: os.mkdir("/tmp/act/allowed")),
        "monitored": fate(lambda: getpgid(4120)),
        "tracked": fate(share_a_socket),
        "armed": fate(lambda: [getpgid(4140), os.rmdir("/tmp/act/directory")][1]),
        "unarmed": fate(lambda: os.rmdir("/tmp/act/directory")),
    }
    written = {str(number): settable(number) for number in (7, 8, 9)}
    said = {"only": client("set-mode", "only", "enforce")}
    said["monitored"] = client("set-mode", "monitored", "enforce")
    fates["enforced"] = fate(lambda: getpgid(4120))
    said["again"] = client("set-mode", "monitored", "monitor")
    fates["monitored_again"] = fate(lambda: getpgid(4120))
    listed = json.loads(client("list", "-o", "json"))
    # While nobody reads the buffer, and when it is full, the kernel acts all the same.
    time.sleep(1)
    os.kill(agent, signal.SIGSTOP)
    fates["flood"] = fate(lambda: getpgid(4130, 20000))
    fates["full"] = fate(lambda: getpgid(4101))
    fates["full_return"] = fate(lambda: getpgid(4107))
    os.kill(agent, signal.SIGCONT)
    at_end = json.loads(client("list", "-o", "json"))
    found = {"fates": fates, "written": written, "said": said, "listed": listed, "at_end": at_end}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
