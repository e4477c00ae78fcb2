# SPDX-License-Identifier: Apache-2.0
"""Which cgroup hierarchy tells of containers on this host: asked of the kernel, not of mounts.

And the cgroups that there are, as far as their directories can be seen.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict, deque
from typing import Callable, Deque, Hashable, Iterator, List, Optional, Tuple

from tetrapy.host_files import host_root

# Controllers of version 1 whose hierarchy runtimes use, the best first.
_CONTROLLERS = (b"memory", b"pids")
ID_V1 = 1 << 63
"""Set in the numbers of cgroups of version 1 (CGROUP_ID_V1 of bpf/cgroup.h)."""


def _hierarchies(text: bytes) -> List[List[bytes]]:
    """Number, controllers and path of each line of a `cgroup` file of procfs."""
    # The kernel lets no name have a line feed; other line ends are parts of names.
    split = (line.split(b":", 2) for line in text.split(b"\n"))
    return [parts for parts in split if len(parts) == 3]


def _first(hierarchies: List[List[bytes]]) -> Optional[bytes]:
    for controller in _CONTROLLERS:
        if any(controller in names.split(b",") for _, names, _ in hierarchies):
            return controller
    return None


def container_path(text: bytes) -> bytes:
    """The path of the cgroup that tells of the process of which `text` is the `cgroup` file.

    It is in the hierarchy of version 1 that has the first of the controllers. Where the process is
    in its root, or there is none, the unified hierarchy tells: one of version 1 that is used no
    more stays until the next boot, and has every process in its root.
    """
    hierarchies = _hierarchies(text)
    controller = _first(hierarchies)
    for _, names, path in hierarchies:
        if controller is not None and controller in names.split(b",") and path != b"/":
            return path
    return next((path for _, names, path in hierarchies if not names), b"")


def host_controller(procfs: str) -> Optional[str]:
    """The controller whose hierarchy of version 1 can tell of the host's processes.

    Empty when there is only the unified hierarchy, None when `procfs` does not say.
    """
    try:
        with open(f"{procfs}/self/cgroup", "rb") as file:
            return (_first(_hierarchies(file.read())) or b"").decode()
    except OSError:
        return None


def cgroups(
    procfs: str, most: int, maker: Callable[[bytes], Hashable] = lambda names: None
) -> Iterator[Tuple[int, bytes]]:
    """The cgroups that tell of containers: their numbers, and names as exec records have them.

    Those names are of the cgroup and of the ones above it, each ended by a zero byte. `most` are
    looked at, in turns of those who may have made them by their names: others' thousands do not
    hide one. None where their file systems are mounted nowhere. Those above a cgroup come first.
    """
    for top, version in _tops(procfs):
        waiting: OrderedDict[Hashable, Deque[Tuple[bytes, bytes]]] = OrderedDict()
        waiting[None] = deque([(top, b"")])
        while waiting and most > 0:
            whose, own = waiting.popitem(last=False)
            directory, names = own.popleft()
            if own:
                waiting[whose] = own
            try:
                yield os.stat(directory).st_ino | version, names
                with os.scandir(directory) as entries:
                    found = [os.fsencode(one.name) for one in entries if one.is_dir()]
            except OSError:  # it is gone
                continue
            most -= 1
            for name in found[:most]:
                path = name + b"\0" + names
                waiting.setdefault(maker(path), deque()).append(
                    (b"%s/%s" % (directory, name), path)
                )


def cgroup_of(procfs: str, text: bytes) -> Tuple[int, bytes]:
    """The same of the process of which `text` is the `cgroup` file. Raises OSError."""
    path = container_path(text)
    for top, version in _tops(procfs):
        try:
            number = os.stat(top + path).st_ino
        except OSError:
            continue
        return number | version, b"".join(name + b"\0" for name in path.split(b"/")[:0:-1])
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))


def _tops(procfs: str) -> Iterator[Tuple[bytes, int]]:
    """Directories at the top of the hierarchies, as the machine's first process sees them.

    Where that process may not be looked at, as this one does.
    """
    controller = (host_controller(procfs) or "").encode()
    root = os.fsencode(host_root(procfs))
    who = "1" if root else "self"
    try:
        with open(f"{procfs}/{who}/mountinfo", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(b" - ")
        words, kind = before.split(b" "), after.split(b" ")
        if len(words) < 5 or len(kind) < 3 or words[3] != b"/":
            continue
        if kind[0] == b"cgroup2":
            yield root + words[4], 0
        elif kind[0] == b"cgroup" and controller and controller in kind[2].split(b","):
            yield root + words[4], ID_V1
