# SPDX-License-Identifier: Apache-2.0
"""A process in a user namespace of its own, whose owner is known (user_namespaces(7)).

The prepared process has the host's, which belongs to user and group 0, at level 0: numbers that
are everywhere. This one is a child of the supervisor, made before the prepared process.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Tuple

from tetrapy.kernel import sys_calls
from tetrapy.kernel.child import Child, in_words
from tetrapy.kernel.kernel_memory import KernelMemory, Task
from tetrapy.kernel.reference_process import procfs_self
from tetrapy.named import NamedTuple


class UserNamespace(NamedTuple):
    """A user namespace one level below that of the prepared process."""

    holder: Task  # a process in it
    number: int  # the inode of /proc/PID/ns/user
    owner: int  # the user and the group that made it
    group: int

    @classmethod
    def of(cls, message: Dict[str, Any]) -> UserNamespace:
        """As `NamespaceOwner.start` reports it."""
        return cls(**{**message, "holder": Task(*message["holder"])})


class NamespaceOwner:
    """At most one such process, until `close`."""

    def __init__(self, memory: KernelMemory, ids: Tuple[int, int]) -> None:
        """`ids`: the user and the group that it is to be."""
        self._memory = memory
        self._ids = ids
        self._child = Child()
        self._alive = -1  # the end of a pipe, whose other end it waits at

    def start(self) -> Dict[str, Any]:
        """Make it; returns what UserNamespace.of takes. Raises OSError where that is forbidden."""
        answer, report = os.pipe2(os.O_CLOEXEC)
        wait, self._alive = os.pipe2(os.O_CLOEXEC)
        try:
            self._child.start(lambda: self._run(report, wait))
        finally:
            os.close(report)
            os.close(wait)
        with open(answer, "rb") as reports:
            line = reports.readline() or b'{"error": "it was killed"}'
        message: Dict[str, Any] = json.loads(line)
        if "error" in message:
            raise OSError(message["error"])
        return message

    def close(self) -> None:
        """End it; safe to call twice."""
        self._child.kill()

    def _run(self, report: int, wait: int) -> None:
        """In the child, which ends when the supervisor has."""
        os.close(self._alive)
        try:
            message = self._prepare()
        except BaseException as err:  # noqa: BLE001 - the supervisor reports it
            message = {"error": in_words(err)}
        os.write(report, json.dumps(message).encode() + b"\n")
        os.read(wait, 1)

    def _prepare(self) -> Dict[str, Any]:
        owner, group = self._ids
        sys_calls.set_group_ids(group, group, group, group)
        sys_calls.set_user_ids(owner, owner, owner, owner)
        # Asked before: in the namespace there is no right to.
        holder = self._memory.current()
        sys_calls.call("unshare", sys_calls.CLONE_NEWUSER)
        number = procfs_self.namespaces()["user"]
        return {"holder": holder, "number": number, "owner": owner, "group": group}
