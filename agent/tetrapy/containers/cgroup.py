# SPDX-License-Identifier: Apache-2.0
"""Which container a process is in, out of the path of its cgroup.

Runtimes name a cgroup after a container, `docker-ID.scope`, `kubepods-pod1:cri-containerd:ID` or
`ID`, where ID has 64 hex digits, or more as far as Tetragon goes. A process of the container may be
in a cgroup below it. Where a container is in another one, the inner one counts, as with Tetragon.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterable

from tetrapy.kernel.cgroups import telling_path

SHOWN_LENGTH = 31  # how many digits of an id Tetragon shows

# Prefixes end with `:` (cgroupfs driver) or `-` (systemd). A service or slice is no container, and
# what conmon, a container's supervisor, runs in is outside.
_CONTAINER = re.compile(rb"(?:.*[:-])?([0-9a-f]{64,})(?:\.scope)?", re.DOTALL).fullmatch
_SUPERVISOR = re.compile(rb"(?:.*[:-])?conmon[:-][0-9a-f]{64,}(?:\.scope)?", re.DOTALL).fullmatch


@lru_cache(maxsize=512)
def container_of_names(names: bytes) -> str:
    """The first 31 digits of the container's id, empty when the cgroup is in none.

    `names` are those of the cgroup and of the ones above it, each ended by a zero byte.
    """
    return _innermost(names.split(b"\0"))


def container_of_procfs(text: bytes) -> str:
    """The first 31 digits of the container's id, out of the text of `/proc/PID/cgroup`; empty if
    there is none.
    """
    return _innermost(reversed(telling_path(text).split(b"/")))


def _innermost(names: Iterable[bytes]) -> str:
    for name in names:
        found = _CONTAINER(name)
        if found and not _SUPERVISOR(name):
            return found[1][:SHOWN_LENGTH].decode()
    return ""
