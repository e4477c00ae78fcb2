# SPDX-License-Identifier: Apache-2.0
"""The process connector of this kernel: real processes, looked at while they wait to be seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connector import TIMEOUT, Watch
from tests.support.events import exec_id, nanoseconds
from tetrapy.kernel.connector import provoke_event_on_each_cpu
from tetrapy.process.procfs import read_process
from tetrapy.sensors.connector.pids import Pids

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    with Watch() as running:
        yield running
    assert running.sensor.errors == 0


def python(code: str, *arguments: str, **options: Any) -> subprocess.Popen:
    """A Python that runs `code`; in it, `seen()` waits until the test has seen enough."""
    code = "import os, sys\nseen = lambda: os.read(0, 1)\n" + code
    return subprocess.Popen(
        [sys.executable, "-S", "-c", code, *arguments], stdin=subprocess.PIPE, **options
    )


def go_on(process: subprocess.Popen) -> None:
    """End one `seen()` of the process."""
    os.write(process.stdin.fileno(), b"x")


@contextmanager
def until(watch: Watch, *pids: int, execs: int = 1) -> Iterator[list[dict[str, Any]]]:
    """The exec events of these processes, once there are so many."""
    deadline = time.monotonic() + TIMEOUT
    while len(found := [body for kind, body in watch.of(*pids) if kind == "exec"]) < execs:
        assert time.monotonic() < deadline, found
        time.sleep(0.002)
    yield found


def test_life(watch: Watch) -> None:
    """Exec and exit of a process, with all that procfs shows of it."""
    with python("seen()", "a", "b c", cwd="/tmp") as process:
        with until(watch, process.pid) as (body,):
            go_on(process)
        process.wait()
    (_, _), (_, end) = watch.until_exit(process.pid)
    shown = body["process"]
    assert shown["binary"] == os.path.realpath(sys.executable)
    assert shown["arguments"].endswith(' a "b c"')
    assert shown["cwd"] == "/tmp"
    assert (shown["uid"], shown["flags"]) == (os.getuid(), "execve procFS clone")
    assert body["parent"]["pid"] == os.getpid()
    assert shown["parent_exec_id"] == body["parent"]["exec_id"]
    assert end["process"] == shown
    assert "status" not in end
    assert "signal" not in end


def test_times(watch: Watch) -> None:
    """Times are the wall clock's, and an exec_id holds the time of the exec since boot."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns()
    with python("seen()") as process:
        with until(watch, process.pid) as (body,):
            go_on(process)
        process.wait()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns()
    *_, (_, end) = watch.until_exit(process.pid)
    shown = body["process"]
    identity = exec_id(shown["exec_id"])
    assert before[0] <= identity.ktime <= after[0]
    assert identity.pid == process.pid
    slack = 5_000_000  # the distance of the clocks is measured, too
    assert before[1] - slack <= nanoseconds(shown["start_time"])
    assert nanoseconds(shown["start_time"]) <= nanoseconds(end["time"]) <= after[1] + slack


def test_image_after_image(watch: Watch) -> None:
    """A process that executes again has one exec event for each image, linked to the one before."""
    code = (
        "seen()\n"
        "new = [sys.executable, '-S', '-c', 'import os; os.read(0, 1)', 'two']\n"
        "os.execv(new[0], new)"
    )
    with python(code, "one") as process:
        with until(watch, process.pid):
            go_on(process)
        with until(watch, process.pid, execs=2) as (first, second):
            go_on(process)
        process.wait()
    *_, (_, end) = watch.until_exit(process.pid)
    assert second["parent"] == first["process"]
    assert second["process"]["flags"] == "execve procFS"
    assert second["process"]["arguments"].endswith(" two")
    assert end["process"] == second["process"]


@pytest.mark.parametrize(
    ("code", "status", "name"),
    [
        ("os._exit(7)", 7, ""),
        ("os.kill(os.getpid(), 9)", 0, "SIGKILL"),
        ("os.abort()", 0, "SIGABRT"),
    ],
)
def test_ends(watch: Watch, code: str, status: int, name: str) -> None:
    """An exit event has the status or the signal of wait(2)."""
    with python(code) as process:
        process.wait()
    *_, (_, end) = watch.until_exit(process.pid)
    assert (end.get("status", 0), end.get("signal", "")) == (status, name)


def test_fork_without_exec(watch: Watch) -> None:
    """A process that only forked is reported at its end, as a copy of its parent."""
    code = (
        "seen()\nchild = os.fork()\nif not child: os._exit(3)\n"
        "os.write(1, b'%d' % child); os.waitpid(child, 0)"
    )
    with python(code, "forks", stdout=subprocess.PIPE) as process:
        with until(watch, process.pid) as (body,):
            go_on(process)
        child = int(process.stdout.read())
        process.wait()
    ((kind, end),) = watch.until_exit(child)
    assert kind == "exit"
    assert (end["status"], end["process"]["refcnt"]) == (3, 1)
    assert end["process"]["arguments"] == body["process"]["arguments"]
    assert end["parent"]["pid"] == process.pid
    assert end["process"]["flags"] == "execve procFS"


def test_new_user(watch: Watch) -> None:
    """A process that changes its user ends as that user."""
    with python("seen(); os.setuid(4242)") as process:
        with until(watch, process.pid) as (body,):
            go_on(process)
        process.wait()
    *_, (_, end) = watch.until_exit(process.pid)
    assert (body["process"]["uid"], end["process"]["uid"]) == (os.getuid(), 4242)


LEADER_FIRST = (
    "import ctypes, threading, time\n"
    "leader = lambda: open(f'/proc/{os.getpid()}/stat', 'rb').read().split(b') ')[1][:1]\n"
    "def last():\n"
    "    while leader() != b'Z': time.sleep(0.001)\n"
    "    os._exit(7)\n"
    "threading.Thread(target=last).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)\n"
)
THREADS_FIRST = (
    "import threading\n"
    "threads = [threading.Thread(target=int) for _ in range(5)]\n"
    "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
    "os._exit(7)\n"
)


@pytest.mark.parametrize("code", [LEADER_FIRST, THREADS_FIRST], ids=["leader", "threads"])
def test_threads(watch: Watch, code: str) -> None:
    """A process ends once, with its last thread, whichever of them that is."""
    with python(code) as process:
        assert process.wait() == 7
    events = watch.until_exit(process.pid)
    assert [kind for kind, _ in events] == ["exec", "exit"]
    assert events[-1][1]["status"] == 7


@pytest.mark.parametrize("code", [LEADER_FIRST, THREADS_FIRST], ids=["leader", "threads"])
def test_threads_of_an_older_process(code: str) -> None:
    """The same for a process that was there before the sensor."""
    with python("seen()\n" + code, stdout=subprocess.PIPE) as process:
        while b"-c" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.001)
        with Watch() as watch:
            go_on(process)
            assert process.wait() == 7
            events = watch.until_exit(process.pid)
    assert [kind for kind, _ in events] == ["exec", "exit"]
    assert events[0][1]["process"]["flags"].startswith("procFS")
    assert events[-1][1]["status"] == 7


def test_thread_that_executes(watch: Watch) -> None:
    """An exec by a thread is the process', and no exit comes before the last one."""
    code = (
        "import threading, time\nseen()\n"
        "new = [sys.executable, '-S', '-c', 'import os; os.read(0, 1)', 'two']\n"
        "threading.Thread(target=lambda: os.execv(new[0], new)).start(); time.sleep(100)"
    )
    with python(code) as process:
        with until(watch, process.pid):
            go_on(process)
        with until(watch, process.pid, execs=2):
            go_on(process)
        process.wait()
    events = watch.until_exit(process.pid)
    assert [kind for kind, _ in events] == ["exec", "exec", "exit"]


def test_process_without_a_trace(watch: Watch) -> None:
    """However short they live, each of a hundred processes has an exec and an exit event; what was
    not seen of it has the flag `miss`, and what was seen is true.
    """
    processes = [subprocess.Popen(["/bin/true", f"word-{n}"]) for n in range(100)]
    for process in processes:
        process.wait()
    for number, process in enumerate(processes):
        (_, body), (_, end) = watch.until_exit(process.pid)
        shown = body["process"]
        flags = shown["flags"].split()
        no_path, no_arguments = "errorFilename" in flags, "errorArgs" in flags
        assert shown.get("binary", "") in (
            {"", "true"} if no_path else {"/usr/bin/true", "/bin/true"}
        )
        assert shown.get("arguments", "") == ("" if no_arguments else f"word-{number}")
        assert ("miss" in flags) >= (no_path or no_arguments)
        assert body["parent"]["pid"] == os.getpid()
        assert end["process"]["exec_id"] == shown["exec_id"]


def test_loss() -> None:
    """Messages that do not fit are counted exactly, and processes that are gone are forgotten."""
    with Watch(buffer_bytes=1 << 14) as watch:
        watch.paused.set()
        time.sleep(0.1)
        received = watch.received
        for _ in range(200):
            subprocess.run(["/bin/true"], check=True)
        watch.paused.clear()
        while True:  # until the buffer has room again
            probe = subprocess.Popen(["/bin/true"])
            probe.wait()
            if watch.of(probe.pid):
                break
        provoke_event_on_each_cpu()
        last = subprocess.Popen(["/bin/true"])
        last.wait()
        watch.until_exit(last.pid)
        lost = watch.sensor.losses()["socket"]
        assert lost > 0
        # Each of the 200 makes a fork, an exec and an exit.
        assert lost + watch.received - received >= 600
        watch.table.forget_gone()
        watch.table.forget_gone()
        gone = [
            one.pid for one in watch.table if one.pid and not os.path.exists(f"/proc/{one.pid}")
        ]
        assert gone == []


def test_start_of_a_process(watch: Watch) -> None:
    """The table's start of a forked process is, to a tick or two, what procfs shows."""
    with python("seen()") as process:
        with until(watch, process.pid):
            seen = read_process("/proc/", process.pid)
            assert 0 <= Pids(watch.table, "").at(process.pid).start - seen.start < 1_000_000_000
        process.send_signal(signal.SIGKILL)
        process.wait()
