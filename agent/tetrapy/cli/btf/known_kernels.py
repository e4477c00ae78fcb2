# SPDX-License-Identifier: Apache-2.0
"""What the commands know of kernels: the archive, the local store, and BTFs in files."""

from __future__ import annotations

import argparse
import functools
import glob
import os
from typing import Dict, List, Optional, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf.archive import Archive
from tetrapy.btf.btf_file import read_btf
from tetrapy.btf.store import DIRECTORY, LocalStore, host_of
from tetrapy.errors import (
    ArchiveError,
    FormatError,
    LayoutError,
    SettingsError,
    StoreError,
    TetrapyError,
)
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

EMBEDDED = "the embedded archive"
# A hundred times what the kernels of all distributions need.
_MAX_ARCHIVE = 16 << 20


class Kernel(NamedTuple):
    """A kernel's answers to queries, and its layout's number in the archive, None if it has
    none.
    """

    name: str
    queries: Tuple[str, ...]
    answers: Answers
    layout: Optional[int]


class Knowledge:
    """An archive, a local store, and the queries of this release's objects."""

    def __init__(self, archive: str = "", store: str = DIRECTORY, objects: str = "") -> None:
        """`archive`: a file, "" for the embedded one; `objects`: a directory, "" likewise."""
        self.archive_name = printable(archive) if archive else EMBEDDED
        self.store = LocalStore(store)
        self._archive = archive
        self._objects = objects

    @functools.cached_property
    def packed(self) -> bytes:
        """The archive's bytes."""
        return read_archive(self._archive)

    @functools.cached_property
    def archive(self) -> Archive:
        """The archive; ArchiveError for a damaged one."""
        try:
            return Archive(self.packed)
        except ArchiveError as err:
            raise ArchiveError(f"{self.archive_name}: {err}") from err

    @functools.cached_property
    def objects(self) -> List[bytes]:
        """The ELF objects of this release."""
        return read_objects(self._objects)

    @functools.cached_property
    def queries(self) -> CoreQueries:
        """What the objects ask of a kernel."""
        return CoreQueries(self.objects)

    def check_queries(self) -> None:
        """Raise ArchiveError unless the archive answers just what the objects ask."""
        wanted, has = set(self.queries.names), set(self.archive.queries)
        if wanted != has:
            differing = sorted(wanted ^ has)
            raise ArchiveError(
                f"{self.archive_name} was made for other BPF objects: {len(wanted - has)} needs are"
                f" not in it, {len(has - wanted)} of its needs are not theirs, as {differing[0]!r};"
                " pack it again with this release"
            )

    @functools.cached_property
    def _numbers(self) -> Dict[Answers, int]:
        """Layouts of the archive by their answers to what the objects ask; none if it asks else."""
        if tuple(self.archive.queries) != self.queries.names:
            return {}
        return {tuple(answers): number for number, answers in enumerate(self.archive.layouts)}

    def kernels_of(self, layout: int) -> List[str]:
        """The archive's kernels with that layout."""
        return [key for key, number in self.archive.kernels.items() if number == layout]

    def stored(self, key: str) -> Kernel:
        """A kernel of the local store; StoreError or FormatError if it cannot be used."""
        data = self.store.read(host_of(key))
        if data is None:
            raise StoreError(f"{key} is not in {self.store.directory}")
        try:
            return self._kernel(key, data)
        except (FormatError, LayoutError) as err:
            raise StoreError(f"{self.store.path(host_of(key))}: {err}") from err

    def file(self, path: str) -> Kernel:
        """The kernel whose BTF a file holds; FormatError or LayoutError with the file's name."""
        try:
            return self._kernel(printable(path), read_btf(path))
        except (FormatError, LayoutError) as err:
            raise type(err)(f"{printable(path)}: {err}") from err

    def find(self, name: str) -> Kernel:
        """The kernel of a key, of the unique end of a key, or of a file.

        Raises SettingsError if there is none or more than one with different layouts.
        """
        archived = matching(name, list(self.archive.kernels))
        stored = matching(name, self.store.keys())
        if name in stored or (stored and not archived):
            if len(stored) > 1:
                raise _ambiguous(name, stored)
            return self.stored(stored[0])
        if archived:
            layouts = {self.archive.kernels[key] for key in archived}
            if len(layouts) > 1:
                raise _ambiguous(name, archived)
            number = layouts.pop()
            answers = tuple(self.archive.layouts[number])
            return Kernel(archived[0], tuple(self.archive.queries), answers, number)
        if os.path.exists(name):
            return self.file(name)
        raise SettingsError(
            f"{name!r} is no kernel of {self.archive_name} or of {self.store.directory},"
            " and no file; `tetrapy btf list` shows the kernels"
        )

    def _kernel(self, name: str, data: bytes) -> Kernel:
        answers = self.queries.answers(Btf(data))
        return Kernel(name, self.queries.names, answers, self._numbers.get(answers))


def read_archive(path: str = "") -> bytes:
    """The bytes of an archive, by default of the embedded one; ArchiveError for far too many."""
    if path:
        with open(path, "rb") as file:
            packed = file.read(_MAX_ARCHIVE + 1)
        if len(packed) > _MAX_ARCHIVE:
            raise ArchiveError(f"has more than {_MAX_ARCHIVE >> 20} MiB, which no archive has")
        return packed
    from tetrapy.kernel import bundle

    return bundle.read("btfs/archive.xz")


def read_objects(directory: str = "") -> List[bytes]:
    """The ELF objects of a directory, by default those of this release."""
    if directory:
        paths = sorted(glob.glob(os.path.join(glob.escape(directory), "*.bpf.o")))
        if not paths:
            raise SettingsError(f"{printable(directory)} holds no *.bpf.o")
        found = []
        for path in paths:
            with open(path, "rb") as file:
                found.append(file.read())
        return found
    from tetrapy.kernel import bundle
    from tetrapy.sensors import configuration
    from tetrapy.sensors.policy import objects

    return [
        *map(bundle.read, configuration.OBJECTS),
        *map(objects.read, objects.OBJECTS),
    ]


def matching(name: str, keys: List[str]) -> List[str]:
    """The key of that name, else the keys that end in it, at the start of a word."""
    if name in keys:
        return [name]
    return [key for key in keys if key.endswith("/" + name)]


def add_archive_flags(parser: argparse.ArgumentParser) -> None:
    """The flags for another archive and another store."""
    parser.add_argument("--archive", metavar="FILE", default="", help="not the embedded archive")
    parser.add_argument(
        "--dir", metavar="DIR", default=DIRECTORY, help=f"the local store (default {DIRECTORY})"
    )


def _ambiguous(name: str, keys: List[str]) -> TetrapyError:
    shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return SettingsError(f"{name!r} may be any of {shown}; give more of its name")
