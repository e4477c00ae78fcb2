# SPDX-License-Identifier: Apache-2.0
"""A whole run of the agent, its sensor and its system calls for BPF replaced by the test."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_run import FakeSensor, Recorder, Run, reported
from tests.support.records import SECOND, Task, execute, exit_of, fork, pack
from tetrapy.config.sources import read
from tetrapy.daemon import choose_sensor, start
from tetrapy.daemon.agent import Agent
from tetrapy.errors import AlreadyRunningError, KernelError, NotPermittedError
from tetrapy.kernel import capabilities
from tetrapy.process import details

pytestmark = pytest.mark.slow

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)
COMMAND = [fork(CHILD, INIT), execute(CHILD, INIT, path=b"/bin/ls"), exit_of(CHILD)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def test_from_procfs_to_the_last_record(run: Run) -> None:
    """What was there first, what happens then, and what still waits when the agent stops."""
    run.procfs.add(1, parent=0, ticks=100, exe="/sbin/init")
    sensor = FakeSensor([], COMMAND)
    sensor.after_detach = [execute(Task(60, 3 * SECOND), INIT)]
    lines = run(sensor)
    assert reported(lines) == [
        ("process_exec", 0),
        ("process_exec", 1),
        ("process_exec", 50),
        ("process_exit", 50),
        ("process_exec", 60),
    ]
    assert lines[2]["process_exec"]["parent"]["binary"] == "/sbin/init"
    assert {line["node_name"] for line in lines} == {"host1"}


def test_the_log_of_a_run(run: Run) -> None:
    """Tetragon's messages in Tetragon's order, from the start to the two statistics lines."""
    run.procfs.add(1, parent=0)
    (run.procfs.root / "77").mkdir()
    run(FakeSensor([], COMMAND))
    assert run.log.messages == [
        "Starting tetrapy",
        "config settings",
        "tetrapy pid file creation succeeded",
        "Starting gRPC server",
        "Exporter configuration",
        "Loading Tracing Policies from directory ignored, directory does not exist",
        "Capabilities kept",
        f"Read ProcFS {run.procfs.root}/ appended 1/2 entries",
        "Listening for events...",
        "Received signal terminated, shutting down...",
        "BPF events statistics: 3 received, 0% events loss",
        "Observer events statistics",
    ]
    config = run.log.keys_of("config settings")["config"]
    assert (config["export-file-perm"], config["cgroup-rate"]) == ("600", "")
    assert (config["export-aggregation-window-size"], config["debug"]) == ("15s", False)
    assert run.log.keys_of("Observer events statistics") == {
        "received": 3,
        "lost": 0,
        "errors": 0,
        "filterPass": 4,
        "filterDrop": 0,
    }
    target = str(run.path / "out.json")
    assert run.log.keys_of("Exporter configuration") == {"enabled": True, "fileName": target}


def test_an_interrupt(run: Run) -> None:
    """Ctrl-C stops as SIGTERM does."""
    run(FakeSensor([], stop=signal.SIGINT))
    assert "Received signal interrupt, shutting down..." in run.log.messages


def test_a_signal_during_the_start(run: Run) -> None:
    """It leads to the same orderly stop."""

    class Sensor(FakeSensor):
        def attach(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            super().attach()

    sensor = Sensor([])
    run(sensor)
    assert "Received signal terminated, shutting down..." in run.log.messages
    assert sensor.course[-2:] == ["detach", "close"]


def test_order_of_start_and_stop(run: Run) -> None:
    """Attached before procfs is read, after which forks may wait; detached; then closed."""
    sensor = FakeSensor([])
    run(sensor)
    assert [step for step in sensor.course if step != "clock"] == [
        "attach",
        "register",
        "lazily",
        "detach",
        "close",
    ]


def test_everything_is_given_back(run: Run) -> None:
    """No pid file, no descriptor and no signal handler is left behind."""
    before = (len(os.listdir("/proc/self/fd")), signal.getsignal(signal.SIGTERM))
    run(FakeSensor([], COMMAND))
    assert (len(os.listdir("/proc/self/fd")), signal.getsignal(signal.SIGTERM)) == before
    assert os.listdir(run.path / "run") == []
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("method", ["attach", "drain", "losses", "suppressed"])
def test_everything_is_given_back_after_an_error(run: Run, method: str) -> None:
    """The same when the kernel refuses something on the way."""
    before = len(os.listdir("/proc/self/fd"))
    sensor = FakeSensor([])

    def refuse(*_: Any, **__: Any) -> Any:
        raise KernelError("refused")

    setattr(sensor, method, refuse)
    with pytest.raises(KernelError, match="refused"):
        run(sensor)
    assert sensor.course[-1] == "close"
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(run.path / "run") == []


def test_without_privilege(run: Run) -> None:
    """When BPF is refused the pid file goes again, and nothing was exported."""

    def refuse() -> None:
        raise NotPermittedError("tetrapy needs root")

    run.monkeypatch.setattr(choose_sensor.privilege, "check_bpf", refuse)
    with pytest.raises(NotPermittedError):
        run(FakeSensor())
    assert os.listdir(run.path / "run") == []
    assert (run.path / "out.json").read_bytes() == b""


def test_a_second_instance(run: Run) -> None:
    """It is told that the first one runs, and touches nothing of it."""

    class Sensor(FakeSensor):
        def attach(self) -> list[str]:
            with pytest.raises(AlreadyRunningError, match=f"already running .pid {os.getpid()}"):
                Agent(read([], {}), Recorder()).run()
            return []

    lines = run(Sensor([], COMMAND))
    assert reported(lines)[-1] == ("process_exit", 50)


def test_without_an_export_file(run: Run) -> None:
    """The agent runs and writes nowhere."""
    run.use(FakeSensor([], COMMAND))
    Agent(read([f"--procfs={run.procfs.root}"], {}), run.log).run()
    assert run.log.keys_of("Exporter configuration") == {"enabled": False, "fileName": ""}
    assert sorted(os.listdir(run.path)) == ["proc", "run"]


def test_a_procfs_that_is_not_there(run: Run) -> None:
    """The error names the path and the flag."""
    with pytest.raises(KernelError, match=r"procfs /no/proc/?: No such file.*--procfs"):
        run(FakeSensor([]), "--procfs=/no/proc")


def test_records_that_came_while_procfs_was_read(run: Run) -> None:
    """They are reported after what procfs showed, and a process of both is reported once."""
    run.procfs.add(1, parent=0, ticks=100)
    run.procfs.add(50, parent=1, ticks=200)
    lines = run(FakeSensor([COMMAND[0], COMMAND[1]], [COMMAND[2]]))
    assert reported(lines) == [
        ("process_exec", 0),
        ("process_exec", 1),
        ("process_exec", 50),
        ("process_exit", 50),
    ]
    assert lines[2]["process_exec"]["process"]["flags"] == "execve clone"


@pytest.mark.slow
def test_many_records_at_the_start(run: Run) -> None:
    """All that waits is taken, however many batches it is."""
    batch = [fork(Task(100 + number, 5 * SECOND), INIT) for number in range(512)]
    more = [exit_of(Task(100 + number, 5 * SECOND)) for number in range(512)]
    lines = run(FakeSensor(batch, more, []))
    assert len(lines) == 513


def test_losses_are_reported_by_kind(run: Run) -> None:
    """In the log when they are found, and in the statistics at the end."""

    class Sensor(FakeSensor):
        def drain(self, limit: int, everything: bool = False) -> list[bytes]:
            if not self.batches:
                self.lost = {"exec": 3, "fork": 0, "exit": 1}
            return super().drain(limit, everything)

    run(Sensor([], COMMAND))
    (lost,) = [line for line in run.log.lines if line[1] == "Kernel events lost"]
    assert lost[0] == "warn"
    assert {key: value for key, value in lost[2].items() if key != "hint"} == {"exec": 3, "exit": 1}
    assert run.log.keys_of("Observer events statistics")["lost"] == 4
    assert "BPF events statistics: 3 received, 57% events loss" in run.log.messages


def test_records_without_sense_are_counted(run: Run) -> None:
    """They stop nothing and are in the statistics."""
    lines = run(FakeSensor([b"", b"junk"], [pack("exit", kind=99), *COMMAND]))
    assert reported(lines)[-1] == ("process_exit", 50)
    assert run.log.keys_of("Observer events statistics")["errors"] == 3
    assert run.log.keys_of("Observer events statistics")["received"] == 6


def test_a_reader_that_leaves_stops_the_agent(run: Run) -> None:
    """When the pipe of events is closed there is nothing left to do; the stop is orderly."""
    os.mkfifo(run.path / "fifo")
    reader = os.open(run.path / "fifo", os.O_RDONLY | os.O_NONBLOCK)

    class Sensor(FakeSensor):
        def drain(self, limit: int, everything: bool = False) -> list[bytes]:
            if len(self.batches) == 1:
                os.close(reader)
            return super().drain(limit, everything)

    run.use(Sensor([], COMMAND, COMMAND))
    settings = read([f"--procfs={run.procfs.root}", f"--export-filename={run.path}/fifo"], {})
    Agent(settings, run.log).run()
    assert "Nobody reads the events any more, stopping" in run.log.messages
    assert "Observer events statistics" in run.log.messages


def test_what_is_there_at_the_start_is_not_looked_at_again(run: Run) -> None:
    """The garbage collector is reported once that it stays."""
    run(FakeSensor([]))
    assert run.frozen == 1


def test_a_procfs_of_other_processes(run: Run) -> None:
    """One of another pid namespace is not believed: Tetragon's warning, and no process of it."""
    run.procfs.add(1, parent=0)
    (run.procfs.root / "1/ns").mkdir()
    inode = 4026532321
    (run.procfs.root / "1/ns/pid").symlink_to(f"pid:[{inode}]")
    sensor = FakeSensor([], [fork(CHILD, INIT), execute(CHILD, INIT)])
    sensor.lost = {"exec": 1}
    lines = run(sensor)
    assert reported(lines) == [("process_exec", 0), ("process_exec", 50)]
    assert "parent" not in lines[1]["process_exec"]
    keys = run.log.keys_of("inode mismatch: procfs does not appear to be host procfs")
    assert "--pid=host" in keys.pop("hint")
    assert keys == {
        "path": f"{run.procfs.root}/1/ns/pid",
        "inode": inode,
        "expected inode": 4026531836,
    }


def test_what_the_kernel_suppressed_counts_as_dropped(run: Run) -> None:
    """The statistics tell of all events that filters dropped, wherever that was."""
    sensor = FakeSensor([], COMMAND)
    sensor.unwanted = {"PROCESS_EXEC": 40, "PROCESS_EXIT": 39}
    lines = run(sensor, '--export-denylist={"binary_regex":["/ls$"]}', "--metrics-server=")
    assert reported(lines) == [("process_exec", 0)]
    assert run.log.keys_of("Observer events statistics")["filterDrop"] == 81


def test_a_sensor_that_cannot_be_had(run: Run) -> None:
    """Without eBPF the process connector watches, unless the settings insist."""

    def refuse() -> None:
        raise NotPermittedError("no BPF here")

    sensor = FakeSensor([], COMMAND)
    asked = []
    run.monkeypatch.setattr(choose_sensor.privilege, "check_bpf", refuse)
    run.monkeypatch.setattr(
        choose_sensor, "_connector", lambda *given: asked.append(given[-1]) or sensor
    )
    assert reported(run(sensor, "--sensor=auto"))[-1] == ("process_exit", 50)
    assert asked == ["no BPF here"]
    with pytest.raises(NotPermittedError, match="no BPF here"):
        run(FakeSensor())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("held", "flag"),
    [((1 << 41) - 1, "--security-opt apparmor=unconfined"), (0, "--cap-add SYS_PTRACE")],
)
def test_what_lets_a_container_see_the_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch, held: int, flag: str
) -> None:
    """A flag of the container engine is named: another one where the capability is there."""
    monkeypatch.setattr(capabilities, "held", lambda: capabilities.Sets(0, held, held))
    monkeypatch.setattr(start, "are_host_namespaces_known", lambda root: False)
    monkeypatch.setattr(start, "foreign_namespace", lambda root: 0)
    monkeypatch.setattr(start.namespaces, "take_the_machines_view", lambda root: frozenset())
    hints = []
    start.trusted_procfs(str(run.procfs.root), lambda *_, hint="", **__: hints.append(hint))
    assert [hint for hint in hints if flag in hint]


def test_users_are_the_machines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their names are read below the root of its first process, in a container too."""
    roots: list[str] = []

    class Users:
        """Names of nobody."""

        def __init__(self, root: str) -> None:
            roots.append(root)

    monkeypatch.setattr(details, "Users", Users)
    root = run.procfs.root / "1/root"
    root.mkdir(parents=True)
    procfs = str(run.procfs.root)
    settings = read([f"--procfs={procfs}", "--username-metadata=unix"], {})
    start.make_table(settings, details.Wanted(users=True), FakeSensor(), procfs)
    assert roots == [str(root)]
