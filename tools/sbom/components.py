# SPDX-License-Identifier: Apache-2.0
"""The components of tetrapy.pyz and of executables, out of the locks: name, version, licence, where
it comes from.

A component has files, or is compiled into one that has (`part_of`). An executable has those of
tetrapy.pyz and one more, which is its interpreter.
"""

from __future__ import annotations

import re
import tomllib
import zipfile
from typing import Any, NamedTuple

from tools import wheels, zig
from tools.contents import NATIVE_PACKAGES, PURE_PACKAGES
from tools.errors import BuildError
from tools.fetch import ROOT, source_pins
from tools.interpreter.program import archives

# As stated by each package in its LICENSE, where its metadata has no expression of SPDX.
_LICENCES = {
    "cel_python": "Apache-2.0",
    "h2": "MIT",
    "hpack": "MIT",
    "hyperframe": "MIT",
    "importlib_resources": "Apache-2.0",
    "lark": "MIT",
    "orjson": "Apache-2.0 OR MIT",
    "pyroute2": "Apache-2.0 OR GPL-2.0-or-later",
    "python_dateutil": "Apache-2.0 AND BSD-3-Clause",
    "pyyaml": "MIT",
    "six": "MIT",
    "zipp": "MIT",
    "libbpf": "LGPL-2.1-only OR BSD-2-Clause",
    "elfutils": "GPL-2.0-or-later OR LGPL-3.0-or-later",
    "zlib": "Zlib",
    "zstd": "BSD-3-Clause OR GPL-2.0-only",
    "lz4": "BSD-2-Clause",
    "lzo2": "GPL-2.0-or-later",
    "python": "Python-2.0.1",
    "python-debian": "Python-2.0.1",
    "libffi": "MIT",
    "xz": "0BSD",  # of which liblzma alone is compiled
    "bzip2": "bzip2-1.0.6",
    "ziglang": "MIT",
    "musl": "MIT",
}
# Libraries of our own build, and the sources that are compiled into each.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "libbpf": ("libbpf", "elfutils", "zlib"),
    "libtetrapy": (),  # our own code alone
    "libunpack": ("zstd", "lz4", "lzo2"),
}
_PURL_NAMES = {
    "libbpf": "pkg:github/libbpf/libbpf@v{}",
    "elfutils": "pkg:generic/elfutils@{}",
    "zlib": "pkg:github/madler/zlib@v{}",
    "zstd": "pkg:github/facebook/zstd@v{}",
    "lz4": "pkg:github/lz4/lz4@v{}",
    "lzo2": "pkg:generic/lzo@{}",
    "python": "pkg:generic/python@{}",
    # Scanners know by it what Debian has mended.
    "python-debian": "pkg:deb/debian/python3.11@{}?arch=source",
    "libffi": "pkg:github/libffi/libffi@v{}",
    "xz": "pkg:github/tukaani-project/xz@v{}",
    "bzip2": "pkg:generic/bzip2@{}",
    "musl": "pkg:generic/musl@{}",
}
MUSL = "ziglang/lib/libc/musl/"  # where the compiler has it
INTERPRETER = "tetrapy-interpreter"  # the key of the one file that an executable has in front


class Component(NamedTuple):
    """One entry of the bill of materials."""

    key: str  # names it in the documents: letters, digits, `.` and `-`
    name: str
    version: str
    licence: str  # an expression of SPDX
    purl: str
    location: str = ""  # the address of a release; empty where the package URL says all
    sha256: str = ""  # of the archive or wheel
    part_of: tuple[str, ...] = ()  # keys of the components that it is compiled into


def own(version: str) -> list[Component]:
    """What this repository makes."""
    licence = _own_licence()
    libraries = [
        Component(
            f"tetrapy-{library}",
            f"{library}.so of tetrapy",
            version,
            " AND ".join(f"({_LICENCES[name]})" for name in sources) or licence,
            f"pkg:generic/tetrapy-{library}@{version}",
        )
        for library, sources in LIBRARIES.items()
    ]
    return [
        Component("tetrapy", "tetrapy", version, licence, f"pkg:generic/tetrapy@{version}"),
        Component(
            "tetrapy-bpf",
            "BPF programs of tetrapy",
            version,
            "GPL-2.0-only",
            f"pkg:generic/tetrapy-bpf@{version}",
        ),
        *libraries,
    ]


def _own_licence() -> str:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["license"])


def interpreter(version: str) -> Component:
    """The interpreter of an executable, which `sources(True)` and `runtime()` are compiled into."""
    licences = {_LICENCES[name] for name in (*archives(), "musl", "ziglang")} | {_own_licence()}
    return Component(
        INTERPRETER,
        "interpreter of tetrapy",
        version,
        " AND ".join(f"({licence})" for licence in sorted(licences)),
        f"pkg:generic/{INTERPRETER}@{version}",
    )


def sources(executable: bool = False) -> list[Component]:
    """The source archives that are compiled into our libraries, and those of an interpreter."""
    parts = {f"tetrapy-{library}": names for library, names in LIBRARIES.items()}
    if executable:
        parts[INTERPRETER] = tuple(archives())
    return [
        _of_source(name, tuple(key for key, names in parts.items() if name in names))
        for name in dict.fromkeys(name for names in parts.values() for name in names)
    ]


def extension_archives(version: str) -> list[Component]:
    """The archives of extension modules, one for each machine."""
    licences: dict[str, set[str]] = {}
    for project in NATIVE_PACKAGES:
        for wheel in wheels.locked(project):
            of_wheel = _of_wheel(wheel, project)
            licences.setdefault(of_wheel.part_of[0], set()).add(of_wheel.licence)
    return [
        Component(
            key,
            f"extension modules, {key}",
            version,
            " AND ".join(f"({one})" for one in sorted(found)),
            f"pkg:generic/{key}@{version}",
        )
        for key, found in licences.items()
    ]


def extension_archive_key(project: str, machine: str) -> str:
    """The key of the archive of a project's extension modules for one machine."""
    return f"tetrapy-{project}-{machine.replace('_', '-')}"


def _of_source(name: str, part_of: tuple[str, ...]) -> Component:
    pin = source_pins()[name]
    return Component(
        f"source-{name}",
        name,
        pin["version"],
        _LICENCES[name],
        _PURL_NAMES[name].format(pin["version"].replace("+", "%2B")),
        pin.get("upstream", ""),
        pin.get("upstream_sha256", pin["sha256"]),
        part_of,
    )


def runtime() -> list[Component]:
    """What the compiler adds to an interpreter: musl, and functions of its own. Both are in it."""
    wheel = zig.wheel()
    header = _member(wheel, re.escape(f"{MUSL}src/internal/version.h")).decode()
    found = re.search(r'"(.+)"', header)
    if found is None:
        raise BuildError(f"{wheel.filename} does not say which musl it has")
    musl = Component(
        "source-musl",
        "musl",
        found[1],
        _LICENCES["musl"],
        _PURL_NAMES["musl"].format(found[1]),
        part_of=(INTERPRETER,),
    )
    return [musl, _of_wheel(wheel, "ziglang")._replace(part_of=(INTERPRETER,))]


def packages() -> dict[wheels.Wheel, Component]:
    """The wheels whose files are taken; one component each."""
    return {
        wheel: _of_wheel(wheel, project)
        for project in (*PURE_PACKAGES, *NATIVE_PACKAGES)
        for wheel in wheels.locked(project)
    }


def _of_wheel(wheel: wheels.Wheel, project: str) -> Component:
    name, version = wheel.project.lower().replace("_", "-"), wheel.version
    key = f"pypi-{name}-{version}"
    part_of: tuple[str, ...] = ()
    if wheel.abi != "none":
        key += f"-{wheel.abi}-{wheel.machine.replace('_', '-')}"
    if project in NATIVE_PACKAGES:
        part_of = (extension_archive_key(project, wheel.machine),)
    return Component(
        key,
        name,
        version,
        _stated_licence(wheel) or _LICENCES[project],
        f"pkg:pypi/{name}@{version}?file_name={wheel.filename}",
        sha256=wheel.sha256,
        part_of=part_of,
    )


def _stated_licence(wheel: wheels.Wheel) -> str:
    """The expression in the wheel's metadata (PEP 639); empty where there is none."""
    metadata = _member(wheel, r"[^/]+\.dist-info/METADATA").decode()
    found = re.search(r"^License-Expression: (.+)$", metadata.partition("\n\n")[0], re.MULTILINE)
    return found[1].strip() if found else ""


def _member(wheel: wheels.Wheel, pattern: str) -> bytes:
    """The one file of a wheel whose name matches; empty when there is none."""
    with zipfile.ZipFile(wheel.path()) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(pattern, name)]
        if len(names) > 1:
            raise BuildError(f"{wheel.filename} has {' and '.join(names)}; which one is meant?")
        return archive.read(names[0]) if names else b""
