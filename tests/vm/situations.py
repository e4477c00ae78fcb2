# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: what a session finds around it, and back to how it was.

`hidden_btf`: as if the kernel had no BTF.  `distribution`: another os-release.  `legacy_cgroups`:
the memory and pids controllers on hierarchies of version 1, nothing else, as on older systems.
`LAUNCHERS` in front of a command run it in a container's pid, cgroup and mount namespaces, or with
few capabilities.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

BTF_DIRECTORY = "/sys/kernel/btf"
CGROUPS = "/sys/fs/cgroup"
OS_RELEASE = Path("/etc/os-release")
LAUNCHERS = {
    "container": ["/usr/bin/python3", "/test/tests/vm/contained.py"],
    "confined": ["/usr/bin/python3", "/test/tests/vm/confined.py"],
}

_libc = ctypes.CDLL(None, use_errno=True)


def mount(kind: str, where: str, options: str = "") -> None:
    """A new file system; OSError as the kernel says."""
    if _libc.mount(kind.encode(), where.encode(), kind.encode(), 0, options.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind} {options}: {os.strerror(number)}", where)


def unmount(where: str) -> None:
    """Lazily: what still uses it does not hold it."""
    detach = 2  # MNT_DETACH
    if _libc.umount2(where.encode(), detach):
        number = ctypes.get_errno()
        raise OSError(number, f"umount: {os.strerror(number)}", where)


@contextlib.contextmanager
def hidden_btf() -> Iterator[None]:
    """An empty directory over the kernel's BTF, where there is one."""
    if not os.path.exists(BTF_DIRECTORY):
        yield
        return
    mount("tmpfs", BTF_DIRECTORY)
    try:
        yield
    finally:
        unmount(BTF_DIRECTORY)


@contextlib.contextmanager
def distribution(text: str) -> Iterator[None]:
    """`text` as os-release."""
    before = OS_RELEASE.read_text()
    OS_RELEASE.write_text(text)
    try:
        yield
    finally:
        OS_RELEASE.write_text(before)


@contextlib.contextmanager
def legacy_cgroups() -> Iterator[None]:
    """The driver in a cgroup of its own on each hierarchy, which the agent inherits."""
    unmount(CGROUPS)
    mount("tmpfs", CGROUPS)
    for controller in ("memory", "pids"):
        place = f"{CGROUPS}/{controller}"
        os.mkdir(place)
        mount("cgroup", place, controller)
        group = f"{place}/tests.slice"
        os.mkdir(group)
        Path(group, "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        for controller in ("memory", "pids"):
            place = f"{CGROUPS}/{controller}"
            Path(place, "cgroup.procs").write_text(str(os.getpid()))
            os.rmdir(f"{place}/tests.slice")
            unmount(place)
        unmount(CGROUPS)
        mount("cgroup2", CGROUPS)


def tasks() -> list[str]:
    """The command lines of all processes but the driver's own and the kernel's threads."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                found.append(Path(entry, "cmdline").read_bytes().decode("utf-8", "replace"))
    return sorted(filter(None, found))
