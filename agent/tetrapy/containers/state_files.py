# SPDX-License-Identifier: Apache-2.0
"""Containers out of the files in which runtimes keep them; none of them has to run or be asked.

    Docker       <root>/containers/<id>/config.v2.json
    Podman       <root>/<driver>-containers/containers.json
    CRI-O        <root>/<driver>-containers/<id>/userdata/config.json, also in its run directory
    containerd   <state>/io.containerd.runtime.v2.task/<namespace>/<id>/config.json, the bundle

Those of containerd and CRI-O are OCI configurations, whose annotations tell the pod too.
"""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, List, Optional, Sequence, Tuple

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.known import Facts, docker_pod
from tetrapy.containers.registry import Source
from tetrapy.events.container import Pod
from tetrapy.host_files import host_path
from tetrapy.json_codec import loads

_MOST = 8 << 20  # bytes of a file that are read
_TASKS = "io.containerd.runtime.v2.task"
_CRI = "io.kubernetes.cri."
_CRIO = "io.kubernetes.cri-o."
_SANDBOX = "POD"  # as Tetragon and kubelet name the container that holds a pod's namespaces
_LISTS = ("containers.json", "volatile-containers.json")


class StateFiles:
    """Files below the directories of the settings, as the machine's first process sees them."""

    def __init__(self, root: str, directories: Sequence[str]) -> None:
        """`root` stands before each of the directories; it may be empty."""
        self._root = root
        self._directories = [one.rstrip("/") for one in directories]
        # A list of containers -> when it was written, and what it has; read anew when it changes.
        self._lists: Dict[str, Tuple[Tuple[int, int], Dict[str, Any]]] = {}

    def sources(self) -> List[Source]:
        """What can be asked."""
        return [
            (("docker",), self.of_docker),
            (("containerd",), self.of_containerd),
            (("cri-o",), self.of_crio),
            (("podman",), self.of_podman),
        ]

    def of_docker(self, ref: ContainerRef) -> Optional[Pod]:
        """A container of Docker."""
        for directory in self._directories:
            found = self._read(f"{directory}/containers/{ref.id}/config.v2.json")
            if found is not None:
                return docker_pod("docker", ref, found)
        return None

    def of_containerd(self, ref: ContainerRef) -> Optional[Pod]:
        """A container that Kubernetes or crictl made by containerd."""
        for directory in self._directories:
            for namespace in self._names(f"{directory}/{_TASKS}"):
                found = self._read(f"{directory}/{_TASKS}/{namespace}/{ref.id}/config.json")
                notes = _annotations(found)
                if _CRI + "sandbox-name" not in notes:
                    continue
                is_sandbox = notes.get(_CRI + "container-type") == "sandbox"
                name = _SANDBOX if is_sandbox else notes.get(_CRI + "container-name")
                facts = Facts("containerd", name, notes.get(_CRI + "image-name"))
                return facts.pod(ref, _place(notes, _CRI + "sandbox-"))
        return None

    def of_crio(self, ref: ContainerRef) -> Optional[Pod]:
        """A container of CRI-O."""
        for path in self._storage():
            notes = _annotations(self._read(f"{path}/{ref.id}/userdata/config.json"))
            if _CRIO + "Name" not in notes:
                continue
            labels = loads(notes.get(_CRIO + "Labels") or "{}")
            is_sandbox = notes.get(_CRIO + "ContainerType") == "sandbox"
            facts = Facts(
                "cri-o",
                _SANDBOX if is_sandbox else notes.get("io.kubernetes.container.name"),
                notes.get(_CRIO + "ImageName") or notes.get(_CRIO + "Image"),
                notes.get(_CRIO + "ImageRef"),
                labels=labels,
            )
            return facts.pod(ref, _place(notes, "io.kubernetes.pod."))
        return None

    def of_podman(self, ref: ContainerRef) -> Optional[Pod]:
        """A container of Podman, or of anything else that keeps containers/storage."""
        for path in self._storage():
            for name in _LISTS:
                entry = self._list(f"{path}/{name}").get(ref.id)
                if entry is None:
                    continue
                about = loads(entry.get("metadata") or "{}")
                names = entry.get("names") or [about.get("name")]
                image, digest = about.get("image-name"), entry.get("image")
                image_id = f"sha256:{digest}" if digest else ""
                return Facts("podman", names[0], image, image_id).pod(ref)
        return None

    def _storage(self) -> List[str]:
        """Where containers/storage keeps containers: a directory for each driver."""
        return [
            f"{directory}/{name}"
            for directory in self._directories
            for name in self._names(directory)
            if name.endswith("-containers")
        ]

    def _list(self, path: str) -> Dict[str, Any]:
        try:
            found = host_path(self._root, path)
            status = os.stat(found)
        except OSError:
            return {}
        written = status.st_mtime_ns, status.st_ino
        known = self._lists.get(path)
        if known is None or known[0] != written:
            entries = loads(_bytes(found) or b"[]")
            self._lists.clear()
            known = self._lists[path] = written, {entry["id"]: entry for entry in entries}
        return known[1]

    def _names(self, directory: str) -> List[str]:
        try:
            return sorted(os.listdir(host_path(self._root, directory)))
        except OSError:
            return []

    def _read(self, path: str) -> Optional[Dict[str, Any]]:
        """A document, None where there is none. Raises ValueError for one that is no JSON."""
        try:
            data = _bytes(host_path(self._root, path))
        except OSError:
            return None
        found = None if data is None else loads(data)
        return found if isinstance(found, dict) else None


def _place(notes: Dict[str, Any], prefix: str) -> Dict[str, object]:
    return {name: notes.get(prefix + name) for name in ("name", "namespace", "uid")}


def _annotations(config: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    notes = (config or {}).get("annotations")
    return notes if isinstance(notes, dict) else {}


def _bytes(path: str) -> Optional[bytes]:
    """What a file has; nothing else is opened for long, and a pipe is not waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST:
            return None
        with open(fd, "rb", closefd=False) as file:
            data = file.read(_MOST + 1)
    finally:
        os.close(fd)
    return data if len(data) <= _MOST else None
