# SPDX-License-Identifier: Apache-2.0
"""What procfs says of the calling thread (proc(5)), as far as offsets are proven by it."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Dict, List, Tuple

from tetrapy.named import NamedTuple

_THREAD = "/proc/thread-self"

# Below /proc/PID/ns (namespaces(7)).
NAMESPACES = (
    "uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children", "cgroup",
    "user",
)  # fmt: skip

Names = Tuple[bytes, ...]


class ThreadStat(NamedTuple):
    """Some fields of /proc/PID/stat."""

    state: str
    start_ticks: int  # since boot, in clock ticks
    start_code: int  # this and all that follow are addresses of the process
    end_code: int
    start_stack: int
    start_data: int
    end_data: int
    start_brk: int
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int


# Places in the line, counted from the state, which is the third field.
_FIELDS = (19, 23, 24, 25, 42, 43, 44, 45, 46, 47, 48)


def thread_stat() -> ThreadStat:
    """The calling thread's. Raises OSError without a procfs that knows it."""
    return _stat(f"{_THREAD}/stat")


def leader_has_ended() -> bool:
    """Whether the first thread of this process has ended while the caller lives."""
    return _stat("/proc/self/stat").state == "Z"


def _stat(path: str) -> ThreadStat:
    # The name, in parentheses, may hold anything.
    words = _read(path).rpartition(b")")[2].split()
    return ThreadStat(words[0].decode(), *(int(words[place]) for place in _FIELDS))


def clock_offsets() -> Tuple[int, int]:
    """Nanoseconds that the time namespace adds to CLOCK_MONOTONIC and to CLOCK_BOOTTIME.

    Not for a process whose leader has ended.
    """
    offsets = {b"monotonic": 0, b"boottime": 0}
    try:
        text = _read("/proc/self/timens_offsets")
    except OSError:  # Linux before 5.5
        text = b""
    for line in text.splitlines():
        name, seconds, nanoseconds = line.split()
        offsets[name] = int(seconds) * 1_000_000_000 + int(nanoseconds)
    return offsets[b"monotonic"], offsets[b"boottime"]


def is_traced() -> bool:
    """Whether the calling thread is, by ptrace(2)."""
    found = re.search(rb"^TracerPid:\t(\d+)$", _read(f"{_THREAD}/status"), re.MULTILINE)
    return found is not None and found[1] != b"0"


def open_status() -> int:
    """A file that tells the calling thread's status, later too, when /proc cannot be reached."""
    return os.open(f"{_THREAD}/status", os.O_RDONLY | os.O_CLOEXEC)


def capability_sets(status: int) -> Tuple[int, int, int, int]:
    """Inheritable, permitted, effective and ambient, of the thread with this open status."""
    found = dict(re.findall(rb"^Cap(\w+):\t([0-9a-f]+)$", os.pread(status, 65536, 0), re.MULTILINE))
    inheritable, permitted, effective, ambient = (
        int(found[name], 16) for name in (b"Inh", b"Prm", b"Eff", b"Amb")
    )
    return inheritable, permitted, effective, ambient


def namespaces() -> Dict[str, int]:
    """Kind of namespace -> inode number of the calling thread's; those that the kernel has."""
    found = {}
    for kind in NAMESPACES:
        with contextlib.suppress(OSError):
            found[kind] = os.stat(f"{_THREAD}/ns/{kind}").st_ino
    return found


def login_uid() -> int:
    """The login uid of the calling thread. Raises OSError without CONFIG_AUDIT."""
    return int(_read(f"{_THREAD}/loginuid"))


def set_login_uid(uid: int) -> None:
    """Change the login uid of the calling thread. Raises OSError where that is forbidden."""
    write_file(f"{_THREAD}/loginuid", b"%d" % uid)


def cgroups() -> Dict[str, Names]:
    """Controller -> components of the path in its hierarchy; "" is the unified hierarchy.

    A path out of the cgroup namespace begins with as many ".." as are not known; they are left out.
    """
    found: Dict[str, Names] = {}
    for line in _read(f"{_THREAD}/cgroup").splitlines():
        _, controllers, path = line.split(b":", 2)
        names = tuple(name for name in path.split(b"/") if name not in (b"", b".."))
        for controller in controllers.split(b","):
            found[os.fsdecode(controller)] = names
    return found


def cgroup_ids(controller: str = "") -> Tuple[int, ...]:
    """Inode numbers of the caller's cgroup and the one above it, that last; of the leader only.

    The numbers of the directories are the cgroups' ids (cgroups(7)). Of what is at the mount point,
    the root or as much as a container sees, the one above is not known. Empty where the directory
    is not found.
    """
    path = b"/".join(cgroups().get(controller, ()))
    for mount in mounts():
        is_its = mount.kind == (b"cgroup" if controller else b"cgroup2")
        if not is_its or (controller and os.fsencode(controller) not in mount.options):
            continue
        inside = os.path.relpath(b"/" + path, mount.root)
        directory = os.path.normpath(os.path.join(mount.point, inside))
        try:
            if b"%d" % os.getpid() not in _read(f"{os.fsdecode(directory)}/cgroup.procs").split():
                continue
            places = (directory,) if inside == b"." else (directory, os.path.dirname(directory))
            return tuple(os.stat(place).st_ino for place in places)
        except OSError:
            continue
    return ()


class Mount(NamedTuple):
    """A line of /proc/PID/mountinfo."""

    number: int
    root: bytes  # path in its file system of what is mounted
    point: bytes  # path of the mount point
    kind: bytes  # type of the file system
    options: Tuple[bytes, ...]  # of the file system


def mounts() -> List[Mount]:
    """The mounts of this process, in the order in which they cover each other."""
    found = []
    for line in _read(f"{_THREAD}/mountinfo").splitlines():
        before, _, after = line.partition(b" - ")
        words = before.split(b" ")
        root, point = map(_unescaped, words[3:5])
        kind, _, options = after.split(b" ", 2)
        found.append(Mount(int(words[0]), root, point, kind, tuple(options.split(b","))))
    return found


def mount_number(directory: int) -> int:
    """The number of the mount that an open directory is on."""
    fields = re.search(rb"mnt_id:\s*(\d+)", _read(f"{_THREAD}/fdinfo/{directory}"))
    if fields is None:
        raise OSError("fdinfo does not tell the mount")
    return int(fields[1])


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), path)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write_file(path: str, data: bytes) -> None:
    """Write to a file of procfs or of a cgroup, in one piece. Raises OSError."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
