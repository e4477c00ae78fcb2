# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: confined.py COMMAND..., with few capabilities, as in a careful container."""

from __future__ import annotations

import ctypes
import os
import sys

# What container engines leave by default; what BPF and procfs need (linux/capability.h).
_DEFAULT = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
_PTRACE, _RESOURCE, _PERFMON, _BPF = 19, 24, 38, 39
_PR_CAPBSET_DROP = 24


def main() -> None:
    libc = ctypes.CDLL(None)
    with open("/proc/sys/kernel/cap_last_cap") as last:
        capabilities = range(int(last.read()) + 1)
    for capability in set(capabilities) - _DEFAULT - {_PTRACE, _RESOURCE, _PERFMON, _BPF}:
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0):
            sys.exit(f"capability {capability} cannot be dropped")
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
