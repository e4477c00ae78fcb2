# SPDX-License-Identifier: Apache-2.0
"""The hook for other repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.support.paths import ROOT
from tests.support.policies import kprobe
from tetrapy.cli.main import main


def test_the_hook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it runs fails for a policy that is wrong, and passes over files that are none."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert {"id", "name", "entry", "language", "types_or"} <= set(hook)
    program, *words = hook["entry"].split()
    assert program == "tetrapy"
    for name, text in {"a.yaml": kprobe(), "b.yaml": "kind: Service\n"}.items():
        (tmp_path / name).write_text(text)
    files = [str(tmp_path / name) for name in ("a.yaml", "b.yaml")]
    assert main([*words, *files]) == 0
    (tmp_path / "a.yaml").write_text(kprobe(", selector: []"))
    assert main([*words, *files]) == 1
    assert "spec.kprobes[0].selector" in capsys.readouterr().err
