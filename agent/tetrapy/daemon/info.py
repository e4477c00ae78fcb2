# SPDX-License-Identifier: Apache-2.0
"""The info file: what runs here and how, for tools that look after the agent.

Names of the keys are those of Tetragon's tetragon-info.json; `btf_source`, `btf_kind`, `sensor`,
`blind` (what the sensor cannot see) and `policies` (what `tetrapy policy list` shows) are ours.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict

from tetrapy.btf.source import BtfSource
from tetrapy.config.settings import Settings
from tetrapy.daemon.policies import Policies
from tetrapy.pidfile import RUN_DIRECTORY
from tetrapy.sensors.source import EventSource

NAME = "tetrapy-info.json"
TETRAGON = "/var/run/tetragon/tetragon-info.json"  # where Tetragon's client looks

Log = Callable[..., None]


class InfoFile:
    """`tetrapy-info.json` in the run directory, from start to stop; Tetragon's too when asked."""

    def __init__(
        self,
        settings: Settings,
        source: BtfSource,
        sensor: EventSource,
        policies: Policies,
        server_address: str,
        log: Log,
    ) -> None:
        """Write it; what cannot be written is logged, for the agent does not depend on it."""
        self.paths = [os.path.join(RUN_DIRECTORY, NAME)]
        if settings.tetragon_info_file:
            self.paths.append(TETRAGON)
        self._policies = policies
        self._log = log
        self._content: Dict[str, Any] = {
            "export_fname": settings.export_filename,
            "lib_dir": settings.bpf_lib,
            "btf_fname": source.origin,
            "btf_kind": source.kind,
            "btf_source": source.description,
            "server_address": server_address or settings.server_address,
            "metrics_address": settings.metrics_server,
            "sensor": sensor.name,
            "blind": list(sensor.blind),
            "pid": os.getpid(),
        }
        self.write()

    def write(self) -> None:
        """Write it again: policies may have changed."""
        content = {**self._content, "policies": self._policies.described()}
        for path in self.paths:
            _write(path, content, self._log)

    def remove(self) -> None:
        """Remove it; nothing happens if it is gone."""
        for path in self.paths:
            _unlink(path)


def _write(path: str, content: Dict[str, Any], log: Log) -> None:
    aside = f"{path}.{os.getpid()}"
    # What bears this name already, be it a link or a FIFO, is never opened.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        if path == TETRAGON:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        _unlink(aside)
        with open(os.open(aside, flags, 0o644), "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.rename(aside, path)
    except OSError as err:
        _unlink(aside)
        log("warn", "No info file", path=path, error=err.strerror)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
