# SPDX-License-Identifier: Apache-2.0
"""The parent of the prepared process, itself a child of the agent.

It makes what the prepared process needs and removes it when the agent says so, or is gone: then its
end of the pipe is closed, however it ended. It ignores every signal but SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, Optional

from tetrapy.kernel import sys_calls
from tetrapy.kernel.child import in_words, killer
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import procfs_self
from tetrapy.kernel.reference_process.namespace_owner import NamespaceOwner
from tetrapy.kernel.reference_process.plan import Plan
from tetrapy.kernel.reference_process.prepared_task import PreparedTask

# Orders of the agent.
END, CLOSE = b"e", b"c"

_ENOUGH_COMPONENTS = 2
_REMOVALS = 2000  # attempts, 5 ms apart: a machine of two busy cores may take seconds

# include/uapi/linux/mount.h
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 1 << 14, 1 << 18
_MOUNT_POINT = b"/sys"


class Supervisor:
    """The supervisor; `run` is called in it right after the fork and does not return."""

    def __init__(
        self,
        memory: KernelMemory,
        plan: Plan,
        report: Callable[[Dict[str, Any]], None],
        orders: int,
        with_files: bool,
    ) -> None:
        """`report` reaches the agent, `orders` is the pipe on which its orders come."""
        self._with_files = with_files
        self._memory = memory
        self._plan = plan
        self._report = report
        self._orders = orders
        self._limits: List[str] = []
        self._cgroups: List[str] = []  # made here, the inner one last
        self._child = 0
        self._namespace_owner = NamespaceOwner(memory, plan.namespace_ids)

    def run(self) -> None:
        """Prepare, obey, remove, exit."""
        # Where the agent ignores it, an ended child would not stay a zombie.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            self._prepare()
            self._obey()
        except BaseException as err:  # noqa: BLE001 - the agent reports it
            try:
                self._report({"error": in_words(err)})
            except OSError:
                pass  # the agent is gone
        finally:
            try:
                self._remove()
            finally:
                os._exit(0)

    def _prepare(self) -> None:
        # Before this process has another pid namespace for its children, for the end of the first
        # one in it waits for the end of all.
        user_namespace = self._make_user_namespace() if self._with_files else None
        # In this order: a seccomp filter may kill for the first, and then nothing is left.
        own_namespace = self._unshare("pid namespace", sys_calls.CLONE_NEWPID)
        cgroup = self._make_cgroup()
        supervisor = self._memory.current()
        orders, self._pass_on = os.pipe2(os.O_CLOEXEC)
        self._alive, alive = os.pipe2(os.O_CLOEXEC)
        self._report(
            {
                "parent": supervisor,
                "limits": self._limits,
                "user_namespace": user_namespace,
            }
        )
        self._child = os.fork()
        if self._child == 0:
            os.close(self._pass_on)
            os.close(self._orders)
            prepared = PreparedTask(
                self._memory, self._plan, cgroup, own_namespace, self._report, orders
            )
            prepared.run(self._with_files)
        os.close(orders)
        os.close(alive)  # the last one open is the child's

    def _obey(self) -> None:
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        poll.register(self._alive, 0)
        while True:
            if self._orders not in dict(poll.poll()):
                self._wait()
                raise ChildProcessError("it has ended by itself")
            order = os.read(self._orders, 1)
            if order != END:
                return
            poll.unregister(self._alive)
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pass_on, order)
            self._wait()
            self._report({"ended": True})

    def _wait(self) -> None:
        """For the child's end; it stays a zombie. Raises ChildProcessError if it was killed."""
        end = os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOWAIT)
        if end is not None and end.si_code != os.CLD_EXITED:
            raise ChildProcessError(f"it was ended by {killer(end.si_status)}")

    def _remove(self) -> None:
        if self._child > 0:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        self._namespace_owner.close()
        while self._cgroups:
            _remove_directory(self._cgroups.pop())

    # --- what the host may forbid -------------------------------------------------------

    def _unshare(self, what: str, flag: int) -> bool:
        try:
            sys_calls.call("unshare", flag)
        except OSError as err:
            self._limits.append(f"no {what} of its own: {err}")
            return False
        return True

    def _make_user_namespace(self) -> Optional[Dict[str, Any]]:
        try:
            return self._namespace_owner.start()
        except OSError as err:
            self._limits.append(f"no user namespace: {err}")
            return None

    def _make_cgroup(self) -> Optional[str]:
        """The directory of a cgroup two levels deep; None where it is not needed or forbidden."""
        try:
            if len(procfs_self.cgroups().get("", ())) >= _ENOUGH_COMPONENTS:
                return None
            path = os.fsdecode(self._unified_mount())
            for name in (f"tetrapy-{os.getpid()}", "prepared"):
                path = f"{path}/{name}"
                os.mkdir(path, 0o755)
                self._cgroups.append(path)
        except OSError as err:
            self._limits.append(f"no cgroup of its own: {err}")
            return None
        return path

    def _unified_mount(self) -> bytes:
        """Where the unified hierarchy is mounted; mounted for this process alone if need be."""
        for mount in procfs_self.mounts():
            if mount.kind == b"cgroup2" and os.access(mount.point, os.W_OK):
                return mount.point
        sys_calls.call("unshare", sys_calls.CLONE_NEWNS)
        sys_calls.call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        sys_calls.call("mount", b"none", _MOUNT_POINT, b"cgroup2", flags, None)
        return _MOUNT_POINT


def _remove_directory(path: str) -> None:
    """Remove a cgroup, which the kernel may hold for a moment after its last process."""
    for _ in range(_REMOVALS):
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)
        else:
            return
