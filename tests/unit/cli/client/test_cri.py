# SPDX-License-Identifier: Apache-2.0
"""`cri`, against a runtime that is a server of gRPC's own library."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tetrapy.cli.client import cri, main
from tetrapy.errors import TetrapyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# VersionResponse in protobuf: version, runtime_name, runtime_version, runtime_api_version.
VERSION = b"\x0a\x02" + b"v9" + b"\x12\x0a" + b"containerd" + b"\x1a\x02v2" + b"\x22\x02v1"


def status(info: str) -> bytes:
    """ContainerStatusResponse: an entry `info` of the map."""
    entry = b"\x0a\x04info\x12" + bytes([len(info)]) + info.encode()
    return b"\x0a\x00\x12" + bytes([len(entry)]) + entry


class Runtime:
    """Answers to Version and ContainerStatus; `asked` has the requests of the latter."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.info = json.dumps({"runtimeSpec": {"linux": {"cgroupsPath": "/a/b"}}})
        self.asked: list[bytes] = []
        answers = {"Version": lambda *_: VERSION, "ContainerStatus": self._status}
        handlers = {n: grpc.unary_unary_rpc_method_handler(f) for n, f in answers.items()}
        self.server = grpc.server(ThreadPoolExecutor(1))
        service = "runtime.v1.RuntimeService"
        self.server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, handlers)]
        )
        self.server.add_insecure_port(address)

    def _status(self, request: bytes, _context: Any) -> bytes:
        self.asked.append(request)
        return status(self.info)


@pytest.fixture(name="runtime")
def fixture_runtime(tmp_path: Path) -> Iterator[Runtime]:
    """One on a unix socket."""
    runtime = Runtime(f"unix://{tmp_path}/socket")
    runtime.server.start()
    yield runtime
    runtime.server.stop(0).wait()


def test_version(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    """Four texts, or a document."""
    assert main(["cri", "version", "-r", runtime.address], "tetra") == 0
    assert capsys.readouterr().out == (
        'version:"v9" runtime_name:"containerd" runtime_version:"v2" runtime_api_version:"v1"\n'
    )
    main(["cri", "version", "-o", "json", "-r", runtime.address], "tetra")
    assert json.loads(capsys.readouterr().out)["runtime_name"] == "containerd"


def test_the_machines_runtime(
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a container without that socket the machine's is asked."""
    there = tmp_path / "proc/1/root/run"
    there.mkdir(parents=True)
    os.link(tmp_path / "socket", there / "own.sock")
    monkeypatch.setattr(cri, "ENDPOINTS", ("unix:///run/own.sock",))
    monkeypatch.setenv("TETRAPY_PROCFS", str(tmp_path / "proc"))
    assert main(["cri", "version"], "tetra") == 0
    assert "containerd" in capsys.readouterr().out


def test_cgroup_path(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what the runtime tells of the container in its verbose answer."""
    assert main(["cri", "cgroup_path", "abc", "-r", runtime.address], "tetra") == 0
    assert capsys.readouterr().out == "/a/b\n"
    assert runtime.asked == [b"\x0a\x03abc\x10\x01"]
    for info in ("{}", "x", "[]"):
        runtime.info = info
        assert main(["cri", "cgroup_path", "abc", "-r", runtime.address], "tetra") == 1
        assert "failed to find cgroupsPath" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/kubepods/x", "/kubepods/x"),
        ("system.slice:runc:434", "/system.slice/runc-434.scope"),
        ("a-b-c.slice:cri:x", "/a.slice/a-b.slice/a-b-c.slice/cri-x.scope"),
        ("-.slice:cri:x", "/cri-x.scope"),
        ("a.slice:cri:b.slice", "/a.slice/b.slice"),
    ],
)
def test_paths(text: str, path: str) -> None:
    """Paths as they are, and slices of systemd one in the other."""
    assert cri.path_of(text) == path


@pytest.mark.parametrize(
    "text", ["", "a:b", "a.slice:b:c:d", "x:y:z", "a--b.slice:c:d", ".slice:c:d"]
)
def test_what_is_no_path(text: str) -> None:
    """It is refused."""
    with pytest.raises(TetrapyError, match="cgroup path"):
        cri.path_of(text)


def test_no_runtime(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What was tried is told."""
    assert main(["cri", "version", "-r", "tcp://localhost:1"], "tetra") == 1
    assert "only unix endpoints" in capsys.readouterr().err
    assert main(["cri", "version", "-r", f"unix://{tmp_path}/none"], "tetra") == 1
    assert f'for endpoint "unix://{tmp_path}/none"' in capsys.readouterr().err
