# SPDX-License-Identifier: Apache-2.0
"""Each file of a .pyz with the component it belongs to: it has the bytes that are there, or fails.

An executable is a .pyz with a file in front of it, its interpreter.

A file is not identified by its name: it must be, byte for byte, a file of this checkout, of a
pinned wheel, of what the build compiled from pinned sources, or the bytecode of a source beside it.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tools import bundle, bytecode, libbpf_so, own_so, shared_library, unpack_so, wheels
from tools.contents import BUNDLE, EXECUTABLES, LAUNCHER, LICENCES, NATIVE_PACKAGES, PYZ
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.interpreter.executable import interpreter
from tools.sbom import components
from tools.sbom.components import Component
from tools.sbom.members import members
from tools.sbom.texts import texts
from tools.wheels import Wheel

FRONT = "interpreter"  # what the bills call the bytes in front of an executable's .pyz
_VERSION = re.compile(rb'^__version__ = "(.+)"$', re.MULTILINE)


class Inventory(NamedTuple):
    """What a .pyz or an executable holds."""

    name: str  # of the whole file
    version: str
    components: list[Component]
    files: dict[str, bytes]
    owners: dict[str, str]  # name of a file -> key of its component

    @property
    def title(self) -> str:
        """What its documents are called: tetrapy-VERSION, tetrapy-linux-amd64-VERSION."""
        return f"{self.name.removesuffix('.pyz')}-{self.version}"

    @property
    def licence(self) -> str:
        """The licence of the whole, an expression of SPDX: all those of what it holds."""
        licences = {f"({one.licence})" for one in self.components if not one.part_of}
        return " AND ".join(sorted(licences))

    def files_of(self, component: Component) -> list[str]:
        """Names of the component's files, sorted."""
        return sorted(name for name, key in self.owners.items() if key == component.key)


def take(whole: bytes, name: str = PYZ) -> Inventory:
    """The inventory of a packed file, or of the executable of that name.

    Raises BuildError for a file that comes from nowhere or differs from where it comes from, for a
    component without files, for bytes that are no file.
    """
    archs = [arch for arch, executable in EXECUTABLES.items() if executable == name]
    front = interpreter(archs[0]) if archs else b""
    if not whole.startswith(front):
        raise BuildError(f"{name} has another interpreter: was it built of this tree?")
    files = members(whole[len(front) :], f"{LAUNCHER}\n".encode(), name)
    version = _version(files)
    packages = components.packages()
    listed = [*components.own(version), *components.sources(bool(front))]
    listed += [*components.extension_archives(version), *packages.values()]
    origins: dict[str, tuple[str, bytes]] = {}
    for key, file, data in (*_own_files(files), *_built_files(), *_wheel_files(packages, files)):
        origins[file] = key, data
    if front:
        listed += [components.interpreter(version), *components.runtime()]
        files[FRONT], origins[FRONT] = front, (components.INTERPRETER, front)
    owners = {}
    stray = sorted(set(files) - set(origins))
    if stray:
        raise BuildError(f"{stray[0]} is in the file and comes from nowhere that is known")
    for file, data in files.items():
        owners[file], wanted = origins[file]
        if data != wanted:
            raise BuildError(f"{file} is not what {owners[file]} has: was it built of this tree?")
    _check_use(listed, owners, name)
    return Inventory(name, version, listed, files, owners)


def _version(files: Mapping[str, bytes]) -> str:
    found = _VERSION.search(files.get("tetrapy/version.py", b""))
    if not found:
        raise BuildError("tetrapy/version.py states no version")
    return found[1].decode()


def _own_files(files: Mapping[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    agent = ROOT / "agent"
    sources = {str(path.relative_to(agent)): path.read_bytes() for path in agent.rglob("*.py")}
    for name, data in sources.items():
        yield "tetrapy", name, data
    for name, data in _compiled(sources, files):
        yield "tetrapy", name, data
    yield "tetrapy", f"{BUNDLE}/btfs/archive.xz", (ROOT / "btfs/archive.xz").read_bytes()
    yield "tetrapy", f"{BUNDLE}/policies/library.json", bundle.policies()
    yield "tetrapy", LICENCES, texts().encode()


def _compiled(
    sources: Mapping[str, bytes], files: Mapping[str, bytes]
) -> Iterable[tuple[str, bytes]]:
    """What was compiled ahead of those sources."""
    ahead = {name: data for name, data in sources.items() if f"{name}c" in files}
    return bytecode.compiled(ahead).items()


def _built_files() -> Iterator[tuple[str, str, bytes]]:
    for name, contents in bundle.bpf_files().items():
        yield "tetrapy-bpf", f"{BUNDLE}/{name}", contents
    for architecture in shared_library.ARCHITECTURES:
        for build in (libbpf_so, own_so, unpack_so):
            path = build.library(architecture)
            name = f"{BUNDLE}/lib/{path.stem}-{architecture}.so"
            yield f"tetrapy-{path.stem}", name, path.read_bytes()
    for project in NATIVE_PACKAGES:
        for machine, archive in wheels.extension_archives(project).items():
            key = components.extension_archive_key(project, machine)
            yield key, f"{BUNDLE}/lib/{project}-{machine}.tar.xz", archive


def _wheel_files(
    packages: Mapping[Wheel, Component], files: Mapping[str, bytes]
) -> Iterator[tuple[str, str, bytes]]:
    for wheel, component in packages.items():
        with zipfile.ZipFile(wheel.path()) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for name, data in (*members.items(), *_compiled(members, files)):
            yield component.key, name, data


def _check_use(listed: list[Component], owners: Mapping[str, str], whole: str) -> None:
    used = set(owners.values())
    keys = Counter(component.key for component in listed)
    for component in listed:
        if keys[component.key] > 1:
            raise BuildError(f"two components are called {component.key}")
        if not used & {component.key, *component.part_of}:
            raise BuildError(f"{component.name} {component.version} has no file in {whole}")
        if not component.licence:
            raise BuildError(f"{component.name} {component.version} has no licence")
