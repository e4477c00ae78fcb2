# SPDX-License-Identifier: Apache-2.0
"""The kernels whose layouts tests of the inference use: one of each layout of the corpus."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from btfs import corpus as corpora
from tests.support.paths import ROOT
from tests.unit.btf.inference.synthetic_memory import Moved, Types
from tests.unit.btf.inference.synthetic_objects import PLAIN, Host
from tests.unit.btf.inference.synthetic_process import SyntheticProcess
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import requirements
from tetrapy.btf.archive import Archive
from tetrapy.btf.inference.view import key

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = sorted((ROOT / "build/bundle/bpf").glob("base*.bpf.o"))
OTHERS = 12  # kernels of other vendors


@functools.cache
def images() -> tuple[bytes, ...]:
    """The objects of the release."""
    assert OBJECTS, "the BPF objects are not built: make build"
    return tuple(path.read_bytes() for path in OBJECTS)


@functools.cache
def queries() -> CoreQueries:
    """What they ask of a kernel."""
    return CoreQueries(images())


@functools.cache
def all_images() -> tuple[bytes, ...]:
    """Those of policies too."""
    paths = sorted((ROOT / "build/bundle/bpf").glob("*.bpf.o"))
    return tuple(path.read_bytes() for path in paths)


@functools.cache
def all_queries() -> CoreQueries:
    """What all of them ask."""
    return CoreQueries(all_images())


@functools.cache
def optional() -> frozenset[str]:
    """What they can do without."""
    return requirements.optional(queries().names, requirements.optional_accesses(images()))


@functools.cache
def archive() -> Archive:
    """The archive that is shipped, as the base sensor sees it."""
    return Archive((ROOT / "btfs/archive.xz").read_bytes()).select(queries().names)


def corpus() -> Path:
    """The reduced corpus: it has all that a memory is made of, and is read in no time."""
    return corpora.reduced().path


class Kernel(NamedTuple):
    """A kernel of the corpus: its name in the archive, or its path, and what its BTF says."""

    name: str
    arch: str
    types: Types
    answers: Answers

    def reference(self, variant: int = 0, host: Host = PLAIN) -> SyntheticProcess:
        """A prepared task on this kernel."""
        return SyntheticProcess(self.types, self.arch, variant, host)


def names() -> list[str]:
    """One kernel's name of each layout, and numbers for the others."""
    first: dict[int, str] = {}
    for name, number in archive().kernels.items():
        first.setdefault(number, name)
    return [*first.values(), *map(str, range(OTHERS))]


def kernel(name: str) -> Kernel:
    """The kernel of one of `names`."""
    if name.isdigit():
        path = sorted((corpus() / "other").rglob("*.btf"))[int(name)]
    else:
        path = corpus() / f"{name}.btf"
    btf = Btf(path.read_bytes())
    arch = "arm64" if "arm64" in str(path) or "aarch64" in str(path) else "x86_64"
    return Kernel(name, arch, Types(btf), queries().answers(btf))


def query(short: str) -> str:
    """The text of the query with this short name."""
    return next(name for name in queries().names if key(name) == short)


def changed(answers: Answers, **changes: int | None) -> Answers:
    """The answers with other answers; a name's dots and colons are written as underscores."""
    names = [
        key(name).replace(".", "_").replace("::", "_").replace(" ", "_") for name in queries().names
    ]
    assert set(changes) <= set(names)
    return tuple(changes.get(name, answer) for name, answer in zip(names, answers, strict=True))


def moved(answers: Answers, types: Moved) -> Answers:
    """The answers for a kernel whose structs have more room."""

    def now(name: str, answer: int | None) -> int | None:
        if answer is None or not name.startswith("offset struct "):
            return answer
        structure = name.split()[2].partition(".")[0].partition("___")[0]
        return 8 * types.moved(structure, answer // 8)

    return tuple(now(name, one) for name, one in zip(queries().names, answers, strict=True))


@contextlib.contextmanager
def given(reference: SyntheticProcess) -> Iterator[SyntheticProcess]:
    """A reference process that is there already."""
    yield reference
