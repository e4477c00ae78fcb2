# SPDX-License-Identifier: Apache-2.0
"""Shared libraries of the bundle: C sources in, one file per architecture out, needing only libc.

One call of zig's clang per architecture compiles and links everything. The symbols come from
glibc 2.17 on purpose, so the file loads on every distribution that has a Python 3.8; a check of the
finished file keeps that true. musl, whose dynamic linker heeds no versions, loads the same file.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools import artifacts, elf_check, fetch, zig
from tools.errors import BuildError

ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = (2, 17)

# musl takes libc.so.6 for itself, and knows no other of glibc's.
_ALLOWED_LIBRARIES = frozenset({"libc.so.6"})
# Where glibc has __tls_get_addr on x86_64; it is in every process of glibc's, asked for or not, and
# musl, which has all in one, has that too.
_DYNAMIC_LINKER = "ld-linux-x86-64.so.2"

_FLAGS = (
    # Code: position independent, no sanitizers (zig's default), no unwind tables (nothing unwinds
    # through C here). The linker drops what nothing exported reaches.
    "-fPIC -std=gnu99 -ffunction-sections -fdata-sections"
    " -fno-sanitize=all -fno-stack-protector -fno-unwind-tables -fno-asynchronous-unwind-tables"
    " -g0 -w -shared -s -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now"
).split()


@dataclass(frozen=True)
class Recipe:
    """What makes one library.

    `archives` are names in tools/lock/sources.toml, unpacked side by side into one directory.
    `prepare` adds files of our own to that directory and returns the C files to compile, relative
    to it, as are the paths in `flags`. `made_by` are the files of this repository that have a part
    in the result.
    """

    name: str
    archives: tuple[str, ...]
    flags: tuple[str, ...]
    prepare: Callable[[Path], list[str]]
    made_by: tuple[Path, ...]


def library(recipe: Recipe, architecture: str) -> Path:
    """The path of a recipe's library for an architecture, built if need be.

    Raises BuildError when it cannot be built, or asks for more than glibc 2.17 has.
    """
    if architecture not in ARCHITECTURES:
        raise BuildError(
            f"no {recipe.name}.so for {architecture}; there is {', '.join(ARCHITECTURES)}"
        )
    home = artifacts.built(
        f"{recipe.name}-{architecture}",
        _key(recipe, architecture),
        lambda out: _build(recipe, architecture, out),
    )
    path = home / f"{recipe.name}.so"
    check(path.name, path.read_bytes(), architecture)
    return path


def check(name: str, image: bytes, architecture: str) -> None:
    """Raise BuildError unless the library is for the architecture and needs glibc 2.17 at most."""
    found = elf_check.queries(image)
    if found.machine != architecture:
        raise BuildError(f"{name} is for {found.machine}, not {architecture}")
    if extra := found.libraries - _ALLOWED_LIBRARIES:
        raise BuildError(f"{name} for {architecture} needs {', '.join(sorted(extra))}")
    if found.newest_glibc() > GLIBC:
        newer = ".".join(map(str, found.newest_glibc()))
        raise BuildError(f"{name} for {architecture} needs glibc {newer}; 2.17 is the limit")


def unpacked(name: str, parent: Path) -> Path:
    """Unpack a locked source archive to parent/name, without the versioned directory inside it."""
    directory = parent / name
    with tarfile.open(fetch.source(name)) as archive:
        for member in archive:
            _, _, inner = member.name.removeprefix("./").partition("/")
            content = archive.extractfile(member) if member.isfile() and inner else None
            # Debian 12's tarfile has no extraction filters: nothing may lead out of the directory.
            if content is not None and ".." not in Path(inner).parts:
                path = directory / inner
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    return directory


def _key(recipe: Recipe, architecture: str) -> str:
    pins = fetch.source_pins()
    ingredients: list[str | bytes] = [architecture, zig.wheel().version]
    ingredients += [repr(pins[name]) for name in recipe.archives]
    ingredients += [path.read_bytes() for path in (Path(__file__), *recipe.made_by)]
    return artifacts.digest(ingredients)


def _build(recipe: Recipe, architecture: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        tree.mkdir()
        for name in recipe.archives:
            unpacked(name, tree)
        files = recipe.prepare(tree)
        target = f"{architecture}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
        arguments = ["-target", target, *_FLAGS, *recipe.flags, f"-ffile-prefix-map={tree}=."]
        arguments += ["-o", f"{recipe.name}.so", *files]
        zig.cc(arguments, tree, Path(scratch) / "zig")
        image = (tree / f"{recipe.name}.so").read_bytes()
        (out / f"{recipe.name}.so").write_bytes(elf_check.without(image, _DYNAMIC_LINKER))
