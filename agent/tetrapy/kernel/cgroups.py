"""Which cgroup hierarchy tells of containers on this host: asked of the kernel, not of mounts."""

from __future__ import annotations

from typing import Optional, Tuple

# Controllers of version 1 whose hierarchy runtimes use, the best first.
_CONTROLLERS = (b"memory", b"pids")


def told_by(text: bytes) -> Tuple[str, bytes]:
    """The controller and the path that tell of the process of which `text` is the `cgroup` file.

    No controller is the unified hierarchy: it does where no hierarchy of version 1 has one of them.
    """
    # The kernel lets no name have a line feed; other line ends are parts of names.
    split = (line.split(b":", 2) for line in text.split(b"\n"))
    lines = [parts for parts in split if len(parts) == 3]
    for controller in _CONTROLLERS:
        for _, names, path in lines:
            if controller in names.split(b","):
                return controller.decode(), path
    return "", next((path for _, names, path in lines if not names), b"")


def host_controller(procfs: str) -> Optional[str]:
    """The controller by which the host's processes are told, empty for the unified hierarchy.

    None when `procfs` does not tell.
    """
    try:
        with open(f"{procfs}/self/cgroup", "rb") as file:
            return told_by(file.read())[0]
    except OSError:
        return None
