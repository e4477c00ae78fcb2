# SPDX-License-Identifier: Apache-2.0
"""Recorded events -> whether pods, containers and the host that a selector is for are theirs.

The container is that in which the process executed; where it moved afterwards is not in events.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from tetrapy.events.container import Container, Image, Pod
from tetrapy.policy.workloads import Workload, select

Message = Mapping[str, Any]

NO_NAMES = (
    "the event has the id of a container and nothing else of it: no runtime knew it, or the agent"
    " was not to ask (--enable-container-names)"
)


def is_for(process: Message, workloads: Sequence[Workload]) -> Optional[bool]:
    """Whether all hold of the event's process; None where that takes names that it does not have.

    They do where the agent could not read the cgroup, as in the kernel.
    """
    if "errorCgroupName" in process.get("flags", ""):
        return True
    pod = process.get("pod")
    if pod is not None:
        return select(workloads, _pod(pod), outside=False)
    if not process.get("docker"):
        return select(workloads, None, outside=True)
    named = [one for one in workloads if one.asks_for_names]
    if not select([one for one in workloads if one not in named], None, outside=False):
        return False
    return None if named else True


def _pod(shown: Message) -> Pod:
    container: Message = shown.get("container", {})
    image = container.get("image")
    return Pod(
        Container(
            container.get("id", ""),
            container.get("name", ""),
            None if image is None else Image(image.get("id", ""), image.get("name", "")),
            labels=container.get("labels"),
        ),
        shown.get("namespace", ""),
        shown.get("name", ""),
        shown.get("uid", ""),
        shown.get("pod_labels"),
    )
