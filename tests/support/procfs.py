# SPDX-License-Identifier: Apache-2.0
"""A procfs for tests: directories with the files that the agent reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.records import UNSET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PF_KTHREAD = 0x00200000  # include/linux/sched.h
PF_ORDINARY = 0x00400100


class FakeProcfs:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def add(
        self,
        pid: int,
        parent: int = 1,
        ticks: int = 100,
        comm: bytes = b"sh",
        argv: Sequence[bytes] = (b"sh",),
        exe: str | None = "/bin/sh",
        cwd: str | None = "/root",
        uid: tuple[int, int, int, int] = (0, 0, 0, 0),
        auid: int = UNSET,
        cgroup: str = "0::/init.scope",
        nspid: str | None = "",
        state: str = "S",
        stat_flags: int = PF_ORDINARY,
    ) -> None:
        base = self.root / str(pid)
        base.mkdir()
        numbers = [parent, pid, pid, 0, -1, stat_flags, *[0] * 8, 20, 0, 1, 0, ticks, 0, 0]
        text = f"{pid} (".encode() + comm + f") {state} {' '.join(map(str, numbers))}\n".encode()
        (base / "stat").write_bytes(text)
        assert text[text.rindex(b")") + 2 :].split()[19] == str(ticks).encode()
        (base / "cmdline").write_bytes(b"".join(argument + b"\0" for argument in argv))
        lines = [
            "Name:\tsh",
            f"Tgid:\t{pid}",
            "Uid:\t" + "\t".join(map(str, uid)),
            "Gid:\t0\t0\t0\t0",
        ]
        if nspid is not None:
            lines.append(f"NSpid:\t{nspid or pid}")
        (base / "status").write_text("\n".join(lines) + "\n")
        (base / "loginuid").write_text(str(auid))
        (base / "cgroup").write_text(cgroup + "\n")
        for name, target in (("exe", exe), ("cwd", cwd)):
            if target is not None:
                (base / name).symlink_to(target)
