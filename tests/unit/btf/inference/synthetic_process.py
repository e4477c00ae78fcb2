# SPDX-License-Identifier: Apache-2.0
"""A prepared task in a made-up memory: what tetrapy.kernel.reference_process prepares on a real
kernel.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.unit.btf.inference import synthetic_context as context
from tests.unit.btf.inference import synthetic_files as files
from tests.unit.btf.inference.synthetic_memory import Memory, Object, Types
from tests.unit.btf.inference.synthetic_objects import PLAIN, Host, css_set, dentry, mount
from tetrapy.btf.inference.checks.namespaces import KINDS

_SIGNAL_GROUP_EXIT = 4
_BOOT = 812_345_678_901  # ns


class Task(NamedTuple):
    """As tetrapy.kernel.kernel_memory.Task."""

    address: int
    pid: int
    tgid: int


class UserNamespace(NamedTuple):
    """As tetrapy.kernel.reference_process.namespace_owner.UserNamespace."""

    holder: Task
    number: int
    owner: int
    group: int


class SyntheticProcess:
    """All attributes of tetrapy.btf.inference.reference_process.Subject."""

    def __init__(self, types: Types, arch: str, variant: int = 0, host: Host = PLAIN) -> None:
        self.host = host
        seed = variant + 7 + 2 * host.seed
        self.memory = Memory(types, arch, seed, hostile=host.hostile, stale=host.stale)
        self._random = random.Random(variant)
        number = self._random.randrange
        self.leader_exit_code = number(100, 200) << 8
        self.group_exit_code = number(50, 100) << 8
        self.threads_alive = 5 + 2 * variant
        self.ns_pid: int | None = number(10_000, 20_000)
        self.ticks_per_second = 100
        self.boot_gap_ns = host.gap_ns
        self.ids = tuple(number(1_000_000, 3_000_000) for _ in range(8))
        self.capabilities = tuple(number(1 << 20, 1 << 38) for _ in range(4))
        self.securebits = number(100, 256)
        self.login_uid = number(1_000_000, 3_000_000) if host.audit else None
        self.arg_start = 0x7FFC_1234_5000 + number(4096)
        self.arg_end = self.arg_start + 9 + variant
        self.env_start = self.arg_end + 5
        self.env_end = self.env_start + number(800, 900)
        self.root_names: tuple[bytes, ...] = ((b"sys",), (b"sys", b"kernel"))[variant]
        self.cwd_names: tuple[bytes, ...] = ((b"kernel", b"random"), (b"random",))[variant]
        self.mount_point = b"proc"
        self.has_cgroups = True
        self.cgroup_names = () if host.version_1 else (b"tetrapy-1", b"inner-2")
        known = types.enumerators("cgroup_subsys_id") if host.version_1 else {}
        wanted = [name for name in ("memory", "pids") if f"{name}_cgrp_id" in known]
        self.cgroup_v1 = dict.fromkeys(wanted, (b"docker", b"0123abc"))
        self.exec_path = b"/proc/self/fd/9"
        self.exec_file = (number(4000, 9000), 0o102715, 0, number(100, 200))
        self.exec_name, self.exec_device = context.EXEC_NAME, context.DEVICE
        self.exec_gained = True
        self._namespaces = context.Namespaces(self.memory, host.level)
        self.namespaces = self._namespaces.numbers
        if not host.level:  # without CONFIG_PID_NS
            self.ns_pid = None
            del self.namespaces["pid"]
        self.ended = False
        self._make_tasks()
        if not host.level:
            del self.namespaces["pid_for_children"]
        self._make_files()
        self._make_cgroups()
        binprm, self.exec_strings = self._make_exec()
        self.memory.fill()
        self.exec_words = context.words(self.memory, binprm.address, len(self.exec_strings))
        self.exec_targets = tuple(
            context.words(self.memory, word, context.TARGET_WORDS) for word in self.exec_words
        )

    def read(self, address: int, size: int) -> bytes | None:
        return self.memory.read(address, size)

    def end(self) -> None:
        assert not self.ended
        self.ended = True
        self._signal.set("live", 0)
        self._signal.set("nr_threads", 1)
        self._signal.maybe("quick_threads", 0)
        self._signal.set("group_exit_code", self.group_exit_code)
        self._signal.set("flags", _SIGNAL_GROUP_EXIT)

    def without_cgroups(self) -> None:
        """As in a kernel without CONFIG_CGROUPS."""
        self.has_cgroups = False
        self.cgroup_names, self.cgroup_v1, self.cgroup_ids = (), {}, {}
        self.without_namespaces("cgroup_ns")
        for task in self._tasks.values():
            task.set("cgroups", 0)

    def without_namespaces(self, *members: str) -> None:
        """Take away namespaces by their pointers in nsproxy: a kernel that is built without them
        has NULL in the place of some, one without a number in that of others.
        """
        for kind in KINDS:
            if kind.member in members:
                self._proxy.set(kind.member, 0)
                del self.namespaces[kind.name]

    def task(self, name: str) -> Object:
        """The task_struct of "thread", "leader" or "parent"."""
        return self._tasks[name]

    def _new(self, name: str, size: int | None = None, /, **fields: int) -> Object:
        return self.memory.object(name, size, **fields)

    # --- tasks ----------------------------------------------------------------------------

    def _make_tasks(self) -> None:
        first = self._random.randrange(20_000, 30_000)
        numbers = [(first, first), (first + 11, first + 11), (first + 19, first + 11)]
        parent, leader, thread = (self._new("task_struct") for _ in numbers)
        self._tasks = {"parent": parent, "leader": leader, "thread": thread}
        known = zip(self._tasks.values(), numbers, strict=True)
        tasks = [Task(made.address, *pair) for made, pair in known]
        self.parent, self.leader, self.thread = tasks
        for task, made in zip(tasks, self._tasks.values(), strict=True):
            made.set("pid", task.pid)
            made.set("tgid", task.tgid)
            above = self.parent.address if made is not parent else leader.address + (1 << 20)
            made.set("real_parent", above)
            made.set("parent", above)
            made.set("group_leader", self.leader.address)
            made.list("children")
            made.list("sibling")
            made.set("exit_code", 0)
            made.set("exit_signal", 17)
        parent.set("group_leader", self.parent.address)
        leader.set("exit_code", self.leader_exit_code)
        self._make_pids()
        self._make_start()
        self._make_credentials()
        self._make_memory()
        self._make_signal()

    def _make_pids(self) -> None:
        outer = self.host.level
        for name, task in (
            ("thread", self.thread),
            ("leader", self.leader),
            ("parent", self.parent),
        ):
            level = max(outer - (name == "parent"), 0)
            size = self.memory.types.size("pid") + 16 * level + 16
            pid = self._new("pid", size, count=3 + outer, level=level)
            field = self.memory.types.field("pid", "numbers")
            assert field is not None
            numbers = [task.pid, *(100 + at + 7 * len(name) for at in range(level))]
            if name == "thread" and self.ns_pid:
                numbers[-1] = self.ns_pid
            for at, number in enumerate(numbers):
                pid.set("numbers", number, 2 * at, size=8)
                pid.set("numbers", self._namespaces.pid[at][0].address, 2 * at + 1, size=8)
            made = self._tasks[name]
            made.set("thread_pid", pid.address)
            for index in range(8):
                value = pid.at("tasks") if index == 1 else 0
                made.set("pid_links", value, index, size=8)

    def _make_start(self) -> None:
        for step, made in enumerate(self._tasks.values()):
            monotonic = _BOOT + 40_000_000 * step
            boot = monotonic + self.host.gap_ns + 61
            made.set("start_time", monotonic)
            name = "start_boottime" if made.has("start_boottime") else "real_start_time"
            made.set(name, boot)
            if made is self._tasks["thread"]:
                self.start_ticks = boot // 10_000_000

    def _make_credentials(self) -> None:
        own = context.Credentials(self.ids, self.securebits, self.capabilities)
        for name, made in self._tasks.items():
            held = own if name == "thread" else context.ROOT
            cred = context.cred(self.memory, held, self._namespaces.user[0])
            for text in ("real_cred", "cred"):
                made.set(text, cred.address)
            made.set("ptracer_cred", 0)
            if made.has("loginuid"):
                made.set("loginuid", self.login_uid or 0)
                made.maybe("sessionid", 3)

        self.user_namespace: UserNamespace | None = self._make_user_namespace()

    def _make_user_namespace(self) -> UserNamespace:
        """Another process, with its own."""
        owner, group = (self._random.randrange(1_000_000, 3_000_000) for _ in range(2))
        made, number = self._namespaces.below(owner, group)
        held = context.Credentials((*(owner, group) * 4,), 0, context.ROOT.sets)
        task = self._new("task_struct")
        task.set("cred", context.cred(self.memory, held, made).address)
        holder = Task(task.address, self.parent.pid - 3, self.parent.pid - 3)
        return UserNamespace(holder, number, owner, group)

    def _make_memory(self) -> None:
        for name in ("thread", "parent"):
            shift = 0 if name == "thread" else 8192
            mm = self._new(
                "mm_struct",
                arg_start=self.arg_start + shift,
                arg_end=self.arg_end + shift,
                env_start=self.env_start + shift,
                env_end=self.env_end + shift,
                start_stack=self.arg_start - 3000,
            )
            self._tasks[name].set("mm", mm.address)
            if name == "thread":
                self._mm = mm
            self._tasks[name].set("active_mm", mm.address)
        self._tasks["leader"].set("mm", 0)
        self._tasks["leader"].set("active_mm", 0)

    def _make_signal(self) -> None:
        own = self._new("signal_struct")
        other = self._new("signal_struct")
        for made, count in ((own, self.threads_alive), (other, 1)):
            made.set("sigcnt", count + 2)
            made.set("live", count)
            made.set("nr_threads", count + (made is own))
            made.maybe("quick_threads", count)
            made.set("group_exit_code", 0)
            made.set("flags", 0)
            made.set("notify_count", 0)
            made.set("group_stop_count", 0)
        self._signal = own
        handlers = [self._new("sighand_struct", count=self.threads_alive + 1) for _ in range(2)]
        for made in handlers:
            made.free("siglock")
        for name, made in self._tasks.items():
            made.set("signal", (other if name == "parent" else own).address)
            made.set("sighand", handlers[name == "parent"].address)
            made.set("nsproxy", 0)
            if name != "leader":
                # The thread's is the last, whose numbers are known.
                self._proxy = self._namespaces.nsproxy()
                made.set("nsproxy", self._proxy.address)

    # --- directories ----------------------------------------------------------------------

    def _make_files(self) -> None:
        proc_root = dentry(self.memory, b"/", None)
        path = [proc_root]
        for component in (*self.root_names, *self.cwd_names):
            path.append(dentry(self.memory, component, path[-1]))
        host_root = dentry(self.memory, b"/", None)
        point = dentry(self.memory, self.mount_point, host_root)
        lowest = mount(self.memory, dentry(self.memory, b"/", None), None, None)
        host = mount(self.memory, host_root, lowest, lowest[1])
        below = host
        if self.host.covered:
            point = dentry(self.memory, b"/", None)
            below = mount(
                self.memory, point, host, dentry(self.memory, self.mount_point, host_root)
            )
        proc = mount(self.memory, proc_root, below, point)
        if self.host.bound:
            root = path[len(self.root_names)]
            proc = mount(self.memory, root, proc, root)
            self.mount_point, self.root_names = self.root_names[-1], ()
        mnt = proc[0].at("mnt")
        for name, made in self._tasks.items():
            fs = self._new("fs_struct", users=1, umask=0o22)
            ours = name == "thread"
            places = (path[-1 - len(self.cwd_names)], path[-1]) if ours else (host_root, host_root)
            for field, place in zip(("root", "pwd"), places, strict=True):
                fs.set(f"{field}.mnt", mnt if ours else host[0].at("mnt"))
                fs.set(f"{field}.dentry", place.address)
            for field in ("real_fs", "fs"):
                made.maybe(field, 0 if name == "leader" else fs.address)
            made.set("files", self.memory.allocate(256))
        self.open_files = files.make(self.memory, self._tasks["thread"], self._mm, self._random)

    # --- cgroups --------------------------------------------------------------------------

    def _make_cgroups(self) -> None:
        made, self.cgroup_ids = css_set(self.memory, self.cgroup_names, self.cgroup_v1)
        for task in self._tasks.values():
            task.set("cgroups", made.address)
            task.list("cg_list")

    # --- exec -----------------------------------------------------------------------------

    def _make_exec(self) -> tuple[Object, tuple[bytes, ...]]:
        strings = {"filename": self.exec_path, "interp": b"/proc/self/fd/8"}
        return context.binprm(self.memory, strings, self.exec_file)
