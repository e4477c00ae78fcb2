# SPDX-License-Identifier: Apache-2.0
"""The executable: tetrapy.pyz behind an interpreter of its own, on hosts that have nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.pyz.test_hosts import MEMFD_NOEXEC
from tests.support.agent import PYZ, TIMEOUT, Agent, isolated, until
from tools.contents import ARCHITECTURES
from tools.fetch import ROOT, cache_dir
from tools.zip_writer import zip_bytes

ARCH = next(arch for arch, machine in ARCHITECTURES.items() if machine == platform.machine())
EXECUTABLE = PYZ.with_name(f"tetrapy-linux-{ARCH}")
LIMIT = 16_000_000

# What is imported nowhere: other systems' modules, and what stands in for those of new Pythons.
NOT_HERE = ("importlib_resources", "zipp", "pyroute2")  # that last one: kernel/pyroute2.py

IMPORTS = """
import sys
sys.path.insert(0, {pyz!r})
failed = []
for name in {names!r}:
    try:
        __import__(name)
    except ImportError as err:
        failed.append(name + ": " + str(err))
print("\\n".join(failed))
"""

ALONE = """
set -e
/bin/mount -t tmpfs -o size=64m,mode=755 tmpfs "$1"
/bin/mkdir "$1/proc" "$1/sys" "$1/var" "$1/tmp"
/bin/cp "$2" "$1/tetrapy"
/bin/mount -t proc proc "$1/proc"
/bin/mount -t sysfs sysfs "$1/sys"
/bin/mount -t tmpfs tmpfs "$1/var"
/bin/mount -t tmpfs -o noexec tmpfs "$1/tmp"
/bin/mount -o remount,ro "$1"
root=$1
shift 2
PATH=
export PATH
exec /usr/sbin/chroot "$root" /tetrapy "$@"
"""


def is_current() -> bool:
    """Whether there is an executable, and of the .pyz that the other tests are of."""
    return EXECUTABLE.is_file() and EXECUTABLE.read_bytes().endswith(PYZ.read_bytes())


def whole() -> bytes:
    """The executable."""
    if not is_current():
        pytest.skip(f"needs dist/{EXECUTABLE.name} of dist/tetrapy.pyz: make executable")
    return EXECUTABLE.read_bytes()


def test_no_library_is_needed() -> None:
    """A static program that is placed anywhere in memory, under the limit, with the .pyz behind.

    No directory of its build is in it.
    """
    data = whole()
    assert len(data) < LIMIT
    assert not [path for path in (ROOT, cache_dir()) if str(path).encode() in data]
    headers = subprocess.run(
        ["readelf", "--program-headers", "--dynamic", str(EXECUTABLE)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "DYN (" in headers
    assert "INTERP" not in headers
    assert "NEEDED" not in headers


@needs_root
def test_runs_alone(tmp_path: Path) -> None:
    """With nothing beside it but /proc and /sys, read-only, without PATH, by eBPF."""
    whole()
    root = tmp_path / "root"
    root.mkdir()
    script = tmp_path / "alone.sh"
    script.write_text(ALONE)
    command = ["/bin/sh", str(script), str(root), str(EXECUTABLE)]
    # The file is in the one place that can be written to, which only the agent sees.
    command += ["--export-filename", "-", "--sensor", "ebpf"]
    out, log = tmp_path / "events", tmp_path / "log"
    with out.open("wb") as events, log.open("wb") as errors:
        agent = subprocess.Popen(
            isolated(command), stdin=subprocess.DEVNULL, stdout=events, stderr=errors
        )
    try:
        until(lambda: "Listening for events" in log.read_text(), log.read_text)
        actor = subprocess.Popen(["/bin/true"])
        actor.wait()
        mine = f'"pid":{actor.pid},'

        def seen() -> bool:
            return sum(mine in line for line in out.read_text().splitlines()) >= 2

        until(seen, "exec and exit of /bin/true")
    finally:
        agent.terminate()
        assert agent.wait(TIMEOUT) == 0, log.read_text()


def test_each_module_can_be_imported(tmp_path: Path) -> None:
    """The interpreter has all of the standard library that anything in the .pyz imports at once.

    What some Pythons lack, such as OpenSSL, is imported by who asks for it.
    """
    interpreter = whole()[: -PYZ.stat().st_size]
    with zipfile.ZipFile(PYZ) as archive:
        files = [name for name in archive.namelist() if name.endswith(".py")]
    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files]
    names = [n for n in names if n != "__main__" and not n.startswith(NOT_HERE)]
    program = IMPORTS.format(pyz=str(PYZ), names=names)
    path = tmp_path / "imports"
    path.write_bytes(interpreter + zip_bytes({"__main__.py": program.encode()}))
    path.chmod(0o755)
    done = subprocess.run([path], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@needs_root
def test_the_events_are_the_same(tmp_path: Path, actor: Path) -> None:
    """Both write the same bytes of the same process, but for the times of their own records."""
    whole()
    agents = [
        Agent(tmp_path / "pyz", "--enable-process-cred", "--enable-process-ns"),
        Agent(
            tmp_path / "executable",
            "--enable-process-cred",
            "--enable-process-ns",
            code=EXECUTABLE,
            python="/usr/bin/env",
        ),
    ]
    try:
        for agent in agents:
            agent.wait_for_log("Listening for events")
        process = subprocess.Popen([actor, "\udcff \u00e9", "exit", "3"], cwd=tmp_path)
        process.wait()
        lines = [_of(agent, process.pid) for agent in agents]
    finally:
        for agent in agents:
            agent.stop()
    assert lines[0] == lines[1]


def _of(agent: Agent, pid: int) -> list[str]:
    """The JSON of a process's exec and exit, without times."""

    def found() -> list[str]:
        texts = agent.export.read_bytes().splitlines() if agent.export.exists() else []
        events = [json.loads(text) for text in texts]
        mine = []
        for event in events:
            body = event.get("process_exec") or event.get("process_exit")
            if body and body["process"]["pid"] == pid:
                mine.append(json.dumps(_timeless(event)))
        return mine if len(mine) == 2 else []

    return until(found, f"exec and exit of process {pid}")


def _timeless(value: object) -> object:
    """Without what each agent's own programs read of the clock; an exec_id holds such a time."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in {"time", "start_time", "exec_id"}}
        return {name: _timeless(inner) for name, inner in kept.items()}
    return value


@needs_root
@pytest.mark.skipif(not MEMFD_NOEXEC.exists(), reason="needs Linux 6.3: vm.memfd_noexec")
def test_the_kernel_is_compared_as_well(tmp_path: Path) -> None:
    """Where no program may be executed in memory, the last way is a script for /proc/self/exe."""
    whole()
    types = tmp_path / "vmlinux"
    types.write_bytes(Path("/sys/kernel/btf/vmlinux").read_bytes())
    results = []
    for start in (["/usr/bin/python3", "-IS", PYZ], [EXECUTABLE]):
        shell = f'echo 2 > {MEMFD_NOEXEC}; exec "$@"'
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command += ["/bin/sh", "-c", shell, "sh", *map(str, start), "btf", "which", "--btf", types]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append((done.stdout, done.stderr))
    assert results[0] == results[1]
    assert "exec of a script in a memfd" in results[0][0]
    assert "/proc/self/exe" not in results[0][0]


@needs_root
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--server-address", "127.0.0.1:0"], 255, "--server-tls-cert-file: this Python cannot"),
        (["getevents"], 1, "tls cannot be spoken: no module named '_ssl'"),
    ],
    ids=["agent", "client"],
)
def test_tls_is_refused_with_a_reason(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    """There is no OpenSSL in it: the last line says so, and what to do."""
    whole()
    prefix = "server-" if words[0].startswith("-") else ""
    words = [*words, f"--{prefix}tls-cert-file", "cert", f"--{prefix}tls-key-file", "key"]
    done = subprocess.run(
        isolated([str(EXECUTABLE), *words]),
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert said in output.splitlines()[-1]


def test_the_commands_are_the_same(tmp_path: Path) -> None:
    """What needs no kernel writes the same bytes: help, settings, policies, events for people."""
    whole()
    for words in (
        ["--help"],
        ["--version"],
        ["config", "--all"],
        ["policy", "list"],
        ["policy", "explain", "--help"],
        ["getevents", "--help"],
        ["no-such-command"],
    ):
        results = [
            subprocess.run(
                [*start, *words],
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                cwd=tmp_path,
                env={"HOME": str(tmp_path), "PATH": os.defpath},
            )
            for start in (["/usr/bin/python3", "-IS", PYZ], [EXECUTABLE])
        ]
        first, second = [(done.returncode, done.stdout, done.stderr) for done in results]
        assert first == second, words
