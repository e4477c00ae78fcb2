# SPDX-License-Identifier: Apache-2.0
"""The agent as a container, on a host with systemd, cgroups of version 2 and AppArmor, by Debian's
Docker and Podman and docs/containers.md: with all privileges, with the least, and where a flag is
missing. tests/kernel/test_image.py has the page's lines for Podman on this host.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import LEFT
from tests.vm.runtime_kinds import BUSYBOX
from tests.vm.test_runtimes import expectation, shown
from tools import image
from tools.fetch import ROOT
from tools.guest import kernels, system, systemd_root

pytestmark = [pytest.mark.root, pytest.mark.matrix]  # root: who makes the guest's root

HERE = Path(__file__).resolve().parent
PAGE = (ROOT / "docs/containers.md").read_text().splitlines()
BUILD = next(line for line in PAGE if line.startswith("podman build --platform linux/amd64"))
PRIVILEGED = [line for line in PAGE if re.match("sudo podman run .* --privileged", line)]
LEAST = {
    engine: next(line for line in PAGE if re.match(f"sudo {engine} run .* --cap-drop ALL", line))
    for engine in ("docker", "podman")
}
IMAGE = "localhost/tetrapy:amd64"
EXPORT = "--export-filename=/var/log/tetrapy/tetrapy.log"
APPARMOR = "--security-opt apparmor=unconfined"
PLAIN = f"sudo docker run --name tetrapy --rm -d --pid=host --cgroupns=host {IMAGE}"

# Name, of which the runtime's is the first word -> line.
LINES = {
    "docker-flags": PRIVILEGED[0],
    "docker-least": LEAST["docker"],
    "podman-least": LEAST["podman"],
}
MISSING = {
    "docker-no-pid": ("--pid=host", PRIVILEGED[1].replace("--pid=host", "")),
    "docker-confined": ("apparmor=unconfined", LEAST["docker"].replace(APPARMOR, "")),
    "podman-confined": ("apparmor=unconfined", LEAST["podman"].replace(APPARMOR, "")),
    "docker-plain": ("--privileged", PLAIN),
}


def words(name: str, line: str) -> list[str]:
    """The command of an attempt: a line of the page by its runtime, without a network. What it says
    is read when it has ended.
    """
    found = [word for word in shlex.split(line)[1:] if word != "--rm"]
    found[:2] = [name.partition("-")[0], "run", "--network", "none"]
    # What events show is waited for as long as an emulated machine takes.
    more = ["--container-wait=30s"]
    if not any("export" in word.lower() for word in found) and "-v" not in found:
        more.append(EXPORT)
    return [*found, *more]


def plan() -> dict[str, Any]:
    """What the guest is to do."""
    build = shlex.split(BUILD)
    build[build.index("build/image")] = "/test/context"
    build[build.index("deploy/Containerfile")] = "/test/Containerfile"
    lines = {**LINES, **{name: line for name, (_, line) in MISSING.items()}}
    attempts = {name: words(name, line) for name, line in lines.items()}
    return {"build": build, "image": IMAGE, "attempts": attempts}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What the guest says, with `logs` and `events` by attempt."""
    files: dict[str, Any] = {
        "/test/plan.json": json.dumps(plan()),
        "/test/context/root-amd64.tar": image.root("amd64"),
        "/test/Containerfile": ROOT / "deploy/Containerfile",
        "/test/agent_containers.py": HERE / "agent_containers.py",
        "/test/tests/vm/runtime_kinds.py": HERE / "runtime_kinds.py",
    }
    script = "PYTHONPATH=/test python3 /test/agent_containers.py 2>/result/errors"
    result = system.run(
        kernels.get("6.1"),
        script,
        files,
        root=systemd_root.RUNTIMES,
        memory=2048,
        append="apparmor=1 security=apparmor audit=1",
    )
    left = LEFT / "agent-containers"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir(parents=True)
    for name, content in {**result.files, "console": result.console.encode()}.items():
        (left / name).write_bytes(content)
    about: dict[str, Any] = json.loads(result.files["found"])
    for name, attempt in about["attempts"].items():
        attempt["log"] = result.files.get(f"{name}-log", b"").decode(errors="replace")
        attempt["events"] = _events(result.files.get(f"{name}-events", b""))
    return about


def _events(lines: bytes) -> dict[str, dict[str, Any]]:
    """The marked processes by their marks."""
    marked = {}
    for line in lines.splitlines():
        process = json.loads(line).get("process_exec", {}).get("process", {})
        program, _, mark = process.get("arguments", "").partition(" ")
        if process.get("binary", "").endswith(BUSYBOX) and program == "true":
            marked[mark] = process
    return marked


def complaints(attempt: dict[str, Any]) -> list[str]:
    """Lines of the log that are more than informed."""
    return re.findall(r"level=(?:warn|error|fatal).*", attempt["log"])


def test_apparmor_is_enabled(found: dict[str, Any]) -> None:
    """Else nothing here says anything about it."""
    assert found["apparmor"] == "Y"
    confined = {name: found["attempts"][name]["confinement"] for name in MISSING if "conf" in name}
    assert confined["docker-confined"].startswith("docker-default")
    assert confined["podman-confined"].startswith("containers-default")


@pytest.mark.parametrize("name", LINES)
def test_it_runs(found: dict[str, Any], name: str) -> None:
    """As the page has it: nothing to complain about, and SIGTERM ends it well."""
    attempt = found["attempts"][name]
    assert attempt.get("listens"), attempt
    assert attempt["confinement"] == "unconfined"
    assert complaints(attempt) == []
    assert attempt["code"] == 0


@pytest.mark.parametrize("name", LINES)
def test_what_it_sees(found: dict[str, Any], name: str) -> None:
    """What is executed on the host, in containers from before it and in one from after, of its own
    runtime and of the other, with their names.
    """
    events = found["attempts"][name]["events"]
    assert shown(events[f"{name}-host"]) == {"docker": None, "pod": {}}
    for runtime, id_ in found["olds"].items():
        process = events[f"{name}-{runtime}-seeded"]
        assert shown(process) == expectation(runtime, "seeded", id_)
    process = events[f"{name}-docker-first"]
    new = found["attempts"][name]["ids"]["first"]
    assert shown(process) == expectation("docker", "first", new)


@pytest.mark.parametrize("name", MISSING)
def test_a_flag_is_missing(found: dict[str, Any], name: str) -> None:
    """One line of the log names it."""
    flag, _ = MISSING[name]
    attempt = found["attempts"][name]
    named = [line for line in complaints(attempt) if flag in line]
    assert len(named) == 1, attempt


@pytest.mark.parametrize("name", [name for name in MISSING if name != "docker-plain"])
def test_what_it_sees_nevertheless(found: dict[str, Any], name: str) -> None:
    """All that is executed, with the ids of containers; their names it cannot look up."""
    events = found["attempts"][name]["events"]
    assert shown(events[f"{name}-host"]) == {"docker": None, "pod": {}}
    for runtime, id_ in found["olds"].items():
        process = events[f"{name}-{runtime}-seeded"]
        assert shown(process) == {"docker": id_[:31], "pod": {}}
