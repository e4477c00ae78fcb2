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
from tetrapy.sensors.source import EventSource

NAME = "tetrapy-info.json"

Log = Callable[..., None]


class InfoFile:
    """`<directory>/tetrapy-info.json`, from start to stop."""

    def __init__(
        self,
        directory: str,
        settings: Settings,
        source: BtfSource,
        sensor: EventSource,
        policies: Policies,
        log: Log,
    ) -> None:
        """Write it; what cannot be written is logged, for the agent does not depend on it."""
        self.path = os.path.join(directory, NAME)
        content: Dict[str, Any] = {
            "export_fname": settings.export_filename,
            "lib_dir": settings.bpf_lib,
            "btf_fname": source.origin,
            "btf_kind": source.kind,
            "btf_source": source.description,
            "metrics_address": settings.metrics_server,
            "sensor": sensor.name,
            "blind": list(sensor.blind),
            "pid": os.getpid(),
            "policies": policies.described(),
        }
        aside = f"{self.path}.{os.getpid()}"
        # What bears this name already, be it a link or a FIFO, is never opened.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            _unlink(aside)
            with open(os.open(aside, flags, 0o644), "w", encoding="utf-8") as file:
                json.dump(content, file)
            os.rename(aside, self.path)
        except OSError as err:
            _unlink(aside)
            log("warn", "No info file", path=self.path, error=err.strerror)

    def remove(self) -> None:
        """Remove it; nothing happens if it is gone."""
        _unlink(self.path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
