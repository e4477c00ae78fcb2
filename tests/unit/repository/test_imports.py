# SPDX-License-Identifier: Apache-2.0
"""What may import what, as far as import-linter (pyproject.toml) does not say it."""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tools.zipapp import imported_at_start

AGENT = ROOT / "agent"
MODULES = sorted(AGENT.rglob("*.py"))

# Third-party packages of the bundle, and the rooms that may know of them. "" is agent/__main__.py.
BUNDLED = {
    "h2": {"api"},
    "celpy": {"filters"},
    "lark": {"filters"},
    "importlib_resources": {"kernel"},
    "orjson": {"json_codec"},
    "pyroute2": {"kernel"},
    "yaml": {"config", "policy"},
}


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """The absolute names of the modules that a source file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.add(str(node.module))
    return frozenset(found)


def room(path: Path) -> str:
    """The room of the architecture that a source file belongs to; "" outside the package."""
    parts = path.relative_to(AGENT).with_suffix("").parts
    return parts[1] if parts[0] == "tetrapy" and len(parts) > 1 else ""


def name(path: Path) -> str:
    """The path of a source file below agent/."""
    return str(path.relative_to(AGENT))


def packages(path: Path) -> set[str]:
    """The top-level names of what a source file imports."""
    return {module.split(".")[0] for module in imports(path)}


@pytest.mark.slow
def test_only_the_kernel_room_talks_to_native_code() -> None:
    """ctypes is imported nowhere but in tetrapy.kernel."""
    others = [path for path in MODULES if room(path) != "kernel"]
    assert [name(path) for path in others if packages(path) & {"ctypes", "_ctypes"}] == []


def test_a_third_party_package_stays_in_its_rooms() -> None:
    """A module imports the standard library, tetrapy, and what its room may of the bundle."""
    known = {*sys.stdlib_module_names, "tetrapy", "__future__"}
    for path in MODULES:
        allowed = {package for package, rooms in BUNDLED.items() if room(path) in rooms}
        assert packages(path) - known - allowed == set(), name(path)


# Who writes or reads one short document at each start: docs/decisions/json.md.
WITHOUT_ORJSON = {
    "tetrapy/json_codec.py",
    "tetrapy/visible.py",  # which makes strings ASCII: orjson does not
    "tetrapy/daemon/info.py",
    "tetrapy/daemon/policy_reader.py",
    "tetrapy/kernel/reference_process/namespace_owner.py",
    "tetrapy/kernel/reference_process/process.py",
}


def test_json_is_read_and_written_by_the_codec() -> None:
    """The standard library's json is imported by it and by those."""
    users = {name(path) for path in MODULES if {"json", "json.encoder"} & imports(path)}
    assert users == WITHOUT_ORJSON


def test_a_kernel_with_btf_does_not_pay_for_those_without() -> None:
    """What a start imports before it has looked at the kernel holds no inference, no archive."""
    files = imported_at_start()
    assert "tetrapy/btf/discovery.py" in files
    others = (
        *("btf/fallbacks", "btf/archive", "btf/inference", "btf/harvest", "cli/btf", "metrics"),
        *("daemon/figures", "daemon/reload", "daemon/metrics_server", "kernel/connector"),
        *("kernel/pyroute2", "filters/cel", "filters/regex", "sensors/connector"),
    )
    present = [name(path) for path in MODULES]
    for other in others:
        assert any(file.startswith(f"tetrapy/{other}") for file in present), other
        assert not [file for file in files if file.startswith(f"tetrapy/{other}")]
