# SPDX-License-Identifier: Apache-2.0
"""The licence texts of all that tetrapy.pyz, or an executable, holds, as one text.

Most licences ask for it. They are read from the pinned archives themselves.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from tools import wheels, zig
from tools.errors import BuildError
from tools.fetch import ROOT, source
from tools.sbom import components

# This repository's own.
_OWN = {"tetrapy": "LICENSE", "BPF programs of tetrapy": "bpf/LICENSE"}

# The files of a source archive that state the licence of what is compiled of it.
_OF_SOURCES = {
    "libbpf": ("LICENSE", "LICENSE.LGPL-2.1", "LICENSE.BSD-2-Clause"),
    "elfutils": ("COPYING-GPLV2", "COPYING-LGPLV3"),
    "zlib": ("LICENSE",),
    "zstd": ("LICENSE", "COPYING"),
    "lz4": ("lib/LICENSE",),
    "lzo2": ("COPYING",),
    "python": ("LICENSE", "Doc/license.rst"),
    "python-debian": ("copyright",),
    "libffi": ("LICENSE",),
    "xz": ("COPYING", "COPYING.0BSD"),
    "bzip2": ("LICENSE",),
}
# Of the runtime that the compiler adds, in its wheel.
_OF_RUNTIME = {"musl": f"{components.MUSL}COPYRIGHT", "ziglang": "ziglang/LICENSE"}
_OF_WHEELS = re.compile(
    r"[^/]+\.dist-info/(?:.*/)?(?:LICEN[CS]E|COPYING|NOTICE)[^/]*", re.IGNORECASE
)
_RULE = "=" * 100


@cache
def texts(executable: bool = False) -> str:
    """All texts; equal ones stand once, below all that they are of. Raises BuildError."""
    of: dict[str, list[str]] = {}
    found = [*_own_texts(), *_source_texts(executable), *_wheel_texts()]
    for title, text in [*found, *(_runtime_texts() if executable else ())]:
        titles = of.setdefault(text, [])
        if title not in titles:
            titles.append(title)
    parts = [f"{_RULE}\n{chr(10).join(titles)}\n{_RULE}\n\n{text}" for text, titles in of.items()]
    return "\n".join(parts)


def _own_texts() -> Iterator[tuple[str, str]]:
    for name, file in _OWN.items():
        yield f"{name}: {file}", _text((ROOT / file).read_bytes())


def _source_texts(executable: bool) -> Iterator[tuple[str, str]]:
    for component in components.sources(executable):
        path, files = source(component.name), _OF_SOURCES[component.name]
        found = _read(path, files)
        for file in files:
            if file not in found:
                raise BuildError(f"{path.name} has no {file}, which states its licence")
            yield f"{component.name} {component.version}: {file}", _text(found[file])


def _read(path: Path, files: Collection[str]) -> dict[str, bytes]:
    """Those of the files that the archive has in its one directory.

    As a stream, and no further than needed: going back in what is compressed is reading it anew.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(path, mode="r|*") as archive:
        for member in archive:
            name = member.name.partition("/")[2]
            content = archive.extractfile(member) if name in files and member.isfile() else None
            if content is not None:
                found[name] = content.read()
            if len(found) == len(files):
                break
    return found


def _wheel_texts() -> Iterator[tuple[str, str]]:
    for wheel, component in components.packages().items():
        found = list(_texts_of(wheel))
        if not found:
            raise BuildError(f"{wheel.filename} has no licence text")
        for name, text in found:
            yield f"{component.name} {component.version}: {name}", text


def _runtime_texts() -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(zig.wheel().path()) as archive:
        for component in components.runtime():
            name = _OF_RUNTIME[component.name]
            title = f"{component.name} {component.version}: {name.rpartition('/')[2]}"
            yield title, _text(archive.read(name))


def _texts_of(wheel: wheels.Wheel) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(wheel.path()) as archive:
        for name in archive.namelist():
            if _OF_WHEELS.fullmatch(name):
                yield name.rpartition("/")[2], _text(archive.read(name))


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\f", "\n")
    return text.rstrip() + "\n"
