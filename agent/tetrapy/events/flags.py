# SPDX-License-Identifier: Apache-2.0
"""The words of `Process.flags` (bits: Tetragon, bpf/lib/process.h; order as Tetragon prints)."""

from __future__ import annotations

EXECVE = 0x1
PROCFS = 0x4
ERROR_ENVS = 0x8
TRUNC_ARGS = 0x10
MISS = 0x40
ERROR_FILENAME = 0x100
ERROR_ARGS = 0x200
NO_CWD = 0x800
ROOT_CWD = 0x1000
ERROR_CWD = 0x2000
CLONE = 0x4000
ERROR_CGROUP_NAME = 0x10000
ERROR_PATH_COMPONENTS = 0x400000
DATA_FILENAME = 0x800000
DATA_ARGS = 0x1000000
IN_INIT_TREE = 0x2000000

_WORDS = (
    (EXECVE, "execve"),
    (PROCFS, "procFS"),
    (ERROR_ENVS, "errorEnvs"),
    (TRUNC_ARGS, "truncArgs"),
    (MISS, "miss"),
    (ERROR_FILENAME, "errorFilename"),
    (ERROR_ARGS, "errorArgs"),
    (NO_CWD, "nocwd"),
    (ROOT_CWD, "rootcwd"),
    (ERROR_CWD, "errorCWD"),
    (CLONE, "clone"),
    (ERROR_CGROUP_NAME, "errorCgroupName"),
    (0x200000, "errorCgroupID"),
    (0x40000, "errorCgroupSubsysCgrp"),
    (0x80000, "errorCgroupSubsys"),
    (0x100000, "errorCgroups"),
    (ERROR_PATH_COMPONENTS, "errorPathResolutionCwd"),
    (DATA_FILENAME, "dataFilename"),
    (DATA_ARGS, "dataArgs"),
    (IN_INIT_TREE, "inInitTree"),
)


def flag_words(bits: int) -> str:
    """Space-joined words of the set bits."""
    return " ".join(word for bit, word in _WORDS if bits & bit)
