# SPDX-License-Identifier: Apache-2.0
"""Checks of namespaces: nsproxy, and the pid namespace that a task is in.

Each namespace has a number, which procfs shows as that of an inode; no two have the same.
"""

from __future__ import annotations

from typing import List, Optional

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.memory import Memory, is_pointer
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View
from tetrapy.named import NamedTuple

CHECKS: List[Check] = []


class Kind(NamedTuple):
    """A kind of namespace: its name below /proc/PID/ns, its pointer in nsproxy, and its struct."""

    name: str
    member: str
    struct: str

    @property
    def pointer(self) -> str:
        """The query for the pointer."""
        return f"nsproxy.{self.member}"

    @property
    def number(self) -> str:
        """The query for the number's place in the struct."""
        return f"{self.struct}.ns.inum"


# In the order of struct nsproxy (include/linux/nsproxy.h), behind its reference count.
KINDS = (
    Kind("uts", "uts_ns", "uts_namespace"),
    Kind("ipc", "ipc_ns", "ipc_namespace"),
    Kind("mnt", "mnt_ns", "mnt_namespace"),
    Kind("pid_for_children", "pid_ns_for_children", "pid_namespace"),
    Kind("net", "net_ns", "net"),
    Kind("time", "time_ns", "time_namespace"),
    Kind("time_for_children", "time_ns_for_children", "time_namespace"),
    Kind("cgroup", "cgroup_ns", "cgroup_namespace"),
)
# The last of them is at 64 in all kernels that were looked at; behind an nsproxy stands another.
LAST_POINTER = 72
# In struct ipc_namespace the number is at 848 to 1496 in the corpus; others are smaller.
_SIZE = 3072

TIMES = tuple(kind for kind in KINDS if kind.struct == "time_namespace")
# What a kernel without time namespaces lacks, all of it.
TIME_QUERIES = (*(kind.pointer for kind in TIMES), TIMES[0].number)


def _add(kind: Kind) -> None:
    # Every kernel has mount namespaces: theirs stands for nsproxy, others cost only themselves.
    proxy = ("task_struct.nsproxy",) if kind.name == "mnt" else ()

    @check(CHECKS, f"{kind.name} namespace", *proxy, kind.pointer, kind.number)
    def is_known(view: View, reference: ReferenceProcess) -> Optional[bool]:
        return _is(view, reference, kind)


for _kind in KINDS:
    if _kind not in TIMES:
        _add(_kind)


@check(CHECKS, "time namespaces", *TIME_QUERIES)
def _times(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if not any(map(view.has, TIME_QUERIES)):
        # A scan leaves out what it did not find: then nothing is read.
        return None if "time" in reference.namespaces else True
    first, second = TIMES
    if view[second.pointer] - view[first.pointer] != 8:
        return False
    results = [_is(view, reference, kind) for kind in TIMES]
    return None if None in results else all(results)


@check(CHECKS, "pid namespace", "upid.ns", "pid_namespace.ns.inum")
def _pid_namespace(view: View, reference: ReferenceProcess) -> Optional[bool]:
    number = reference.namespaces.get("pid")
    if number is None:
        return None
    if view["upid.ns"] + 8 > view["type_size upid"]:
        return False
    pid = view.follow(reference.thread.address, "task_struct.thread_pid")
    inner = view.u32(pid, "pid.level") * view["type_size upid"]
    namespace = view.follow(pid + view["pid.numbers"] + inner, "upid.ns")
    return place_of(number, namespace, view.memory) == view["pid_namespace.ns.inum"]


def place_of(number: int, namespace: int, memory: Memory) -> Optional[int]:
    """Where in the namespace at an address its number is; None if it is not there.

    It is behind a pointer, so at a multiple of 8 (include/linux/ns_common.h). Only the first place
    counts: behind a namespace stand others of its kind, dead ones too, which may have had it.
    """
    words = memory.some_words(namespace, _SIZE // 8) if is_pointer(namespace) else []
    return next((8 * at for at, word in enumerate(words) if word & 0xFFFFFFFF == number), None)


def _is(view: View, reference: ReferenceProcess, kind: Kind) -> Optional[bool]:
    """Whether the task's namespace of a kind is the known one; None if none is known."""
    number = reference.namespaces.get(kind.name)
    if number is None:
        return None
    namespace = view.follow(reference.thread.address, "task_struct.nsproxy", kind.pointer)
    return (
        view[kind.pointer] <= LAST_POINTER
        and place_of(number, namespace, view.memory) == view[kind.number]
    )
