# SPDX-License-Identifier: Apache-2.0
"""The prepared process: what is said of it is true, by this kernel's own BTF."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.kernel_layout import KERNEL, KernelLayout
from tetrapy.btf.inference.checks.execs import PER_CLEAR_ON_SETID
from tetrapy.btf.inference.checks.namespaces import KINDS
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import ReferenceProcess, capabilities, exec_capture, prepared
from tetrapy.kernel.reference_process.plan import PLANS

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")

SIGNAL_UNKILLABLE, SIGNAL_GROUP_EXIT = 0x40, 4  # include/linux/sched/signal.h


class Prepared:
    """A reference process and the kernel's own layout to look at it."""

    def __init__(self, reference: ReferenceProcess, variant: int = 0) -> None:
        self.reference = reference
        self.variant = variant
        self.layout = KernelLayout(reference.read)

    def of(self, address: int, path: str) -> int:
        """A number of a task; " -> " follows pointers, told with the type that they point to."""
        place, *steps = path.split(" -> ")
        value = self.layout.number(address, "task_struct", place)
        for step in steps:
            structure, _, member = step.partition(".")
            value = self.layout.number(value, structure, member)
        return value


@pytest.fixture(scope="module", params=["run", "attached", "small"])
def memory(request: pytest.FixtureRequest) -> Iterator[KernelMemory]:
    attached, small = request.param != "run", request.param == "small"
    way = KernelMemory(attached=attached, mapped=not attached, small=small)
    with contextlib.closing(way) as opened:
        yield opened


@pytest.fixture(scope="module", params=[0, 1])
def living(memory: KernelMemory, request: pytest.FixtureRequest) -> Iterator[Prepared]:
    with prepared(memory, request.param) as reference:
        assert reference.limits == ()
        yield Prepared(reference, request.param)


def test_tasks(living: Prepared) -> None:
    """Thread, leader and parent are where and who they are said to be."""
    reference = living.reference
    for task in (reference.thread, reference.leader, reference.parent):
        assert living.of(task.address, "pid") == task.pid
        assert living.of(task.address, "tgid") == task.tgid
        assert living.of(task.address, "group_leader -> task_struct.pid") == task.tgid
    assert reference.thread.pid != reference.thread.tgid == reference.leader.pid
    assert living.of(reference.thread.address, "group_leader") == reference.leader.address
    assert living.of(reference.thread.address, "real_parent") == reference.parent.address
    assert living.of(reference.leader.address, "real_parent") == reference.parent.address


def test_exit(memory: KernelMemory) -> None:
    """Before and after `end`: exit codes, flags and the number of living threads."""
    with prepared(memory) as reference:
        found = Prepared(reference)
        leader = reference.leader.address
        signal = found.of(leader, "signal")
        assert found.of(leader, "exit_code") == reference.leader_exit_code != 0
        live = found.layout.number(signal, "signal_struct", "live.counter")
        assert live == reference.threads_alive > 1
        assert found.layout.number(signal, "signal_struct", "nr_threads") == live + 1
        assert found.layout.number(signal, "signal_struct", "flags") == SIGNAL_UNKILLABLE
        assert found.layout.number(signal, "signal_struct", "group_exit_code") == 0
        reference.end()
        assert found.of(leader, "pid") == reference.leader.pid
        assert found.layout.number(signal, "signal_struct", "live.counter") == 0
        assert found.layout.number(signal, "signal_struct", "flags") == SIGNAL_GROUP_EXIT
        code = found.layout.number(signal, "signal_struct", "group_exit_code")
        assert code == reference.group_exit_code != reference.leader_exit_code
        # Since Linux 6.15 the last thread to end writes the group's code there.
        assert found.of(leader, "exit_code") in {code, reference.leader_exit_code}


def test_ids(living: Prepared) -> None:
    """All ids are as said, and all differ."""
    reference = living.reference
    names = ("uid", "gid", "suid", "sgid", "euid", "egid", "fsuid", "fsgid")
    cred = living.of(reference.thread.address, "cred")
    found = tuple(living.layout.number(cred, "cred", f"{name}.val") for name in names)
    assert found == reference.ids
    assert len(set(found)) == len(names)


def test_user_namespace(memory: KernelMemory) -> None:
    """Another process is in one below, whose owner is known; with the first process it is gone."""
    with prepared(memory, with_files=True) as reference:
        found, wanted = Prepared(reference), reference.user_namespace
        assert wanted is not None
        above = found.of(reference.thread.address, "cred -> cred.user_ns")
        made = found.of(wanted.holder.address, "cred -> cred.user_ns")
        number = partial(found.layout.number, made, "user_namespace")
        assert number("parent") == above
        assert number("level") == found.layout.number(above, "user_namespace", "level") + 1
        assert (number("owner.val"), number("group.val")) == PLANS[0].namespace_ids
        assert number("ns.inum") == wanted.number
        assert Path(f"/proc/{wanted.holder.pid}").exists()
    assert not Path(f"/proc/{wanted.holder.pid}").exists()


def test_login_uid(living: Prepared) -> None:
    """The login uid is the thread's own."""
    assert living.of(living.reference.thread.address, "loginuid.val") == living.reference.login_uid
    assert living.reference.login_uid not in {0, 0xFFFFFFFF, None}


def test_pid_namespace(living: Prepared) -> None:
    """The number in the inner namespace is another than outside."""
    thread = living.reference.thread
    pid = living.of(thread.address, "thread_pid")
    level = living.layout.number(pid, "pid", "level")
    assert level == living.of(living.reference.parent.address, "thread_pid -> pid.level") + 1
    place = pid + living.layout.offset("pid", "numbers") + level * living.layout.size("upid")
    assert living.layout.number(place, "upid", "nr") == living.reference.ns_pid
    assert living.reference.ns_pid not in {1, thread.pid}


def test_start(living: Prepared) -> None:
    """The start is that of the thread, to the tick; a second clock stands still while asleep."""
    reference = living.reference
    ticks = reference.ticks_per_second
    start = living.of(reference.thread.address, "start_boottime")
    assert start * ticks // 1_000_000_000 == reference.start_ticks
    gap = start - living.of(reference.thread.address, "start_time")
    assert abs(gap - reference.boot_gap_ns) < 1_000_000


def test_arguments(living: Prepared) -> None:
    """The end of the arguments is not the start of the environment, which is short."""
    reference = living.reference
    mm = living.of(reference.thread.address, "mm")
    assert living.layout.number(mm, "mm_struct", "arg_start") == reference.arg_start
    assert living.layout.number(mm, "mm_struct", "arg_end") == reference.arg_end
    assert living.layout.number(mm, "mm_struct", "env_start") == reference.env_start
    assert living.layout.number(mm, "mm_struct", "env_end") == reference.env_end
    assert reference.arg_end < reference.env_start < reference.env_end < reference.env_start + 32


def test_capabilities(living: Prepared) -> None:
    """The sets and securebits are as said, and as the plan wants them; all sets differ."""
    reference = living.reference
    cred = living.of(reference.thread.address, "cred")
    names = ("inheritable", "permitted", "effective", "bset", "ambient")
    sets = {name: living.layout.number(cred, "cred", f"cap_{name}") for name in names}
    bounding = sets.pop("bset")
    assert tuple(sets.values()) == reference.capabilities
    assert len({0, bounding, *sets.values()}) == 6
    assert reference.capabilities == tuple(
        part & bounding for part in PLANS[living.variant].capabilities
    )
    assert living.layout.number(cred, "cred", "securebits") == reference.securebits != 0


def test_namespaces(living: Prepared) -> None:
    """The numbers are those of nsproxy, of the pid and of the credentials; no two are equal."""
    reference, layout = living.reference, living.layout
    thread = reference.thread.address
    nsproxy = living.of(thread, "nsproxy")
    found = {}
    for kind in KINDS:
        namespace = layout.number(nsproxy, "nsproxy", kind.member)
        found[kind.name] = layout.number(namespace, kind.struct, "ns.inum")
    user = living.of(thread, "cred -> cred.user_ns -> user_namespace.ns.inum")
    pid = living.of(thread, "thread_pid")
    level = layout.number(pid, "pid", "level")
    place = pid + layout.offset("pid", "numbers") + level * layout.size("upid")
    own = layout.number(layout.number(place, "upid", "ns"), "pid_namespace", "ns.inum")
    assert {**found, "user": user, "pid": own} == reference.namespaces
    assert reference.namespaces["time"] != reference.namespaces["time_for_children"]
    assert len(set(found.values())) == len(KINDS)
    assert living.of(reference.leader.address, "nsproxy") == 0
    assert living.of(reference.parent.address, "nsproxy") != nsproxy


def test_cgroup_ids(living: Prepared) -> None:
    """The inode numbers of the cgroup and of the one above are the ids of their nodes."""
    reference, layout = living.reference, living.layout
    node = living.of(reference.thread.address, "cgroups -> css_set.dfl_cgrp -> cgroup.kn")
    ids = reference.cgroup_ids[""]
    parent = "__parent" if layout.has("kernfs_node", "__parent") else "parent"
    assert len(ids) == 2
    assert layout.number(node, "kernfs_node", "id") == ids[0]
    above = layout.number(node, "kernfs_node", parent)
    assert layout.number(above, "kernfs_node", "id") == ids[1]


def test_executed_file(living: Prepared) -> None:
    """The exec ends with our own little program, whose inode is known, and gives a capability."""
    reference, layout = living.reference, living.layout
    target = reference.exec_targets[layout.offset("linux_binprm", "file") // 8]
    inode = target[layout.offset("file", "f_inode") // 8]
    names = ("i_ino", "i_mode", "i_nlink", "i_size")
    found = tuple(layout.number(inode, "inode", name) for name in names)
    assert found == reference.exec_file
    word, odd = divmod(layout.offset("linux_binprm", "per_clear"), 8)
    cleared = reference.exec_words[word] >> 8 * odd & 0xFFFFFFFF
    assert reference.exec_gained
    assert cleared == PER_CLEAR_ON_SETID


def test_directories(living: Prepared) -> None:
    """Names lead from the mount to the root directory, and from there to the working directory."""
    reference, layout = living.reference, living.layout
    fs = living.of(reference.thread.address, "fs")
    root = layout.number(fs, "fs_struct", "root.dentry")
    cwd = layout.number(fs, "fs_struct", "pwd.dentry")
    assert layout.names(cwd, root) == reference.cwd_names != ()
    mount = layout.number(fs, "fs_struct", "root.mnt") - layout.offset("mount", "mnt")
    assert layout.number(fs, "fs_struct", "pwd.mnt") == mount + layout.offset("mount", "mnt")
    top = layout.number(mount, "mount", "mnt.mnt_root")
    assert layout.names(root, top) == reference.root_names != ()
    point = layout.number(mount, "mount", "mnt_mountpoint")
    above = layout.number(point, "dentry", "d_parent")
    assert layout.names(point, above) == (reference.mount_point,) != (b"",)


def test_cgroups(living: Prepared) -> None:
    """The last components of the paths in all hierarchies; in the unified one they are two."""
    reference, layout = living.reference, living.layout
    css_set = living.of(reference.thread.address, "cgroups")
    names = layout.cgroup_names(layout.number(css_set, "css_set", "dfl_cgrp"))
    assert len(reference.cgroup_names) >= 2
    assert names[-len(reference.cgroup_names) :] == reference.cgroup_names
    subsystems = css_set + layout.offset("css_set", "subsys")
    for controller, expected in reference.cgroup_v1.items():
        number = layout.enumerator("cgroup_subsys_id", f"{controller}_cgrp_id")
        if number is None:
            continue  # a hierarchy with a name and without a controller
        state = int.from_bytes(layout.raw(subsystems + 8 * number, 8), "little")
        cgroup = layout.number(state, "cgroup_subsys_state", "cgroup")
        found = layout.cgroup_names(cgroup)
        assert found[len(found) - len(expected) :] == expected, controller


def test_exec(living: Prepared) -> None:
    """Among the words of struct linux_binprm are the script's path and its interpreter's."""
    reference, layout = living.reference, living.layout
    filename = layout.offset("linux_binprm", "filename") // 8
    interp = layout.offset("linux_binprm", "interp") // 8
    assert reference.exec_strings[filename] == reference.exec_path
    assert reference.exec_strings[interp].startswith(b"/proc/self/fd/")
    assert reference.exec_strings[interp] != reference.exec_path
    assert reference.exec_strings.count(reference.exec_path) == 1
    assert len(reference.exec_words) == len(reference.exec_strings) == 64


def test_variants_differ(memory: KernelMemory) -> None:
    """What the one has, the other has not, so that neither passes for the other."""
    values = []
    for variant in (0, 1):
        with prepared(memory, variant, with_files=True) as reference:
            values.append(dict(vars(reference)))
    same = {name for name in values[0] if values[0][name] == values[1].get(name)}
    of_this_host = {"read", "_memory", "_pending", "ticks_per_second", "boot_gap_ns", "limits"}
    of_this_host |= {
        "mount_point",
        "has_cgroups",
        "cgroup_v1",
        "arg_start",
        "env_start",
        "start_ticks",
    }
    # Numbers of namespaces that are gone are given again.
    of_this_host |= {"exec_path", "exec_strings", "exec_gained", "exec_name", "exec_device"}
    of_this_host |= {"namespaces", "_with_files"}
    assert same <= of_this_host | {"_keeper", "_orders", "_reports"}
    for name in ("ids", "capabilities"):
        assert not set(values[0][name]) & set(values[1][name])
    one, other = (found["open_files"].connected for found in values)
    for name in ("mark", "priority", "source", "destination", "destination_port"):
        assert getattr(one, name) != getattr(other, name)


@pytest.mark.parametrize("gone", [("memfd",), ("memfd", "files")])
def test_exec_without_memfd(
    memory: KernelMemory, monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...]
) -> None:
    """Where memfds are forbidden a file is executed; without any file the interpreter itself."""

    def refuse(name: str) -> int:
        raise OSError("memfd_create: not today")

    monkeypatch.setattr(exec_capture, "memfd", refuse)
    if "files" in gone:
        monkeypatch.setattr(exec_capture, "_DIRECTORIES", ("/proc/self/nothing",))
    limits: list[str] = []
    answers = exec_capture.capture_exec(memory, limits)
    assert answers is not None
    answers.close()
    assert len(limits) == len(gone), limits
    filename = KernelLayout(memory.read).offset("linux_binprm", "filename") // 8
    assert answers.strings[filename] == answers.path
    assert answers.path.startswith(b"/proc/self/exe" if "files" in gone else b"/run/tetrapy-")
    assert not os.path.exists(answers.path) or "files" in gone


def test_an_exec_that_gives_nothing(memory: KernelMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has nothing to give up sees an exec that clears nothing of the personality."""
    monkeypatch.setattr(capabilities, "give_up_for_exec", lambda: False)
    answers = exec_capture.capture_exec(memory, [])
    assert answers is not None
    answers.close()
    assert not answers.gained
    word, odd = divmod(KernelLayout(memory.read).offset("linux_binprm", "per_clear"), 8)
    assert answers.words[word] >> 8 * odd & 0xFFFFFFFF == 0


def test_the_exec_of_others(memory: KernelMemory) -> None:
    """Only the own child's exec is captured, be there ever so many others."""
    other = os.fork()
    if other == 0:
        try:
            while True:
                child = os.fork()
                if child == 0:
                    os.execv("/bin/true", ["true"])
                os.waitpid(child, 0)
        finally:
            os._exit(1)
    try:
        limits: list[str] = []
        for _ in range(20):
            answers = exec_capture.capture_exec(memory, limits)
            assert answers is not None
            answers.close()
            assert answers.path in answers.strings
            time.sleep(0.001)
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)
