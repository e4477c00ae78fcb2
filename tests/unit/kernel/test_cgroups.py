# SPDX-License-Identifier: Apache-2.0
"""Which cgroups are looked at, where there are more than that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tetrapy.containers.cgroup import maker_of_names
from tetrapy.kernel import cgroups as module
from tetrapy.kernel.cgroups import cgroups

ID = "5ca1ab1e" * 8


def test_one_users_thousands_hide_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's manager, a container and a pod may each have too many; all else is looked at."""
    monkeypatch.setattr(module, "_tops", lambda procfs: [(os.fsencode(tmp_path), 0)])
    crowded = (
        "user.slice/user-7.slice/user@7.service",
        f"system.slice/docker-{ID}.scope/inner",
        f"a.slice/pod0f6f7d4e_1111_2222_3333_444455556666.slice/cri-containerd-{ID}.scope",
    )
    others = ("system.slice/cron.service", "z.slice/z-1.slice/z-1-1.slice/z.service", "a.service")
    for path in crowded:
        for number in range(100):
            os.makedirs(tmp_path / path / f"{number}.scope/{ID}")
    for path in others:
        os.makedirs(tmp_path / path)

    def names(path: str) -> bytes:
        return b"".join(os.fsencode(one) + b"\0" for one in path.split("/")[::-1])

    found = [path for _, path in cgroups("", 60, maker_of_names)]
    assert len(found) == 60
    assert {names(path) for path in (*others, *crowded)} <= set(found)
    for at, path in enumerate(found):
        above = path.split(b"\0", 1)[1] if path else b""
        assert above in found[: at + 1]
    assert len(list(cgroups("", 10_000))) > 600
