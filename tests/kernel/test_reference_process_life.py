# SPDX-License-Identifier: Apache-2.0
"""Nothing of a prepared process is left, whatever happens; what a host forbids is reported."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tetrapy.errors import KernelError
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import prepared, procfs_self

ROOT = Path(__file__).resolve().parents[2]
PREPARE = [sys.executable, "-m", "tests.support.prepare"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'agent'}:{ROOT}"}
TIMEOUT = 60
HEX = "[0-9a-f]" * 16
Left = Callable[[], set[Path]]

# Tells when the preparation begins.
TELLING = """
import sys
from tests.support import prepare
opened = prepare.KernelMemory
def tell(*options):
    memory = opened(*options)
    print("ready", flush=True)
    return memory
prepare.KernelMemory = tell
prepare.main()
"""


def processes(matches: Callable[[list[str]], bool]) -> list[int]:
    """The processes whose fields of /proc/PID/stat, from the state on, are of that kind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if matches(fields):
            found.append(int(path.parent.name))
    return found


def children() -> list[int]:
    """This process's."""
    return processes(lambda fields: fields[1] == str(os.getpid()))


def abandoned_cgroups() -> set[Path]:
    """Cgroups whose maker, a process that the name tells, is gone."""
    mounts = [Path(os.fsdecode(mount.point)) for mount in procfs_self.mounts()]
    found = {path for mount in mounts for path in mount.glob("tetrapy-[0-9]*") if path.is_dir()}
    return {path for path in found if not Path("/proc", path.name.rpartition("-")[2]).exists()}


@pytest.fixture
def left() -> Left:
    """What is abandoned since the test began: others on this machine may leave some, too."""
    former = abandoned_cgroups()
    return lambda: abandoned_cgroups() - former


def scripts() -> list[Path]:
    """Scripts that were to be executed."""
    return [path for place in ("/run", "/tmp") for path in Path(place).glob(f"tetrapy-{HEX}")]


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def removed(path: Path) -> bool:
    """Remove a cgroup, if its last process is gone from it."""
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def in_shell(script: str, *wrapper: str) -> dict[str, Any]:
    """What tests/support/prepare.py prints at the end of a shell script, `$PREPARE` there."""
    environment = {**ENVIRONMENT, "PREPARE": " ".join(PREPARE)}
    command = [*wrapper, "/bin/sh", "-ec", script]
    done = subprocess.run(
        command, check=False, env=environment, timeout=TIMEOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("attached", [False, True])
def test_fifty_times(attached: bool, left: Left) -> None:
    """Processes, descriptors, mounts, files and cgroups are as before after each time."""

    def state() -> list[object]:
        mounts = [mount for mount in procfs_self.mounts() if mount.kind == b"cgroup2"]
        return [children(), os.listdir("/proc/self/fd"), mounts, scripts()]

    with contextlib.closing(KernelMemory(attached=attached)) as memory:
        before = state()
        for number in range(50):
            with prepared(memory, number % 2) as reference:
                assert reference.limits == ()
                assert reference.parent.tgid in children()
                if number % 3:
                    reference.end()
                gone = reference.leader.tgid
            assert state() == before
            assert not Path(f"/proc/{gone}").exists()
    eventually(lambda: not left(), "cgroups are left")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_struck(number: signal.Signals, left: Left) -> None:
    """A signal to the agent at any moment of the preparation leaves no process and no cgroup."""
    random.seed(number)
    for _ in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", TELLING],
            env=ENVIRONMENT,
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        time.sleep(random.random() * 0.02)
        process.send_signal(number)
        process.stdout.close()
        process.wait(TIMEOUT)
        eventually(partial(nobody, str(process.pid)), "processes are left")
    eventually(lambda: not left(), "cgroups are left")


def nobody(session: str) -> bool:
    """Whether no process of the session runs; zombies are left to whom the kernel gave them."""
    return not processes(lambda fields: fields[3] == session and fields[0] not in "ZX")


def test_parent_is_killed(left: Left) -> None:
    """The prepared process dies with its parent, and the agent is reported."""
    with contextlib.closing(KernelMemory()) as memory:
        with prepared(memory) as reference:
            os.kill(reference.parent.tgid, signal.SIGKILL)
            with pytest.raises(KernelError, match="ended by SIGKILL"):
                reference.end()
        alive = Path(f"/proc/{reference.leader.tgid}")
        eventually(lambda: not alive.exists(), "it still lives")
        # What only the parent could remove.
        for path in left():
            eventually(partial(removed, path / "prepared"), "it is not empty")
            path.rmdir()


def test_killed(left: Left) -> None:
    """A prepared process that is killed is told to be, and by what."""
    with contextlib.closing(KernelMemory()) as memory, prepared(memory) as reference:
        os.kill(reference.thread.tgid, signal.SIGKILL)
        with pytest.raises(KernelError, match="ended by SIGKILL"):
            reference.end()
    eventually(lambda: not left(), "cgroups are left")


def test_sigchld_is_ignored() -> None:
    """Then too the children wait for this process to take note of their end."""
    others = set(children())  # agents of other tests
    former = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with contextlib.closing(KernelMemory()) as memory:
            for _ in range(20):
                with prepared(memory) as reference:
                    reference.end()
                assert reference.limits == ()
                assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, former)
    assert set(children()) <= others


def test_traced() -> None:
    """A traced process has two parents: nothing is said of it."""
    command = ["strace", "-f", "-o", os.devnull, *PREPARE]
    done = subprocess.run(
        command, check=False, env=ENVIRONMENT, timeout=TIMEOUT, capture_output=True, text=True
    )
    assert "it is traced, as by strace -f" in done.stderr


def test_few_capabilities() -> None:
    """With no more than BPF needs, the rest is reported and what can be said is said."""
    found = in_shell("$PREPARE", "setpriv", "--bounding-set=-all,+cap_38,+cap_39")
    assert found["ids"] is None
    assert found["ns_pid"] is None
    assert found["mount_point"] == ""
    assert found["cwd_names"] == found["root_names"] == []
    assert found["leader"][1] == found["leader"][2] == found["thread"][2]
    assert found["start_ticks"] > 0
    reported = "; ".join(found["limits"])
    for what in ("pid namespace", "cgroup", "root directory", "ids"):
        assert what in reported, reported
    # The arguments' end can be moved without any capability.
    assert found["arg_end"] - found["arg_start"] == 13


def test_no_unified_hierarchy_is_mounted(left: Left) -> None:
    """Then it is mounted where nobody else sees it, and a cgroup made and removed there."""
    script = """
    for point in $(awk '$3 == "cgroup2" { print $2 }' /proc/mounts); do umount -l "$point"; done
    $PREPARE
    """
    found = in_shell(script, "unshare", "--mount", "--propagation", "private")
    assert found["limits"] == []
    assert found["cgroup_names"][-1] == "prepared"
    eventually(lambda: not left(), "cgroups are left")


def test_memfds_may_not_be_executed() -> None:
    """With vm.memfd_noexec=2, which holds in its pid namespace, the script is a file."""
    setting = Path("/proc/sys/vm/memfd_noexec")
    if not setting.exists():
        pytest.skip("this kernel has no vm.memfd_noexec")
    script = f"echo 2 > {setting}; $PREPARE"
    # What is loaded from a memfd otherwise comes from a directory here.
    found = in_shell(script, "unshare", "--pid", "--fork", "--mount-proc")
    assert found["exec_path"].startswith("/run/tetrapy-")
    assert any("memfd" in limit for limit in found["limits"])
    assert not scripts()


@pytest.mark.parametrize("offsets", [(0, 100_000), (100_000, 0), (50_000, 50_000)])
def test_in_a_time_namespace(offsets: tuple[int, int]) -> None:
    """Times are reported as the kernel keeps them, not as a time namespace shows them."""
    if not Path("/proc/self/timens_offsets").exists():
        pytest.skip("this kernel has no time namespaces")
    monotonic, boottime = offsets
    shift = ["--monotonic", str(monotonic), "--boottime", str(boottime)]
    found = in_shell("$PREPARE", "unshare", "--time", "--fork", *shift)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - found["start_ticks"] / found["ticks_per_second"]
    assert -1 < age < 2 * TIMEOUT
    gap = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    assert abs(found["boot_gap_ns"] - gap) < 1_000_000_000
