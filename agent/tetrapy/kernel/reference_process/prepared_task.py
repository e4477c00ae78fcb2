# SPDX-License-Identifier: Apache-2.0
"""The prepared process itself: what runs between fork and exit, in a process of its own.

It imports nothing and opens nothing by name after it has changed its root directory. Its leader
ends at once; the last thread tells what it is and waits.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import os
import signal
import struct
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from tetrapy.kernel import sys_calls
from tetrapy.kernel.child import in_words
from tetrapy.kernel.kernel_memory import KernelMemory, Task
from tetrapy.kernel.reference_process import procfs_self
from tetrapy.kernel.reference_process.capabilities import set_distinct_capabilities
from tetrapy.kernel.reference_process.directories import Directories, change_root
from tetrapy.kernel.reference_process.open_files import OpenFiles, opened
from tetrapy.kernel.reference_process.plan import Plan

_ATTEMPTS = 10_000  # looks, 0.5 ms apart

# include/uapi/linux/prctl.h
_PR_SET_MM, _PR_SET_MM_ARG_END, _PR_SET_MM_ENV_END, _PR_SET_MM_MAP = 35, 9, 11, 14
# include/uapi/linux/sched.h
_CLONE_NEWTIME = 0x00000080
# struct prctl_mm_map: 11 addresses, auxv, auxv_size, exe_fd
_MM_MAP = struct.Struct("=12QIi")


class PreparedTask:
    """One process; `run` is called in it right after the fork and does not return."""

    def __init__(
        self,
        memory: KernelMemory,
        plan: Plan,
        cgroup: Optional[str],
        own_namespace: bool,
        report: Callable[[Dict[str, Any]], None],
        orders: int,
    ) -> None:
        """`cgroup` is the directory of one to move to; `orders` the pipe that lets it end."""
        self._memory = memory
        self._plan = plan
        self._cgroup = cgroup
        self._own_namespace = own_namespace
        self._report = report
        self._orders = orders
        self._limits: List[str] = []
        self._leader: Optional[Task] = None
        self._cgroup_ids: Dict[str, Tuple[int, ...]] = {}
        self._files: Optional[OpenFiles] = None

    def run(self, with_files: bool) -> None:
        """Be the leader: prepare what needs its privileges, make the threads, end.

        `with_files`: files and sockets too.
        """
        try:
            sys_calls.call("prctl", sys_calls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if self._cgroup is not None:
                self._try("move to a cgroup of its own", self._move, self._cgroup)
            if self._own_namespace:
                # Small numbers will do where /proc/sys is read-only, as in containers.
                with contextlib.suppress(OSError):
                    self._skip_numbers()
            self._cgroup_ids = self._find_cgroup_ids()
            self._try("move the ends of its arguments and environment", self._move_ends)
            if with_files:
                self._files = self._try("open files", opened, self._plan, self._limits)
            self._leader = self._memory.current()
            lock = _thread.allocate_lock()
            lock.acquire()
            for _ in range(self._plan.idle_threads):
                _thread.start_new_thread(lock.acquire, ())
            _thread.start_new_thread(self._be_thread, ())
        except BaseException as err:  # noqa: BLE001 - the agent reports it
            self._fail(err)
        sys_calls.call("exit", self._plan.leader_code)

    def _be_thread(self) -> None:
        order = b""
        try:
            self._report(self._truths())
            order = os.read(self._orders, 1)
        except BaseException as err:  # noqa: BLE001 - the agent reports it
            self._fail(err)
        # Without an order the other end is gone.
        os._exit(self._plan.group_code if order else 0)

    def _fail(self, err: BaseException) -> None:
        try:
            self._report({"error": in_words(err)})
        finally:
            os._exit(1)

    def _try(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (OSError, ValueError) as err:
            self._limits.append(f"the prepared process could not {what}: {err}")
            return None

    def _truths(self) -> Dict[str, Any]:
        for _ in range(_ATTEMPTS):
            if procfs_self.leader_has_ended():
                break
            time.sleep(0.0005)
        else:
            raise TimeoutError("the leader of the prepared process did not end")
        if procfs_self.is_traced():
            # Its tracer is a second parent.
            raise PermissionError("it is traced, as by strace -f")
        thread = self._memory.current()
        # A time namespace for children only tells one pointer from the other. Their order will do.
        with contextlib.suppress(OSError):
            sys_calls.call("unshare", _CLONE_NEWTIME)
        self._try("set its login uid", procfs_self.set_login_uid, self._plan.login_uid)
        stat = procfs_self.thread_stat()
        number = sys_calls.call("gettid")
        truths: Dict[str, Any] = {
            "leader": self._leader,
            "thread": thread,
            "threads_alive": self._plan.idle_threads + 1,
            "ns_pid": number if self._own_namespace else None,
            "start_ticks": stat.start_ticks,
            "arg_start": stat.arg_start,
            "arg_end": stat.arg_end,
            "env_start": stat.env_start,
            "env_end": stat.env_end,
            "namespaces": procfs_self.namespaces(),
            "cgroup_ids": self._cgroup_ids,
            "open_files": self._files,
            "login_uid": self._try("read its login uid", procfs_self.login_uid),
            "cgroups": _cgroups(),
        }
        status = procfs_self.open_status()
        places = self._try(
            "change its root directory", change_root, self._plan.root, self._plan.cwd
        ) or Directories(b"", (), ())
        truths["mount_point"] = places.mount_point.hex()
        truths["root"] = [name.hex() for name in places.root]
        truths["cwd"] = [name.hex() for name in places.cwd]
        truths["ids"] = self._try("change its ids", self._change_ids)
        truths["capabilities"], truths["securebits"] = self._try(
            "change its capabilities", self._change_capabilities, status
        ) or (None, None)
        truths["limits"] = self._limits
        return truths

    # --- steps --------------------------------------------------------------------------

    def _find_cgroup_ids(self) -> Dict[str, Tuple[int, ...]]:
        """Of the first hierarchy whose directory is found."""
        for controller in ("", "memory", "pids"):
            with contextlib.suppress(OSError):
                found = procfs_self.cgroup_ids(controller)
                if found:
                    return {controller: found}
        return {}

    def _move(self, cgroup: str) -> None:
        procfs_self.write_file(f"{cgroup}/cgroup.procs", b"0")

    def _skip_numbers(self) -> None:
        procfs_self.write_file("/proc/sys/kernel/ns_last_pid", b"%d" % self._plan.last_pid)

    def _move_ends(self) -> None:
        stat = procfs_self.thread_stat()
        arg_end = stat.arg_start + self._plan.arg_bytes
        env_end = stat.env_start + self._plan.env_bytes
        try:
            for what, end in ((_PR_SET_MM_ARG_END, arg_end), (_PR_SET_MM_ENV_END, env_end)):
                sys_calls.call("prctl", _PR_SET_MM, what, end, 0, 0)
        except OSError:
            # That needs CAP_SYS_RESOURCE; to set everything at once does not.
            brk = sys_calls.call("brk", 0)
            values = _MM_MAP.pack(
                *stat[2:4], *stat[5:7], stat.start_brk, brk, stat.start_stack,
                stat.arg_start, arg_end, stat.env_start, env_end, 0, 0, -1,
            )  # fmt: skip
            buffer = ctypes.create_string_buffer(values, len(values))
            address = ctypes.addressof(buffer)
            sys_calls.call("prctl", _PR_SET_MM, _PR_SET_MM_MAP, address, len(values), 0)

    def _change_ids(self) -> Tuple[int, ...]:
        uid, gid, suid, sgid, euid, egid, fsuid, fsgid = self._plan.ids
        sys_calls.set_group_ids(gid, egid, sgid, fsgid)
        sys_calls.set_user_ids(uid, euid, suid, fsuid)
        # Changed ids clear both.
        sys_calls.call("prctl", sys_calls.PR_SET_DUMPABLE, 1, 0, 0, 0)
        sys_calls.call("prctl", sys_calls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return self._plan.ids

    def _change_capabilities(self, status: int) -> Tuple[Tuple[int, int, int, int], int]:
        set_distinct_capabilities(self._plan.capabilities, self._plan.securebits)
        return procfs_self.capability_sets(status), self._plan.securebits


def _cgroups() -> Optional[Dict[str, List[str]]]:
    """The cgroups of the caller, as hexadecimal digits; None in a kernel without CONFIG_CGROUPS."""
    try:
        known = procfs_self.cgroups()
    except FileNotFoundError:
        return None
    return {name: [part.hex() for part in path] for name, path in known.items()}
