# SPDX-License-Identifier: Apache-2.0
"""A program that need not be loaded: BTF without what it reads is used, and the log tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builders import BtfBuilder
from tests.unit.btf.machine import HERE, Log, Truth
from tests.unit.btf.test_requirements import sample
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import search
from tetrapy.btf.btf_paths import Places
from tetrapy.btf.discovery import find_btf
from tetrapy.btf.inference.prober import CheckResult, InferenceResult
from tetrapy.btf.pack import pack
from tetrapy.btf.search import Search
from tetrapy.btf.source import KIND_INFERRED, KIND_SCANNED, KIND_USER, BtfSource
from tetrapy.errors import BtfNotFoundError

PROGRAM = "on_exec_context"
OBJECT = sample(("on_exec", "a"), (PROGRAM, "b"), optional=(PROGRAM,))
A, B = "offset struct s.a int", "offset struct s.b int"
OTHER = "debian/12/x86_64/other"


def kernel(*fields: str) -> bytes:
    """The BTF of a kernel whose struct s has these fields, one behind the other."""
    b = BtfBuilder()
    number = b.integer("int", 4)
    b.composite("s", 64, [(field, number, 32 * at) for at, field in enumerate(fields)])
    return b.build()


class Doubtful(Truth):
    """A prober whose kernel has another `b` than every layout that is checked."""

    def check(self, answers: Answers) -> CheckResult:
        return CheckResult([], [], ["where b is"], [B])


class Host:
    """A host without BTF, on which this object is to be loaded."""

    def __init__(self, root: Path) -> None:
        self.log = Log()
        self.truth: Truth | None = None
        self.archive = pack({str(HERE): (0, 32)}, [A, B])
        self.inference = search.INFERENCE_AUTO
        self.root = root
        self.places = Places(str(root / "lib"), str(root), str(root / "store"))

    @contextlib.contextmanager
    def open_prober(self, queries: CoreQueries, optional: frozenset[str]) -> Iterator[Truth | None]:
        assert optional == {B}
        yield self.truth

    def find(self, user_path: str = "") -> BtfSource:
        open_prober = self.open_prober if self.truth else None
        given = Search(
            HERE, lambda: self.archive, lambda: [OBJECT], self.log, open_prober, self.places
        )
        return find_btf(given._replace(inference=self.inference), user_path)

    def reported(self) -> list[dict[str, str]]:
        """What the log says of programs that are off."""
        lines = self.log.lines
        return [fields for _, text, fields in lines if text == "BTF discovery: a program is off"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def answered(source: BtfSource) -> Answers:
    assert source.data is not None
    return CoreQueries([OBJECT]).answers(Btf(source.data))


def test_everything_is_there(host: Host) -> None:
    """Then no program is off, and nothing is said."""
    found = host.find()
    assert (answered(found), found.disabled_programs, host.reported()) == ((0, 32), (), [])


def test_a_kernel_without_it(host: Host) -> None:
    """BTF that lacks what only the program reads serves; without what others read it does not."""
    path = host.root / "mine"
    path.write_bytes(kernel("a"))
    found = host.find(str(path))
    assert (found.kind, answered(found), found.disabled_programs) == (
        KIND_USER,
        (0, None),
        (PROGRAM,),
    )
    because = "its kernel structures are not known"
    assert host.reported() == [{"program": PROGRAM, "because": because}]
    path.write_bytes(kernel("b"))
    with pytest.raises(BtfNotFoundError, match=f"lacks what tetrapy's programs read: {A}$"):
        host.find(str(path))


def test_the_running_kernel_has_it_elsewhere(host: Host) -> None:
    """Checks that are against it alone take it out of the BTF."""
    host.truth = Doubtful(0)
    found = host.find()
    assert (answered(found), found.disabled_programs) == ((0, None), (PROGRAM,))
    assert host.reported() == [{"program": PROGRAM, "because": "where b is"}]


PART = InferenceResult((0, None), "", OTHER, proven=1, off=(B,), doubtful=("where b is",))
WHOLE = InferenceResult((0, 32), "", proven=2)


def test_a_scan_that_finds_all_is_better_than_a_part(host: Host) -> None:
    """What a known layout gives in part is used where the scan finds no more."""
    host.archive = pack({OTHER: (0, 64)}, [A, B])
    host.truth = Truth(0)
    host.truth.found, host.truth.scanned = PART, WHOLE
    found = host.find()
    assert (found.kind, answered(found), found.disabled_programs) == (KIND_SCANNED, (0, 32), ())
    assert host.reported() == []
    for scanned in (None, InferenceResult((0, None), "", off=(B,))):
        host.truth.scanned = scanned
        found = host.find()
        assert (found.kind, found.origin) == (KIND_INFERRED, f"inferred from {OTHER}")
        assert (answered(found), found.disabled_programs) == ((0, None), (PROGRAM,))
        assert host.reported()[-1] == {"program": PROGRAM, "because": "where b is"}
    host.truth.scanned = WHOLE
    host.inference = search.INFERENCE_ARCHIVE
    assert host.find().kind == KIND_INFERRED


def test_a_known_layout_that_is_right_in_all_is_not_scanned_for(host: Host) -> None:
    """The scan is for where the archive does not suffice."""
    host.archive = pack({OTHER: (0, 32)}, [A, B])
    host.truth = Truth(0)
    host.truth.found = WHOLE._replace(kernel=OTHER)

    def scan() -> InferenceResult:
        raise AssertionError

    host.truth.scan = scan
    assert host.find().kind == KIND_INFERRED
