# SPDX-License-Identifier: Apache-2.0
"""Attacks that need no storm: a handful of processes, and whether the agent holds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.reliability import deceptions, stalls
from bench.reliability.attack import Programs
from bench.reliability.setting import Setting
from tools.errors import BuildError

CHECKS: dict[str, Callable[[Setting], list[str]]] = {
    "forged paths against a deny list": deceptions.forged_paths,
    "names of cgroups that are no containers": deceptions.container_ids,
    "1,000 containers that are made up": deceptions.made_up_containers,
    "redaction of texts that cost": deceptions.redaction,
    "the running file is deleted, replaced": stalls.file_gone,
    "packages of the host in front": deceptions.shadowed,
    "a reader of the FIFO that does not read": stalls.slow_reader,
    "evidence pushed out of the files": stalls.evidence,
    "evidence pushed out by root of a container": stalls.evidence_by_container,
    "a flood of calls of a policy": stalls.flooded_policy,
    "clients of metrics that do not read": stalls.unread_metrics,
    "3,000 binaries for metrics": stalls.series,
    "a rate limit used up": stalls.rate_limit,
    "40 MB of memory": stalls.small_memory,
}

# What takes longer than CI should wait for it.
LONG = {"redaction of texts that cost", "a reader of the FIFO that does not read"}


def run_all(
    pyz: Path, directory: Path, programs: Programs, names: list[str], *, short: bool
) -> dict[str, list[str]]:
    """Check -> what is wrong; those whose names contain one of `names`, all without any."""
    found = {}
    for number, (name, check) in enumerate(CHECKS.items()):
        if (names and not any(one in name for one in names)) or (short and name in LONG):
            continue
        place = directory / f"check-{number}"
        place.mkdir(parents=True)
        place.chmod(0o755)
        try:
            found[name] = check(Setting(pyz, place, programs))
        except (BuildError, OSError, subprocess.SubprocessError) as err:
            found[name] = [f"{type(err).__name__}: {str(err)[:400]}"]
    return found
