"""dist/tetrapy.pyz: sources, pure-Python packages and bundle in one file that Python runs."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tools import bundle, bytecode, wheels
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.zip_writer import packed_size, replace_file, zip_bytes

OUTPUT = ROOT / "dist" / "tetrapy.pyz"
FIRST_LINE = "#!/usr/bin/env python3"
LIMIT = 8 * 1024 * 1024

# Where tetrapy.kernel.bundle looks for the bundle in the packed file.
BUNDLE = "tetrapy/kernel/data"

PURE_PACKAGES = ("importlib_resources", "pyroute2", "zipp")

# What every start imports is compiled ahead.
_AT_START = ("tetrapy", "importlib_resources")

# Parts that `import pyroute2` and `import importlib_resources` do not reach on Linux: tests, other
# systems, tools for recorded packets, network services of their own.
_PRUNED = (
    "importlib_resources/tests/",
    "pr2modules/",
    "pyroute2/bsd/",
    "pyroute2/decoder/",
    "pyroute2/dhcp/",
    "pyroute2/iproute/bsd.py",
    "pyroute2/iproute/windows.py",
)


def build() -> Path:
    """Write dist/tetrapy.pyz and print what each part of it costs.

    Raises BuildError when a part is missing or the file grows above its limit.
    """
    parts: dict[str, dict[str, bytes]] = {"tetrapy": sources()}
    for package in PURE_PACKAGES:
        parts[package] = pure_package(package)
    fast = {name: data for part in _AT_START for name, data in parts[part].items()}
    version = ".".join(map(str, sys.version_info[:2]))
    parts[f"bytecode for CPython {version}"] = bytecode.compiled(
        {name: data for name, data in fast.items() if name != "__main__.py"}
    )
    for name, contents in bundle.stage().items():
        parts.setdefault(_part(name), {})[f"{BUNDLE}/{name}"] = contents
    members = {name: data for files in parts.values() for name, data in files.items()}
    packed = zip_bytes(members, FIRST_LINE)
    print(_table(parts, packed))
    if len(packed) > LIMIT:
        raise BuildError(f"tetrapy.pyz would take {len(packed):,} bytes; {LIMIT:,} is the limit")
    replace_file(OUTPUT, packed, 0o755)
    return OUTPUT


def sources() -> dict[str, bytes]:
    """The Python files below agent/, by their names in the packed file."""
    agent = ROOT / "agent"
    files = {str(p.relative_to(agent)): p.read_bytes() for p in sorted(agent.rglob("*.py"))}
    if "__main__.py" not in files:
        raise BuildError("agent/__main__.py is not there: nothing would run")
    return files


def pure_package(project: str) -> dict[str, bytes]:
    """The modules of a pure-Python wheel and its licence, without what no run of tetrapy uses."""
    (wheel,) = wheels.locked(project)
    files = {}
    with zipfile.ZipFile(wheel.path()) as archive:
        for name in archive.namelist():
            directory, _, base = name.rpartition("/")
            used = name.endswith(".py") and not name.startswith(_PRUNED)
            licence = ".dist-info" in directory and base.startswith(("LICENSE", "COPYING"))
            if used or licence:
                files[name] = archive.read(name)
    return files


def _part(name: str) -> str:
    directory, _, base = name.partition("/")
    titles = {"bpf": "BPF objects", "btfs": "BTF archive"}
    return titles.get(directory) or ("orjson" if base.startswith("orjson") else base)


def _table(parts: Mapping[str, Mapping[str, bytes]], packed: bytes) -> str:
    lines = [f"{'files':>6} {'bytes':>10} {'packed':>10}"]
    accounted = 0
    for title, files in parts.items():
        size = sum(map(len, files.values()))
        cost = sum(map(packed_size, files.values()))
        accounted += cost
        lines.append(f"{len(files):6} {size:10,} {cost:10,}  {title}")
    count = sum(map(len, parts.values()))
    lines.append(f"{'':6} {'':10} {len(packed) - accounted:10,}  names and directory")
    lines.append(f"{count:6} {'':10} {len(packed):10,}  {OUTPUT.relative_to(ROOT)}")
    lines.append(f"SHA-256 {hashlib.sha256(packed).hexdigest()}")
    return "\n".join(lines)
