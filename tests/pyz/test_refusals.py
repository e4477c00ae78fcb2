# SPDX-License-Identifier: Apache-2.0
"""What is refused to the built file, and what it says: rights, filters, other instances."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.pyz.conftest import SYSTEM_CALLS, SYSTEM_PYTHON, assert_one_line, needs_root, tells
from tests.support.agent import PYZ, Agent

pytestmark = needs_root

NO_BPF = "-sys_admin,-cap_38,-cap_39"


def test_not_root(run, everyones: Path) -> None:
    """Another user is told that root is needed, before all else."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = run(*user, SYSTEM_PYTHON, everyones, "--export-filename", "/nowhere/x", cwd="/")
    line = assert_one_line(done)
    assert "root" in line
    assert "65534" in line


def test_root_without_bpf_has_the_connector(tmp_path: Path, actor: Path) -> None:
    """Where only BPF is out of reach the agent goes on, and says what it lacks."""
    under = ("setpriv", "--inh-caps=-all", f"--bounding-set={NO_BPF}")
    with Agent(tmp_path, code=PYZ, under=under) as agent:
        agent.started()
        reported = [line for line in agent.log.splitlines() if "process connector" in line]
        assert any("CAP_BPF" in line for line in reported)
        assert agent.stop() == 0


def test_help_for_everyone(run, everyones: Path) -> None:
    """Another user may read the help and the version."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for flag in ("--help", "--version"):
        assert run(*user, SYSTEM_PYTHON, everyones, flag, cwd="/").returncode == 0


@pytest.mark.parametrize(
    ("dropped", "named"),
    [
        (NO_BPF, "CAP_SYS_ADMIN"),
        ("-all", "CAP_SYS_ADMIN"),
        ("-sys_admin,-cap_39", "CAP_BPF"),
        ("-sys_admin,-cap_38", "CAP_PERFMON"),
    ],
)
def test_missing_capability(run, dropped: str, named: str) -> None:
    """Root without a capability is reported which one is missing."""
    command = ("setpriv", "--inh-caps=-all", f"--bounding-set={dropped}")
    flags = ("--sensor=ebpf", "--export-filename", "-")
    assert named in assert_one_line(run(*command, PYZ, *flags))


def test_without_sys_admin(tmp_path: Path, actor: Path) -> None:
    """CAP_BPF and CAP_PERFMON are enough; CAP_SYS_ADMIN is not needed."""
    under = ("setpriv", "--inh-caps=-all", "--bounding-set=-sys_admin")
    tells(Agent(tmp_path / "ring", code=PYZ, under=under), actor)
    tells(Agent(tmp_path / "perf", "--use-perf-ring-buffer", code=PYZ, under=under), actor)


@pytest.mark.parametrize("sensor", ["auto", "ebpf", "connector"])
@pytest.mark.parametrize(
    "hide",
    [
        "umount -l /proc",
        "mount -t tmpfs none /proc",
        # One of another pid namespace, in which this process is not.
        "unshare --pid --fork mount -t proc proc /proc",
    ],
)
def test_without_proc(run, hide: str, sensor: str) -> None:
    """That it is missing is told before all that needs it fails."""
    done = run(SYSTEM_PYTHON, "-IS", PYZ, f"--sensor={sensor}", prepare=hide)
    assert "mount -t proc proc /proc" in assert_one_line(done)


def test_what_nobody_expected(run) -> None:
    """So little memory that it ends somewhere: one line says where, the exit code is its own.

    With a little less it has no memory to say so either.
    """
    for size in range(12, 64, 2):  # MiB; with the least of them Python itself cannot start
        limits = ("prlimit", f"--as={size << 20}", "timeout", "20")
        done = run(*limits, SYSTEM_PYTHON, "-IS", PYZ, "--sensor=ebpf")
        if done.returncode == 70:
            break
    assert done.returncode == 70, done
    said = [line for line in done.stdout.splitlines() if "Unexpected error, stopping" in line]
    assert said == done.stdout.splitlines()[-1:]
    assert any(f'error="{what}' in said[0] for what in ("MemoryError", "ImportError"))
    assert "at=" in said[0]
    assert "raise the limit of memory" in said[0]
    assert "Traceback" not in done.stdout + done.stderr


def test_seccomp(run, deny: Path) -> None:
    """A seccomp filter that refuses bpf(2) is named as the obstacle."""
    flags = ("--sensor=ebpf", "--export-filename", "-")
    done = run(deny, errno.EPERM, SYSTEM_CALLS["bpf"], "--", PYZ, *flags)
    line = assert_one_line(done)
    assert "seccomp" in line
    assert "EPERM" in line


def test_seccomp_without_errno(run, deny: Path) -> None:
    """A filter that pretends that there is no bpf(2) is not taken for an old kernel."""
    flags = ("--sensor=ebpf", "--export-filename", "-")
    done = run(deny, errno.ENOSYS, SYSTEM_CALLS["bpf"], "--", PYZ, *flags)
    line = assert_one_line(done)
    assert "ENOSYS" in line
    assert "seccomp" in line


def test_seccomp_perf(run, deny: Path) -> None:
    """A filter that refuses perf_event_open(2) is named when that is what is needed."""
    flags = ("--sensor=ebpf", "--use-perf-ring-buffer", "--export-filename", "-")
    done = run(deny, errno.EPERM, SYSTEM_CALLS["perf_event_open"], "--", PYZ, *flags)
    line = assert_one_line(done)
    assert "perf" in line
    assert "seccomp" in line


@pytest.mark.parametrize("flags", [(), ("--use-perf-ring-buffer",)])
def test_no_locked_memory(tmp_path: Path, actor: Path, flags: tuple[str, ...]) -> None:
    """A small limit of locked memory (ulimit -l) is lifted."""
    under = ("prlimit", "--memlock=4096:4096", "--")
    tells(Agent(tmp_path, *flags, code=PYZ, under=under), actor)


def test_second_instance(tmp_path: Path) -> None:
    """A second instance is refused as Tetragon words it; the first goes on."""
    keep = tmp_path / "run"
    keep.mkdir()
    prepare = f"mount --bind {keep} /run"
    with Agent(tmp_path / "first", code=PYZ, prepare=prepare) as first:
        first.started()
        with Agent(tmp_path / "second", code=PYZ, prepare=prepare) as second:
            assert second.wait() == 255
        line = second.log.splitlines()[-1]
        assert (
            "failed to create pid file '/var/run/tetrapy/tetrapy.pid', another tetrapy instance "
            "seems to be up and running: process is already running"
        ) in line
        assert str(first.pid) in line
        assert not second.errors
        assert (keep / "tetrapy/tetrapy.pid").read_text() == str(first.pid)
        first.fence()
        assert first.stop() == 0
    assert not (keep / "tetrapy/tetrapy.pid").exists()


def test_stale_pid_file(tmp_path: Path) -> None:
    """A pid file that a killed instance left is overwritten, also when its pid lives on."""
    keep = tmp_path / "run/tetrapy"
    keep.mkdir(parents=True)
    (keep / "tetrapy.pid").write_text(str(os.getpid()) + "\nand more than one line\n")
    prepare = f"mount --bind {keep.parent} /run"
    with Agent(tmp_path / "agent", code=PYZ, prepare=prepare) as agent:
        agent.started()
        assert (keep / "tetrapy.pid").read_text() == str(agent.pid)
        assert agent.stop() == 0


@pytest.mark.parametrize("kind", ["directory", "link"])
def test_odd_pid_file(run, kind: str) -> None:
    """What is no pid file is left alone and named."""
    make = {
        "directory": "mkdir /run/tetrapy/tetrapy.pid",
        "link": "ln -s /x /run/tetrapy/tetrapy.pid",
    }
    done = run(PYZ, "--export-filename", "-", prepare=f"mkdir /run/tetrapy; {make[kind]}")
    assert "/var/run/tetrapy/tetrapy.pid" in assert_one_line(done)


def test_no_procfs(run) -> None:
    """A procfs that is not there is named, with the flag for it."""
    done = run(PYZ, "--export-filename", "-", "--procfs", "/nowhere/")
    assert "/nowhere/" in assert_one_line(done)


def test_damaged_file(run, tmp_path: Path) -> None:
    """A file that was cut short says so without a page of Python."""
    cut = tmp_path / "cut.pyz"
    cut.write_bytes(PYZ.read_bytes()[:-100])
    done = run(SYSTEM_PYTHON, cut)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) < 5


NO_RESOURCE = ("setpriv", "--inh-caps=-all", "--bounding-set=-sys_resource")


def test_too_few_open_files(run) -> None:
    """One sentence says how many are needed, whatever is served."""
    for limit in (12, 16, 24):
        command = (*NO_RESOURCE, "prlimit", f"--nofile={limit}:{limit}", PYZ)
        line = assert_one_line(run(*command, "--metrics-server=127.0.0.1:0"))
        assert f"may have {limit} files open" in line
        assert "ulimit -n" in line


def test_a_low_limit_of_open_files_is_raised(tmp_path: Path) -> None:
    """As far as it is permitted: a shell's soft limit keeps nobody from being watched."""
    under = (*NO_RESOURCE, "prlimit", "--nofile=16:512")
    with Agent(tmp_path, "--sensor=ebpf", code=PYZ, under=under) as agent:
        agent.started()
        limits = Path(f"/proc/{agent.pid}/limits").read_text(encoding="ascii")
        (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert line.split()[3:5] == ["512", "512"]
        assert agent.stop() == 0
