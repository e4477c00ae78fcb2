# SPDX-License-Identifier: Apache-2.0
"""Cgroups that an ordinary user owns, as a service manager gives them to him."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

# The unified hierarchy, wherever it is; else one of those of version 1.
_ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
_FIRST = "/sys/fs/cgroup/memory"


def root() -> Path:
    """Where cgroups of this machine are made."""
    for name in _ROOTS:
        if Path(name, "cgroup.controllers").exists():
            return Path(name)
    return Path(_FIRST)


class Cgroups:
    """So many cgroups below one that `uid` owns; none are made for 0."""

    def __init__(self, count: int, uid: int) -> None:
        self.path = root() / f"tetrapy-attack-{os.getpid()}" if count else None
        self._count, self._uid = count, uid

    def __enter__(self) -> Self:
        if self.path:
            for name in ("", *map(str, range(self._count))):
                made = self.path / name
                made.mkdir()
                for path in (made, made / "cgroup.procs"):
                    os.chown(path, self._uid, self._uid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if not self.path:
            return
        for name in (*map(str, range(self._count)), ""):
            _remove(self.path / name)


def _remove(path: Path) -> None:
    """A cgroup is busy until the last process in it was waited for."""
    for _ in range(100):
        try:
            path.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return


@contextmanager
def named(names: list[str]) -> Iterator[dict[str, Path]]:
    """Cgroups with these names, where the agent reads containers from; those above are made too.

    A name's first component gets what makes it this run's, so that nobody else's is met.
    """
    memory = Path(_FIRST)
    top = memory if memory.is_dir() else root()
    base = top / f"tetrapy-attack-{os.getpid()}"
    made = {name: base / name for name in names}
    for path in made.values():
        path.mkdir(parents=True, exist_ok=True)
    try:
        yield made
    finally:
        for directory, _, _ in os.walk(base, topdown=False):
            _remove(Path(directory))


@contextmanager
def limited(size: int) -> Iterator[Path | None]:
    """A cgroup that may use so many bytes of memory; None where there is no controller for it."""
    name = f"tetrapy-attack-{os.getpid()}"
    first, unified = Path(_FIRST), root()
    try:
        if first.is_dir():
            path = first / name
            path.mkdir()
            (path / "memory.limit_in_bytes").write_text(str(size))
        else:
            (unified / "cgroup.subtree_control").write_text("+memory")
            path = unified / name
            path.mkdir()
            (path / "memory.max").write_text(str(size))
    except OSError:
        yield None
        return
    try:
        yield path
    finally:
        _remove(path)
