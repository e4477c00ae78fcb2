# SPDX-License-Identifier: Apache-2.0
"""The policies that tetrapy carries; tests/vm/test_policy_library.py has them at work."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tetrapy.cli.main import main
from tetrapy.cli.policy.check import check_file
from tetrapy.cli.policy.kernel import Kernel, kernel_of
from tetrapy.daemon import policy_library

FILES = sorted((ROOT / "policies").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
BUILT = ROOT / "build/bundle/policies/library.json"
CORPUS = Path(os.environ.get("TETRAPY_BTFS", ""), "debian")
KERNELS = [
    *(str(path) for path in [Path("/sys/kernel/btf/vmlinux")] if path.exists()),
    *(str(path) for path in CORPUS.glob("*/*/*[0-9]-a*64.btf") if "TETRAPY_BTFS" in os.environ),
]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_policy(path: Path) -> None:
    """It keeps the rules without a warning, is named as its file, and says what it is for."""
    report, code = check_file(str(path), [])
    assert (code, report["warnings"], report["later"]) == (0, [], [])
    assert report["name"] == path.stem
    first, notes = policy_library.header(path.read_text())
    assert first.endswith(".")
    for word in ("Sees", "Does not see:", "Cost:", "Needs:"):
        assert any(line.startswith(word) for line in notes), word


if KERNELS:

    @pytest.fixture(name="kernel", scope="module", params=KERNELS)
    def fixture_kernel(request: pytest.FixtureRequest) -> Kernel:
        """A kernel with full BTF: this one, and with TETRAPY_BTFS those of a corpus."""
        return kernel_of(str(request.param))

    @pytest.mark.slow
    def test_a_kernel_has_what_they_hook(kernel: Kernel) -> None:
        """Functions, arguments and members, but for what a kernel was built without."""
        found = []
        for path in FILES:
            report, _ = check_file(str(path), [kernel])
            (answer,) = report["kernels"]
            found += [*answer["errors"], *answer["warnings"], *answer["unanswered"]]
        allowed = ("the kernel has no kprobes", "the hook is left out (callNotFound)")
        assert [one for one in found if not any(word in one["message"] for word in allowed)] == []


@pytest.mark.skipif(not BUILT.is_file(), reason="nothing is built")
def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """They are listed and shown as they are, and taken in place of files."""
    assert main(["policy", "library", "-o", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["policies"]
    assert [row["name"] for row in rows] == NAMES
    assert main(["policy", "library", "show", "mounts"]) == 0
    assert capsys.readouterr().out == (ROOT / "policies/mounts.yaml").read_text()
    assert main(["policy", "check", "library:mounts"]) == 0
    assert main(["policy", "explain", "library:mounts"]) == 0
    capsys.readouterr()
    assert main(["policy", "check", "library:mount"]) == 2
    assert "did you mean mounts?" in capsys.readouterr().err
    assert main(["policy", "library", "shw", "mounts"]) == 2
