# SPDX-License-Identifier: Apache-2.0
"""Containers of Debian's own runtimes on a host with systemd and cgroups of version 2 alone: what
they execute has their ids and names. tests/kernel/test_runtimes.py has some of them on this host.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tests.vm.runtime_kinds import BUSYBOX, RUNTIMES
from tools.guest import kernels, system, systemd_root

pytestmark = pytest.mark.root  # who makes the guest's root

HERE = Path(__file__).resolve().parent
LEFT = HERE.parents[1] / "build/guests"
NAMES = [one.name for one in RUNTIMES]
SCRIPT = (
    f"PYTHONPATH=/test python3 /test/runtimes.py {' '.join(NAMES)} >/result/found 2>/result/errors"
)
ENGINE = {"docker": "docker", "podman": "podman", "cgroupfs": "podman", "rootless": "podman"}


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the guest says of its runtimes, and under `events` the processes by their marks."""
    files: dict[str, Any] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/runtimes.py": HERE / "runtimes.py",
        "/test/tests/vm/runtime_kinds.py": HERE / "runtime_kinds.py",
    }
    kernel = kernels.get(request.param)
    result = system.run(kernel, SCRIPT, files, root=systemd_root.RUNTIMES, memory=2048)
    left = LEFT / f"runtimes-{request.param}"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir(parents=True)
    for name, content in result.files.items():
        (left / name).write_bytes(content)
    about: dict[str, Any] = json.loads(result.files["found"])
    about["events"] = {}
    for line in result.files["events"].splitlines():
        process = json.loads(line).get("process_exec", {}).get("process", {})
        program, _, mark = process.get("arguments", "").partition(" ")
        if process.get("binary") == BUSYBOX and program == "true":
            about["events"].setdefault(mark, process)
    return about


@pytest.mark.matrix
@pytest.mark.parametrize("name", NAMES)
def test_what_is_executed(found: dict[str, Any], name: str) -> None:
    """In a container from before the agent, in a new one, by its first program and by others,
    after it was stopped for a while, and when it has another name.
    """
    about = found[name]
    assert "failed" not in about, about
    for step, id_ in about.items():
        process = found["events"][f"{name}-{step}"]
        expected = expectation(name, step, id_)
        shown = {key: process.get(key) for key in expected if key != "pod"}
        shown["pod"] = process.get("pod", {})
        container = shown["pod"].get("container", {})
        container.pop("start_time", None)
        container.pop("labels", None)
        container.pop("image", None)
        assert shown == expected, step


def expectation(name: str, step: str, id_: str) -> dict[str, Any]:
    """What an event shows of the container, without start, labels and image."""
    called = f"{name}-{'old' if step == 'seeded' else 'renamed' if step == 'again' else 'new'}"
    if name == "ctr":  # of which no runtime keeps a name
        return {"docker": id_[:31], "pod": {}}
    if name == "cri":
        pod = {"namespace": "shop", "name": f"pod-of-{called}", "uid": f"uid-of-{called}"}
        container = {"id": f"containerd://{id_}", "name": called}
        return {"docker": id_[:31], "pod": {**pod, "container": container}}
    if name == "nspawn" and step in ("seeded", "executed"):  # who enters has no cgroup of it
        return {"docker": None, "pod": {}}
    if name in ("lxc", "nspawn"):
        return {"docker": None, "pod": {"container": {"id": f"{name}://{id_}", "name": id_}}}
    container = {"id": f"{ENGINE[name]}://{id_}", "name": called}
    return {"docker": id_[:31], "pod": {"container": container}}


@pytest.mark.matrix
def test_the_agent_ends_well(found: dict[str, Any]) -> None:
    """Nothing of that disturbs it."""
    assert found["stopped"] == 0
