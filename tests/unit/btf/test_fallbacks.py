# SPDX-License-Identifier: Apache-2.0
"""BTF for a kernel that has none: store, archive, inference, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders import BtfBuilder
from tests.unit.btf.machine import (
    FILES,
    HERE,
    NEED,
    OBJECT,
    RELEASE,
    Log,
    Machine,
    Truth,
    facts_of,
    kernel,
)
from tetrapy.abi.core_queries import Answers
from tetrapy.btf import search, source
from tetrapy.btf.discovery import find_btf
from tetrapy.btf.inference.prober import CheckResult, InferenceResult
from tetrapy.btf.pack import pack
from tetrapy.btf.search import Search
from tetrapy.btf.store import LocalStore
from tetrapy.errors import BtfNotFoundError, KernelError


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path) -> Machine:
    """A machine without any BTF."""
    return Machine(tmp_path)


def test_the_archive_is_exact(machine: Machine) -> None:
    """A kernel that the archive names gets BTF with its answers."""
    answers = {str(HERE): (32,), "debian/13/x86_64/" + RELEASE: (64,)}
    machine.archive = pack(answers, [NEED])
    found = machine.find()
    assert (found.kind, found.origin) == (source.KIND_ARCHIVE, str(HERE))
    assert facts_of(found) == (32,)


def test_a_rebranded_host_is_found_by_its_release(machine: Machine) -> None:
    """os-release may lie: the release alone decides when its kernels have equal answers."""
    rebranded = HERE._replace(id="proxmox", version_id="8")
    machine.archive = pack({str(HERE): (32,), "debian/13/x86_64/" + RELEASE: (32,)}, [NEED])
    found = machine.find(rebranded)
    assert facts_of(found) == (32,)
    assert "by release alone" in found.origin
    assert str(HERE) in found.origin


def test_the_own_distribution_goes_before_others_of_the_release(machine: Machine) -> None:
    """A key has VERSION_ID 9 or none where the host says 9.4: ID and release decide then."""
    for version in ("12", ""):
        own = f"{HERE.id}/{version}/x86_64/{RELEASE}"
        machine.archive = pack({own: (32,), f"rocky/9/x86_64/{RELEASE}": (64,)}, [NEED])
        found = machine.find(HERE._replace(version_id="12.7"))
        assert facts_of(found) == (32,)
        assert found.origin.startswith(f"{own} (by release alone")


def test_a_release_of_two_kernels_decides_nothing(machine: Machine) -> None:
    """Kernels of one release with different answers are named, and none of them is taken."""
    names = [f"debian/{version}/x86_64/{RELEASE}" for version in (12, 13)]
    machine.archive = pack(dict(zip(names, ((0,), (32,)), strict=True)), [NEED])
    with pytest.raises(BtfNotFoundError, match=f"differ: {names[0]}, {names[1]}"):
        machine.find(HERE._replace(id="proxmox"))


def test_another_architecture_is_another_kernel(machine: Machine) -> None:
    """The release alone does not cross architectures, nor does a part of it match."""
    machine.archive = pack(
        {"debian/12/arm64/" + RELEASE: (0,), f"debian/12/x86_64/x{RELEASE}": (32,)}, [NEED]
    )
    with pytest.raises(BtfNotFoundError, match=f"has no {HERE} among 2 kernels"):
        machine.find()


def test_the_local_store_comes_before_the_archive(machine: Machine) -> None:
    """What the operator added wins; another os-release does not hide it."""
    machine.archive = pack({str(HERE): (0,)}, [NEED])
    store = LocalStore(machine.places.store)
    path = store.add(HERE, kernel(96))
    for host in (HERE, HERE._replace(version_id="12.1")):
        found = machine.find(host)
        assert (found.kind, facts_of(found)) == (source.KIND_STORE, (96,))
    store.add(HERE, b"rubbish")
    assert machine.find().kind == source.KIND_ARCHIVE
    Path(path).chmod(0o666)
    assert machine.find().kind == source.KIND_ARCHIVE
    assert any("writable for others" in str(fields) for _, _, fields in machine.log.lines)


def test_the_exact_kernel_of_the_store_is_preferred(machine: Machine) -> None:
    """Of two kernels with one release, the one of this distribution's version is taken."""
    store = LocalStore(machine.places.store)
    for version, offset in (("11", 32), ("12", 64), ("13", 96)):
        store.add(HERE._replace(version_id=version), kernel(offset))
    assert facts_of(machine.find()) == (64,)


def test_btf_of_another_kernel_is_refused_everywhere(machine: Machine) -> None:
    """A file, the store's and the archive's BTF are compared with the running kernel."""
    machine.truth = Truth(64)
    file = machine.put(FILES[2], kernel(32))
    LocalStore(machine.places.store).add(HERE, kernel(32))
    machine.archive = pack({str(HERE): (32,)}, [NEED])
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find()
    assert str(caught.value).count("is not the running kernel's: a is not ours") == 3
    with pytest.raises(BtfNotFoundError, match=r"user specified BTF .*: is not the running kernel"):
        machine.find(user_path=file)
    assert machine.find(user_path=file, check=False).kind == source.KIND_USER
    assert machine.closed == 2


@pytest.mark.parametrize(("tainted", "told"), [("0", False), ("131072", True), ("135168", True)])
def test_shuffled_structures_are_named(machine: Machine, tainted: str, told: bool) -> None:
    """Under RANDSTRUCT the right BTF fails as well: the way past the checks is told there only."""
    machine.put("proc/sys/kernel/tainted", f"{tainted}\n".encode())
    machine.truth = Truth(32)
    path = machine.put("own.btf", kernel(64))
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find(user_path=path)
    assert "is not the running kernel's: a is not ours" in str(caught.value)
    assert ("RANDSTRUCT" in str(caught.value)) is told
    assert ("--btf-check=false" in str(caught.value)) is told
    assert facts_of(machine.find(user_path=path, check=False)) == (64,)


def test_the_right_btf_passes_the_check(machine: Machine) -> None:
    """What agrees with the kernel is used from wherever it comes first."""
    machine.truth = Truth(64)
    machine.put(FILES[0], kernel(32))
    path = machine.put(FILES[2], kernel(64))
    found = machine.find()
    assert (found.kind, found.origin, facts_of(found)) == (source.KIND_METADATA, path, (64,))


def test_a_field_that_is_not_there_is_named(machine: Machine) -> None:
    """BTF that lacks what the programs read is refused before it gets to libbpf."""
    path = machine.put("mine", BtfBuilder().build())
    with pytest.raises(BtfNotFoundError, match=f"lacks what tetrapy's programs read: {NEED}"):
        machine.find(user_path=path)


def test_a_kernel_that_cannot_be_examined_gets_what_was_named(machine: Machine) -> None:
    """Without a check, what has this kernel's name is used, and the log says so."""

    class Blind(Truth):
        def check(self, answers: Answers) -> CheckResult:
            raise KernelError("no test runs here")

    machine.truth = Blind(0)
    machine.archive = pack({str(HERE): (32,)}, [NEED])
    assert facts_of(machine.find()) == (32,)
    assert machine.messages("warn") == ["BTF is used unchecked"]


def test_inferred_then_scanned(machine: Machine) -> None:
    """Without an entry a layout is inferred, or else the memory scanned; both are said loudly."""
    machine.truth = Truth(64)
    machine.archive = pack({"debian/12/x86_64/other": (64,)}, [NEED])
    scanned = InferenceResult((64,), "", proven=7)
    machine.truth.scanned = scanned
    found = machine.find()
    assert found.description == "inferred from the memory of the running kernel"
    assert (found.kind, facts_of(found)) == (source.KIND_SCANNED, (64,))
    machine.truth.found = scanned._replace(kernel="debian/12/x86_64/other", off=("some need",))
    found = machine.find()
    assert (found.kind, found.description) == (
        source.KIND_INFERRED,
        "inferred from debian/12/x86_64/other",
    )
    warnings = machine.messages("warning")
    assert warnings[-2:] == [
        "BTF discovery: inferred from debian/12/x86_64/other",
        "BTF discovery: a feature is off",
    ]


def test_inference_can_be_refused(machine: Machine) -> None:
    """--btf-inference=off refuses, =archive does without the scan; the error says so."""
    machine.truth = Truth(64)
    machine.truth.scanned = InferenceResult((64,), "", proven=7)
    machine.inference = search.INFERENCE_ARCHIVE
    with pytest.raises(BtfNotFoundError, match="scan of kernel memory: is off"):
        machine.find()
    machine.inference = search.INFERENCE_OFF
    machine.truth.found = machine.truth.scanned
    with pytest.raises(BtfNotFoundError, match="inference from the archive: is off"):
        machine.find()


@pytest.mark.parametrize("archive", [b"", b"rubbish"])
def test_a_damaged_archive_is_not_believed(machine: Machine, archive: bytes) -> None:
    """The archive's damage is what was found in that place, and nothing is inferred beside it."""
    machine.truth = Truth(0)
    machine.truth.scanned = machine.truth.found = InferenceResult((0,), "", proven=7)
    machine.archive = archive
    with pytest.raises(
        BtfNotFoundError, match=r"archive (cannot be read|is empty).*copy tetrapy.*was not tried"
    ):
        machine.find()


def test_an_outdated_archive_does_not_hinder_the_scan(machine: Machine) -> None:
    """An operator's archive that was made for an earlier version is passed over, and told."""
    machine.truth = Truth(64)
    machine.truth.scanned = InferenceResult((64,), "", proven=7)
    machine.archive = pack({str(HERE): (0,)}, ["offset struct s.b int"])
    assert machine.find().kind == source.KIND_SCANNED
    assert any("pack it again" in str(fields) for _, _, fields in machine.log.lines)


def test_a_bundle_without_archive_is_named(machine: Machine) -> None:
    """An archive that cannot be read is one more place that was tried."""

    def missing() -> bytes:
        raise FileNotFoundError(2, "No such file or directory", "btfs/archive.xz")

    search = Search(HERE, missing, lambda: [OBJECT], Log(), places=machine.places)
    with pytest.raises(BtfNotFoundError, match=r"btfs/archive\.xz"):
        find_btf(search)


def test_an_archive_for_other_objects_is_not_used(machine: Machine) -> None:
    """Its layouts do not answer what these objects ask for."""
    machine.archive = pack({str(HERE): (0,)}, ["offset struct s.b int"])
    with pytest.raises(BtfNotFoundError, match="made for other BPF objects"):
        machine.find()
