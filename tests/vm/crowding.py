# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: threads that an enforcer awaits, beside thousands of others, as JSON."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from typing import IO

ROOM = 4096  # ENFORCEMENTS of bpf/hook.h
FLOODER, OTHER = 1234, 1235  # uids
NUMBER, SIGNALLED = 4140, 4141  # what is asked for; with the second one a signal awaits, too
CLONE3 = 435
LIBC = ctypes.CDLL(None, use_errno=True)


class Armed:
    """Something awaits it at the removal of a directory of its own."""

    _made = 0

    def __init__(
        self, uid: int, number: int = NUMBER, gone: int = 0, held: int = 0, how: str = "self"
    ) -> None:
        """Returns when so many threads are gone, and so many wait."""
        Armed._made += 1
        directory = f"/tmp/crowd/{Armed._made}"
        os.mkdir(directory)
        os.chown(directory, uid, uid)  # the directory above is sticky
        words = [str(number), directory, str(gone), str(held), how]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            ["/test/armed", *words], stdin=pipe, stdout=pipe, user=uid, group=uid, extra_groups=()
        )
        out: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        self.heard = int(out.readline().split()[1])

    def goes_on(self) -> int:
        """The error of the removal."""
        said, _ = self._process.communicate(b"\n")
        return int(said)


def number_again() -> int:
    """How a removal ends in a process whose number another one had, which something awaited."""
    os.mkdir("/tmp/crowd/again")
    first = os.fork()
    if not first:
        LIBC.syscall(121, NUMBER)
        os._exit(0)
    os.waitpid(first, 0)
    pids = (ctypes.c_int32 * 1)(first)
    words = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(pids), 1, 0)
    pid = LIBC.syscall(CLONE3, ctypes.byref(words), ctypes.c_long(ctypes.sizeof(words)))
    if not pid:
        try:
            os.rmdir("/tmp/crowd/again")
        except OSError as err:
            os._exit(err.errno or 255)
        os._exit(0)
    assert pid == first, os.strerror(ctypes.get_errno())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """All of it, one after the other."""
    os.mkdir("/tmp/crowd")
    os.chmod("/tmp/crowd", 0o1777)
    found: dict[str, int] = {"again": number_again()}
    found["executed"] = Armed(OTHER, how="exec").goes_on()
    early = Armed(OTHER)
    # All that he has notified, and that are gone, would fill the room.
    flooder = Armed(FLOODER, gone=ROOM + 500)
    found["flooder"], found["early"] = flooder.goes_on(), early.goes_on()
    few = Armed(FLOODER, SIGNALLED, held=100)
    found["few_heard"] = few.heard
    early = Armed(OTHER)
    crowd = Armed(FLOODER, SIGNALLED, held=ROOM // 2 + 100)
    found["many_heard"] = min(crowd.heard, 1)
    late = Armed(OTHER)
    found["late"], found["early_in_crowd"] = late.goes_on(), early.goes_on()
    crowd.goes_on()
    few.goes_on()
    found["afterwards"] = Armed(FLOODER).goes_on()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
