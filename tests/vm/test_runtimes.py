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
from tests.vm.runtime_kinds import BUSY, BUSYBOX, LATE, LOAD
from tests.vm.runtime_names import RUNTIMES
from tools.guest import kernels, system, systemd_root

pytestmark = pytest.mark.root  # who makes the guest's root

HERE = Path(__file__).resolve().parent
LEFT = HERE.parents[1] / "build/guests"
NAMES = [one.name for one in RUNTIMES]
SCRIPT = (
    "PYTHONPATH=/test:/test/tetrapy.pyz"
    f" python3 /test/runtimes.py {' '.join(NAMES)} >/result/found 2>/result/errors"
)
IMAGES = {"docker": "box:1", "cri": "docker.io/library/box:1"}  # as they were asked for
ENGINE = {"docker": "docker", "podman": "podman", "cgroupfs": "podman", "rootless": "podman"}


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the guest says of its runtimes, and under `events` the processes by their marks."""
    files: dict[str, Any] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/runtimes.py": HERE / "runtimes.py",
        **{f"/test/tests/vm/{one.name}": one for one in HERE.glob("runtime_*.py")},
    }
    kernel = kernels.get(request.param)
    result = system.run(kernel, SCRIPT, files, root=systemd_root.RUNTIMES, memory=2048)
    left = LEFT / f"runtimes-{request.param}"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir(parents=True)
    for name, content in result.files.items():
        (left / name).write_bytes(content)
    about: dict[str, Any] = json.loads(result.files["found"])
    about["log"] = result.files["log"].decode(errors="replace")
    about["events"] = {}
    for line in result.files["events"].splitlines():
        process = json.loads(line).get("process_exec", {}).get("process", {})
        program, _, mark = process.get("arguments", "").partition(" ")
        if process.get("binary") == BUSYBOX and program == "true":
            about["events"].setdefault(mark, []).append(process)
    return about


def shown(process: dict[str, Any]) -> dict[str, Any]:
    """What an event shows of the container, without start, labels and the image's digest."""
    pod = {**process.get("pod", {})}
    if "container" in pod:
        kept = ("id", "name", "image")
        pod["container"] = {key: pod["container"][key] for key in kept if key in pod["container"]}
    if "image" in pod.get("container", {}):
        pod["container"]["image"] = pod["container"]["image"]["name"]
    return {"docker": process.get("docker"), "pod": pod}


@pytest.mark.matrix
@pytest.mark.parametrize("name", NAMES)
def test_what_is_executed(found: dict[str, Any], name: str) -> None:
    """In a container from before the agent, in a new one, by its first program and by others, after
    it was stopped for a while, when it was restarted, and when it has another name; under load in
    busy ones, in others, and by one that starts.
    """
    about = found[name]
    assert "failed" not in about, about
    for step in about.keys() - set(BUSY):
        process = found["events"][f"{name}-{step}"][0]
        assert shown(process) == expectation(name, step, about[step]), step
    restarted = found["events"][f"{name}-first"][1]
    assert shown(restarted) == expectation(name, "first", about["restarted"])


@pytest.mark.matrix
@pytest.mark.parametrize("name", NAMES)
def test_under_load(found: dict[str, Any], name: str) -> None:
    """Of hundreds of programs that each of some containers executes while the others do, none is
    lost or shown twice, and all have the container in which they are.
    """
    for step in BUSY:
        tag = f"{name}-{step}"
        (last,) = (one for one in found["events"] if one.startswith(f"{tag}-ended "))
        count = int(last.rpartition(" ")[2])
        assert count >= LOAD
        expected = expectation(name, step, found[name][step])
        for mark in (*(f"{tag} {number}" for number in range(count)), last):
            (process,) = found["events"][mark]
            assert shown(process) == expected, mark
        assert f"{tag} {count}" not in found["events"]


def expectation(name: str, step: str, id_: str) -> dict[str, Any]:
    """What an event shows of the container."""
    names = {"seeded": "old", "again": "renamed", LATE: LATE, **dict(zip(BUSY, BUSY, strict=True))}
    called = f"{name}-{names.get(step.removeprefix('in-'), 'new')}"
    if name == "ctr":  # of which no runtime keeps a name
        return {"docker": id_[:31], "pod": {}}
    if name == "cri":
        pod = {"namespace": "shop", "name": f"pod-of-{called}", "uid": f"uid-of-{called}"}
        container = {"id": f"containerd://{id_}", "name": called, "image": IMAGES[name]}
        return {"docker": id_[:31], "pod": {**pod, "container": container}}
    if name == "nspawn" and step not in {"first", LATE, *BUSY}:  # who enters has no cgroup of it
        return {"docker": None, "pod": {}}
    if name in ("lxc", "nspawn"):
        return {"docker": None, "pod": {"container": {"id": f"{name}://{id_}", "name": called}}}
    container = {"id": f"{ENGINE[name]}://{id_}", "name": called}
    container["image"] = IMAGES.get(name, "localhost/box:1")
    return {"docker": id_[:31], "pod": {"container": container}}


@pytest.mark.matrix
def test_the_agent_ends_well(found: dict[str, Any]) -> None:
    """Nothing of that disturbs it."""
    assert found["stopped"] == 0
