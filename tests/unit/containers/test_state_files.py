# SPDX-License-Identifier: Apache-2.0
"""Containers out of the files of runtimes, in their real forms, and whatever else is there."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.api.scalars import ENCODERS
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.known import Facts, weight
from tetrapy.containers.state_files import StateFiles
from tetrapy.events import encoders
from tetrapy.events.container import Membership
from tetrapy.events.process import Process

if TYPE_CHECKING:
    from pathlib import Path

ID = "5ca1ab1e" * 8
REF = ContainerRef(ID[:31], ID, "docker")

DOCKER: dict[str, Any] = {
    "StreamConfig": {},
    "State": {"Running": True, "Pid": 71, "StartedAt": "2026-02-03T04:05:06.789012345Z"},
    "ID": ID,
    "Created": "2026-02-03T04:05:05.5Z",
    "Config": {"Image": "nginx:1.25", "Labels": {"tier": "front", "a": "b"}},
    "Image": "sha256:" + "c" * 64,
    "Name": "/web",
}
KUBERNETES = {
    "io.kubernetes.cri.container-name": "app",
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.image-name": "docker.io/library/nginx:1.25",
    "io.kubernetes.cri.sandbox-id": "d" * 64,
    "io.kubernetes.cri.sandbox-name": "web-5d",
    "io.kubernetes.cri.sandbox-namespace": "shop",
    "io.kubernetes.cri.sandbox-uid": "0f6f7d4e-1111",
}
CRIO = {
    "io.container.manager": "cri-o",
    "io.kubernetes.container.name": "app",
    "io.kubernetes.cri-o.ContainerType": "container",
    "io.kubernetes.cri-o.ImageName": "quay.io/crio/redis:alpine",
    "io.kubernetes.cri-o.ImageRef": "e" * 64,
    "io.kubernetes.cri-o.Labels": '{"app":"redis","io.kubernetes.pod.name":"web-5d"}',
    "io.kubernetes.cri-o.Name": "k8s_app_web-5d_shop_0f6f7d4e-1111_0",
    "io.kubernetes.pod.name": "web-5d",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": "0f6f7d4e-1111",
}
PODMAN = {
    "id": ID,
    "names": ["web"],
    "image": "f" * 64,
    "metadata": json.dumps({"image-name": "docker.io/library/nginx:1.25", "name": "web"}),
}


def put(root: Path, path: str, content: object) -> None:
    """A document at a path."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def ask(root: Path, ref: ContainerRef = REF) -> dict[str, Any] | None:
    """What events show of the container."""
    files = StateFiles(str(root), ["/state"])
    for _, source in files.sources():
        pod = source(ref)
        if pod is not None:
            process = Process(b"node", 1, 1, 1)
            process.container = Membership(pod)
            return json.loads(process.encoded())["pod"]
    return None


def test_docker(tmp_path: Path) -> None:
    """Name, image, digest, start and labels."""
    put(tmp_path, f"state/containers/{ID}/config.v2.json", DOCKER)
    assert ask(tmp_path) == {
        "container": {
            "id": f"docker://{ID}",
            "name": "web",
            "image": {"id": "sha256:" + "c" * 64, "name": "nginx:1.25"},
            "start_time": "2026-02-03T04:05:06.789012345Z",
            "labels": {"a": "b", "tier": "front"},
        }
    }


def test_a_directory_that_is_a_link_on_the_machine(tmp_path: Path) -> None:
    """It leads to a place of the machine, also for an agent in a container."""
    put(tmp_path, f"data/docker/containers/{ID}/config.v2.json", DOCKER)
    (tmp_path / "state").symlink_to("/data/docker")
    assert ask(tmp_path)["container"]["name"] == "web"


@pytest.mark.parametrize("target", ["/state", "/gone"])
def test_a_directory_that_leads_nowhere(tmp_path: Path, target: str) -> None:
    """A circle, or a link to what is not there, is no error."""
    (tmp_path / "state").symlink_to(target)
    assert ask(tmp_path) is None


def test_podman_behind_a_link(tmp_path: Path) -> None:
    """A list of containers is read where the machine has it."""
    put(tmp_path, "data/containers.json", [PODMAN])
    (tmp_path / "state").mkdir()
    (tmp_path / "state/overlay-containers").symlink_to("/data")
    assert ask(tmp_path)["container"]["name"] == "web"


def test_docker_before_its_start(tmp_path: Path) -> None:
    """The year 1 is not when it started."""
    state = {"State": {"StartedAt": "0001-01-01T00:00:00Z"}}
    put(tmp_path, f"state/containers/{ID}/config.v2.json", {**DOCKER, **state})
    assert "start_time" not in ask(tmp_path)["container"]


@pytest.mark.parametrize(
    "odd",
    ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-02-03T04:05:06+01:00", "", 7, None],
)
def test_odd_starts(odd: object) -> None:
    """A moment that there is not, or that is not written as events have it, is left out."""
    assert Facts("docker", "web", started=odd).pod(REF).container.start_time == ""


def test_docker_below_kubernetes(tmp_path: Path) -> None:
    """cri-dockerd's labels tell the pod, and the rest are labels of the pod."""
    labels = {
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": "web-5d",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "0f6f7d4e",
        "tier": "front",
    }
    config = {"Config": {"Image": "nginx", "Labels": labels}}
    put(tmp_path, f"state/containers/{ID}/config.v2.json", {**DOCKER, **config})
    found = ask(tmp_path)
    assert found["container"]["name"] == "app"
    assert "labels" not in found["container"]
    assert (found["namespace"], found["name"], found["uid"]) == ("shop", "web-5d", "0f6f7d4e")
    assert found["pod_labels"] == {"tier": "front"}


def test_containerd(tmp_path: Path) -> None:
    """The annotations of the bundle tell the pod; other namespaces are others' containers."""
    tasks = "state/io.containerd.runtime.v2.task"
    put(tmp_path, f"{tasks}/moby/{ID}/config.json", {"annotations": {}})
    assert ask(tmp_path) is None
    put(tmp_path, f"{tasks}/k8s.io/{ID}/config.json", {"annotations": KUBERNETES})
    assert ask(tmp_path) == {
        "namespace": "shop",
        "name": "web-5d",
        "uid": "0f6f7d4e-1111",
        "container": {
            "id": f"containerd://{ID}",
            "name": "app",
            "image": {"name": "docker.io/library/nginx:1.25"},
        },
    }
    sandbox = {**KUBERNETES, "io.kubernetes.cri.container-type": "sandbox"}
    put(tmp_path, f"{tasks}/k8s.io/{ID}/config.json", {"annotations": sandbox})
    assert ask(tmp_path)["container"]["name"] == "POD"


def test_crio(tmp_path: Path) -> None:
    """The annotations of its bundle; its entry of containers/storage says less."""
    put(tmp_path, "state/overlay-containers/containers.json", [PODMAN])
    put(tmp_path, f"state/overlay-containers/{ID}/userdata/config.json", {"annotations": CRIO})
    assert ask(tmp_path) == {
        "namespace": "shop",
        "name": "web-5d",
        "uid": "0f6f7d4e-1111",
        "container": {
            "id": f"cri-o://{ID}",
            "name": "app",
            "image": {"id": "e" * 64, "name": "quay.io/crio/redis:alpine"},
        },
        "pod_labels": {"app": "redis"},
    }


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_podman(tmp_path: Path, driver: str) -> None:
    """Name and image are in the list of containers; a list that changed is read again."""
    path = f"state/{driver}-containers/containers.json"
    put(tmp_path, path, [{"id": "0" * 64}, PODMAN])
    found = ask(tmp_path)
    assert found == {
        "container": {
            "id": f"podman://{ID}",
            "name": "web",
            "image": {"id": "sha256:" + "f" * 64, "name": "docker.io/library/nginx:1.25"},
        }
    }
    files = StateFiles(str(tmp_path), ["/state"])
    assert files.of_podman(REF).container.name == "web"
    (tmp_path / path).unlink()
    put(tmp_path, path, [{**PODMAN, "names": ["renamed"]}])
    assert files.of_podman(REF).container.name == "renamed"


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe is not waited for, and a directory is nothing."""
    path = tmp_path / "state/containers" / ID / "config.v2.json"
    path.parent.mkdir(parents=True)
    assert ask(tmp_path) is None
    os.mkfifo(path)
    assert ask(tmp_path) is None
    path.unlink()
    path.mkdir()
    assert ask(tmp_path) is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    anything,
    anything,
    anything,
    anything,
    st.dictionaries(st.text(max_size=9), anything) | anything,
)
def test_any_facts(
    name: object, image: object, digest: object, start: object, labels: object
) -> None:
    """Whatever a runtime says, events can show it, as JSON and as protobuf."""
    pod = Facts("docker", name, image, digest, start, labels).pod(REF)
    if pod is None:
        assert not (isinstance(name, str) and name)
        return
    assert json.loads(encoded(pod))["container"]["id"] == f"docker://{ID}"
    if pod.container.start_time:
        ENCODERS["Timestamp"][1](pod.container.start_time)
    assert weight(pod) < 64 << 10


def encoded(pod: Any) -> str:
    """The message as events have it."""
    return encoders._pod(pod)


def test_long_texts_and_many_labels() -> None:
    """A container takes at most some 30 KiB, whatever its labels are."""
    labels = {f"{number:05}" * 100: "\U0001f600" * 100_000 for number in range(1000)}
    pod = Facts("docker", "\U0001f600" * 9999, "\ud800" * 9999, labels=labels).pod(REF)
    assert len(pod.container.name) == 512
    assert weight(pod) < 30 << 10
    json.loads(encoded(pod))
