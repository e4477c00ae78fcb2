# SPDX-License-Identifier: Apache-2.0
"""A look at a process that just executed: what can still be read of it.

All is read through one handle of the process' directory, so that the parts belong together: the
files of a process that is gone cannot be read, even when its pid has a new owner.
"""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Set

from tetrapy.containers.cgroup import ContainerRef, container_of_procfs, outermost_of_procfs
from tetrapy.events.executed import UNREPORTED, ExecutedFile
from tetrapy.events.process import UNSET_ID
from tetrapy.named import NamedTuple
from tetrapy.process.files import host_files
from tetrapy.process.procfs import TICK_NS, place_of

_CHUNK = 1 << 16
MAX_LENGTH = 256 << 10  # bytes of arguments, or variables, that are read, as the BPF programs do


class Snapshot(NamedTuple):
    """What was seen. A process that has ended, but was not waited for, has no image any more."""

    has_image: bool
    exe: bytes  # path of the binary; empty when it could not be read
    command_line: bytes
    cwd: bytes  # empty when it could not be read
    comm: bytes
    parent_pid: int
    start: int  # ns since boot, a multiple of 10 ms
    uid: int  # effective
    real_uid: int
    auid: int
    docker: str
    inner_pid: int  # pid in its own pid namespace; 0 in the initial one
    environment: bytes  # empty unless it is asked for
    truncated: bool = False  # arguments or variables were longer than what was read
    answered: bool = True  # false if arguments and variables were not read, so as not to wait
    file: Optional[ExecutedFile] = UNREPORTED  # that it executes; None if it is the host's at `exe`
    container: Optional[ContainerRef] = None  # the one that has `docker`
    outermost: str = ""  # container: see outermost_of_procfs


def take_snapshot(
    root: str,
    pid: int,
    image: bool = True,
    environment: bool = False,
    longest: int = MAX_LENGTH,
    may_wait: bool = True,
) -> Optional[Snapshot]:
    """What procfs below `root` shows of `pid`, None when it is gone.

    What a process loses first is read first. `image` is false for one that has ended; `environment`
    asks for its variables. At most `longest` bytes are read of them, and of arguments; neither is
    unless it may wait for who can keep that from ending (process/bounded_reads.py).
    """
    try:
        handle = os.open(f"{root}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        exe, deleted = place_of(b"exe", b"root", handle, may_wait) if image else (b"", False)
        command_line = _read(handle, "cmdline", longest) if image and may_wait else b""
        file = host_files(root).file(b"exe", b"root", exe, deleted, handle)
        cwd = _link(handle, "cwd") if image else b""
        wanted = image and environment and may_wait
        variables = _read(handle, "environ", longest) if wanted else b""
        stat = _read(handle, "stat")
        if not stat:
            return None
        status = _fields(_read(handle, "status"))
        auid = _read(handle, "loginuid").strip()
        cgroup = _read(handle, "cgroup")
        container = container_of_procfs(cgroup)
    finally:
        os.close(handle)
    try:
        # The name in parentheses may itself contain blanks and parentheses.
        at, end = stat.index(b"("), stat.rindex(b")")
        numbers = stat[end + 2 :].split()
        numbers_inside = status.get(b"NSpid", [])
        return Snapshot(
            has_image=bool(exe or command_line),
            exe=exe,
            command_line=command_line,
            cwd=cwd,
            comm=stat[at + 1 : end],
            parent_pid=int(numbers[1]),
            start=int(numbers[19]) * TICK_NS,
            uid=int(status[b"Uid"][1]) if b"Uid" in status else UNSET_ID,
            real_uid=int(status[b"Uid"][0]) if b"Uid" in status else UNSET_ID,
            auid=int(auid) if auid.isdigit() else UNSET_ID,
            docker=container.docker if container is not None else "",
            inner_pid=int(numbers_inside[-1]) if len(numbers_inside) > 1 else 0,
            environment=variables,
            truncated=max(len(command_line), len(variables)) >= longest,
            answered=may_wait or not image,
            file=file,
            container=container,
            outermost=outermost_of_procfs(cgroup),
        )
    except (ValueError, IndexError):
        return None


def living_threads(root: str, pid: int) -> Set[int]:
    """The threads of a process that have not ended."""
    try:
        found = {int(name) for name in os.listdir(f"{root}/{pid}/task")}
    except (OSError, ValueError):
        return set()
    # Only a leader stays when it has ended; other threads vanish.
    if pid in found and _has_ended(f"{root}/{pid}/stat"):
        found.discard(pid)
    return found


def _has_ended(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            stat = file.read()
    except OSError:
        return True
    return stat[stat.rfind(b")") + 2 :][:1] in {b"Z", b"X"}


def _link(handle: int, name: str) -> bytes:
    try:
        return os.readlink(os.fsencode(name), dir_fd=handle)
    except OSError:
        return b""


def _read(handle: int, name: str, limit: int = _CHUNK) -> bytes:
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=handle)
    except OSError:
        return b""
    try:
        data = os.read(file, min(limit, _CHUNK))
        if len(data) < _CHUNK // 16:  # procfs gives a small file at once
            return data
        return data + _rest(file, limit - len(data))
    except OSError:
        return b""
    finally:
        os.close(file)


def _rest(file: int, limit: int) -> bytes:
    parts: List[bytes] = []
    while limit > 0:
        part = os.read(file, min(limit, _CHUNK))
        if not part:
            break
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _fields(status: bytes) -> Dict[bytes, List[bytes]]:
    fields: Dict[bytes, List[bytes]] = {}
    for line in status.splitlines():
        name, _, value = line.partition(b":")
        if name in {b"Uid", b"NSpid"}:
            fields[name] = value.split()
    return fields
