# SPDX-License-Identifier: Apache-2.0
"""Names of containers: from the first process in one on, runtimes are asked and events wait.

Imported then, so that a host without containers has none of it.
"""

from __future__ import annotations

import os
from typing import List, Optional

from tetrapy.config.settings import Settings
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.registry import Containers, Source
from tetrapy.daemon.loop import Loop
from tetrapy.events.container import Pod
from tetrapy.host_files import host_path, host_root
from tetrapy.process.pending import PendingEvents

_SECOND = 1e9
_ENGINES = ("docker.sock", "podman.sock")  # sockets of the HTTP API; the others speak CRI
_RUNTIMES = {"docker": "docker", "podman": "podman", "crio": "cri-o"}  # by a word of the name


def watch(settings: Settings, loop: Loop, procfs: str) -> Containers:
    """What the process table asks from now on, and what events wait for."""

    def sources() -> List[Source]:
        # Imported by the thread: it may take its time.
        from tetrapy.containers.state_files import StateFiles

        root = host_root(procfs)
        files = StateFiles(root, settings.container_directories).sources()
        # Files first: a runtime may be slow, or wait itself until the container has started.
        return files + [_socket(root, path) for path in settings.container_sockets]

    containers = Containers(sources, settings.enable_container_labels)
    containers.changed = loop.containers_changed
    loop.table.containers = containers.find
    loop.pending = PendingEvents(containers, loop.table, settings.container_wait / _SECOND)
    return containers


def _socket(root: str, path: str) -> Source:
    """What asks a runtime. By its name: a socket may be made later than the agent starts.

    `root` stands before the path: that of the machine's first process.
    """
    name = os.path.basename(path)
    runtime = next((known for word, known in _RUNTIMES.items() if word in name), "containerd")

    def ask(ref: ContainerRef) -> Optional[Pod]:
        socket = host_path(root, path)
        if not os.path.exists(socket):
            return None
        if name in _ENGINES:
            from tetrapy.containers.engine_api import EngineApi

            return EngineApi(socket, runtime).find(ref)
        # Imported late: HTTP/2 takes 2 MB.
        from tetrapy.daemon.cri import CriSocket

        return CriSocket(socket, runtime).find(ref)

    return (runtime,), ask
