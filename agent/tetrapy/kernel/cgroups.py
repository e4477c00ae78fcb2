# SPDX-License-Identifier: Apache-2.0
"""Which cgroup hierarchy tells of containers on this host: asked of the kernel, not of mounts."""

from __future__ import annotations

from typing import List, Optional

# Controllers of version 1 whose hierarchy runtimes use, the best first.
_CONTROLLERS = (b"memory", b"pids")


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


def telling_path(text: bytes) -> bytes:
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
