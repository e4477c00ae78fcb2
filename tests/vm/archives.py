# SPDX-License-Identifier: Apache-2.0
"""Archives that hold more, less or other than the shipped one, and the .pyz around them.

What is right is known from the kernel's full BTF, which its image holds also where the running
kernel shows none.
"""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.vm.ways import FLIPS, MADE_UP
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import requirements
from tetrapy.btf.archive import Archive
from tetrapy.btf.harvest.images import read_image
from tetrapy.btf.pack import pack
from tools.bpf_objects import FLAVOURS
from tools.guest import qemu
from tools.guest.kernels import Kernel
from tools.guest.unpackers import UNPACKERS

MEMBER = "btfs/archive.xz"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}
_VERSIONS = {"bullseye": "11", "bookworm": "12", "trixie": "13"}


@dataclass(frozen=True)
class Truth:
    """A kernel as the base sensor sees it: its key, the right answers, and what is shipped."""

    key: str
    queries: CoreQueries
    optional: frozenset[str]  # queries that the programs can do without
    answers: Answers
    packed: bytes
    archive: Archive

    @property
    def made_up(self) -> str:
        """The key of a kernel that does not exist."""
        return f"{self.key}{MADE_UP}"

    def twins(self) -> list[str]:
        """The other releases in the shipped archive that have the same answers."""
        release = self.key.rpartition("/")[2]
        return [
            name
            for name, number in self.archive.kernels.items()
            if self.archive.layouts[number] == self.answers and name.rpartition("/")[2] != release
        ]

    def fits(self, answers: Answers) -> bool:
        """Whether answers are right in all that the programs cannot do without."""
        trios = zip(self.queries.names, answers, self.answers, strict=True)
        return all(one == other for query, one, other in trios if query not in self.optional)

    def nearest_other(self) -> Answers:
        """The layout of the architecture that differs in the fewest answers, but does not fit."""
        others = self.archive.by_arch()[self.key.split("/")[2]]
        different = [answers for answers in others if not self.fits(answers)]
        return min(
            different,
            key=lambda answers: sum(a != b for a, b in zip(answers, self.answers, strict=True)),
        )


def key(kernel: Kernel) -> str:
    """The kernel's key in an archive, ID/VERSION_ID/arch/<uname -r>."""
    version = _VERSIONS[kernel.suite.partition("-")[0]]
    return f"debian/{version}/{ARCHITECTURES[kernel.arch]}/{kernel.release}"


def truth(kernel: Kernel, pyz: Path) -> Truth:
    """The right answers of a kernel for the objects in a .pyz."""
    with zipfile.ZipFile(pyz) as file:
        names = file.namelist()
        (packed,) = [file.read(name) for name in names if name.endswith(MEMBER)]
        flavours = [name for name in names if name.rpartition("/")[2] in FLAVOURS]
        objects = [file.read(name) for name in flavours]
    queries = CoreQueries(objects)
    optional = requirements.optional(queries.names, requirements.optional_accesses(objects))
    answers = queries.answers(_full_btf(qemu.image(kernel)))
    archive = Archive(packed).select(queries.names)
    return Truth(key(kernel), queries, optional, answers, packed, archive)


@functools.cache
def _full_btf(image: Path) -> Btf:
    return Btf(read_image(image.read_bytes(), UNPACKERS).btf)


def _without(known: Truth) -> dict[str, Answers]:
    release = known.key.rpartition("/")[2]
    return {
        name: known.archive.layouts[number]
        for name, number in known.archive.kernels.items()
        if name.rpartition("/")[2] != release
    }


def with_entry(known: Truth) -> bytes:
    """The shipped archive; with an entry of this kernel if it is not one of the known ones."""
    if known.key in known.archive.kernels:
        return known.packed
    return pack({**_without(known), known.key: known.answers}, known.queries.names)


def without_entry(known: Truth) -> bytes:
    """No entry of this release; its layout is there as that of another kernel.

    Where none of the shipped kernels has it, a twin is made up.
    """
    kernels = _without(known)
    if not known.twins():
        kernels[known.made_up] = known.answers
    return pack(kernels, known.queries.names)


def without_layout(known: Truth) -> bytes:
    """No kernel with a layout that fits, all others."""
    kernels = {
        name: answers for name, answers in _without(known).items() if not known.fits(answers)
    }
    return pack(kernels, known.queries.names)


def wrong_entry(known: Truth) -> bytes:
    """This kernel's key with the nearest other layout, and nothing else."""
    return pack({known.key: known.nearest_other()}, known.queries.names)


def misnamed(known: Truth) -> bytes:
    """This kernel's key with the nearest other layout; the right one has another kernel's name."""
    kernels = _without(known)
    if not known.twins():
        kernels[known.made_up] = known.answers
    return pack({**kernels, known.key: known.nearest_other()}, known.queries.names)


def truncated(known: Truth) -> bytes:
    """The first half of the shipped file."""
    return known.packed[: len(known.packed) // 2]


def _flipped(known: Truth, place: str) -> bytes:
    damaged = bytearray(known.packed)
    damaged[FLIPS[place](len(damaged))] ^= 0x10
    return bytes(damaged)


# What tests/vm/ways.py calls them.
VARIANTS: dict[str, Callable[[Truth], bytes]] = {
    "shipped": lambda known: known.packed,
    "with-entry": with_entry,
    "without-entry": without_entry,
    "without-layout": without_layout,
    "wrong-entry": wrong_entry,
    "misnamed": misnamed,
    "empty": lambda known: pack({}, known.queries.names),
    "truncated": truncated,
    **{f"flipped-{place}": functools.partial(_flipped, place=place) for place in FLIPS},
}


def own_btf(known: Truth) -> bytes:
    """What tetrapy needs of the kernel's BTF."""
    return minimal_btf(known.queries, known.answers)


def other_btf(known: Truth) -> bytes:
    """What an operator could give by mistake: the BTF of the kernel that is most like this one."""
    return minimal_btf(known.queries, known.nearest_other())


def question(known: Truth) -> dict[str, object]:
    """What tests/vm/probe.py puts to the kernel: the right layout, each known one, altered ones.

    An altered layout differs from the right one in a single answer: a field one or half a word
    away, a size or value that is one more, a thing that is said to be absent, or to be there.
    """
    place = known.key.rpartition("/")[0]
    layouts = {known.key: known.answers}
    others = enumerate(known.archive.by_arch()[known.key.split("/")[2]])
    layouts.update(
        {f"{place}/known.{n}": answers for n, answers in others if answers != known.answers}
    )
    for at, query in enumerate(known.queries.names):
        for name, answer in _alterations(query, known.answers[at]).items():
            answers = (*known.answers[:at], answer, *known.answers[at + 1 :])
            layouts[f"{place}/altered.{at}.{name}"] = answers
    return {
        "kernel": known.key,
        "right": known.key,
        "needs": known.queries.names,
        "optional": sorted(known.optional),
        "layouts": layouts,
    }


def _alterations(query: str, answer: int | None) -> dict[str, int | None]:
    word, half = 64, 32  # bits
    if answer is None:
        return {"there": word}
    if not query.startswith("offset "):
        return {"more": answer + 1, "absent": None}
    found: dict[str, int | None] = {"after": answer + word, "half": answer + half, "absent": None}
    if answer >= word:
        found["before"] = answer - word
    return found


def with_archive(pyz: Path, archive: bytes) -> bytes:
    """A copy of the .pyz with another archive in it."""
    file = io.BytesIO(pyz.read_bytes())
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as target:
        (old,) = [member for member in target.infolist() if member.filename.endswith(MEMBER)]
        # The old bytes stay, but nothing leads to them any more.
        target.filelist.remove(old)
        del target.NameToInfo[old.filename]
        target.writestr(old.filename, archive)
    return file.getvalue()
