# SPDX-License-Identifier: Apache-2.0
"""dist/tetrapy.pyz: sources, pure-Python packages and bundle in one file that Python runs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tools import bundle, bytecode, wheels
from tools.contents import BUNDLE, LAUNCHER, LEFT_OUT, LICENCES, PURE_PACKAGES, PYZ, TAKEN
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.sbom import texts
from tools.zip_writer import packed_size, replace_file, zip_bytes

OUTPUT = ROOT / "dist" / PYZ
LIMIT = 4_000_000

# What every start imports is compiled ahead: all that these import at once. Each entry of the zip
# costs the start a little, so that what only some starts need has but its source.
_AT_START = (
    "tetrapy.cli.main",
    "tetrapy.daemon.agent",
    "tetrapy.kernel.extensions",
    "tetrapy.resources",
    "tetrapy.sinks.file",
    "tetrapy.sinks.open",
)
# And what policies take beyond that: compiling it costs 400 million instructions, and memory that
# stays in pieces.
_FOR_POLICIES = (
    "tetrapy/abi/tracepoint_format.",
    "tetrapy/config/duration.",
    "tetrapy/config/suggestions.",
    "tetrapy/config/yaml_nodes.",
    "tetrapy/daemon/policy_",
    "tetrapy/events/arguments.",
    "tetrapy/events/calls.",
    "tetrapy/events/loader.",
    "tetrapy/go_quoting.",
    "tetrapy/kernel/child.",
    "tetrapy/kernel/waits.",
    "tetrapy/kernel/kallsyms.",
    "tetrapy/kernel/kernel_btf.",
    "tetrapy/kernel/links.",
    "tetrapy/kernel/mmap_events.",
    "tetrapy/kernel/symbols.",
    "tetrapy/kernel/tracefs.",
    "tetrapy/kernel/trials.",
    "tetrapy/policy/",
    "tetrapy/process/callers.",
    "tetrapy/sensors/policy/",
    "tetrapy/sinks/backups.",
    "yaml/",
)


def build() -> Path:
    """Write dist/tetrapy.pyz and print what each part of it costs.

    Raises BuildError when a part is missing or the file grows above its limit.
    """
    parts: dict[str, dict[str, bytes]] = {"tetrapy": sources(), "packages": packages()}
    # Python asks for the code of __main__ twice.
    files = {"__main__.py", *imported_at_start()}
    sources_of_all = {**parts["tetrapy"], **parts["packages"]}
    fast = {
        name: data
        for name, data in sources_of_all.items()
        if name in files or name.startswith(_FOR_POLICIES)
    }
    version = ".".join(map(str, sys.version_info[:2]))
    parts[f"bytecode for CPython {version}"] = bytecode.compiled(fast)
    for name, contents in bundle.stage().items():
        parts.setdefault(_part(name), {})[f"{BUNDLE}/{name}"] = contents
    members = {name: data for files in parts.values() for name, data in files.items()}
    packed = zip_bytes(members, LAUNCHER)
    print(_table(parts, packed))
    if len(packed) > LIMIT:
        raise BuildError(f"tetrapy.pyz would take {len(packed):,} bytes; {LIMIT:,} is the limit")
    replace_file(OUTPUT, packed, 0o755)
    return OUTPUT


def packages() -> dict[str, bytes]:
    """The packages of others, and all licence texts.

    Raises BuildError for a module that would stand in for one of Python's.
    """
    files: dict[str, bytes] = {}
    for project in PURE_PACKAGES:
        files.update(pure_package(project))
    shadowing = {name.partition("/")[0].removesuffix(".py") for name in files}
    shadowing &= {*sys.stdlib_module_names, "tetrapy"}
    if shadowing:
        raise BuildError(f"a package brings {min(shadowing)}, which is another's name")
    return {**files, LICENCES: texts.texts().encode()}


def sources() -> dict[str, bytes]:
    """The Python files below agent/, by their names in the packed file."""
    agent = ROOT / "agent"
    files = {str(p.relative_to(agent)): p.read_bytes() for p in sorted(agent.rglob("*.py"))}
    if "__main__.py" not in files:
        raise BuildError("agent/__main__.py is not there: nothing would run")
    return files


def imported_at_start() -> set[str]:
    """The files below agent/ that a start imports before it knows what this kernel needs."""
    program = (
        f"import sys, {', '.join(_AT_START)}\n"
        "for name in sorted(sys.modules):\n"
        "    if name.partition('.')[0] == 'tetrapy': print(sys.modules[name].__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "agent",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"the agent's sources cannot be imported: {done.stderr.strip()}")
    return {str(Path(path).relative_to(ROOT / "agent")) for path in done.stdout.splitlines()}


def pure_package(project: str) -> dict[str, bytes]:
    """The modules of a pure-Python wheel and its licence, without what no run of tetrapy uses."""
    (wheel,) = wheels.locked(project)
    files = {}
    with zipfile.ZipFile(wheel.path()) as archive:
        for name in archive.namelist():
            directory, _, base = name.rpartition("/")
            # A grammar, besides modules: celpy reads one.
            used = name.endswith((".py", ".lark")) and not name.startswith(LEFT_OUT)
            if project in TAKEN:
                used = name in TAKEN[project]
            licence = ".dist-info" in directory and base.startswith(
                ("LICENSE", "COPYING", "NOTICE")
            )
            if used or licence:
                files[name] = archive.read(name)
    return files


def _part(name: str) -> str:
    directory, _, base = name.partition("/")
    titles = {"bpf": "BPF objects", "btfs": "BTF archive", "policies": "policies"}
    return titles.get(directory) or ("orjson" if base.startswith("orjson-") else base)


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
