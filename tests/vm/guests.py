# SPDX-License-Identifier: Apache-2.0
"""Guests that run the agent: boots one with tests/vm/driver.py in it and reads what came back."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.vm import archives
from tests.vm.ways import WAYS, Way
from tools.guest import qemu
from tools.guest.freestanding import compile_program
from tools.guest.kernels import Kernel

HERE = Path(__file__).resolve().parent
PYZ = HERE.parents[1] / "dist/tetrapy.pyz"
# What each guest left, for people and for tests/vm/report.py.
LEFT = HERE.parents[1] / "build/guests"
SCRIPT = "#!/bin/sh\nexit 8\n"
GUEST_SIDE = (
    "driver.py",
    "victims.py",
    "details.py",
    "situations.py",
    "contained.py",
    "confined.py",
    "probe.py",
)


@dataclass
class Session:
    """One life of the agent in a guest: what it wrote, and what the guest recorded about it."""

    kernel: Kernel
    known: archives.Truth = field(repr=False)
    name: str
    log: str
    events: list[dict[str, Any]]
    record: dict[str, Any]

    @property
    def way(self) -> Way:
        """How it was run."""
        return WAYS[self.name]

    def of(self, kind: str, pid: int) -> list[dict[str, Any]]:
        """The bodies of the pid's events of one kind (process_exec, process_exit), in order."""
        bodies = (event[kind] for event in self.events if kind in event)
        return [body for body in bodies if body["process"]["pid"] == pid]

    def pid(self, victim: str) -> int:
        """The pid that a victim had."""
        return int(self.record["victims"][victim]["pid"])


@dataclass
class Guest:
    """A guest that has run: the agent's sessions in it, by the name of the way."""

    kernel: Kernel
    known: archives.Truth = field(repr=False)
    record: dict[str, Any]
    sessions: dict[str, Session]
    result: qemu.GuestResult = field(repr=False)


def boot(kernel: Kernel, scratch: Path) -> Guest:
    """Run tests/vm/driver.py in a guest; raises GuestError when it brought nothing back."""
    known = archives.truth(kernel, PYZ)
    files: dict[str, qemu.Content] = {
        "/test/victim": compile_victim(kernel.arch, scratch),
        "/test/script": SCRIPT,
        "/etc/os-release": os_release(known.key),
        "/test/own.btf": archives.own_btf(known),
        "/test/other.btf": archives.other_btf(known),
        "/test/tetrapy.pyz": PYZ,
        "/test/question.json": json.dumps(archives.question(known)),
        **{f"/test/tests/vm/{name}": HERE / name for name in GUEST_SIDE},
    }
    plan = {}
    for name in kernel.sessions:
        way = WAYS[name]
        pyz = f"/test/tetrapy-{way.archive}.pyz"
        files[pyz] = archives.with_archive(PYZ, archives.VARIANTS[way.archive](known))
        plan[name] = {**asdict(way), "pyz": pyz}
    files["/test/plan.json"] = json.dumps(plan)
    result = qemu.run(kernel, "cd /test && exec python3 -m tests.vm.driver", files, smp=2)
    if "record.json" not in result.files:
        raise qemu.GuestError(f"{kernel.name}: the driver ended early", result.console)
    _keep(LEFT / kernel.name, result.files)
    record = json.loads(result.files["record.json"])
    sessions = {
        name: _session(kernel, known, name, result.files, record["sessions"][name])
        for name in kernel.sessions
    }
    print(f"{kernel.name}: {result.wall_seconds:.1f} s, cpu {result.cpu_seconds:.1f} s")
    return Guest(kernel, known, record, sessions, result)


def _keep(directory: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _session(
    kernel: Kernel,
    known: archives.Truth,
    name: str,
    files: dict[str, bytes],
    record: dict[str, Any],
) -> Session:
    log = files[f"{name}/log"].decode("utf-8", "replace")
    lines = files.get(f"{name}/export.json", b"").splitlines()
    return Session(kernel, known, name, log, [json.loads(line) for line in lines], record)


def os_release(key: str) -> str:
    """The os-release of the distribution in a kernel's key."""
    name, version, _, _ = key.split("/")
    return f'ID={name}\nVERSION_ID="{version}"\n'


def digest() -> str:
    """SHA-256 of the .pyz that the guests run."""
    return sha256(PYZ.read_bytes()).hexdigest()


def compile_victim(arch: str, scratch: Path) -> Path:
    """The static program victim.c for a guest's architecture (Debian's name)."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
    path = scratch / f"victim-{machine}"
    compile_program(HERE / "victim.c", path, machine)
    return path
