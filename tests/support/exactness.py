# SPDX-License-Identifier: Apache-2.0
"""Compares what libbpf makes of BPF objects with a kernel's BTF and with one made of its
answers.
"""

from __future__ import annotations

import functools
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from btfs import corpus as corpora
from tests.support.relocated import relocate
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import Answers, CoreQueries

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kernels of which each has something of its own: the series, the variant, the machine.
_SERIES = re.compile(r"(\d+\.\d+)\..*?(-cloud|-rt)?-?(?:amd64|arm64)?(-16k)?\.btf$")


class Comparison(NamedTuple):
    """One kernel: its answers, a digest of the code for it, and the programs that differ."""

    path: Path
    answers: Answers
    code: str
    unequal: tuple[str, ...]


def kernels() -> dict[Path, Path]:
    """All BTFs by their paths in the corpus, debian/VERSION_ID/arch/*.btf; full where possible."""
    return corpora.files()


def spread() -> list[Path]:
    """A kernel of each series, variant and machine, full where possible, and all that are not
    Debian's.
    """
    chosen: dict[object, Path] = {}
    for name, path in kernels().items():
        found = _SERIES.match(name.name)
        is_series = found is not None and name.parts[0] == "debian"
        chosen[(name.parent, *found.groups()) if found and is_series else name] = path
    return list(chosen.values())


def compare_all(paths: Iterable[Path], objects: Iterable[bytes]) -> list[Comparison]:
    """`compare` for each kernel, by two processes; once for kernels with the same types."""
    alike = {path: sha256(path.read_bytes()).digest() for path in paths}
    firsts = {contents: path for path, contents in reversed(alike.items())}
    work = functools.partial(compare, objects=tuple(objects))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = dict(zip(firsts, pool.map(work, firsts.values()), strict=True))
    return [found[contents]._replace(path=path) for path, contents in alike.items()]


def compare(path: Path, objects: tuple[bytes, ...]) -> Comparison:
    """What libbpf makes of the objects with the kernel's BTF, and with that of its answers."""
    queries = _queries(objects)
    answers = queries.answers(Btf(path.read_bytes()))
    made = minimal_btf(queries, answers)
    code, unequal = sha256(), []
    for number, data in enumerate(objects):
        mine, theirs = relocate(data, made), relocate(data, path)
        for name, instructions in theirs.items():
            if mine[name] != instructions or isinstance(instructions, str):
                unequal.append(f"{path.name}: {name} of object {number}")
            code.update(repr((number, name, instructions)).encode())
    return Comparison(path, answers, code.hexdigest(), tuple(unequal))


@functools.lru_cache(maxsize=4)
def _queries(objects: tuple[bytes, ...]) -> CoreQueries:
    return CoreQueries(objects)
