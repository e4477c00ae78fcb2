# SPDX-License-Identifier: Apache-2.0
"""What a process has of the one that it came from."""

from __future__ import annotations

import pytest

from tetrapy.events.process import DetailedProcess, Process
from tetrapy.process.inherit import inherit

STAYS = ("uid", "auid", "cwd", "docker", "container")
DETAILS = ("user", "capabilities", "credentials", "namespaces")
IMAGE = ("binary", "arguments", "executed")
OWN = ("pid", "start", "ktime", "flags", "refcnt", "in_init_tree", "parent")


@pytest.mark.parametrize("image", [True, False])
@pytest.mark.parametrize("kind", [Process, DetailedProcess])
def test_what_is_handed_on(kind: type[Process], image: bool) -> None:
    """An exec leaves who it is and where; a fork also what it runs; no place in the table moves."""
    former, process = kind(b"host1", 5, 1, 2), kind(b"host1", 6, 3, 4)
    details = (*DETAILS, "environment") if kind is DetailedProcess else ()
    for name in (*STAYS, *details, *IMAGE, "flags", "refcnt", "in_init_tree", "parent"):
        setattr(former, name, f"{name} of the former")
    before = {name: getattr(process, name) for name in OWN}
    inherit(process, former, image=image)
    handed = {*STAYS, *(IMAGE if image else ()), *(details if image else DETAILS[: len(details)])}
    for name in (*STAYS, *details, *IMAGE):
        assert (getattr(process, name) == f"{name} of the former") == (name in handed), name
    assert {name: getattr(process, name) for name in OWN} == before
