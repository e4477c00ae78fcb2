# SPDX-License-Identifier: Apache-2.0
"""Calls of the agent's API, by the flags that all commands have."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional

from tetrapy.api.client import Channel, ClientTls
from tetrapy.api.grpc import CANCELLED, UNAVAILABLE, RpcError, Status
from tetrapy.cli.btf.output import error_text, warn
from tetrapy.cli.client.arguments import Values
from tetrapy.cli.client.info_file import server_address
from tetrapy.errors import SettingsError, TetrapyError

Message = Dict[str, Any]

SENSORS, EVENT_LOG = "FineGuidanceSensors", "EventLogService"
_SECOND = 1e9  # of the flags' nanoseconds


class CallError(TetrapyError):
    """A call ended otherwise than well."""

    def __init__(self, what: str, status: Status) -> None:
        super().__init__(f"failed to {what}: {status_text(status)}")
        self.code = status.code


def call(options: Values, what: str, method: str, request: Optional[Message] = None) -> Message:
    """The reply to a call of `Service/Method`.

    When nobody answers it is tried again, as often as --retries says. Raises CallError, which
    begins with `failed to ` and what was wanted, and TetrapyError for what cannot be asked.
    """
    deadline = time.monotonic() + options["timeout"] / _SECOND
    attempt = 0
    while True:
        left = max(deadline - time.monotonic(), 0.001)
        try:
            with _channel(options, left) as channel:
                return channel.unary(method, request or {}, left)
        except RpcError as err:
            # As gRPC: less than 1, 2, 4 ... seconds, so that many clients do not come at once.
            pause = random.uniform(0, 2.0**attempt)  # noqa: S311 - nothing is kept secret by it
            if err.status.code != UNAVAILABLE or attempt >= options["retries"]:
                raise CallError(what, err.status) from None
            if time.monotonic() + pause >= deadline:
                raise CallError(what, err.status) from None
            if options["debug"]:
                warn(f"DEBUG: {status_text(err.status)}; trying again in {pause:.1f} s")
            time.sleep(pause)
            attempt += 1


@contextmanager
def replies(options: Values, method: str, request: Message) -> Iterator[Iterator[Message]]:
    """The replies of a call that has no end of its own. Raises RpcError."""
    with _channel(options, options["timeout"] / _SECOND) as channel:
        yield channel.stream(method, request)


def status_text(status: Status) -> str:
    """A status in the words of gRPC for Go."""
    name = "Canceled" if status.code == CANCELLED else status.name.title().replace("_", "")
    return f"rpc error: code = {name} desc = {status.message}"


def _channel(options: Values, timeout: float) -> Channel:
    address = options["server-address"] or server_address()
    return Channel(address, _tls(options), timeout, options["max-recv-size"])


def _tls(options: Values) -> Optional[ClientTls]:
    """How to speak TLS, if a flag asks for it. Raises SettingsError, TetrapyError."""
    certificate, key = options["tls-cert-file"], options["tls-key-file"]
    authorities, skip = options["tls-ca-cert-files"], options["tls-skip-verify"]
    if not (certificate or key or authorities or options["tls-server-name"] or skip):
        return None
    if bool(certificate) != bool(key):
        raise SettingsError("--tls-cert-file and --tls-key-file must be set together")
    if skip and authorities:
        raise SettingsError(
            "--tls-skip-verify leaves --tls-ca-cert-files without effect: give one of them"
        )
    tls = ClientTls(authorities, certificate, key, options["tls-server-name"], skip)
    try:
        tls.context()
    except OSError as err:
        raise TetrapyError(f"building TLS credentials: {error_text(err)}") from None
    return tls
