# SPDX-License-Identifier: Apache-2.0
"""The API is ready before the first container where runtimes have the agent's hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tetrapy.config.sources import read
from tetrapy.daemon import api as module
from tetrapy.daemon.api import Api


@pytest.mark.parametrize("hooked", [True, False])
def test_ready_where_a_hook_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hooked: bool
) -> None:
    """Once, at the first tick; elsewhere a client begins. What fails then ends the API alone."""
    file = tmp_path / "hooks.d/tetrapy.json"
    file.parent.mkdir()
    monkeypatch.setattr(module, "_HOOKS", (str(tmp_path / "none"), str(file)))
    monkeypatch.setattr(module, "host_root", lambda _: "")
    if hooked:
        file.write_text("{}")
    made, logged = [], []

    def make() -> object:
        made.append(1)
        raise ImportError("_struct")

    settings = read([f"--server-address=unix://{tmp_path}/socket"], {})
    api = Api(settings, lambda *words, **_: logged.append(words))
    api.watch(make)  # type: ignore[arg-type] # it makes nothing
    assert made == []
    for now in range(3):
        api.tick(now)
    assert made == [1] * hooked
    assert ("error", "The gRPC API ends, the agent goes on") in logged or not hooked
    if not hooked:
        api.close()
