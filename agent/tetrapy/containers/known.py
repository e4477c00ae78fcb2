# SPDX-License-Identifier: Apache-2.0
"""What runtimes say of a container -> the messages `Pod` and `Container`.

Who makes a container chooses names, labels and annotations, so all of them are cut.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Dict, Mapping, Optional

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.events.container import Container, Image, Pod
from tetrapy.events.text import to_text

_TEXT = 512  # characters of a name
_LABELS = 64  # labels of a container
_LABEL_TEXT = 4096  # characters of all of them together

_YEAR_9999 = 253_370_764_800  # its start, in seconds since 1970

_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?Z"
).fullmatch

# Labels that kubelet gives to containers, whatever the runtime.
_KUBERNETES = "io.kubernetes."
_NAME, _POD, _NAMESPACE, _UID = (
    _KUBERNETES + name for name in ("container.name", "pod.name", "pod.namespace", "pod.uid")
)


class Facts:
    """The facts of a container, as some runtime tells them; anything may be missing or odd."""

    def __init__(
        self,
        runtime: str,
        name: object,
        image: object = "",
        image_id: object = "",
        started: object = "",
        labels: object = None,
    ) -> None:
        self.runtime = runtime
        self.name = name
        self.image = image
        self.image_id = image_id
        self.started = started
        self.labels: Mapping[Any, Any] = labels if isinstance(labels, dict) else {}

    def pod(self, ref: ContainerRef, pod: Optional[Mapping[str, object]] = None) -> Optional[Pod]:
        """The message; None where there is neither a name nor an image.

        `pod` has `name`, `namespace` and `uid` where they do not stand in the labels.
        """
        labels = self.labels
        place = pod or {
            "name": labels.get(_POD),
            "namespace": labels.get(_NAMESPACE),
            "uid": labels.get(_UID),
        }
        name, image = _text(labels.get(_NAME) or self.name), _text(self.image)
        if not name and not image:
            return None
        image_id = _text(self.image_id)
        own = {} if place.get("name") else _labels(labels)
        container = Container(
            f"{self.runtime}://{ref.id}",
            name,
            Image(image_id, image) if image or image_id else None,
            _time(self.started),
            own,
        )
        return Pod(
            container,
            _text(place.get("namespace")),
            _text(place.get("name")),
            _text(place.get("uid")),
            _labels(labels) if place.get("name") else {},
        )


def docker_pod(runtime: str, ref: ContainerRef, found: Dict[str, Any]) -> Optional[Pod]:
    """Of what the files of Docker and its API, and Podman's of the same form, have in common."""
    config, state = found.get("Config") or {}, found.get("State") or {}
    name = (found.get("Name") or "").lstrip("/")
    image, digest, labels = config.get("Image"), found.get("Image"), config.get("Labels")
    return Facts(runtime, name, image, digest, state.get("StartedAt"), labels).pod(ref)


def time_of(nanoseconds: int) -> str:
    """RFC 3339 of a time since 1970; empty for 0 and for what no calendar has."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    if not 0 < seconds < _YEAR_9999:
        return ""
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09}Z" if rest else f"{text}Z"


def weight(pod: Optional[Pod]) -> int:
    """The bytes that it takes, at most about 30 KiB."""
    if pod is None:
        return 0
    container = pod.container
    texts = [pod.name, pod.namespace, pod.uid, container.id, container.name, container.start_time]
    texts += [*(container.image or ()), *container.labels, *container.labels.values()]
    texts += [*pod.pod_labels, *pod.pod_labels.values()]
    return 800 + sum(text.__sizeof__() for text in texts)


def _text(value: object) -> str:
    """A text that events can show: cut, and without halves of characters."""
    if not isinstance(value, str):
        return ""
    return to_text(value[:_TEXT].encode("utf-8", "surrogatepass"))


def _time(value: object) -> str:
    """RFC 3339 in UTC, or nothing: Docker writes the year 1 for `never`."""
    found = _TIME(value) if isinstance(value, str) else None
    if found is None or found[1] < "1970":
        return ""
    year, month, day, hour, minute, second = map(int, found.groups())
    try:  # whether there is such a moment
        datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
    except ValueError:
        return ""
    return found[0]


def _labels(labels: Mapping[Any, Any]) -> Dict[str, str]:
    """Those that there is room for; kubelet's own about the pod stand elsewhere."""
    kept: Dict[str, str] = {}
    room = _LABEL_TEXT
    for name in sorted(key for key in labels if isinstance(key, str)):
        if name.startswith(_KUBERNETES):
            continue
        key, value = _text(name), _text(labels[name])
        room -= len(key) + len(value)
        if room < 0 or len(kept) == _LABELS:
            break
        kept[key] = value
    return kept
