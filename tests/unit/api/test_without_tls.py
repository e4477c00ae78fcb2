# SPDX-License-Identifier: Apache-2.0
"""A Python without OpenSSL: the unix socket needs none, and TLS says what it lacks."""

from __future__ import annotations

import subprocess
import sys

from tests.support.agent import ROOT

SCRIPT = """
import sys
sys.modules["ssl"] = None  # as where it cannot be imported
from tetrapy.api import client, peer, tls
from tetrapy.api.server import Server
try:
    client.ClientTls().context()
except OSError as err:
    print(err)
try:
    tls.server_context("cert", "key", (), demand=False)
except tls.TlsError as err:
    print(err)
"""


def test_both_ends_do_without() -> None:
    """Only who asks for TLS hears that there is none."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT / "agent")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    of_client, of_server = done.stdout.splitlines()
    assert of_client.startswith("TLS cannot be spoken: ")
    assert of_server.startswith("--server-tls-cert-file: this Python cannot speak TLS (")
