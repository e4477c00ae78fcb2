# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: more processes than processors open a file without end that a policy refuses.

crowded.py PROCESSES OPENS PATH      prints how many of their opens succeeded
"""

from __future__ import annotations

import os
import sys

USER = 65534


def opened(path: str, times: int) -> int:
    """How often it could be opened."""
    count = 0
    for _ in range(times):
        try:
            os.close(os.open(path, os.O_RDONLY))
        except PermissionError:
            continue
        count += 1
    return count


def main() -> None:
    """All at once, as an ordinary user; every fourth with the lowest priority."""
    processes, times, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    read, write = os.pipe()
    for number in range(processes):
        if not os.fork():
            os.setresuid(USER, USER, USER)
            if number % 4 == 0:
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.write(write, b"%d " % opened(path, times))
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        print(sum(map(int, file.read().split())))


if __name__ == "__main__":
    main()
