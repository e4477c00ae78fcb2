# SPDX-License-Identifier: Apache-2.0
"""What a kernel is built without costs the field that needs it: types without it, loaded here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.test_btf import HIDE, KERNEL, works
from tests.support.agent import ROOT, Agent
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.options import BufferSize, Rate, SensorOptions

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


def without(path: Path, *words: str) -> Path:
    """This kernel's types, as the programs need them, without those in whose texts a word is."""
    objects = [one.read_bytes() for one in sorted((ROOT / "build/bundle/bpf").glob("base*.o"))]
    queries = CoreQueries(objects)
    answers = [
        None if any(word in name for word in words) else one
        for name, one in zip(queries.names, queries.answers(Btf(KERNEL.read_bytes())), strict=True)
    ]
    path.write_bytes(minimal_btf(queries, tuple(answers)))
    return path


@pytest.mark.parametrize("flavour", [(), ("--use-perf-ring-buffer",)])
def test_a_kernel_without_cgroups(tmp_path: Path, actor: Path, flavour: tuple[str, ...]) -> None:
    """Built without CONFIG_CGROUPS: the programs load, also those that count by cgroup, and all
    else is told.
    """
    types = without(tmp_path / "vmlinux", "cgroup", "css_set")
    flags = ("--cgroup-rate=1,1h", "--btf-check=false", "--btf", str(types), *flavour)
    works(Agent(tmp_path / "agent", *flags, prepare=HIDE), actor)


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("use_ring", [False, True])
def test_a_scan_that_looks_for_no_cgroups(tmp_path: Path, use_ring: bool, loops: bool) -> None:
    """What it gives has no place of a kernfs_node either: no program that is loaded reads one."""
    types = without(tmp_path / "vmlinux", "cgroup", "css_set", "kernfs_node")
    options = SensorOptions(
        use_ring, BufferSize.of(1 << 20, 1), btf_path=str(types), loops=loops, context=True
    )
    BaseSource(options._replace(rate=Rate(1, 10**12))).close()


def test_a_kernel_without_some_namespaces(tmp_path: Path, actor: Path) -> None:
    """Built without network, user and time namespaces: these are absent, others and the
    credentials are told.
    """
    words = ("struct net.", ".net_ns ", "user_ns ", "user_namespace", "time_n")
    types = without(tmp_path / "vmlinux", *words)
    flags = ("--enable-process-cred", "--enable-process-ns", "--btf-check=false", "--btf", types)
    with Agent(tmp_path / "agent", *map(str, flags), prepare=HIDE) as agent:
        agent.started()
        tag = f"types-{agent.pid}x"
        subprocess.run([actor, tag, "exit", "3"], check=False)
        started, _ended = agent.tagged(tag)
        assert agent.stop() == 0
    assert not agent.errors
    assert "a program is off" not in agent.log
    told = started.process["ns"]
    assert "time" not in told
    assert "inum" not in told["net"]
    assert "inum" not in told["user"]
    for name in ("uts", "ipc", "mnt", "pid", "pid_for_children", "cgroup"):
        assert told[name]["inum"] == os.stat(f"/proc/self/ns/{name}").st_ino
    assert started.process["process_credentials"]["euid"] == os.geteuid()
    assert started.process["cap"]["permitted"]
