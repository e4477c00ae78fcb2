# SPDX-License-Identifier: Apache-2.0
"""Processes that were there before the agent."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.support.agent import Agent
from tests.support.elder import Elder
from tests.support.events import Event, check_event, exec_id, nanoseconds

TICK_NS = 10_000_000
UNSET = 4294967295


class Elders:
    """What was there, and an agent that started after that."""

    def __init__(self, actor: Path, directory: Path, flavour: str) -> None:
        self.actor = str(actor)
        self.directory = directory
        directory.mkdir()
        self.flags = FLAVOURS[flavour]
        self.stack = ExitStack()
        self.by_name: dict[str, Elder] = {}

    def add(self, name: str, *words: str | bytes, **options) -> Elder:
        tag = f"elder-{name}-{os.getpid()}"
        options.setdefault("cwd", self.directory)
        argv = [options.pop("path", self.actor), tag, "say", "here", "wait", *words]
        elder = self.by_name[name] = Elder(argv, **options)
        self.stack.callback(elder.close)
        return elder

    def start(self) -> None:
        self.agent = self.stack.enter_context(Agent(self.directory / "agent", *self.flags))
        self.agent.started()
        # What came before the first event that the kernel told of.
        self.before = self.agent.events()[: self._reported()]

    def _reported(self) -> int:
        self.agent.fence()
        for at, line in enumerate(self.agent.lines()):
            if (
                b'"flags":"execve' in line.partition(b'"parent":')[0]
                or b"process_exit" in line[:16]
            ):
                return at
        raise AssertionError

    def seeded(self, name: str) -> Event:
        """The only event of this process before it went on."""
        (event,) = [e for e in self.before if e.pid == self.by_name[name].pid]
        return event

    def after(self, name: str) -> list[Event]:
        """What was reported of its pid later, when it was let go."""
        self.agent.fence()
        pid = self.by_name[name].pid
        return [e for e in self.agent.events() if e.pid == pid][1:]


@pytest.fixture(scope="module", params=FLAVOURS)
def elders(request, actor: Path, tmp_path_factory) -> Iterator[Elders]:
    """Processes in many states, then an agent."""
    place = tmp_path_factory.mktemp("elders")
    own = Elders(actor, place / request.param, request.param)
    gone = own.directory / "gone"
    gone.mkdir()
    copy = own.directory / "copy"
    copy.write_bytes(Path(actor).read_bytes())
    copy.chmod(0o755)
    with own.stack:
        again = (own.actor, "again")
        own.add("exit", "exit", "3", "a b", "")
        own.add("exec", "exec", *again, "exit", "4")
        own.add("fork", "fork", "exit", "5")
        own.add("forkexec", "fork", "exec", *again, "exit", "6")
        own.add("bytes", b"exit", b"0", b"caf\xe9\xe8", "größe")
        own.add("root", "exit", "0", cwd="/")
        own.add("gonecwd", "exit", "0", cwd=gone)
        own.add("goneimage", "exit", "0", path=str(copy))
        own.add("euid", "exit", "0", user=4242)
        own.add("threads", "exit", "0")
        odd = own.directory / ") S 1 (\n"
        odd.symlink_to(actor)
        own.add("comm", "exit", "7", path=str(odd))
        own.add("long", "exit", "0", "x" * 100_000)
        gone.rmdir()
        copy.unlink()
        own.alive = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        own.start()
        yield own


def test_seeded(elders: Elders) -> None:
    """A process of before has one exec event with the flag procFS and the time of its start."""
    event = elders.seeded("exit")
    elder = elders.by_name["exit"]
    check_event(event)
    process = event.process
    assert event.kind == "exec"
    assert process["flags"] == "procFS"
    assert process["binary"] == elders.actor
    assert process["arguments"] == f'{elder.tag} say here wait exit 3 "a b" ""'
    assert process["cwd"] == str(elders.directory)
    assert process["uid"] == 0
    stat = Path(f"/proc/{elder.pid}/stat").read_text(encoding="utf-8")
    ticks = int(stat.rpartition(")")[2].split()[19])
    assert exec_id(event.id).ktime == ticks * TICK_NS
    boot = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    # The wall clock may be stepped while the test runs.
    assert abs(nanoseconds(process["start_time"]) - boot - ticks * TICK_NS) < 60_000_000_000


def test_seeded_parent(elders: Elders) -> None:
    """The parent of a process of before is the process of before that started it."""
    event = elders.seeded("exit")
    assert event.parent is not None
    assert event.parent["pid"] == os.getpid()
    (own,) = [e for e in elders.before if e.pid == os.getpid()]
    assert event.parent == own.process


def test_kernel_and_first_process(elders: Elders) -> None:
    """<kernel> comes first, as its own parent; it is the parent of process 1."""
    kernel = elders.before[0]
    assert kernel.process["binary"] == "<kernel>"
    assert kernel.pid == 0
    assert kernel.process["flags"] == "procFS"
    assert kernel.process["auid"] == UNSET
    assert exec_id(kernel.id)[1:] == (1, 0)
    assert kernel.process["parent_exec_id"] == kernel.id
    (first,) = [e for e in elders.before if e.pid == 1]
    assert first.process["parent_exec_id"] == kernel.id
    assert first.parent == kernel.process


def test_everything_is_seeded(elders: Elders) -> None:
    """Each process that was there and still is has one exec event; the kernel's threads none."""
    seeded = [event.pid for event in elders.before]
    assert len(seeded) == len(set(seeded))
    assert all(event.kind == "exec" for event in elders.before)
    assert "[" not in {event.binary[:1] for event in elders.before}
    for pid in elders.alive & {int(name) for name in os.listdir("/proc") if name.isdigit()}:
        if pid not in seeded:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            assert stat[0] in {"Z", "X"} or int(stat[6]) & 0x200000, f"{pid}: {stat}"


def test_order_of_seeds(elders: Elders) -> None:
    """Seeds are ordered by the pid of their parent, as Tetragon has it."""
    parents = [exec_id(event.process["parent_exec_id"]).pid for event in elders.before]
    assert parents == sorted(parents)


def test_bytes(elders: Elders) -> None:
    """Arguments of before that are no UTF-8 are shown as those of an exec."""
    assert elders.seeded("bytes").arguments.endswith(" exit 0 caf\ufffd größe")


def test_long_arguments(elders: Elders) -> None:
    """Long arguments of before come whole, or their truncation is reported."""
    event = elders.seeded("long")
    whole = "x" * 100_000
    assert event.arguments.endswith(whole) or "truncArgs" in event.flags


def test_root(elders: Elders) -> None:
    """The root directory is told by a flag."""
    process = elders.seeded("root").process
    assert (process["cwd"], process["flags"]) == ("/", "procFS rootcwd")


def test_removed_directory_and_image(elders: Elders) -> None:
    """Removed files keep their paths; that they are gone is reported."""
    assert elders.seeded("gonecwd").process["cwd"] == f"{elders.directory}/gone (deleted)"
    event = elders.seeded("goneimage")
    assert event.binary == f"{elders.directory}/copy"
    assert event.process["executed_file"]["deleted"] is True


def test_odd_name(elders: Elders) -> None:
    """A name made to fool readers of /proc/PID/stat fools nobody."""
    event = elders.seeded("comm")
    assert event.parent is not None
    assert event.parent["pid"] == os.getpid()
    assert event.binary == elders.actor
    assert elders.by_name["comm"].go_on() == 7
    (ended,) = elders.after("comm")
    assert ended.process == event.process


def test_user(elders: Elders) -> None:
    """The effective user is shown."""
    assert elders.seeded("euid").process["uid"] == 4242


def test_exit_of_elder(elders: Elders) -> None:
    """The end of a process of before has the process that was reported at the start."""
    assert elders.by_name["exit"].go_on() == 3
    (ended,) = elders.after("exit")
    check_event(ended)
    assert ended.kind == "exit"
    assert ended.status == 3
    assert ended.process == elders.seeded("exit").process
    assert ended.parent == elders.seeded("exit").parent


def test_exec_of_elder(elders: Elders) -> None:
    """The next image of a process of before follows the one that was reported at the start."""
    assert elders.by_name["exec"].go_on() == 4
    image, ended = elders.after("exec")
    seed = elders.seeded("exec")
    assert (image.kind, ended.kind) == ("exec", "exit")
    assert image.flags == ["execve"]
    assert image.process["parent_exec_id"] == seed.id
    assert image.parent == seed.process
    assert ended.process == image.process


def test_fork_of_elder(elders: Elders) -> None:
    """A child that a process of before forks is linked to it."""
    elders.by_name["fork"].go_on()
    seed = elders.seeded("fork")
    elders.agent.fence()
    (child,) = [e for e in elders.agent.events() if e.parent == seed.process and e.pid != seed.pid]
    assert child.status == 5
    assert child.process["parent_exec_id"] == seed.id
    assert child.process["flags"] == "execve"
    assert child.process["refcnt"] == 1


def test_child_of_elder_executes(elders: Elders) -> None:
    """A child that a process of before forks and that executes is linked to it."""
    elders.by_name["forkexec"].go_on()
    seed = elders.seeded("forkexec")
    elders.agent.fence()
    child, child_end = [
        e for e in elders.agent.events() if e.parent == seed.process and e.pid != seed.pid
    ]
    assert child.flags == ["execve", "clone"]
    assert child.id == child_end.id
    assert child_end.status == 6
