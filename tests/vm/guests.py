"""Guests that run the agent: boots one with tests/vm/driver.py in it and reads what came back."""

from __future__ import annotations

import json
import lzma
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.guest import qemu
from tools.guest.freestanding import compile_program
from tools.guest.kernels import Kernel

HERE = Path(__file__).resolve().parent
PYZ = HERE.parents[1] / "dist/tetrapy.pyz"
SCRIPT = "#!/bin/sh\nexit 8\n"


@dataclass
class Session:
    """One life of the agent in a guest: what it wrote, and what the guest recorded about it."""

    log: str
    events: list[dict[str, Any]]
    record: dict[str, Any]

    def of(self, kind: str, pid: int) -> list[dict[str, Any]]:
        """The bodies of the pid's events of one kind (process_exec, process_exit), in order."""
        bodies = (event[kind] for event in self.events if kind in event)
        return [body for body in bodies if body["process"]["pid"] == pid]

    def pid(self, victim: str) -> int:
        """The pid that a victim had."""
        return int(self.record["victims"][victim]["pid"])


@dataclass
class Guest:
    """A guest that has run: the agent's sessions in it, by name (`ring`, `perf`)."""

    kernel: Kernel
    record: dict[str, Any]
    sessions: dict[str, Session]
    result: qemu.GuestResult = field(repr=False)


def boot(kernel: Kernel, scratch: Path) -> Guest:
    """Run tests/vm/driver.py in a guest; raises GuestError when it brought nothing back."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/driver.py": HERE / "driver.py",
        "/test/victim": compile_victim(kernel.arch, scratch),
        "/test/script": SCRIPT,
    }
    if not kernel.btf:
        files["/test/tetrapy-without-archive.pyz"] = without_archive(PYZ, scratch)
    result = qemu.run(kernel, "exec python3 /test/driver.py", files, smp=2)
    if "record.json" not in result.files:
        raise qemu.GuestError(f"{kernel.name}: the driver ended early", result.console)
    record = json.loads(result.files["record.json"])
    sessions = {
        name: Session(
            result.files[f"{name}/log"].decode("utf-8", "replace"),
            [
                json.loads(line)
                for line in result.files.get(f"{name}/export.json", b"").splitlines()
            ],
            record[name],
        )
        for name in ("ring", "perf")
    }
    print(f"{kernel.name}: {result.wall_seconds:.1f} s, cpu {result.cpu_seconds:.1f} s")
    return Guest(kernel, record, sessions, result)


def compile_victim(arch: str, scratch: Path) -> Path:
    """The static program victim.c for a guest's architecture (Debian's name)."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}[arch]
    path = scratch / f"victim-{machine}"
    compile_program(HERE / "victim.c", path, machine)
    return path


def without_archive(pyz: Path, scratch: Path) -> Path:
    """A copy of the .pyz whose BTF archive has no kernels (its format: tetrapy.btf.archive)."""
    path = scratch / "tetrapy-without-archive.pyz"
    with zipfile.ZipFile(pyz) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        emptied = 0
        for member in source.infolist():
            content = source.read(member)
            if member.filename.endswith("btfs/archive.xz"):
                index = lzma.decompress(content).partition(b"\n\n")[0].decode()
                kept = re.sub(r"\n(blob|kernel) .*", "", index)
                content = lzma.compress(f"{kept}\n\n".encode(), check=lzma.CHECK_SHA256)
                emptied += 1
            target.writestr(member, content)
    assert emptied == 1, f"{pyz} has {emptied} members btfs/archive.xz"
    return path
