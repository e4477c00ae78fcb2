# SPDX-License-Identifier: Apache-2.0
"""Writes what `archive` reads. Equal input gives equal bytes."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Sequence, Tuple

from tetrapy.abi.core_queries import Answers
from tetrapy.btf.archive import FORMAT
from tetrapy.errors import ArchiveError


def pack(kernels: Mapping[str, Answers], queries: Sequence[str]) -> bytes:
    """The archive of answers by kernel name, for objects with these queries."""
    numbers: Dict[Answers, int] = {}
    lines: List[str] = []
    for name in sorted(kernels, key=order):
        if name.count("/") != 3 or name.split() != [name]:
            raise ArchiveError(f"{name!r} is no kernel's name, ID/VERSION_ID/arch/<uname -r>")
        if len(kernels[name]) != len(queries):
            raise ArchiveError(f"{name}: {len(kernels[name])} answers to {len(queries)} queries")
        number = numbers.setdefault(kernels[name], len(numbers))
        lines.append(f"kernel {number} {name}")
    head = [FORMAT, *(f"need {text}" for text in queries)]
    rows = [f"layout {' '.join(map(_word, answers))}" for answers in numbers]
    return _compress("\n".join([*head, *rows, *lines, ""]).encode())


def order(name: str) -> Tuple[object, ...]:
    """By architecture, flavour and version: neighbours are alike, which is what compresses."""
    place, _, release = name.rpartition("/")
    flavour = release.lstrip("0123456789.+-")
    numbers = tuple(int(digits) for digits in re.findall("[0-9]+", release))
    return place.rpartition("/")[2], flavour, numbers, name


def _word(answer: object) -> str:
    return "-" if answer is None else str(answer)


def _compress(data: bytes) -> bytes:
    import lzma

    # It is text: where in a machine word a letter stands says nothing (pb).
    words = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "pb": 0}
    words["dict_size"] = 4 << 20
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_SHA256, filters=[words])
