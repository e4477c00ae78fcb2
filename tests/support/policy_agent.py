# SPDX-License-Identifier: Apache-2.0
"""Agents with policies: documents, their start, what they list and report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.agent import PYZ, Agent, until
from tests.support.harmless import expect_harmless

HAS_KPROBES = Path("/sys/bus/event_source/devices/kprobe").exists()


def policy(name: str, spec: dict[str, Any]) -> str:
    """A document; JSON is YAML."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
    return expect_harmless(json.dumps(document))


def opened(*prefixes: str, event: str = "sys_enter_openat") -> dict[str, Any]:
    """A tracepoint for files with these beginnings that are opened."""
    return {
        "subsystem": "syscalls",
        "event": event,
        "args": [{"index": 6, "type": "string"}],
        "selectors": [
            {"matchArgs": [{"index": 6, "operator": "Prefix", "values": list(prefixes)}]}
        ],
    }


def listed(agent: Agent, *flags: str) -> list[dict[str, Any]]:
    """What `tetrapy policy list --json` says where the agent's files are."""
    found = json.loads(list_of(agent, "--json", *flags))["policies"]
    assert isinstance(found, list)
    return found


def by_api(agent: Agent, *flags: str) -> str:
    """What `tetrapy tracingpolicy list` prints there."""
    return _client(agent, "tracingpolicy", "list", *flags)


def list_of(agent: Agent, *flags: str) -> str:
    """What `tetrapy policy list` prints there."""
    return _client(agent, "policy", "list", *flags)


def _client(agent: Agent, *arguments: str) -> str:
    command = ["nsenter", "-t", str(agent.pid), "-m", sys.executable, str(PYZ), *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()


def started(directory: Path, *flags: str, **files: str) -> Agent:
    """An agent with a policy for each file."""
    directory.mkdir(exist_ok=True)
    words = []
    for name, text in files.items():
        path = directory / f"{name}.yaml"
        path.write_text(text)
        words += ["--tracing-policy", str(path)]
    return Agent(directory, *words, *flags)


def count(agent: Agent, kind: str, name: str) -> int:
    """Events of a policy."""
    needle = f'"policy_name":"{name}"'.encode()
    return sum(
        1 for line in agent.lines() if line.startswith(f'{{"{kind}"'.encode()) and needle in line
    )


def drained(agent: Agent, mark: str) -> None:
    """Wait until all that happened before is exported."""
    subprocess.run(["/bin/true", f"{mark}-{agent.pid}"], check=True)
    until(lambda: f"{mark}-{agent.pid}" in agent.export.read_text(), "the last event")
