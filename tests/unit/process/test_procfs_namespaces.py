# SPDX-License-Identifier: Apache-2.0
"""Which namespaces are the host's, by what procfs shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetrapy.process.procfs import are_host_namespaces_known, host_namespaces

INITIAL = {"uts": 4026531838, "ipc": 4026531839, "pid": 4026531836, "cgroup": 4026531835,
           "user": 4026531837, "mnt": 4026531841, "net": 4026531840}  # fmt: skip


def shown(root: Path, process: int, /, **numbers: int) -> None:
    """Have procfs show namespaces of a process."""
    directory = root / str(process) / "ns"
    directory.mkdir(parents=True)
    for name, number in numbers.items():
        (directory / name).symlink_to(f"{name}:[{number}]")


def test_those_of_the_first_process(tmp_path: Path) -> None:
    """Whatever they are: a machine's first process may be in a container of another machine."""
    shown(tmp_path, 1, mnt=7, uts=8)
    shown(tmp_path, os.getpid(), **INITIAL)
    assert (host_namespaces(str(tmp_path)).mnt, host_namespaces(str(tmp_path)).uts) == (7, 8)
    assert are_host_namespaces_known(str(tmp_path))


@pytest.mark.parametrize(("own", "known"), [({}, True), ({"uts": 9}, False), ({"user": 9}, False)])
def test_where_that_may_not_be_looked_at(tmp_path: Path, own: dict[str, int], known: bool) -> None:
    """The initial ones, which have the same numbers on all kernels that have them; mounts and
    network are the agent's own, and known as the host's where all others are.
    """
    shown(tmp_path, os.getpid(), **{**INITIAL, **own})
    found = host_namespaces(str(tmp_path))
    assert {name: getattr(found, name) for name in INITIAL} == INITIAL
    assert found.time == 0
    assert are_host_namespaces_known(str(tmp_path)) == known
