# SPDX-License-Identifier: Apache-2.0
"""Containers out of the sockets of runtimes: Docker's API by HTTP, and CRI by gRPC."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.agent import until
from tetrapy.api import client
from tetrapy.api.wire import BYTES, VARINT, sized, tag, varint
from tetrapy.config.settings import Settings, defaults
from tetrapy.containers import engine_api
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.engine_api import EngineApi
from tetrapy.daemon import containers as module
from tetrapy.daemon.cri import CriSocket
from tetrapy.process.table import ProcessTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "5ca1ab1e" * 8
REF = ContainerRef(ID[:31], ID, "")


@contextlib.contextmanager
def engine(path: Path, answer: bytes) -> Iterator[list[bytes]]:
    """A socket that answers every request so; yields the requests."""
    requests: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        requests.append(connection.recv(4096))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield requests
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


CONTENT = {
    "Id": ID,
    "Name": "/web",
    "Image": "sha256:" + "c" * 64,
    "State": {"StartedAt": "2026-02-03T04:05:06.7Z"},
    "Config": {"Image": "nginx:1.25", "Labels": {"tier": "front"}},
}
OK = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


def test_docker(tmp_path: Path) -> None:
    """All that its files have as well."""
    with engine(tmp_path / "docker.sock", OK + json.dumps(CONTENT).encode()) as requests:
        pod = EngineApi(str(tmp_path / "docker.sock"), "docker").find(REF)
    assert requests[0].startswith(f"GET /containers/{ID}/json HTTP/1.0\r\n".encode())
    container = pod.container
    assert (container.id, container.name) == (f"docker://{ID}", "web")
    assert container.image == ("sha256:" + "c" * 64, "nginx:1.25")
    assert container.start_time == "2026-02-03T04:05:06.7Z"
    assert container.labels == {"tier": "front"}


@pytest.mark.parametrize("answer", [b"HTTP/1.0 404 Not Found\r\n\r\n{}", b"HTTP/1.0", b""])
def test_docker_does_not_know_it(tmp_path: Path, answer: bytes) -> None:
    """No answer is no container."""
    with engine(tmp_path / "docker.sock", answer):
        assert EngineApi(str(tmp_path / "docker.sock"), "docker").find(REF) is None


@pytest.mark.parametrize("body", [b"", b"x", b"[" * 9999, b"[]"])
def test_docker_answers_nonsense(tmp_path: Path, body: bytes) -> None:
    """Whoever asks goes on to the next source."""
    with engine(tmp_path / "docker.sock", OK + body), pytest.raises((ValueError, AttributeError)):
        EngineApi(str(tmp_path / "docker.sock"), "docker").find(REF)


class Clock:
    """A second goes by with each look."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        """Seconds."""
        self.now += 1.0
        return self.now


def test_docker_answers_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However fast its bytes come, they are waited for no longer than TIMEOUT in all."""
    path = str(tmp_path / "docker.sock")
    with engine(tmp_path / "docker.sock", OK + b" " * (1 << 20)):
        monkeypatch.setattr(engine_api, "time", Clock())
        with pytest.raises(TimeoutError, match="no end of an answer"):
            EngineApi(path, "docker").find(REF)


def text(number: int, value: str | bytes) -> bytes:
    """A field of bytes."""
    return tag(number, BYTES) + sized(value.encode() if isinstance(value, str) else value)


STATUS = b"".join(
    [
        text(1, ID),
        text(2, text(1, "app") + tag(2, VARINT) + varint(3)),
        tag(3, VARINT) + varint(1),
        tag(5, VARINT) + varint(1_770_091_506_000_000_007),
        text(8, text(1, "docker.io/library/nginx:1.25")),
        text(9, "docker.io/library/nginx@sha256:ab"),
        text(12, text(1, "io.kubernetes.pod.name") + text(2, "web-5d")),
        text(12, text(1, "io.kubernetes.pod.namespace") + text(2, "shop")),
        text(12, text(1, "io.kubernetes.pod.uid") + text(2, "0f6f7d4e")),
        text(12, text(1, "tier") + text(2, "front")),
    ]
)


@contextlib.contextmanager
def cri(path: Path) -> Iterator[list[bytes]]:
    """A runtime that knows one container; yields the requests."""
    requests: list[bytes] = []

    def status(request: bytes, context: Any) -> bytes:
        requests.append(request)
        if request != text(1, ID):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such container")
        return text(1, STATUS)

    server = grpc.server(ThreadPoolExecutor(1))
    method = grpc.unary_unary_rpc_method_handler(status)
    service = {"ContainerStatus": method}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", service)]
    )
    server.add_insecure_port(f"unix://{path}")
    server.start()
    yield requests
    server.stop(None).wait()


def test_cri(tmp_path: Path) -> None:
    """Container, image, start, and the pod by kubelet's labels."""
    path = tmp_path / "containerd.sock"
    with cri(path):
        source = CriSocket(str(path), "containerd")
        pod = source.find(REF)
        assert source.find(REF._replace(id="0" * 64)) is None
    assert (pod.namespace, pod.name, pod.uid) == ("shop", "web-5d", "0f6f7d4e")
    assert pod.pod_labels == {"tier": "front"}
    container = pod.container
    assert (container.id, container.name) == (f"containerd://{ID}", "app")
    assert container.image == ("docker.io/library/nginx@sha256:ab", "docker.io/library/nginx:1.25")
    assert container.start_time == "2026-02-03T04:05:06.000000007Z"


@contextlib.contextmanager
def endless_cri(path: Path) -> Iterator[list[int]]:
    """A runtime that answers again and again; yields how many answers it gave."""
    count = [0]

    def status(_request: bytes, _context: Any) -> Iterator[bytes]:
        while count[0] < 10_000:
            count[0] += 1
            yield text(1, STATUS) + text(15, bytes(50_000))

    server = grpc.server(ThreadPoolExecutor(1))
    service = {"ContainerStatus": grpc.unary_stream_rpc_method_handler(status)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", service)]
    )
    server.add_insecure_port(f"unix://{path}")
    server.start()
    yield count
    server.stop(None).wait()


def test_cri_answers_without_end(tmp_path: Path) -> None:
    """The first answer is taken, and the connection closed."""
    path = tmp_path / "containerd.sock"
    with endless_cri(path) as count:
        pod = CriSocket(str(path), "containerd").find(REF)
        assert pod is not None
        assert pod.name == "web-5d"
    assert count[0] < 1000


def test_a_deadline_holds_while_bytes_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is never waited for is not listened to for longer either."""
    path = tmp_path / "containerd.sock"
    with endless_cri(path) as count, client.Channel(f"unix://{path}") as channel:
        monkeypatch.setattr(client, "time", Clock())
        replies = channel.stream_bytes("/runtime.v1.RuntimeService/ContainerStatus", b"", 50.0)
        with pytest.raises(client.RpcError) as caught:
            for _ in replies:
                pass
        assert caught.value.status.code == client.DEADLINE_EXCEEDED
    assert count[0] < 1000


class Loop:
    """What the daemon gives names to."""

    def __init__(self) -> None:
        self.table = ProcessTable("node", "")
        self.pending: Any = None
        self.changed: list[Any] = []

    def containers_changed(self, changed: list[Any]) -> None:
        """What is told of containers."""
        self.changed += changed


def test_the_sockets_of_the_settings(tmp_path: Path) -> None:
    """Each by the protocol that its name tells; those that are not there are left out."""
    known = {"runc": tmp_path / "docker.sock", "cri": tmp_path / "crio.sock"}
    sockets = (str(tmp_path / "podman.sock"), *map(str, known.values()))
    values = {**defaults(), "container-directories": (), "container-sockets": sockets}
    loop = Loop()
    watched = module.watch(Settings(values), loop, "")
    other = ContainerRef("0" * 31, "0" * 64, "cri-o")
    answer = OK + json.dumps(CONTENT).encode()
    with engine(known["runc"], answer), cri(known["cri"]) as asked:
        for ref in (REF, REF._replace(runtime="cri-o"), other):
            loop.table.containers(ref)
        found: list[Any] = []
        until(lambda: found.extend(watched.settle()) or not watched.unanswered, "answers")
    watched.close()
    assert [membership for _, membership in loop.changed] == found
    assert [one.pod.container.id for one in found if one.pod] == [
        f"docker://{ID}",
        f"cri-o://{ID}",
        f"docker://{'0' * 64}",  # this Docker knows every id
    ]
    assert len(asked) == 2


def test_a_socket_behind_a_link_of_the_machine(tmp_path: Path) -> None:
    """/var/run is often a link to /run: to the machine's, for an agent in a container."""
    root = tmp_path / "1/root"
    (root / "run").mkdir(parents=True)
    (root / "var").mkdir()
    (root / "var/run").symlink_to("/run")
    sockets = ("/var/run/docker.sock",)
    values = {**defaults(), "container-directories": (), "container-sockets": sockets}
    loop = Loop()
    watched = module.watch(Settings(values), loop, str(tmp_path))
    with engine(root / "run/docker.sock", OK + json.dumps(CONTENT).encode()):
        membership = loop.table.containers(REF)
        until(lambda: watched.settle() or not watched.unanswered, "an answer")
    watched.close()
    assert membership.pod is not None
    assert membership.pod.container.name == "web"
