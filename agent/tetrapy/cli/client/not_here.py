# SPDX-License-Identifier: Apache-2.0
"""Commands of Tetragon's client that are about what tetrapy has not: each says why, and what is.

Tetragon's own fail likewise where the map that they read is not there.
"""

from __future__ import annotations

import os
from typing import List

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.errors import TetrapyError


def policy_filter(_options: Values, _arguments: List[str]) -> int:
    """`policyfilter dump`, `add`, `listpolicies`"""
    raise TetrapyError(
        "failed to open policyfilter map: tetrapy has none, since its policies are for all cgroups;"
        " `tracingpolicy list` has them"
    )


def cgroup_tracker(_options: Values, _arguments: List[str]) -> int:
    """`cgtracker dump`, `add`"""
    raise TetrapyError(
        "failed to open cgtracker map: tetrapy has none, since it finds a container by all parents"
        " of a cgroup; `docker` in events is the container"
    )


def execve_map(_options: Values, _arguments: List[str]) -> int:
    """`debug dump execve`"""
    raise TetrapyError(
        "failed to open execve map: tetrapy's is not pinned, and has other contents;"
        " `dump processcache` prints the processes that the agent knows"
    )


def error_metrics(_options: Values, _arguments: List[str]) -> int:
    """`debug dump errmetrics`"""
    raise TetrapyError(
        "failed to open errmetrics map: tetrapy has none; what its programs could not read is in"
        " the flags of events, and in the metric tetragon_flags_total"
    )


def policy_tests(_options: Values, _arguments: List[str]) -> int:
    """`policytest list`, `dump-policy`, `run`"""
    raise TetrapyError(
        "Tetragon's tests of its own policies are programs that tetrapy does not carry; `tetrapy"
        " policy test FILE --replay EVENTS` tries a policy on recorded events"
    )


def cgroup_id(_options: Values, arguments: List[str]) -> int:
    """`policyfilter cgroupid PATH`: the number of a cgroup, which is that of its directory."""
    path = arguments[0]
    if not os.path.exists(os.path.join(path, "cgroup.procs")):
        raise TetrapyError(f"failed to parse cgroup: {path} is no directory of a cgroup")
    return write(f"{os.stat(path).st_ino}\n")
