# SPDX-License-Identifier: Apache-2.0
"""containerd in a guest, asked as kubelet does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.vm.runtime_kinds import BOUND, Runtime, run
from tetrapy.api.client import Channel
from tetrapy.api.grpc import RpcError
from tetrapy.api.wire import BYTES, VARINT, fields, sized, tag, varint

_SOCKET = "/run/containerd/containerd.sock"
_ON_THE_HOSTS_NETWORK = 2  # NODE of NamespaceMode


def _text(number: int, value: str | bytes) -> bytes:
    """A field of bytes."""
    return tag(number, BYTES) + sized(value.encode() if isinstance(value, str) else value)


def _call(method: str, request: bytes) -> str:
    """The first field of the reply, if it is a text. Raises OSError."""
    with Channel(f"unix://{_SOCKET}", None, BOUND, 1 << 20) as channel:
        try:
            path = f"/runtime.v1.RuntimeService/{method}"
            reply = next(channel.stream_bytes(path, request, BOUND))
        except RpcError as err:
            raise OSError(f"{method}: {err}") from err
    first = {number: value for number, _, value in fields(reply)}.get(1, b"")
    return bytes(first).decode() if isinstance(first, (bytes, memoryview)) else ""


class _Made(NamedTuple):
    """What a container was made of."""

    pod: str
    configuration: bytes  # of the pod
    name: str
    words: list[str]


class Cri(Runtime):
    """A pod for each container, in the network of the host."""

    name = "cri"
    renames = False

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}

    def begin(self) -> None:
        plugin = 'plugins."io.containerd.grpc.v1.cri"'
        directory = Path("/etc/containerd")
        directory.mkdir(exist_ok=True)
        (directory / "config.toml").write_text(
            f'version = 2\n[{plugin}]\nsandbox_image = "docker.io/library/pause:1"\n'
            f'[{plugin}.containerd]\nsnapshotter = "native"\n'
        )
        run("docker", "save", "-o", "/srv/images.tar", "box:1", "pause:1")
        run("systemctl", "restart", "containerd")
        run("ctr", "-n", "k8s.io", "images", "import", "--snapshotter", "native", "/srv/images.tar")

    def command(self, *words: str) -> str:
        """Of containerd's own client, for what kubelet never asks for."""
        return run("ctr", "-n", "k8s.io", *words)

    def start(self, container: str, words: list[str]) -> str:
        name = f"cri-{container}"
        metadata = _text(1, f"pod-of-{name}") + _text(2, f"uid-of-{name}") + _text(3, "shop")
        network = tag(1, VARINT) + varint(_ON_THE_HOSTS_NETWORK)
        config = _text(1, metadata) + _text(3, "/var/log/pods")
        config += _text(8, _text(2, _text(1, network)))
        return self._create(_Made(_call("RunPodSandbox", _text(1, config)), config, name, words))

    def _create(self, made: _Made, attempt: int = 0) -> str:
        metadata = _text(1, made.name) + tag(2, VARINT) + varint(attempt)
        own = _text(1, metadata) + _text(2, _text(1, "docker.io/library/box:1"))
        own += b"".join(_text(3, word) for word in made.words)
        labels = {
            "pod.name": f"pod-of-{made.name}",
            "pod.namespace": "shop",
            "container.name": made.name,
        }
        for label, value in labels.items():  # as kubelet gives them
            own += _text(9, _text(1, f"io.kubernetes.{label}") + _text(2, value))
        request = _text(1, made.pod) + _text(2, own) + _text(3, made.configuration)
        id_ = _call("CreateContainer", request)
        _call("StartContainer", _text(1, id_))
        self._made[id_] = made
        return id_

    def execute(self, container: str, words: list[str]) -> None:
        _call("ExecSync", _text(1, container) + b"".join(_text(2, word) for word in words))

    def pause(self, container: str) -> None:
        self.command("task", "pause", container)
        self.command("task", "resume", container)

    def restart(self, container: str) -> str:
        """As kubelet does it: another container of the same name, in the same pod."""
        _call("RemoveContainer", _text(1, container))
        return self._create(self._made[container], attempt=1)

    def remove(self, container: str) -> None:
        self.command("task", "kill", "-s", "KILL", container)
