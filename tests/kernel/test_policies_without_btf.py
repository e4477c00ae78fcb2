# SPDX-License-Identifier: Apache-2.0
"""Policies where the kernel shows no BTF: what is known works, the rest is refused by name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.agent import ROOT, Agent, until
from tests.support.compile import installed
from tests.support.policy_agent import count, listed, policy
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf import host
from tetrapy.btf.pack import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL = Path("/sys/kernel/btf/vmlinux")
HIDE = "mount -t tmpfs tmpfs /sys/kernel/btf"
SHELL = os.path.realpath("/bin/sh")
STATES = {"subsystem": "sock", "event": "inet_sock_set_state", "raw": True}

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


def packed(directory: Path, name: str) -> Path:
    """An archive of this kernel alone, under a name; "": without it."""
    paths = sorted((ROOT / "build/bundle/bpf").glob("*.bpf.o"))
    queries = CoreQueries([path.read_bytes() for path in paths])
    answers = queries.answers(Btf(KERNEL.read_bytes()))
    path = directory / "archive.xz"
    path.write_bytes(pack({name: answers} if name else {}, queries.names))
    return path


def specs(port: int, wanted: Path, target: Path) -> dict[str, dict[str, Any]]:
    """Policies by name: a descriptor with selectors on the process, sockets, lineage, a uprobe."""
    closes = {
        "subsystem": "syscalls",
        "event": "sys_enter_close",
        "args": [{"index": 5, "type": "fd"}],
        "selectors": [
            {
                "matchArgs": [{"index": 5, "operator": "Postfix", "values": [wanted.name]}],
                "matchBinaries": [{"operator": "In", "values": ["/usr/bin/cat", "/bin/cat"]}],
                "matchNamespaces": [{"namespace": "Uts", "operator": "In", "values": ["host_ns"]}],
                "matchCapabilities": [
                    {"type": "Effective", "operator": "In", "values": ["CAP_SYS_ADMIN"]}
                ],
            }
        ],
    }
    states = {
        **STATES,
        "args": [{"index": 0, "type": "sock"}, {"index": 2, "type": "int32"}],
        "selectors": [{"matchArgs": [{"index": 0, "operator": "DPort", "values": [str(port)]}]}],
    }
    children = {
        "subsystem": "syscalls",
        "event": "sys_enter_close",
        "args": [{"index": 5, "type": "int32"}],
        "selectors": [
            {
                "matchArgs": [{"index": 5, "operator": "Equal", "values": ["1"]}],
                "matchParentBinaries": [
                    {"operator": "In", "values": [SHELL], "followChildren": True}
                ],
                "matchBinaries": [{"operator": "In", "values": ["/usr/bin/cat", "/bin/cat"]}],
            }
        ],
    }
    calls = {
        "path": str(target),
        "symbols": ["called"],
        "args": [{"index": 0, "type": "int"}],
        "selectors": [{"matchArgs": [{"index": 0, "operator": "Equal", "values": ["7"]}]}],
    }
    kinds = ("bpf_map", "bpf_prog", "perf_event", "net_device"), ("cred", "user_namespace")
    objects = [
        {**calls, "args": [{"index": at, "type": one} for at, one in enumerate(some)]}
        for some in kinds
    ]
    return {
        "closes": {"tracepoints": [closes]},
        "states": {"tracepoints": [states]},
        "children": {"tracepoints": [children]},
        "calls": {"uprobes": [calls]},
        "objects": {"uprobes": [{**one, "selectors": []} for one in objects]},
        "packets": {
            "tracepoints": [
                {
                    "subsystem": "net",
                    "event": "net_dev_queue",
                    "raw": True,
                    "args": [{"index": 0, "type": "skb"}],
                    "selectors": [
                        {"matchArgs": [{"index": 0, "operator": "DPort", "values": [str(port)]}]}
                    ],
                }
            ]
        },
        "members": {
            "tracepoints": [
                {
                    **STATES,
                    "args": [{"index": 0, "type": "uint16", "resolve": "__sk_common.skc_num"}],
                }
            ]
        },
    }


class World:
    """What the policies are about: a port that listens, a file, a program."""

    def __init__(self, directory: Path) -> None:
        self.target = installed("called", directory)
        self.wanted = directory / "wanted-file"
        self.wanted.write_text("x")
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]

    def started(self, directory: Path, *flags: str) -> Agent:
        """An agent with all policies, the kernel's BTF hidden from it."""
        policies = directory / "policies"
        policies.mkdir(parents=True)
        for name, spec in specs(self.port, self.wanted, self.target).items():
            (policies / f"{name}.yaml").write_text(policy(name, spec))
        words = ("--tracing-policy-dir", str(policies), *flags)
        return Agent(directory, *words, prepare=f"{HIDE}; mount -t tmpfs tmpfs /var/lib")

    def act(self) -> None:
        """Do what the policies tell."""
        subprocess.run([self.target], input=b"7 1 2 3 61\n8 1 2 3 61\n", check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        socket.create_connection(("127.0.0.1", self.port)).close()
        script = f"cat {self.wanted} >/dev/null; true"
        subprocess.run(["sh", "-c", script], check=True, cwd="/")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    with contextlib.closing(found.server):
        yield found


def arguments(agent: Agent, name: str) -> list[dict[str, Any]]:
    """What the events of a policy have as arguments."""
    events = [json.loads(line) for line in agent.lines() if b"policy_name" in line]
    found = [next(iter(event.values())) for event in events]
    return [event["args"] for event in found if event.get("policy_name") == name]


def states(agent: Agent) -> dict[str, tuple[str, str]]:
    """State and error of each policy."""
    return {one["name"]: (one["state"], one["error"]) for one in listed(agent)}


def saw_all(agent: Agent, world: World) -> None:
    """The events of all policies but `members`, each with what was read of the kernel."""
    until(lambda: count(agent, "process_uprobe", "calls") == 1, "the call")
    until(lambda: count(agent, "process_tracepoint", "children") >= 1, "the child")
    until(lambda: count(agent, "process_tracepoint", "closes") == 1, "the file")
    (closed,) = arguments(agent, "closes")
    assert closed[0]["file_arg"]["path"] == str(world.wanted)
    assert closed[0]["file_arg"]["permission"].startswith("-rw-")
    sent = [one[0]["sock_arg"] for one in arguments(agent, "states")]
    established = next(one for one in sent if one["state"] == "TCP_ESTABLISHED")
    assert (established["family"], established["type"]) == ("AF_INET", "SOCK_STREAM")
    assert (established["daddr"], established["dport"]) == ("127.0.0.1", world.port)
    assert established["protocol"] == "IPPROTO_TCP"


def test_a_file_of_types(world: World, tmp_path: Path) -> None:
    """`--btf` gives all there is, `resolve` too."""
    whole = tmp_path / "vmlinux"
    shutil.copyfile(KERNEL, whole)
    with world.started(tmp_path / "agent", "--btf", str(whole)) as agent:
        agent.started()
        found = states(agent)
        assert not {name: error for name, (_, error) in found.items() if error}
        world.act()
        saw_all(agent, world)
        until(lambda: [{"uint_arg": world.port}] in arguments(agent, "members"), "the member")
        assert count(agent, "process_tracepoint", "packets")
        assert agent.stop() == 0


def test_the_archive_has_this_kernel(world: World, tmp_path: Path) -> None:
    """All but `resolve` works, which says what it needs."""
    archive = packed(tmp_path, str(host.current()))
    with world.started(tmp_path / "agent", "--btf-archive", str(archive)) as agent:
        agent.started()
        found = states(agent)
        state, error = found.pop("members")
        assert not {name: error for name, (_, error) in found.items() if error}
        assert state == "load_error"
        assert error.startswith("spec.tracepoints[0]: resolve needs all types of the kernel")
        assert f"archive: {host.current()}" in error
        assert "tetrapy btf add" in error
        world.act()
        saw_all(agent, world)
        assert count(agent, "process_tracepoint", "packets")
        assert agent.stop() == 0


@pytest.mark.parametrize("known", [True, False], ids=["inferred", "scanned"])
def test_what_is_proven_works(world: World, tmp_path: Path, known: bool) -> None:
    """The archive has this kernel's layout under another name, or not: the rest is refused."""
    other = host.current()._replace(release="0.0.1-other")
    archive = packed(tmp_path, str(other) if known else "")
    with world.started(tmp_path / "agent", "--btf-archive", str(archive)) as agent:
        agent.started()
        found = states(agent)
        origin = "inferred from " + (str(other) if known else "the memory of the running kernel")
        for name, what in (
            ("packets", "spec.tracepoints[0]: args: type skb reads struct sk_buff, which is not"),
            ("members", "spec.tracepoints[0]: resolve needs all types of the kernel"),
        ):
            state, error = found.pop(name)
            assert state == "load_error"
            assert error.startswith(what)
            assert origin in error
        assert not {name: error for name, (_, error) in found.items() if error}
        world.act()
        saw_all(agent, world)
        assert agent.stop() == 0
