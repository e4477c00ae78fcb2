# SPDX-License-Identifier: Apache-2.0
"""The answers of a kernel are as good as its whole BTF: libbpf makes the same instructions of both.

libbpf itself relocates the shipped objects for every kernel of the corpus, once with the kernel's
own BTF and once with the BTF that is made of its answers.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import exactness
from tests.support.exactness import Comparison
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.btf.archive import Archive

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = [ROOT / "build/bundle/bpf" / name for name in ("base.bpf.o", "base-perf.bpf.o")]


@pytest.fixture(scope="module")
def objects() -> list[bytes]:
    """What is shipped."""
    return [path.read_bytes() for path in OBJECTS]


@pytest.fixture(scope="module")
def comparisons(objects: list[bytes]) -> list[Comparison]:
    """All kernels of the corpus."""
    return exactness.compare_all(exactness.kernels().values(), objects)


@pytest.fixture(scope="module")
def archive(objects: list[bytes]) -> Archive:
    """The archive that is shipped, as these objects see it."""
    return Archive((ROOT / "btfs/archive.xz").read_bytes()).select(CoreQueries(objects).names)


def test_every_kernel_gets_the_instructions_of_its_own_btf(comparisons: list[Comparison]) -> None:
    """Each instruction of both objects is the same, for every kernel that is known."""
    assert len(comparisons) > 200
    assert [text for found in comparisons for text in found.unequal] == []


def test_facts_tell_no_more_and_no_less_than_the_instructions(
    comparisons: list[Comparison],
) -> None:
    """Kernels with the same answers have the same instructions, others have others."""
    pairs = {(found.answers, found.code) for found in comparisons}
    assert len(pairs) == len({answers for answers, _code in pairs})
    assert len(pairs) == len({code for _answers_of, code in pairs})
    assert len(pairs) > 20


def test_the_archive_holds_the_facts_of_its_kernels(
    comparisons: list[Comparison], archive: Archive
) -> None:
    """The shipped layout of each kernel is what its BTF says to the shipped objects."""
    debian = {
        str(name)[: -len(".btf")]: found.answers
        for name, found in zip(exactness.kernels(), comparisons, strict=True)
        if name.parts[0] == "debian"
    }
    assert {key: archive.layouts[number] for key, number in archive.kernels.items()} == debian


def test_each_layout_of_the_archive_makes_btf_of_a_few_bytes(
    archive: Archive, objects: list[bytes]
) -> None:
    """The BTF of a layout answers it, is canonical, and is far below a page or two."""
    queries = CoreQueries(objects)
    for answers in archive.layouts:
        made = minimal_btf(queries, answers)
        assert queries.answers(Btf(made)) == answers
        assert made == minimal_btf(CoreQueries(reversed(objects)), answers)
        assert len(made) < 4096
