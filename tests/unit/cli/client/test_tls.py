# SPDX-License-Identifier: Apache-2.0
"""The client's flags of TLS, against a server of gRPC's own library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.authority import Authority
from tests.unit.cli.client.server import Server
from tetrapy.cli.client import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # keys are made

OK = "Health Status: no status available\n"


def test_certificates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the server, checked by those who signed it; of the client, where the server asks."""
    ours, strangers = Authority(tmp_path, "ours"), Authority(tmp_path, "strangers")
    certificate, key = ours.sign("server")
    own = ours.sign("client")
    credentials: Any = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=ours.certificate.read_bytes(),
        require_client_auth=True,
    )
    mutual = ["--tls-cert-file", str(own[0]), "--tls-key-file", str(own[1])]
    with Server("localhost:0", credentials) as server:
        port = server.address.rpartition(":")[2]

        def status(*flags: str, host: str = "localhost") -> tuple[int, str]:
            words = ["status", "--retries", "0", "--server-address", f"{host}:{port}", *flags]
            code = main(words, "tetra")
            return code, capsys.readouterr().out

        trusted = ["--tls-ca-cert-files", str(ours.certificate)]
        assert status(*mutual, *trusted) == (0, OK)
        assert status(*mutual, "--tls-skip-verify") == (0, OK)
        named = ["--tls-server-name", "localhost"]
        assert status(*mutual, *trusted, *named, host="127.0.0.1") == (0, OK)
        # Another name than the certificate has, other authorities, no certificate, no TLS.
        assert status(*mutual, *trusted, host="127.0.0.1") == (1, "")
        assert status(*mutual, "--tls-ca-cert-files", str(strangers.certificate)) == (1, "")
        assert status(*trusted) == (1, "")
        assert status() == (1, "")
