"""The built file on hosts that make it hard: old Pythons, read-only roots, refusals."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.pyz.conftest import SYSTEM_PYTHON, assert_one_line, needs_root
from tests.support.agent import PYZ, Agent, until
from tests.support.events import check_stream

pytestmark = needs_root

_NUMBERS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "memfd_create": 319},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "memfd_create": 279},
}[platform.machine()]


def _pythons() -> dict[str, str]:
    """Every CPython of this machine by version."""
    found = {}
    versions = Path.home() / ".pyenv/versions"
    candidates = [SYSTEM_PYTHON, *sorted(map(str, versions.glob("*/bin/python")))]
    for python in candidates:
        if os.access(python, os.X_OK):
            command = [python, "-c", "import platform; print(platform.python_version())"]
            version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[version.strip()] = python
    return found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


MEMFD_NOEXEC = Path("/proc/sys/vm/memfd_noexec")
PYTHONS = _pythons()
GOOD = [version for version in PYTHONS if _number(version) >= (3, 8)]
OLD = [version for version in PYTHONS if _number(version) < (3, 8)]


def tells(agent: Agent, actor: Path) -> None:
    """It starts, tells of a process, and stops."""
    with agent:
        agent.started()
        tag = f"host-{agent.pid}x"
        subprocess.run([actor, tag, "exit", "3", "größe \x01"], check=False)
        started, ended = agent.tagged(tag)
        assert agent.stop() == 0
        check_stream(agent.events())
    assert started.arguments == f'{tag} exit 3 "größe \x01"'
    assert ended.status == 3
    assert not agent.errors


@pytest.mark.parametrize("version", GOOD)
def test_python(tmp_path: Path, actor: Path, version: str) -> None:
    """Every CPython from 3.8 on runs it."""
    tells(Agent(tmp_path, code=PYZ, python=PYTHONS[version]), actor)


@pytest.mark.parametrize("version", GOOD)
def test_python_with_perf_buffer(tmp_path: Path, actor: Path, version: str) -> None:
    """So it does with perf buffers, and with warnings as errors."""
    flags = ("--use-perf-ring-buffer",)
    environment = {"PYTHONWARNINGS": "error"}
    python = PYTHONS[version]
    tells(Agent(tmp_path, *flags, code=PYZ, python=python, environment=environment), actor)


@pytest.mark.parametrize("version", OLD)
def test_old_python(run, version: str) -> None:
    """An older Python says what is needed."""
    done = run(PYTHONS[version], PYZ, "--export-filename", "-")
    assert done.returncode != 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    # Python 2 reads the line about newer syntax first where it compiles what it runs.
    assert len(lines) == 1, done.stderr
    assert "3.8" in lines[0]
    assert version in lines[0]


def test_without_orjson(tmp_path: Path, actor: Path) -> None:
    """With the standard library's json alone the lines are the same, byte for byte."""
    tag = f"same-{os.getpid()}x"
    lines = []
    odd = ["ü", "a b", "\x01\x1f\x7f", '"\\/', "\u2028\U0001f680", b"\xff\xfe", "", "\b\f\n\r\t"]
    with (
        Agent(tmp_path / "a", code=PYZ) as first,
        Agent(tmp_path / "b", code=PYZ, environment={"TETRAPY_NO_ORJSON": "1"}) as second,
    ):
        first.started()
        second.started()
        subprocess.run([actor, tag, "fork", "exec", actor, tag, "exit", "3", *odd], check=False)
        for agent in (first, second):
            lines.append([event.line for event in agent.tagged(tag)])
            assert agent.stop() == 0
    # Each agent has programs of its own in the kernel, which look at the clock for themselves.
    clock = re.compile(rb'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|(?<=exec_id":")[^"]+')
    one, other = ([clock.sub(b"CLOCK", line) for line in side] for side in lines)
    assert len(one) == 4
    for line, same in zip(one, other, strict=True):
        assert line.decode() == same.decode()


READ_ONLY = """
mount --bind {0} {0}
mount -o remount,bind,noexec {0}
mount --bind /tmp /tmp
mount -o remount,bind,noexec /tmp
mount -t tmpfs -o noexec,nosuid,nodev tmpfs /run
mount -t tmpfs -o noexec,nosuid,nodev tmpfs /var/tmp
mount -t tmpfs -o noexec,nosuid,nodev tmpfs /dev/shm
mount -o remount,bind,ro /
if touch /x 2>/dev/null; then echo the root can be written; exit 9; fi
"""


def test_read_only_root(tmp_path: Path, actor: Path) -> None:
    """It runs where the root is read-only and nothing that can be written may be executed."""
    agent = Agent(tmp_path, code=PYZ, prepare=READ_ONLY.format(tmp_path))
    tells(agent, actor)
    assert "level=warn" not in agent.log


def test_read_only_run_directory(tmp_path: Path, actor: Path) -> None:
    """Where not even the run directory can be written it runs, and says that there is no pid file."""
    prepare = READ_ONLY.format(tmp_path) + "mount -o remount,ro /run\n"
    agent = Agent(tmp_path, code=PYZ, prepare=prepare)
    tells(agent, actor)
    (line,) = [line for line in agent.log.splitlines() if "level=warn" in line]
    assert "pid file /var/run/tetrapy/tetrapy.pid" in line


def test_nothing_left(tmp_path: Path, actor: Path) -> None:
    """No temporary file is made, in whatever place is meant for them."""
    places = {name: tmp_path / name for name in ("tmp", "home", "cwd")}
    for place in places.values():
        place.mkdir()
    environment = {
        "TMPDIR": str(places["tmp"]),
        "HOME": str(places["home"]),
        "XDG_CACHE_HOME": str(places["home"] / "cache"),
    }
    prepare = f"cd {places['cwd']}"
    agent = Agent(tmp_path / "agent", code=PYZ, environment=environment, prepare=prepare)
    with agent:
        agent.started()
        for place in places.values():
            assert list(place.iterdir()) == []
    for place in places.values():
        assert list(place.iterdir()) == []


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.skipif(not MEMFD_NOEXEC.exists(), reason="needs Linux 6.3: vm.memfd_noexec")
def test_no_executable_memory_files(tmp_path: Path, actor: Path, level: int) -> None:
    """Where memory files may not be executed native code comes out of a private directory; nothing
    of it is left.
    """
    keep = tmp_path / "run"
    keep.mkdir()
    prepare = f"mount --bind {keep} /run"
    # The setting is one of the pid namespace.
    sysctl = f'echo {level} > {MEMFD_NOEXEC}; exec "$@"'
    under = ("unshare", "--pid", "--fork", "/bin/sh", "-c", sysctl, "sh")
    agent = Agent(tmp_path / "agent", code=PYZ, prepare=prepare, under=under)
    with agent:
        agent.started()
        tag = f"noexec-{level}x"
        subprocess.run([actor, tag, "exit", "3"], check=False)
        assert len(agent.tagged(tag)) == 2
        assert sorted(path.name for path in keep.rglob("*") if not path.is_dir()) == ["tetrapy.pid"]
        # unshare passes no signals on to its child.
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="utf-8")
        os.kill(int(children), signal.SIGTERM)
        assert agent.wait() == 0
    assert [path for path in keep.rglob("*") if not path.is_dir()] == []


def test_no_way_for_native_code(run, tmp_path: Path, deny: Path) -> None:
    """Where native code can be loaded from nowhere the error tells each way that was tried."""
    done = run(
        deny,
        errno.ENOSYS,
        _NUMBERS["memfd_create"],
        "--",
        PYZ,
        "--export-filename",
        tmp_path / "events",
        prepare="mount -o remount,noexec /run",
    )
    line = assert_one_line(done)
    assert "memfd_create" in line
    assert "/var/run/tetrapy" in line


# --- refusals ---------------------------------------------------------------------------------


def test_not_root(run, everyones: Path) -> None:
    """Another user is told that root is needed, before all else."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = run(*user, SYSTEM_PYTHON, everyones, "--export-filename", "/nowhere/x", cwd="/")
    line = assert_one_line(done)
    assert "root" in line
    assert "65534" in line


def test_help_for_everyone(run, everyones: Path) -> None:
    """Another user may read the help and the version."""
    user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    for flag in ("--help", "--version"):
        assert run(*user, SYSTEM_PYTHON, everyones, flag, cwd="/").returncode == 0


NO_BPF = "-sys_admin,-cap_38,-cap_39"


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
    """Root without a capability is told which one is missing."""
    command = ("setpriv", "--inh-caps=-all", f"--bounding-set={dropped}")
    line = assert_one_line(run(*command, PYZ, "--export-filename", "-"))
    assert named in line


def test_without_sys_admin(tmp_path: Path, actor: Path) -> None:
    """CAP_BPF and CAP_PERFMON are enough; CAP_SYS_ADMIN is not needed."""
    under = ("setpriv", "--inh-caps=-all", "--bounding-set=-sys_admin")
    tells(Agent(tmp_path / "ring", code=PYZ, under=under), actor)
    tells(Agent(tmp_path / "perf", "--use-perf-ring-buffer", code=PYZ, under=under), actor)


def test_seccomp(run, deny: Path) -> None:
    """A seccomp filter that refuses bpf(2) is named as the obstacle."""
    done = run(deny, errno.EPERM, _NUMBERS["bpf"], "--", PYZ, "--export-filename", "-")
    line = assert_one_line(done)
    assert "seccomp" in line
    assert "EPERM" in line


def test_seccomp_without_errno(run, deny: Path) -> None:
    """A filter that pretends that there is no bpf(2) is not taken for an old kernel."""
    done = run(deny, errno.ENOSYS, _NUMBERS["bpf"], "--", PYZ, "--export-filename", "-")
    line = assert_one_line(done)
    assert "ENOSYS" in line
    assert "seccomp" in line


def test_seccomp_perf(run, deny: Path) -> None:
    """A filter that refuses perf_event_open(2) is named when that is what is needed."""
    flags = ("--use-perf-ring-buffer", "--export-filename", "-")
    done = run(deny, errno.EPERM, _NUMBERS["perf_event_open"], "--", PYZ, *flags)
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


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_opens_nothing_of_others(tmp_path: Path) -> None:
    """It starts without a shell, a compiler or any other program."""
    with Agent(tmp_path, code=PYZ) as agent:
        agent.started()
        until(lambda: agent.fence() > 0, "events")
        children = [e for e in agent.events() if (e.parent or {}).get("pid") == agent.pid]
        assert agent.stop() == 0
    assert children == []
