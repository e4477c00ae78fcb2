# SPDX-License-Identifier: Apache-2.0
"""TLS and client certificates at the TCP address, and what is said without them."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

import grpc
import pytest

from tests.support.agent import Agent
from tests.support.api_client import Client
from tests.support.authority import Authority

pytestmark = [pytest.mark.root, pytest.mark.pyz, pytest.mark.kernel]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def credentials(authority: Authority, own: tuple[Path, Path] | None = None) -> object:
    certificate, key = (own[0].read_bytes(), own[1].read_bytes()) if own else (None, None)
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate)


def test_certificates_of_both_sides(tmp_path: Path) -> None:
    """The right client is served; one without a certificate, with a stranger's, or without TLS is
    not, and the agent goes on.
    """
    ours, strangers = Authority(tmp_path, "ours"), Authority(tmp_path, "strangers")
    certificate, key = ours.sign("server")
    port = free_port()
    flags = [
        f"--server-address=localhost:{port}",
        f"--server-tls-cert-file={certificate}",
        f"--server-tls-key-file={key}",
        f"--server-tls-client-ca-files={ours.certificate}",
        "--server-tls-require-client-cert",
    ]
    with Agent(tmp_path / "agent", *flags) as agent:
        agent.started()
        target = f"localhost:{port}"
        wrong = [
            credentials(ours),
            credentials(ours, strangers.sign("mallory")),
            credentials(strangers, ours.sign("eve")),
            None,
        ]
        for one in wrong:
            with Client(target, one) as client, pytest.raises(grpc.RpcError) as caught:
                client.call("GetVersion", timeout=20)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with Client(target, credentials(ours, ours.sign("ann"))) as client:
            assert client.call("GetVersion")
            client.call("SetDebug", {"level": "LOG_LEVEL_DEBUG"})
        assert "commonName=ann" in agent.log
        assert "without TLS" not in agent.log
        agent.fence()
        assert agent.stop() == 0


def test_without_tls_there_is_a_warning(tmp_path: Path) -> None:
    """On every address of the machine, but not on loopback; the health service is there too."""
    port, health = free_port(), free_port()
    flags = [f"--server-address=0.0.0.0:{port}", f"--health-server-address=localhost:{health}"]
    with Agent(tmp_path / "agent", *flags) as agent:
        agent.started()
        assert "exposing the API without TLS" in agent.log
        with Client(f"127.0.0.1:{port}") as client:
            assert client.call("GetVersion")
            assert client.call("/grpc.health.v1.Health/Check", {}) == {"status": "SERVING"}
        with Client(f"localhost:{health}") as client:
            asked = {"service": "liveness"}
            assert client.call("/grpc.health.v1.Health/Check", asked) == {"status": "SERVING"}
            with pytest.raises(grpc.RpcError) as caught:
                client.call("/grpc.health.v1.Health/Check", {"service": "x"})
            assert caught.value.code() == grpc.StatusCode.NOT_FOUND
            with pytest.raises(grpc.RpcError) as caught:
                client.call("GetVersion")
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_key_that_is_none_ends_the_start(tmp_path: Path) -> None:
    """Who asks for TLS is not left without it."""
    file = tmp_path / "x.pem"
    file.write_text("no certificate")
    flags = [f"--server-tls-cert-file={file}", f"--server-tls-key-file={file}"]
    with Agent(tmp_path / "agent", f"--server-address=localhost:{free_port()}", *flags) as agent:
        assert agent.wait() == 255
        assert "--server-tls-cert-file" in agent.log


def hello(authority: Authority) -> bytes:
    """What a client says first."""
    context = ssl.create_default_context(cafile=authority.certificate)
    context.set_alpn_protocols(["h2"])
    said = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def test_handshakes_that_never_end(tmp_path: Path) -> None:
    """Who begins hundreds of them, and says a byte now and then, keeps no other client from being
    served, and no event from being written.
    """
    ours = Authority(tmp_path, "ours")
    certificate, key = ours.sign("server")
    port = free_port()
    flags = [f"--server-address=localhost:{port}", f"--server-tls-cert-file={certificate}"]
    said = hello(ours)
    with (
        contextlib.ExitStack() as open_ones,
        Agent(tmp_path / "agent", *flags, f"--server-tls-key-file={key}") as agent,
    ):
        agent.started()
        slow = []
        for _ in range(200):
            one = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(said[:-9])
            slow.append(one)
        for at in range(len(said) - 9, len(said) - 1):
            for one in slow:
                with contextlib.suppress(ConnectionError):  # given up for others by now
                    one.sendall(said[at : at + 1])
            with Client(f"localhost:{port}", credentials(ours)) as client:
                assert client.call("GetVersion")
            agent.fence()
        assert agent.stop() == 0
