# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: bounded.py NAME,NAME... COMMAND..., as root with these capabilities only."""

from __future__ import annotations

import ctypes
import os
import sys

from tests.vm.capability_names import NUMBERS

_PR_CAPBSET_DROP = 24


def main() -> None:
    libc = ctypes.CDLL(None)
    kept = {NUMBERS[name] for name in filter(None, sys.argv[1].split(","))}
    with open("/proc/sys/kernel/cap_last_cap") as last:
        capabilities = range(int(last.read()) + 1)
    for capability in set(capabilities) - kept:
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            sys.exit(f"capability {capability} cannot be dropped")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
