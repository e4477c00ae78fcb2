# SPDX-License-Identifier: Apache-2.0
"""What the agent answers the kernel about binaries, cgroups, pids and parents."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.records import NODE, SECOND, Task, World, abi, btf, execute
from tests.unit.sensors.maps import FakeObject
from tetrapy.abi import layout
from tetrapy.events.process import Process
from tetrapy.sensors import filter_masks as module
from tetrapy.sensors.filter_masks import FilterMasks

SIZE = abi().limits["MASKS_PATH"]
SHELL, CAT = 1, 2  # filters: the binary is a shell; the parent is cat
INIT = Task(1, SECOND)
TASK = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)
ID = "0123456789abcdef" * 4


class Filters:
    """Two filters that deny, and none that allow."""

    deny_bits = SHELL | CAT
    allow_bits = 0
    bits = SHELL | CAT
    pids = frozenset({4242})
    pid_default = CAT
    unknown_parent = SHELL

    def __init__(self, containers: bool = False) -> None:
        self.asked: list[str] = []
        self.no_container_condition = CAT if containers else self.bits

    def drops(self, mask: int) -> bool:
        return bool(mask & self.deny_bits) or (bool(self.allow_bits) and not mask & self.allow_bits)

    def pid_mask(self, pid: int) -> int:
        return SHELL | CAT

    def binary_masks(self, binary: str) -> tuple[int, int]:
        self.asked.append(binary)
        return (CAT | (SHELL if binary.endswith("sh") else 0), SHELL | (CAT * (binary == "/cat")))

    def container_mask(self, docker: str) -> int:
        return SHELL | CAT if docker else CAT


class Kernel:
    rates = None

    def __init__(self, monkeypatch: pytest.MonkeyPatch, filters: Filters) -> None:
        loaded = FakeObject(monkeypatch, module)
        self.filters = filters
        self.filter_masks = FilterMasks(filters, btf(), loaded)
        self.maps = loaded.maps
        self.course: list[bool] = []

    def report_forks_eagerly(self, yes: bool) -> None:
        self.course.append(yes)

    @property
    def binaries(self) -> dict[bytes, tuple[int, int]]:
        return {
            key.rstrip(b"\0"): struct.unpack("=QQ", value)
            for key, value in self.maps["binary_masks"].entries.items()
        }

    @property
    def processes(self) -> dict[int, dict[str, int]]:
        found = layout.struct_layout(btf(), "process")
        entry = layout.unpacker(found, list(found.members))
        return {
            struct.unpack("=I", key)[0]: dict(zip(found.members, entry.unpack(value), strict=True))
            for key, value in self.maps["processes"].entries.items()
        }


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch, Filters())


@pytest.fixture
def world(kernel: Kernel) -> World:
    world = World(kernel=kernel)
    world.feed(execute(INIT, Task(0), path=b"/init"))
    world.dispatcher.seeded(list(world.table))
    return world


def run(world: World, path: bytes, **given_: object) -> None:
    world.feed(execute(TASK, INIT, path=path, **given_))


def test_each_binary_is_asked_once(world: World, kernel: Kernel) -> None:
    """Whatever the filters' expressions are, they are asked about each new binary."""
    kernel.filters.asked.clear()
    for _ in range(3):
        run(world, b"/bin/ls")
        run(world, b"/cat")
    assert kernel.binaries == {b"/bin/ls": (CAT, SHELL), b"/cat": (CAT, SHELL | CAT)}
    assert kernel.filters.asked.count("/bin/ls") == 3  # unwanted when the parent is cat: see below


def test_a_wanted_binary_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose events nobody may drop is not told the kernel again and again."""
    filters = Filters()
    filters.deny_bits = SHELL
    kernel = Kernel(monkeypatch, filters)
    world = World(kernel=kernel)
    world.dispatcher.seeded([])
    for _ in range(100):
        run(world, b"/bin/ls")
    assert filters.asked == ["/bin/ls"]
    assert kernel.maps["binary_masks"].writes == 1


def test_an_unwanted_binary_that_comes_again_is_reported_again(
    world: World, kernel: Kernel
) -> None:
    """The kernel had forgotten it, else it had kept it back."""
    run(world, b"/bin/sh")
    kernel.maps["binary_masks"].entries.clear()
    run(world, b"/bin/sh")
    assert kernel.binaries == {b"/bin/sh": (CAT | SHELL, SHELL)}


@pytest.mark.parametrize("path", [b"./sh", b"sh", b"", b"/" + b"x" * (SIZE - 2) + b"sh"])
def test_paths_that_are_no_key(world: World, kernel: Kernel, path: bytes) -> None:
    """What a relative path means differs, and a long one does not fit: they are always sent."""
    run(world, path)
    assert kernel.binaries == {}


def test_the_longest_key(world: World, kernel: Kernel) -> None:
    """A path with its zero byte fills the key."""
    for size in (SIZE - 2, SIZE - 1, SIZE):
        run(world, b"/".ljust(size, b"x"))
    assert sorted(map(len, kernel.binaries)) == [SIZE - 2]


def test_pids_are_answered_at_the_start(kernel: Kernel) -> None:
    """The filters name them; others share one answer."""
    entries = kernel.maps["pid_masks"].entries
    assert entries == {struct.pack("=I", 4242): struct.pack("=Q", SHELL | CAT)}


def test_processes_that_were_there_before(kernel: Kernel) -> None:
    """They may be parents: their masks are reported, under their start as procfs has it."""
    before = [Process(NODE.encode(), pid, pid * 10_000_000, 0) for pid in (0, 1, 50)]
    before[1].binary, before[2].binary = "/init", "/cat"
    World(kernel=kernel).dispatcher.seeded(before)
    masked = layout.enum_values(btf(), "process_state")["PROCESS_MASKED"]
    assert {
        pid: (entry["start"], entry["parent_mask"], entry["state"])
        for pid, entry in kernel.processes.items()
    } == {1: (10_000_000, SHELL, masked), 50: (500_000_000, SHELL | CAT, masked)}
    assert kernel.course == [False]


def test_what_the_kernel_noted_is_not_overwritten(kernel: Kernel) -> None:
    """A process that executed while procfs was read has its entry already."""
    noted = struct.pack("=I", 50)
    size = layout.struct_layout(btf(), "process").size
    kernel.maps["processes"].entries[noted] = b"\xee" * size
    process = Process(NODE.encode(), 50, 0, 0)
    World(kernel=kernel).dispatcher.seeded([process])
    assert kernel.maps["processes"].entries[noted] == b"\xee" * size


def test_nothing_is_answered_before_the_table_is_filled(kernel: Kernel) -> None:
    """Until then a parent may be missing."""
    world = World(kernel=kernel)
    run(world, b"/bin/sh")
    assert kernel.binaries == {}


def test_what_was_suppressed_is_not_learnt(world: World, kernel: Kernel) -> None:
    """It makes no event, and its masks are the kernel's own; its child has it as parent."""
    kernel.filters.asked.clear()
    late = execute(TASK, INIT, path=b"/bin/sh", fork_parent=INIT, flags=["EXEC_SUPPRESSED"])
    assert world.feed(late) == []
    assert kernel.filters.asked == []
    event = world.one(execute(CHILD, TASK, path=b"/bin/ls", fork_parent=TASK))
    assert event.parent is world.live[50]
    assert event.parent.binary == "/bin/sh"


def test_containers_are_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By cgroup, if a filter asks for containers."""
    filters = Filters(containers=True)
    kernel = Kernel(monkeypatch, filters)
    world = World(kernel=kernel)
    world.dispatcher.seeded([])
    for _ in range(2):
        run(world, b"/bin/ls", cgroup=b"docker-" + ID.encode(), cgroup_id=7)
        run(world, b"/bin/ls", cgroup=b"init.scope", cgroup_id=8)
    found = kernel.maps["cgroup_masks"]
    assert found.entries == {
        struct.pack("=Q", 7): struct.pack("=Q", SHELL | CAT),
        struct.pack("=Q", 8): struct.pack("=Q", CAT),
    }
    assert found.writes == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that runs ever new binaries in ever new cgroups fills nothing without end."""
    filters = Filters(containers=True)
    kernel = Kernel(monkeypatch, filters)
    filter_masks = kernel.filter_masks
    process = Process(NODE.encode(), 50, 0, 0)
    for number in range(20_000):
        filter_masks.learn(b"/bin/%d" % number, number, process)
    assert len(filter_masks._known) <= module._REMEMBERED
    assert len(filter_masks._containers) <= module.CGROUPS


@hypothesis_settings(deadline=None)
@given(own=st.integers(0, 7), deny=st.integers(0, 7), allow=st.integers(0, 7))
def test_an_answer_is_repeated_where_it_may_keep_something_back(
    own: int, deny: int, allow: int
) -> None:
    """That is where a deny bit holds, or no allow bit though there are some."""

    class Drawn(Filters):
        deny_bits, allow_bits = deny, allow

        def binary_masks(self, binary: str) -> tuple[int, int]:
            return own, 0

    with pytest.MonkeyPatch.context() as patch:
        kernel = Kernel(patch, Drawn())
        process = Process(NODE.encode(), 50, 0, 0)
        for _ in range(2):
            kernel.filter_masks.learn(b"/bin/x", 1, process)
    unwanted = bool(own & deny) or (bool(allow) and not own & allow)
    assert kernel.maps["binary_masks"].writes == (2 if unwanted else 1)
