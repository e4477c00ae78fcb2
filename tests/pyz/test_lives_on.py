# SPDX-License-Identifier: Apache-2.0
"""The file is replaced, overwritten or removed below a running agent: nothing changes for it."""

from __future__ import annotations

import ast
import functools
import gzip
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pyz.conftest import needs_root
from tests.pyz.test_hosts import GOOD, PYTHONS
from tests.support.agent import PYZ, ROOT, Agent, until

AGENT = ROOT / "agent"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class OfVersion(ast.NodeTransformer):
    """What a CPython runs of `if sys.version_info >= (...):`."""

    def __init__(self, version: str) -> None:
        self.version = tuple(map(int, version.split(".")))

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if not ast.unparse(node.test).startswith("sys.version_info >= "):
            return node
        assert isinstance(node.test, ast.Compare)
        least = ast.literal_eval(node.test.comparators[0])
        return node.body if self.version >= least else node.orelse


@functools.cache
def late_imports(version: str) -> list[str]:
    """Each module that a function of the agent imports in this CPython."""
    found = set()
    for path in sorted((AGENT / "tetrapy").rglob("*.py")):
        tree = OfVersion(version).visit(ast.parse(path.read_bytes()))
        for function in (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found |= {f"{node.module}:{alias.name}" for alias in node.names}
    return sorted(found)


OVERWRITE = "open(pyz, 'r+b').write(bytes(range(256)) * 9000)"
# Another file by the same name: an upgrade; the same bytes elsewhere; nothing at all.
FATES = {
    "overwritten": OVERWRITE,
    "emptied": "open(pyz, 'wb').close()",
    "replaced": "open(pyz + '.new', 'wb').write(b'x' * 3_000_000); os.rename(pyz + '.new', pyz)",
    "removed": f"{OVERWRITE}; os.unlink(pyz)",
    "moved": "os.rename(os.path.dirname(pyz), os.path.dirname(pyz) + '.old')",
}

# Runs the entry as Python does, and imports when the file is not there any more.
LATE = """
import importlib, os, runpy, sys, traceback
pyz, fate, names = sys.argv[1], sys.argv[2], sys.argv[3:]
sys.argv = [pyz, "--version"]
try:
    runpy.run_path(pyz, run_name="__main__")
except SystemExit as err:
    assert not err.code, err.code
exec(fate)
for name in names:
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    if attribute and not hasattr(found, attribute):
        importlib.import_module(module + "." + attribute)
from tetrapy.kernel import bundle
for name in ("btfs/archive.xz", "bpf/base.bpf.o", "bpf/base-perf.bpf.o"):
    assert len(bundle.read(name)) > 1000
from tetrapy.filters.cel.expression import any_holds
from tetrapy.metrics import server
from tetrapy.kernel import pyroute2
pyroute2.part("netlink.connector")
from tetrapy.config.address import Address
try:
    Address.parse("no address")
except Exception as err:
    # The line of the source, out of the copy.
    assert "raise ValueError" in "".join(traceback.format_tb(err.__traceback__))
print("all")
"""


# All of them with the Pythons that have it compiled ahead; the others compile all that they import.
BUILDER = f"{sys.version_info[0]}.{sys.version_info[1]}."
CASES = [
    (version, fate)
    for version in GOOD
    for fate in (FATES if version.startswith(BUILDER) else ("overwritten", "removed"))
]


@pytest.mark.parametrize(("version", "fate"), CASES)
def test_every_late_import(tmp_path: Path, version: str, fate: str) -> None:
    """Each module that is imported within a function can still be, with all that it brings."""
    names = late_imports(version)
    assert len(names) > 40
    assert "tetrapy.daemon.reload:Reload" in names
    (tmp_path / "place").mkdir()
    pyz = shutil.copy(PYZ, tmp_path / "place/tetrapy.pyz")
    done = subprocess.run(
        [PYTHONS[version], "-IS", "-c", LATE, pyz, FATES[fate], *names],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all\n")


def fall(pyz: Path, fate: str) -> None:
    program = f"import os, sys; pyz = sys.argv[1]; {FATES[fate]}"
    subprocess.run(["python3", "-c", program, pyz], check=True)


@needs_root
@pytest.mark.parametrize("rules", [("--export-file-max-backups=0",), ("--export-file-compress",)])
@pytest.mark.parametrize("fate", ["overwritten", "replaced", "removed"])
def test_a_running_agent(tmp_path: Path, fate: str, rules: tuple[str, ...]) -> None:
    """It rotates, compresses, reads its settings again and serves metrics as before."""
    pyz = Path(shutil.copy(PYZ, tmp_path / "tetrapy.pyz"))
    settings = tmp_path / "etc"
    settings.mkdir()
    flags = ("--export-file-rotation-interval=2s", "--metrics-server=localhost:0", *rules)
    agent = Agent(tmp_path / "agent", *flags, "--config-dir", str(settings), code=pyz)
    with agent:
        agent.started()
        fall(pyz, fate)
        address = agent.log.partition("addr=")[2].split()[0]
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            assert b"tetragon_events_total" in answer.read()
        (settings / "export-denylist").write_text('{"binary_regex": ["^/nothing$"]}')
        (settings / "log-level").write_text("trace")
        agent.send(signal.SIGHUP)
        agent.wait_for_log("Settings are read again")
        kind = "*.gz" if "--export-file-compress" in rules else "events-*.json"

        def rotated() -> list[Path]:
            subprocess.run(["/bin/true"], check=True)
            return list((tmp_path / "agent").glob(kind))

        files = until(rotated, "a rotation")
        opened: Callable = gzip.open if kind == "*.gz" else open
        with opened(files[0], "rb") as file:
            assert all(json.loads(line) for line in file)
        assert agent.stop() == 0
    assert "Traceback" not in agent.errors
    assert "level=error" not in agent.log
