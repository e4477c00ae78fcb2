# SPDX-License-Identifier: Apache-2.0
"""RuntimeHook: a container runtime tells of a container before anything is executed in it.

The runtime waits for the answer, which comes when the container's name is known, so that what is
executed first has it already and policies for the container hold from the first call on.
"""

from __future__ import annotations

from typing import List, Optional

from tetrapy.api.codec import Message
from tetrapy.api.router import Context
from tetrapy.config.settings import Settings
from tetrapy.containers.cgroup import ContainerRef, container_of_procfs
from tetrapy.daemon.loop import Loop
from tetrapy.events.container import Membership
from tetrapy.json_codec import loads
from tetrapy.kernel.cgroups import cgroup_of
from tetrapy.log import Log
from tetrapy.named import NamedTuple

STATE = "tetrapy.oci.state"
"""The annotation with what the runtime gives its hooks: the state, as JSON (OCI runtime-spec)."""
_MOST = 256  # runtimes that wait
_NOTHING = b""  # RuntimeHookResponse has no fields


class _Waiting(NamedTuple):
    membership: Membership
    context: Context


class RuntimeHook:
    """Answers the calls."""

    def __init__(self, loop: Loop, settings: Settings, log: Log) -> None:
        self._loop = loop
        self._procfs = settings.procfs or "/proc"
        self._log = log
        self._waiting: List[_Waiting] = []
        loop.on_containers = self._answer

    def call(self, request: Message, context: Context) -> Optional[bytes]:
        """RuntimeHook; None where the answer comes later."""
        container = request.get("createContainer", {})
        text = container.get("annotations", {}).get(STATE, "")
        found = self._learn(text) if text else None
        id_ = container.get("containerID", "") or container.get("containerName", "")
        self._log(
            "debug",
            "A container is created",
            client=context.client,
            cgroup=container.get("cgroupsPath", ""),
            container=found.id if found else id_,
        )
        if found is None:
            return _NOTHING
        membership = self._loop.table.containers(found)
        if not membership.waits:
            return _NOTHING
        self._waiting.append(_Waiting(membership, context))
        if len(self._waiting) > _MOST:
            self._reply(self._waiting.pop(0))
        return None

    def _learn(self, text: str) -> Optional[ContainerRef]:
        """The container of the state, whose cgroup policies are notified of; None for none."""
        try:
            state = loads(text)
            with open(f"{self._procfs}/{int(state['pid'])}/cgroup", "rb") as file:
                cgroup = file.read()
        except (OSError, ValueError, TypeError, KeyError) as err:
            self._log("warn", "A runtime's hook named no process that is there", error=str(err))
            return None
        workloads = getattr(self._loop.handler, "workloads", None)
        if workloads is not None:
            try:
                workloads.learn(*cgroup_of(self._procfs, cgroup))
            except OSError as err:
                self._log("warn", "The cgroup of a container is not found", error=str(err))
        return container_of_procfs(cgroup)

    def _answer(self) -> None:
        """More is known of some containers."""
        known = [one for one in self._waiting if not one.membership.waits]
        self._waiting = [one for one in self._waiting if one.membership.waits]
        for one in known:
            self._reply(one)

    def _reply(self, one: _Waiting) -> None:
        if not one.context.call.closed:
            one.context.reply(_NOTHING)
            one.context.flush()
