# SPDX-License-Identifier: Apache-2.0
"""Which container a process is in, out of the path of its cgroup.

Runtimes name a cgroup after a container, `docker-ID.scope`, `kubepods-pod1:cri-containerd:ID` or
`ID`, where ID has 64 hex digits, or more as far as Tetragon goes. A process of the container may be
in a cgroup below it. Where a container is in another one, the inner one counts, as with Tetragon;
of one that no runtime knows, made up maybe, what is known of the outermost one is told.

LXC, Incus, systemd-nspawn and Garden have names in place of such ids. Tetragon shows none of them,
so `docker` is empty; and they count only where no cgroup of the path has an id, so that nobody in a
container hides its id by a cgroup of his own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import List, Optional, Union

from tetrapy.kernel.cgroups import container_path
from tetrapy.named import NamedTuple

SHOWN_LENGTH = 31  # how many digits of an id Tetragon shows

# Prefixes end with `:` (cgroupfs driver) or `-` (systemd). A service or slice is no container, and
# what conmon, a container's supervisor, runs in is outside.
# The other patterns are compiled when a name asks for them: most starts meet no container.
_CONTAINER = re.compile(rb"(.*[:-])?([0-9a-f]{64,})(?:\.scope)?", re.DOTALL).fullmatch
_SUPERVISOR = rb"(?:.*[:-])?conmon[:-][0-9a-f]{64,}(?:\.scope)?"

# Last word of the prefix, or name of the cgroup above -> runtime.
_RUNTIMES = {
    b"docker": "docker",
    b"libpod": "podman",
    b"libpod_parent": "podman",
    b"containerd": "containerd",
    b"nerdctl": "containerd",
    b"crio": "cri-o",
}
_WORD = rb"([^:-]*)[:-]$"

# Where user managers of systemd have what users run: rootless Podman among it.
_USER = rb"user@([0-9]{1,10})\.service"

_LXC = b"lxc.payload."
_NSPAWN = rb"systemd-nspawn@(.+)\.service"
_MACHINE = rb"machine-(?!qemu\\x2d)(.+)\.scope"
_ESCAPED = rb"\\x([0-9a-f]{2})"  # as systemd writes a `-` that is part of a name


# What a Kubernetes pod's containers are in: they get new ids as often as they end.
_POD = rb"(?:.*-)?(pod[0-9a-f_-]{32,})(?:\.slice)?"


class ContainerRef(NamedTuple):
    """A container, as far as cgroups tell it."""

    docker: str  # the first 31 digits of its id; empty for one that has a name in place of an id
    id: str  # the whole id, or the name
    runtime: str  # docker, podman, containerd, cri-o, lxc, nspawn, garden; empty if unknown
    # Who may have made it up, having made its cgroup: the outermost container that it is in, or the
    # uid whose manager runs it; 0: root.
    maker: Union[int, str] = 0
    outer: Optional[ContainerRef] = None  # the outermost one with an id that it is in


@lru_cache(maxsize=512)
def container_of_names(names: bytes) -> Optional[ContainerRef]:
    """The container of a cgroup; None when it is in none.

    `names` are those of the cgroup and of the ones above it, each ended by a zero byte.
    """
    return _innermost(names.split(b"\0"))


def container_of_procfs(text: bytes) -> Optional[ContainerRef]:
    """The container, out of the text of `/proc/PID/cgroup`; None if there is none."""
    return _innermost(container_path(text).split(b"/")[::-1])


@lru_cache(maxsize=512)
def outermost_of_names(names: bytes) -> str:
    """The container, or pod, that all others in the path of a cgroup are in: its id as events show
    it, or its name.

    Nobody in it can make up another one. Empty where there is none, and where a user's manager
    runs it, since a user may make up any number there.
    """
    return _outermost(names.split(b"\0"))


def outermost_of_procfs(text: bytes) -> str:
    """The same, out of the text of `/proc/PID/cgroup`."""
    return _outermost(container_path(text).split(b"/")[::-1])


def maker_of_names(names: bytes) -> Union[int, str]:
    """Who may have made the cgroup: the outermost container, or the uid whose manager made it; 0:
    root.
    """
    parts = names.split(b"\0")
    return _outermost(parts) or _owner(parts)


def _outermost(names: List[bytes]) -> str:
    """`names` of cgroups, from the innermost outwards."""
    for at in range(len(names) - 1, -1, -1):
        pod = re.fullmatch(_POD, names[at]) if b"pod" in names[at] else None
        if pod:
            found = pod[1].decode()
        else:
            ref = _at(names, at) or _named_at(names, at)
            found = "" if ref is None else ref.docker or ref.id
        if found:
            return "" if _owner(names[at:]) else found
    return ""


def _innermost(names: List[bytes]) -> Optional[ContainerRef]:
    """`names` of cgroups, from the innermost outwards."""
    for at in range(len(names)):
        found = _at(names, at)
        if found is not None:
            return found
    for at in range(len(names)):
        named = _named_at(names, at)
        if named is not None:
            return named
    return None


def _at(names: List[bytes], at: int) -> Optional[ContainerRef]:
    """The container with an id whose own cgroup is at this place, if there is one."""
    name = names[at]
    found = _CONTAINER(name)
    if not found or re.fullmatch(_SUPERVISOR, name, re.DOTALL):
        return None
    id_ = found[2].decode()
    word = re.search(_WORD, found[1]) if found[1] else None
    above = names[at + 1] if at + 1 < len(names) else b""
    runtime = _RUNTIMES.get(word[1] if word else above, "")
    maker = _outermost(names[at + 1 :]) or _owner(names[at:])
    outer = next(filter(None, (_at(names, out) for out in range(len(names) - 1, at, -1))), None)
    return ContainerRef(id_[:SHOWN_LENGTH], id_, runtime, maker, outer)


def _owner(names: List[bytes]) -> int:
    for name in reversed(names):  # who has a manager may call a cgroup in it as another one's
        found = re.fullmatch(_USER, name) if name.startswith(b"user@") else None
        if found:
            return int(found[1])
    return 0


def _named_at(names: List[bytes], at: int) -> Optional[ContainerRef]:
    """The container of a runtime that gives names, if its cgroup is at this place."""
    name, below, above = names[at], names[at - 1] if at else b"", names[at + 1 : at + 2]
    runtime = ""
    text = b""
    if name.startswith(_LXC) and name != _LXC:
        runtime, text = "lxc", name[len(_LXC) :]
    elif above == [b"lxc"]:
        runtime, text = "lxc", name
    elif above == [b"garden"]:
        runtime, text = "garden", name
    else:
        nspawn = name.startswith(b"systemd-nspawn@")
        machine = re.fullmatch(_NSPAWN, name, re.DOTALL) if nspawn else None
        # Beside the payload there is the supervisor, which is outside.
        if (machine and below == b"payload") or (
            not machine and below != b"supervisor" and above == [b"machine.slice"]
        ):
            machine = machine or re.fullmatch(_MACHINE, name, re.DOTALL)
            if machine:
                escaped = machine[1]
                runtime = "nspawn"
                text = re.sub(_ESCAPED, lambda found: bytes([int(found[1], 16)]), escaped)
    return ContainerRef("", text.decode("utf-8", "replace"), runtime) if runtime else None
