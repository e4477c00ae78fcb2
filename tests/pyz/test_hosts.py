# SPDX-License-Identifier: Apache-2.0
"""The built file on hosts that make it hard: old Pythons, read-only roots, refusals."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pyz.conftest import SYSTEM_CALLS, SYSTEM_PYTHON, assert_one_line, needs_root, tells
from tests.support.agent import PYZ, Agent, until

pytestmark = needs_root


def _pythons() -> dict[str, str]:
    """Every CPython of this machine by version."""
    found = {}
    versions = Path.home() / ".pyenv/versions"
    candidates = [sys.executable, SYSTEM_PYTHON, *sorted(map(str, versions.glob("*/bin/python")))]
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


PRETENDS = """
import runpy, sys
sys.version_info = (3, 7, 16)
sys.version = "3.7.16 (default)"
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_old_python(run) -> None:
    """An older Python says what is needed; one that pretends to be old stands in for others."""
    commands = [("3.7.16", (sys.executable, "-c", PRETENDS))]
    commands += [(version, (PYTHONS[version],)) for version in OLD]
    for version, command in commands:
        done = run(*command, PYZ, "--export-filename", "-")
        assert done.returncode != 0
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        assert "3.8" in lines[0]
        assert version in lines[0]


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
    """Where not even the run directory can be written it runs, and says so."""
    prepare = READ_ONLY.format(tmp_path) + "mount -o remount,ro /run\n"
    agent = Agent(tmp_path, code=PYZ, prepare=prepare)
    tells(agent, actor)
    run = "/var/run/tetrapy"
    lines = [line for line in agent.log.splitlines() if "level=warn" in line and run in line]
    expected = (f"pid file {run}/tetrapy.pid", f"{run}/tetrapy.sock", f"{run}/tetrapy-info.json")
    assert len(lines) == len(expected)
    assert all(text in line for line, text in zip(lines, expected, strict=True))


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
    under = ("unshare", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", sysctl, "sh")
    agent = Agent(tmp_path / "agent", code=PYZ, prepare=prepare, under=under)
    with agent:
        agent.started()
        tag = f"noexec-{level}x"
        subprocess.run([actor, tag, "exit", "3"], check=False)
        assert len(agent.tagged(tag)) == 2
        files = sorted(path.name for path in keep.rglob("*") if not path.is_dir())
        assert files == ["tetrapy-info.json", "tetrapy.pid", "tetrapy.sock"]
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
        SYSTEM_CALLS["memfd_create"],
        "--",
        PYZ,
        "--sensor=ebpf",
        "--export-filename",
        tmp_path / "events",
        prepare="mount -o remount,noexec /run",
    )
    line = assert_one_line(done)
    assert "memfd_create" in line
    assert "/var/run/tetrapy" in line


def test_opens_nothing_of_others(tmp_path: Path) -> None:
    """It starts without a shell, a compiler or any other program."""
    with Agent(tmp_path, code=PYZ) as agent:
        agent.started()
        until(lambda: agent.fence() > 0, "events")
        children = [e for e in agent.events() if (e.parent or {}).get("pid") == agent.pid]
        assert agent.stop() == 0
    assert children == []
