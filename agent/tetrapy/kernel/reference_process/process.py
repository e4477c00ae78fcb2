# SPDX-License-Identifier: Apache-2.0
"""A process prepared so that its values can be recognized in the kernel's structures.

What is said here of it comes from BPF helpers, system calls and procfs, never from the layout of a
structure: it is what a layout is compared with.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.child import Child, killer
from tetrapy.kernel.clock import monotonic_gap_ns
from tetrapy.kernel.kernel_memory import KernelMemory, Task
from tetrapy.kernel.reference_process import procfs_self
from tetrapy.kernel.reference_process.exec_capture import CapturedExec, capture_exec
from tetrapy.kernel.reference_process.namespace_owner import UserNamespace
from tetrapy.kernel.reference_process.open_files import OpenFiles
from tetrapy.kernel.reference_process.plan import PLANS
from tetrapy.kernel.reference_process.supervisor import CLOSE, END, Supervisor

# Seconds, waited for one by one: a bound against waiting for ever, for an emulated machine is slow,
# and its clock may jump.
_TIMEOUT = 30
_DELETED = b" (deleted)"  # behind the path of a file without a name (proc(5))

Names = Tuple[bytes, ...]
UserIds = Tuple[int, int, int, int, int, int, int, int]
CapabilitySets = Tuple[int, int, int, int]


class ReferenceProcess:
    """The prepared process; `close` ends it and removes everything that was made for it.

    Until `end` it lives: `leader` has ended and is a zombie, `thread` and others wait. What this
    host did not let be prepared is None, or empty, and reported in `limits`.
    """

    thread: Task
    leader: Task
    parent: Task  # the real parent: a process of our own, its main thread
    leader_exit_code: int  # task_struct.exit_code of the leader
    group_exit_code: int  # signal_struct.group_exit_code after `end`
    threads_alive: int  # signal_struct.live; nr_threads is one more, the leader
    ns_pid: Optional[int]  # of `thread` in its innermost pid namespace
    start_ticks: int  # when `thread` was made, in the initial time namespace
    ticks_per_second: int
    boot_gap_ns: int  # CLOCK_BOOTTIME - CLOCK_MONOTONIC
    ids: Optional[UserIds]  # uid, gid, suid, sgid, euid, egid, fsuid, fsgid
    capabilities: Optional[CapabilitySets]  # inheritable, permitted, effective, ambient
    securebits: Optional[int]
    login_uid: Optional[int]
    namespaces: Mapping[str, int]  # name below /proc/PID/ns -> inode number
    arg_start: int
    arg_end: int
    env_start: int
    env_end: int
    cwd_names: Names  # from the root directory of the process to its working directory
    root_names: Names  # from the root of that mount to the root directory of the process
    mount_point: bytes  # the last component of where it is mounted
    has_cgroups: bool  # whether procfs tells of cgroups
    cgroup_names: Names  # the last components of the path in the unified hierarchy
    cgroup_v1: Mapping[str, Names]  # controller -> components, on hierarchies of version 1
    cgroup_ids: Mapping[str, Tuple[int, ...]]  # controller -> its cgroup's and that above's
    exec_path: bytes
    exec_words: Tuple[int, ...]
    exec_strings: Tuple[bytes, ...]
    exec_targets: Tuple[Tuple[int, ...], ...]  # the first words of what each word points to
    exec_file: Optional[Tuple[int, int, int, int]]  # inode, mode, links and size of the program
    exec_name: bytes  # the last component of its path, or what a memfd is called
    exec_device: int  # major number << 20 | minor number
    exec_gained: bool  # whether it gave a capability
    # Only where they were asked for:
    open_files: Optional[OpenFiles]
    user_namespace: Optional[UserNamespace]  # another one than its own
    limits: Tuple[str, ...]

    def __init__(self, memory: KernelMemory, variant: int, with_files: bool) -> None:
        """Nothing is made yet; see `prepared`."""
        self._with_files = with_files
        self._memory = memory
        self._plan = PLANS[variant]
        self._supervisor = Child()
        self._reports = self._orders = -1
        self._pending = b""
        self._exec: Optional[CapturedExec] = None
        self.read = memory.read

    def end(self) -> None:
        """Let the whole group exit; it stays an unreaped zombie. Raises KernelError."""
        self._send(END)
        self._receive()

    def close(self) -> None:
        """End and reap it and remove what was made for it; safe to call twice."""
        if self._orders >= 0:
            self._send(CLOSE)
            self._supervisor.wait()
        for fd in (self._reports, self._orders):
            if fd >= 0:
                os.close(fd)
        self._reports = self._orders = -1
        if self._exec:
            self._exec.close()
            self._exec = None

    # --- preparation --------------------------------------------------------------------

    def prepare(self) -> None:
        """Make everything and fill in the attributes. Raises KernelError."""
        limits: List[str] = []
        self._exec = capture_exec(self._memory, limits)
        self._take_exec(self._exec)
        try:
            self._start()
        except OSError as err:
            raise KernelError(
                f"no process could be prepared to know this kernel: {err}", err.errno or 0
            ) from err
        kept = self._receive()
        truths = self._receive()
        self.parent = Task(*kept["parent"])
        self.leader = Task(*truths["leader"])
        self.thread = Task(*truths["thread"])
        self.leader_exit_code = self._plan.leader_code << 8
        self.group_exit_code = self._plan.group_code << 8
        self.threads_alive = truths["threads_alive"]
        self.ns_pid = truths["ns_pid"]
        self._take_times(truths["start_ticks"])
        self.ids = tuple(truths["ids"]) if truths["ids"] else None
        sets = truths["capabilities"]
        self.capabilities = tuple(sets) if sets else None
        self.securebits = truths["securebits"]
        self.login_uid = truths["login_uid"]
        self.namespaces = truths["namespaces"]
        self.arg_start, self.arg_end = truths["arg_start"], truths["arg_end"]
        self.env_start, self.env_end = truths["env_start"], truths["env_end"]
        self.cwd_names = _names(truths["cwd"])
        self.root_names = _names(truths["root"])
        self.mount_point = bytes.fromhex(truths["mount_point"])
        self.has_cgroups = truths["cgroups"] is not None
        cgroups = {name: _names(path) for name, path in (truths["cgroups"] or {}).items()}
        self.cgroup_names = cgroups.pop("", ())
        self.cgroup_v1 = cgroups
        self.cgroup_ids = {name: tuple(ids) for name, ids in truths["cgroup_ids"].items()}
        made = kept["user_namespace"]
        self.user_namespace = UserNamespace.of(made) if made else None
        files = truths["open_files"]
        self.open_files = OpenFiles.of(files) if files else None
        self.limits = (*limits, *kept["limits"], *truths["limits"])

    def _take_exec(self, captured: Optional[CapturedExec]) -> None:
        self.exec_path, self.exec_words, self.exec_strings = b"", (), ()
        self.exec_targets, self.exec_file, self.exec_gained = (), None, False
        self.exec_name, self.exec_device = b"", 0
        if captured:
            self.exec_path, self.exec_words, self.exec_strings = captured[:3]
            self.exec_targets, self.exec_gained = captured.targets, captured.gained
            found = os.fstat(captured.program)
            self.exec_file = found.st_ino, found.st_mode, found.st_nlink, found.st_size
            self.exec_device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
            place = os.readlink(b"/proc/self/fd/%d" % captured.program)
            if not found.st_nlink and place.endswith(_DELETED):
                place = place[: -len(_DELETED)]
            self.exec_name = place.rpartition(b"/")[2]

    def _take_times(self, start_ticks: int) -> None:
        """Without what a time namespace adds to the clocks of its processes."""
        monotonic, boottime = procfs_self.clock_offsets()
        self.ticks_per_second = os.sysconf("SC_CLK_TCK")
        self.start_ticks = start_ticks - boottime * self.ticks_per_second // 1_000_000_000
        gap = monotonic_gap_ns()
        if boottime != monotonic:
            now = time.clock_gettime_ns
            gap = now(time.CLOCK_BOOTTIME) - boottime - (now(time.CLOCK_MONOTONIC) - monotonic)
        self.boot_gap_ns = gap

    def _start(self) -> None:
        self._reports, report = os.pipe2(os.O_CLOEXEC)
        orders, self._orders = os.pipe2(os.O_CLOEXEC)
        try:
            self._supervisor.start(lambda: self._keep(report, orders))
        finally:
            os.close(report)
            os.close(orders)

    def _keep(self, report: int, orders: int) -> None:
        """In the child."""
        os.close(self._reports)
        os.close(self._orders)

        def send(message: Dict[str, Any]) -> None:
            os.write(report, json.dumps(message).encode() + b"\n")

        Supervisor(self._memory, self._plan, send, orders, self._with_files).run()

    # --- messages: JSON, one a line -------------------------------------------------------

    def _send(self, order: bytes) -> None:
        # If the supervisor is gone, the reports tell why.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._orders, order)

    def _receive(self) -> Dict[str, Any]:
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        while b"\n" not in self._pending:
            readable = any(poll.poll(1000) for _ in range(_TIMEOUT))
            data = os.read(self._reports, 65536) if readable else b""
            if not data:
                why = self._how_ended() if readable else f"took over {_TIMEOUT} s"
                raise KernelError(f"the process that is prepared to know this kernel {why}")
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        message: Dict[str, Any] = json.loads(line)
        if "error" in message:
            raise KernelError(
                f"no process could be prepared to know this kernel: {message['error']}"
            )
        return message

    def _how_ended(self) -> str:
        status = self._supervisor.wait()
        if status is None or not os.WIFSIGNALED(status):
            return "was ended by somebody else"
        return f"was ended by {killer(os.WTERMSIG(status))}"


def _names(path: List[str]) -> Names:
    return tuple(map(bytes.fromhex, path))


@contextlib.contextmanager
def prepared(
    memory: KernelMemory, variant: int = 0, *, with_files: bool = False
) -> Iterator[ReferenceProcess]:
    """A prepared process, for a `with`; variant 1 has nothing in common with variant 0.

    The caller must have no other thread. Raises KernelError when no process can be prepared at
    all, e.g. without a procfs.
    """
    reference = ReferenceProcess(memory, variant, with_files)
    try:
        reference.prepare()
        yield reference
    finally:
        reference.close()
