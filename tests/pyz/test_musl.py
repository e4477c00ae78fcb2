# SPDX-License-Identifier: Apache-2.0
"""The .pyz by a Python of musl that has its own dynamic linker: Alpine's is such a one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.support.agent import PYZ, Agent, until
from tests.support.musl_python import musl_python

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="Debian's musl is pinned for amd64"
)


@pytest.fixture(scope="module")
def python() -> str:
    return str(musl_python())


def executed(agent: Agent) -> Iterator[str]:
    """The arguments of all that was executed."""
    for line in agent.lines():
        if line.startswith(b'{"process_exec"'):
            yield json.loads(line)["process_exec"]["process"].get("arguments", "")


def test_it_is_one_of_musl(python: str) -> None:
    """No library of glibc is behind it."""
    shown = subprocess.run(
        ["readelf", "--dynamic", "--program-headers", python],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "ld-musl-x86_64.so.1]" in shown
    assert "libc.so.6" not in shown


def test_commands(python: str) -> None:
    """Libraries are loaded for some: libunpack for a kernel's BTF, whose needs are counted."""
    shown = subprocess.run([python, PYZ, "version"], check=True, capture_output=True, text=True)
    assert shown.stdout
    listed = subprocess.run([python, PYZ, "btf", "list"], check=False, capture_output=True)
    assert listed.returncode == 0, listed.stderr


@needs_root
@pytest.mark.parametrize("flags", [(), ("--use-perf-ring-buffer",)], ids=["ring", "perf"])
def test_events(python: str, tmp_path: Path, flags: tuple[str, ...]) -> None:
    """BPF is loaded by the carried libbpf.so, and events come, bytes that are not UTF-8 as well."""
    with Agent(tmp_path, "--sensor", "ebpf", *flags, python=python) as agent:
        agent.started()
        odd = os.fsencode("odd-") + b"\xff\xfe" * 300
        subprocess.run(["/bin/echo", "by musl", odd], check=True, stdout=subprocess.DEVNULL)
        until(lambda: any("by musl" in one for one in executed(agent)), "the exec")
        (seen,) = [one for one in executed(agent) if "by musl" in one]
        assert seen.startswith(' "by musl" odd-\ufffd')
        assert agent.stop() == 0
