# SPDX-License-Identifier: Apache-2.0
"""From many full BTFs to one archive, in parallel and in parts.

A tree of BTFs has BTFHub's layout, `ID/VERSION_ID/arch/<uname -r>.btf`, also `.btf.xz` and
BTFHub's own `.btf.tar.xz`.  A BTF that lies elsewhere in the tree has no name to be found by, so it
does not get into the archive; it is a witness that a query has an answer, and only parts of a whole
carry it along, under a key that is no kernel's.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import Callable, Dict, FrozenSet, Iterable, List, Sequence, Tuple
from urllib.parse import quote

from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import requirements
from tetrapy.btf.archive import Archive, unanswered
from tetrapy.btf.btf_file import SUFFIXES, read_btf
from tetrapy.btf.harvest import pool
from tetrapy.btf.host import ARCHITECTURES
from tetrapy.btf.pack import order, pack
from tetrapy.btf.store import NO_VERSION
from tetrapy.errors import ArchiveError
from tetrapy.named import NamedTuple

# Directory of BTFs that are no distribution's.
NO_DISTRIBUTION = "other"
_WITNESS = f"{NO_DISTRIBUTION}//"


class Source(NamedTuple):
    """A file with BTF; `key` is ID/VERSION_ID/arch/<uname -r>, or a witness's."""

    key: str
    path: str


class Packed(NamedTuple):
    """What became of a tree of BTFs.

    `answers` are by key, those of witnesses included; `failed` are the sources that could not be
    read, with the reason.
    """

    queries: Tuple[str, ...]
    answers: Dict[str, Answers]
    failed: List[Tuple[Source, str]]

    @property
    def kernels(self) -> Dict[str, Answers]:
        """The answers without those of witnesses."""
        return {key: answers for key, answers in self.answers.items() if not is_witness(key)}

    @property
    def by_arch(self) -> Dict[str, List[Answers]]:
        """Architecture -> the answers of its kernels, witnesses included."""
        found: Dict[str, List[Answers]] = {}
        for key, answers in self.answers.items():
            found.setdefault(key.split("/")[2], []).append(answers)
        return found

    def unanswered(self) -> List[str]:
        """`arch: query` for each query without an answer in any kernel of an architecture."""
        return unanswered(self.queries, self.by_arch)

    def missing(self, optional_accesses: FrozenSet[requirements.AccessPath]) -> List[str]:
        """Those of `unanswered` that the programs cannot do without; `optional_accesses`: their
        guards.
        """
        found = []
        for arch, rows in sorted(self.by_arch.items()):
            # What any of its kernels answers, so that only what none answers is left.
            column = [
                next((answer for answer in answers if answer is not None), None)
                for answers in zip(*rows)
            ]
            lacking = requirements.missing(self.queries, tuple(column), optional_accesses)
            found += [f"{arch}: {query}" for query in lacking]
        return found

    def archive(self, *, partial: bool = False) -> bytes:
        """The archive, or a part of one for `merge`. Equal answers give equal bytes."""
        return pack(self.answers if partial else self.kernels, self.queries)


def find_sources(directories: Sequence[str]) -> List[Source]:
    """All files with BTF below directories, in the archive's order, witnesses at the end.

    Raises ArchiveError for a kernel that is there twice, OSError for a directory that cannot be
    read.
    """
    found: Dict[str, Source] = {}
    for directory in directories:
        for path in _files(directory):
            key = _key(directory, path)
            if key in found:
                raise ArchiveError(f"{key} is there twice: {found[key].path} and {path}")
            found[key] = Source(key, path)
    return sorted(found.values(), key=lambda source: (is_witness(source.key), order(source.key)))


def is_witness(key: str) -> bool:
    """Whether a key is that of a BTF without a kernel's name."""
    return key.startswith(_WITNESS)


def shard(sources: Sequence[Source], number: int, count: int) -> List[Source]:
    """Part `number`, from 0, of `count` parts that together are all."""
    return list(sources[number::count])


def answers_of_all(
    sources: Sequence[Source],
    queries: CoreQueries,
    jobs: int,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> Packed:
    """The answers of all sources; `progress` is given how many are done, of how many, and the
    last.
    """
    packed = Packed(queries.names, {}, [])

    def read(number: int) -> Answers:
        return queries.answers(Btf(read_btf(sources[number].path)))

    done = 0
    # Closed at once when it is broken off: workers are stopped by it.
    with closing(pool.run(read, range(len(sources)), jobs)) as events:
        for event in events:
            if isinstance(event, pool.Started):
                continue
            source = sources[event.number]
            if event.error:
                packed.failed.append((source, event.error))
            else:
                packed.answers[source.key] = event.result
            done += 1
            progress(done, len(sources), source.path)
    packed.failed.sort()
    return packed


def merge(parts: Iterable[Tuple[str, Archive]]) -> Packed:
    """The archives of several shards, with their names, as one.

    Raises ArchiveError when they were made for different objects, or have different answers of one
    kernel.
    """
    merged: Dict[str, Answers] = {}
    came_from: Dict[str, str] = {}
    queries: Tuple[str, ...] = ()
    first = ""
    for name, archive in parts:
        if not first:
            queries, first = archive.queries, name
        if archive.queries != queries:
            differing = sorted(set(archive.queries) ^ set(queries))
            raise ArchiveError(
                f"{first} and {name} were made for different BPF objects: {len(differing)} needs"
                f" are in one of them only, as {'; '.join(differing[:2])}; pack all parts with one"
                " release"
            )
        for key, number in archive.kernels.items():
            answers = archive.layouts[number]
            if merged.setdefault(key, answers) != answers:
                raise ArchiveError(f"{key} has different answers in {came_from[key]} and {name}")
            came_from.setdefault(key, name)
    return Packed(queries, merged, [])


def _files(directory: str) -> Iterable[str]:
    def fail(err: OSError) -> None:
        raise err

    for place, names, files in os.walk(directory, onerror=fail):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            path = os.path.join(place, name)
            # A link to nothing is reported as what cannot be read; a pipe would be waited for.
            if name.endswith(SUFFIXES) and (os.path.isfile(path) or not os.path.exists(path)):
                yield path


def _key(directory: str, path: str) -> str:
    relative = os.path.relpath(path, directory)
    parts = relative.split(os.sep)
    parts[-1] = next(parts[-1][: -len(end)] for end in SUFFIXES if parts[-1].endswith(end))
    is_name = len(parts) == 4 and parts[2] in ARCHITECTURES and parts[0] != NO_DISTRIBUTION
    if is_name and relative.isprintable() and " " not in relative:
        version = "" if parts[1] == NO_VERSION else parts[1]
        return "/".join((parts[0], version, ARCHITECTURES[parts[2]], parts[3]))
    arch = "arm64" if "arm64" in relative or "aarch64" in relative else "x86_64"
    return f"{_WITNESS}{arch}/{quote(os.fsencode(relative), safe='')}"
