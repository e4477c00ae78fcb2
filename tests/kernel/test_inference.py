# SPDX-License-Identifier: Apache-2.0
"""This kernel's layout, which its BTF states, against the checks, the archive and the scan."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.agent import ROOT
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import host, requirements
from tetrapy.btf.archive import Archive
from tetrapy.btf.inference.candidates import same_names
from tetrapy.btf.inference.checks import run_checks
from tetrapy.btf.inference.memory import Memory
from tetrapy.btf.inference.prober import LayoutProber
from tetrapy.btf.inference.view import View
from tetrapy.kernel.kernel_memory import KernelMemory
from tetrapy.kernel.reference_process import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

KERNEL = Path("/sys/kernel/btf/vmlinux")

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


class Here(NamedTuple):
    """This kernel: its memory, what the objects need, its own answers, who examines it."""

    memory: KernelMemory
    queries: CoreQueries
    answers: Answers
    prober: LayoutProber


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    """This kernel, with nothing but its own BTF known."""
    objects = [path.read_bytes() for path in sorted((ROOT / "build/bundle/bpf").glob("base*.o"))]
    assert objects, "the BPF objects are not built: make build"
    queries = CoreQueries(objects)
    memory = KernelMemory()
    optional = requirements.optional(queries.names, requirements.optional_accesses(objects))
    prober = LayoutProber(queries.names, optional, partial(prepared, memory))
    with KERNEL.open("rb") as file:
        answers = queries.answers(Btf(file.read()))
    yield Here(memory, queries, answers, prober)
    memory.close()


@pytest.mark.parametrize("variant", [0, 1])
def test_the_own_layout_passes_all_facts(here: Here, variant: int) -> None:
    """And no query stays without a check that confirms it."""
    assert not any(here.prober.check(here.answers, variant))


def test_only_the_own_layout_is_inferred(here: Here) -> None:
    """No layout of the archive passes unless it is equal to this kernel's."""
    archive = Archive((ROOT / "btfs/archive.xz").read_bytes()).select(here.queries.names)
    names = here.queries.names
    started = time.monotonic()
    found = here.prober.infer(archive, host.current())
    print(f"{found.tested} layouts in {(time.monotonic() - started) * 1000:.1f} ms")
    known = {same_names(names, layout) for layout in archive.layouts}
    if same_names(names, here.answers) in known:
        assert found.answers == here.answers
    else:
        assert found.answers is None, found.kernel
        assert len(found.refused) == found.tested > 0


def test_a_scan_finds_the_own_layout(here: Here) -> None:
    """Exactly what the kernel's BTF says, all of it confirmed by checks about another process."""
    started = time.monotonic()
    found = here.prober.scan()
    print(f"found and proven in {(time.monotonic() - started) * 1000:.1f} ms")
    assert found.answers == same_names(here.queries.names, here.answers), found.reason
    assert not found.unproven
    assert found.proven == sum(answer is not None for answer in here.answers)


def test_every_wrong_answer_is_noticed(here: Here) -> None:
    """Each query alone, off by up to 512 bytes in steps of 4, or without an answer, is refused."""
    names = here.queries.names
    wrong = [
        (name, other, (*here.answers[:at], other, *here.answers[at + 1 :]))
        for at, name in enumerate(names)
        for other in around(name, here.answers[at])
    ]
    assert len(wrong) > 100 * len(names)
    with prepared(here.memory, 0) as reference:
        memory = Memory(reference.read)
        views = [(query, other, View(names, layout, memory)) for query, other, layout in wrong]
        living = [
            view
            for view in views
            if not run_checks(view[2], reference, False, first_only=True).failed
        ]
        reference.end()
        memory.forget()
        passed = [
            view[:2] for view in living if not run_checks(view[2], reference, ended=True).failed
        ]
    assert not passed


def test_what_is_wrong_for_an_optional_program_is_left_out(here: Here) -> None:
    """The securebits in the place of the capabilities: the rest of the layout is used."""
    names = list(here.queries.names)
    at = names.index("offset struct cred.securebits int")
    right = here.answers[at]
    assert right is not None
    found = here.prober.check((*here.answers[:at], right + 64, *here.answers[at + 1 :]))
    assert (found.failed, found.unproven) == ([], [])
    assert (found.doubtful, found.doubted) == (["securebits"], [names[at]])


def around(query: str, value: int | None) -> list[int | None]:
    """Other answers to a query than this one."""
    step = 32 if query.startswith("offset") else 1
    places = [(value or 0) + step * number for number in range(-128, 129)]
    return [other for other in (*places, None) if other != value and (other or 0) >= 0]


def test_nothing_is_left(here: Here) -> None:
    """No file and no process of an probing outlives it."""
    before = set(os.listdir("/proc/self/fd")), children()
    here.prober.scan()
    assert (set(os.listdir("/proc/self/fd")), children()) == before


def children() -> str:
    """This process's; agents of other tests may be among them."""
    return Path("/proc/thread-self/children").read_text()
