# SPDX-License-Identifier: Apache-2.0
"""The container of a process as events show it (Tetragon's messages `Pod` and `Container`)."""

from __future__ import annotations

from typing import Dict, Mapping, Optional

from tetrapy.named import NamedTuple


class Image(NamedTuple):
    """What a container was made from."""

    id: str  # digest, empty if it is not known
    name: str


class Container:
    """A container. Equal only to itself, so that its JSON is found without comparing texts."""

    __slots__ = ("id", "image", "labels", "name", "start_time")

    def __init__(
        self,
        id_: str,
        name: str,
        image: Optional[Image] = None,
        start_time: str = "",
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.id = id_  # runtime://id, as Kubernetes writes it
        self.name = name
        self.image = image
        self.start_time = start_time  # RFC 3339; empty if it is not known, or yet to come
        self.labels: Dict[str, str] = dict(labels or {})


class Pod:
    """A container's place in Kubernetes; all but `container` is empty outside of it."""

    __slots__ = ("container", "name", "namespace", "pod_labels", "uid")

    def __init__(
        self,
        container: Container,
        namespace: str = "",
        name: str = "",
        uid: str = "",
        pod_labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.container = container
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.pod_labels: Dict[str, str] = dict(pod_labels or {})


class Membership:
    """What is known of the container that processes are in; they share it.

    The container room answers meanwhile, in the background.
    """

    __slots__ = ("is_late", "pod", "waits")

    def __init__(self, pod: Optional[Pod] = None) -> None:
        self.pod = pod  # None as long as nothing is known
        self.waits = False  # whether events are to wait until it is
        self.is_late = False  # whether events did not wait any longer


OUTSIDE = Membership()
"""Of processes that are in no container, or whose container is not asked for."""
