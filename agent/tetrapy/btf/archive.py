# SPDX-License-Identifier: Apache-2.0
"""The archive of known kernels that every bundle carries: `btfs/archive.xz`.

The file is one xz stream. What it holds is text, in this order:

    tetrapy-btf 2
    need <a text of abi.core_queries>
    ...
    layout <an answer to each query in its order: a number, or - for none, separated by spaces>
    ...
    kernel <number of its layout, from 0> <ID>/<VERSION_ID>/<arch>/<uname -r>
    ...

So an entry is not the kernel's BTF but its answers, out of which BTF is made (`abi.core_minimal`).
Kernels with equal answers share a layout.  Everything is unpacked at once: it is small, and one
solid stream compresses far better than single entries.  The xz stream carries a SHA-256 of its own;
`ArchiveError` is raised for damage, and nothing of a damaged archive is used.
"""

from __future__ import annotations

from copy import copy
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import xz
from tetrapy.errors import ArchiveError, FormatError

FORMAT = "tetrapy-btf 2"

# More than a hundred times of what the archive needs; a file that wants more is no archive.
MAX_UNPACKED = 64 << 20
_OTHER_OBJECTS = (
    "the BTF archive was made for other BPF objects, whose relocations ask for other things: {}"
)


class Archive:
    """An opened archive. Kernels are named `ID/VERSION_ID/arch/<uname -r>`."""

    def __init__(self, data: bytes) -> None:
        """Open the bytes of `btfs/archive.xz`."""
        if not data:
            raise ArchiveError("the BTF archive is empty")
        self.queries: Tuple[str, ...] = ()
        self.layouts: List[Answers] = []
        self.kernels: Dict[str, int] = {}
        try:
            self._read(_decompress(data).decode().split("\n"))
        except ValueError as err:
            raise ArchiveError(f"the BTF archive is damaged: {err}") from err

    def _read(self, lines: List[str]) -> None:
        """Lines of the format above; a ValueError is raised for everything that does not fit."""
        if lines[0] != FORMAT:
            raise ArchiveError(
                f"the BTF archive starts with {lines[0][:40]!r}, not {FORMAT!r}: it was made"
                " by another version of tetrapy"
            )
        if lines.pop():
            raise ValueError("it does not end with a whole line")
        queries: List[str] = []
        for line in lines[1:]:
            keyword, _, rest = line.partition(" ")
            if keyword == "kernel":
                number, _, name = rest.partition(" ")
                if not 0 <= int(number) < len(self.layouts) or name.count("/") != 3:
                    raise ValueError(f"line {line[:80]!r}")
                self.kernels[name] = int(number)
            elif keyword == "layout" and not self.kernels:
                answers = tuple(None if word == "-" else int(word) for word in rest.split(" "))
                if len(answers) != len(queries):
                    raise ValueError(
                        f"a layout of {len(answers)} answers to {len(queries)} queries"
                    )
                self.layouts.append(answers)
            elif keyword == "need" and not self.layouts:
                queries.append(rest)
            else:
                raise ValueError(f"line {line[:80]!r}")
        self.queries = tuple(queries)

    def select(self, queries: Sequence[str]) -> Archive:
        """The same kernels with their answers to some of the queries; equal ones share a layout.

        Raises ArchiveError where the archive does not answer all of them.
        """
        if self.queries == tuple(queries):
            return self
        places = {query: number for number, query in enumerate(self.queries)}
        missing = [query for query in queries if query not in places]
        if missing:
            raise ArchiveError(_OTHER_OBJECTS.format(_listed(missing)))
        wanted = [places[query] for query in queries]
        numbers: Dict[Answers, int] = {}
        found = [
            numbers.setdefault(tuple(layout[at] for at in wanted), len(numbers))
            for layout in self.layouts
        ]
        selected = copy(self)
        selected.queries = tuple(queries)
        selected.layouts = list(numbers)
        selected.kernels = {name: found[number] for name, number in self.kernels.items()}
        return selected

    def find(self, kernel: str) -> Optional[int]:
        """The number of the layout of exactly this kernel, or None."""
        return self.kernels.get(kernel)

    def find_release(self, arch: str, release: str) -> List[Tuple[str, int]]:
        """Names and layouts of the kernels of any distribution with this `uname -r`."""
        suffix = f"/{arch}/{release}"
        return [(name, number) for name, number in self.kernels.items() if name.endswith(suffix)]

    def by_arch(self) -> Dict[str, List[Answers]]:
        """Architecture -> the layouts of its kernels."""
        pairs = sorted({(name.split("/")[2], number) for name, number in self.kernels.items()})
        found: Dict[str, List[Answers]] = {}
        for arch, number in pairs:
            found.setdefault(arch, []).append(self.layouts[number])
        return found


def check_queries(archive: Archive, queries: CoreQueries) -> None:
    """Raise ArchiveError unless the archive was made for objects with exactly these queries."""
    if archive.queries != queries.names:
        differ = sorted(set(archive.queries) ^ set(queries.names))
        raise ArchiveError(_OTHER_OBJECTS.format(_listed(differ)))


def _listed(queries: Sequence[str]) -> str:
    return "; ".join(queries[:3]) + (" ..." if len(queries) > 3 else "")


def unanswered(queries: Sequence[str], answers: Mapping[str, Iterable[Answers]]) -> List[str]:
    """`<arch>: <query>` of each query to which no kernel of an architecture has an answer.

    `answers` has those of the kernels by architecture.  Such a query is misspelt, or declares a
    type of another kind than the kernel's (an `int` for an enum), and the program that asks would
    be without effect on every host, in silence.
    """
    missing = []
    for arch in sorted(answers):
        answered = [any(answer is not None for answer in column) for column in zip(*answers[arch])]
        missing += [f"{arch}: {query}" for query, known in zip(queries, answered) if not known]
    return missing


def _decompress(data: bytes) -> bytes:
    if not data.startswith(xz.MAGIC):
        raise ArchiveError("the BTF archive cannot be read: it is no xz file")
    try:
        return xz.unpack(data, MAX_UNPACKED)
    except FormatError as err:
        raise ArchiveError(f"the BTF archive cannot be read: {err}") from err
