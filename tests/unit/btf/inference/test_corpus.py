# SPDX-License-Identifier: Apache-2.0
"""Inference and scan on every layout of the corpus, in a made-up memory of each."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.unit.btf.inference import inference_corpus as c
from tests.unit.btf.inference.synthetic_objects import Host
from tetrapy.abi.core_queries import Answers
from tetrapy.btf.host import Host as KernelName
from tetrapy.btf.inference.candidates import check, infer, same_names
from tetrapy.btf.inference.prober import LayoutProber
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.scan import scan

pytestmark = pytest.mark.slow

SUSPENDED = 98_765_432_109  # ns
HOSTS = {
    "plain": Host(),
    "odd": Host(gap_ns=SUSPENDED, level=3, covered=True, stale=True),
    "version-1": Host(version_1=True, bound=True),
}


class Known(NamedTuple):
    """Layouts that are known, as an archive has them."""

    queries: tuple[str, ...]
    layouts: list[Answers]
    kernels: dict[str, int]


@pytest.fixture(scope="module", params=c.names())
def kernel(request: pytest.FixtureRequest) -> c.Kernel:
    """A kernel of each layout; of the 12 from other vendors each."""
    return c.kernel(request.param)


def host_of(kernel: c.Kernel) -> KernelName:
    """What the running host would call itself."""
    if kernel.name.isdigit():
        return KernelName("other", "", kernel.arch, "5.15.0-1")
    return KernelName(*kernel.name.split("/", 3))


def essential(answers: Answers) -> Answers:
    """The checks that the programs cannot do without."""
    named = zip(c.queries().names, plain(answers), strict=True)
    return tuple(answer for name, answer in named if name not in c.optional())


def without(answers: Answers) -> Known:
    """The archive less all kernels whose layout is equal in what is essential."""
    known = c.archive()
    wanted = essential(answers)
    equal = {at for at, layout in enumerate(known.layouts) if essential(layout) == wanted}
    left = {name: at for name, at in known.kernels.items() if at not in equal}
    return Known(known.queries, known.layouts, left)


def plain(answers: Answers) -> Answers:
    """The checks as a scan reports them, which does not know how a kernel calls a field."""
    return same_names(c.queries().names, answers)


def test_only_the_right_layout_is_inferred(kernel: c.Kernel) -> None:
    """With the kernel's layout in the archive it is chosen; without it, and those that differ from
    it in nothing essential, none is.
    """
    assert c.archive().queries == c.queries().names, "the archive was made for other objects"
    if kernel.name.isdigit():
        assert not any(check(c.queries().names, kernel.answers, kernel.reference()))
    else:
        found = infer(c.archive(), host_of(kernel), kernel.reference(), c.optional())
        assert found.layout == kernel.answers, found.reason
        assert found.passed == [found.kernel]
        assert not found.unproven
        assert not found.off
    refused = infer(without(kernel.answers), host_of(kernel), kernel.reference(), c.optional())
    assert refused.layout is None, refused.kernel
    assert not refused.passed
    assert len(refused.refused) == refused.tested > 0


def test_a_layout_that_is_right_in_part_is_inferred_in_part(kernel: c.Kernel) -> None:
    """Of layouts that differ in optional queries only, what is wrong or unknown is left out."""
    known = c.archive()
    others = {
        name: at
        for name, at in known.kernels.items()
        if known.layouts[at] != kernel.answers
        and essential(known.layouts[at]) == essential(kernel.answers)
    }
    found = infer(
        Known(known.queries, known.layouts, others),
        host_of(kernel),
        kernel.reference(),
        c.optional(),
    )
    assert (found.layout is not None) == bool(others)
    right = zip(c.queries().names, kernel.answers, found.layout or (), strict=False)
    left_out = [name for name, answer, other in right if other != answer]
    assert set(left_out) <= set(found.off)
    assert bool(left_out) == bool(found.doubtful) == bool(others)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_scan_finds_the_layout(kernel: c.Kernel, host: Host) -> None:
    """All of it; and the checks confirm each part of it with another reference process."""
    names = c.queries().names
    found = scan(names, kernel.reference(0, host), c.optional())
    assert found.layout == plain(kernel.answers), found.reasons
    assert not any(check(names, found.layout, kernel.reference(1, host)))


def test_a_scan_is_never_wrong(kernel: c.Kernel) -> None:
    """Where meaningless words point to what is looked for, it finds the layout or gives up.

    What is optional it may leave out.
    """
    found = scan(c.queries().names, kernel.reference(0, Host(hostile=True)), c.optional())
    assert found.layout or found.reasons
    right = zip(c.queries().names, plain(kernel.answers), found.layout or (), strict=False)
    wrong = [name for name, answer, other in right if other not in (answer, None)]
    assert not wrong
    assert not found.layout or essential(found.layout) == essential(kernel.answers)


def test_other_processes_decide_where_memory_is_full_of_decoys() -> None:
    """A few kernels at most are refused, and of the others nothing is wrong.

    One process alone leaves something in two places on most of them.
    """
    names, seeds, alone, refused = c.queries().names, itertools.count(), 0, []
    for kernel in map(c.kernel, c.names()):

        @contextlib.contextmanager
        def prepared(variant: int, kernel: c.Kernel = kernel) -> Iterator[ReferenceProcess]:
            yield kernel.reference(variant, Host(hostile=True, seed=next(seeds)))

        with prepared(0) as reference:
            alone += scan(names, reference, c.optional()).layout is None
        found = LayoutProber(names, c.optional(), prepared).scan()
        if found.answers is None:
            refused.append(f"{kernel.name}: {found.reason}")
            continue
        right = zip(names, plain(kernel.answers), found.answers, strict=True)
        assert not [name for name, answer, other in right if other not in (answer, None)]
        assert essential(found.answers) == essential(kernel.answers)
    assert alone > len(c.names()) // 2
    assert len(refused) < 5, refused
