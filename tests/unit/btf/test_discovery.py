# SPDX-License-Identifier: Apache-2.0
"""Where the BTF of the running kernel is looked for, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.unit.btf.machine import (
    FILES,
    HERE,
    KERNEL,
    NEED,
    RELEASE,
    Machine,
    Truth,
    facts_of,
)
from tetrapy.btf import btf_paths, discovery, fallbacks, search, source
from tetrapy.btf.inference.prober import InferenceResult
from tetrapy.btf.pack import pack
from tetrapy.btf.store import LocalStore
from tetrapy.errors import BtfNotFoundError


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path) -> Machine:
    """A machine without any BTF."""
    return Machine(tmp_path)


def test_the_kernels_own_btf_needs_no_path(machine: Machine) -> None:
    """libbpf finds /sys/kernel/btf/vmlinux itself, and it is preferred to all files."""
    path = machine.put(btf_paths.KERNEL_BTF)
    machine.put(FILES[0])
    found = machine.find()
    assert (found.kind, found.origin, found.data) == (source.KIND_KERNEL, path, None)
    assert machine.log.lines == [
        ("info", "BTF discovery: default kernel btf file found", {"btf-file": path})
    ]


def test_the_users_file_comes_before_all(machine: Machine) -> None:
    """--btf overrides the kernel's own BTF."""
    machine.put(btf_paths.KERNEL_BTF)
    path = machine.put("mine")
    found = machine.find(user_path=path)
    assert (found.kind, found.origin) == (source.KIND_USER, path)
    assert machine.log.lines == [
        ("info", "BTF file: user specified btf file found", {"btf-file": path})
    ]


def test_a_missing_users_file_is_an_error_in_tetragons_words(machine: Machine) -> None:
    """Nothing else is tried when the file that the user names is not there."""
    machine.put(btf_paths.KERNEL_BTF)
    path = str(machine.root / "nowhere")
    text = f"^user specified BTF does not exist: stat {path}: no such file or directory$"
    with pytest.raises(BtfNotFoundError, match=text):
        machine.find(user_path=path)


def test_a_users_file_that_is_no_btf_is_an_error(machine: Machine) -> None:
    """The error says what the file is instead."""
    path = machine.put("mine", b"#!/bin/sh\nexit 0\n# more than a header\n")
    with pytest.raises(BtfNotFoundError, match=f"BTF {path}: holds no BTF: it starts"):
        machine.find(user_path=path)
    with pytest.raises(BtfNotFoundError, match="is a directory"):
        machine.find(user_path=str(machine.root))


@pytest.mark.parametrize("number", range(len(FILES)))
def test_files_are_tried_in_order(machine: Machine, number: int) -> None:
    """The first of the places that holds BTF is taken, each one before is logged as absent."""
    for place in FILES[number:]:
        machine.put(place)
    found = machine.find()
    assert found.origin == str(machine.root / FILES[number])
    assert facts_of(found) == (0,)
    messages = [message for _level, message, _fields in machine.log.lines]
    assert messages == [
        "BTF discovery: default kernel btf file does not exist",
        *["BTF discovery: candidate btf file does not exist"] * number,
        "BTF discovery: candidate btf file found",
    ]
    assert [fields["btf-file"] for _level, _message, fields in machine.log.lines[1:]] == [
        str(machine.root / place) for place in FILES[: number + 1]
    ]


def test_a_release_without_a_hyphen_is_tried_once(machine: Machine) -> None:
    """The cut release is not a second place when there is nothing to cut."""
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find(HERE._replace(release="6.1.0"))
    assert str(caught.value).count("metadata/vmlinux-6.1.0:") == 1


def test_a_kernel_image_counts_when_it_holds_btf(machine: Machine) -> None:
    """An ELF image without a .BTF section is passed over, one with it is taken."""
    machine.put(FILES[3], elf({"text": EXIT}, [Symbol("f", "text", 0, 8)]))
    image = elf({"text": EXIT, ".BTF": KERNEL}, [Symbol("f", "text", 0, 8)])
    path = machine.put(FILES[4], image)
    assert machine.find().origin == path
    fields = {
        "btf-file": str(machine.root / FILES[3]),
        "error": "is an ELF file without a .BTF section",
    }
    line = ("warning", "BTF discovery: candidate btf file is not usable", fields)
    assert line in machine.log.lines


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "too few"),
        (KERNEL[:-1], "cut short"),
        (elf({".BTF": b""}, []), "too few"),
        (elf({".BTF": KERNEL}, [])[:-1], "ends at byte"),
    ],
    ids=["empty", "cut", "empty section", "cut image"],
)
def test_a_damaged_file_is_passed_over(machine: Machine, data: bytes, text: str) -> None:
    """What is in the way and holds no BTF is named in the error with what was found there."""
    path = machine.put(FILES[2], data)
    assert text in btf_paths.inspect(path)
    with pytest.raises(BtfNotFoundError, match=text):
        machine.find()


def test_a_directory_in_a_files_place_is_passed_over(machine: Machine) -> None:
    """Container engines make a directory where the file of a mount is missing."""
    (machine.root / FILES[2]).mkdir(parents=True)
    with pytest.raises(BtfNotFoundError, match="lib-dir/btf: is a directory"):
        machine.find()


def test_a_pipe_in_a_files_place_is_not_opened(machine: Machine) -> None:
    """Opening a pipe would wait for its other end."""
    (machine.root / "lib-dir").mkdir()
    os.mkfifo(machine.root / FILES[2])
    assert btf_paths.inspect(str(machine.root / FILES[2])) == "is no regular file"


def test_the_error_lists_every_place_in_order_and_the_way_out(machine: Machine) -> None:
    """Each place with what was found there, then what the operator can do."""
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find()
    text = str(caught.value)
    assert text.startswith(f'kernel version "{RELEASE}" BTF search failed')
    tried = [str(machine.root / place) for place in (btf_paths.KERNEL_BTF, *FILES)]
    listed = [f"{path}: does not exist" for path in tried]
    listed.append(f"{machine.places.store}/debian/12/x86_64/{RELEASE}.btf.xz: does not exist")
    listed.append(f"the {search.EMBEDDED}: has no {HERE} among 0 kernels")
    listed.append(f"{fallbacks.INFERENCE_NAME}: is possible on the running kernel only")
    assert "; ".join(listed) in text
    assert "`tetrapy btf add FILE`" in text
    assert "debug package" in text
    assert "\n" not in text


def unknown_kind() -> bytes:
    """A kernel's BTF with a type of a kind that nobody here knows."""
    b = BtfBuilder()
    b.composite("s", 64, [("a", b.integer("int", 4), 0)])
    b.add(20)
    return b.build()


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (unknown_kind(), "type 3 is of an unknown kind"),
        (KERNEL[:-9], "cut short"),
        (b"", "too few"),
        (b"\0" * 64, "starts with"),
    ],
)
def test_btf_that_is_not_understood_leads_to_the_next(
    machine: Machine, data: bytes, finding: str
) -> None:
    """Wherever it is: the kernel's own, a file, the store; each is named when nothing is left."""
    own = machine.put(btf_paths.KERNEL_BTF, data)
    file = machine.put(FILES[0], data)
    LocalStore(machine.places.store).add(HERE, data)
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find()
    text = str(caught.value)
    assert text.count(finding) == 3
    assert text.index(own) < text.index(file) < text.index("/store")
    machine.archive = pack({str(HERE): (32,)}, [NEED])
    assert machine.find().kind == source.KIND_ARCHIVE
    last = machine.put(FILES[3])
    assert machine.find().origin == last


def test_each_source_is_asked_for_when_the_last_one_did_not_serve(machine: Machine) -> None:
    """All of them in order, though all can be read: the kernel may take none."""
    machine.truth = Truth(0)
    machine.truth.found = InferenceResult((0,), "", "debian/12/x86_64/x")
    machine.truth.scanned = InferenceResult((0,), "")
    own = machine.put(btf_paths.KERNEL_BTF)
    files = [machine.put(place) for place in FILES[:2]]
    stored = LocalStore(machine.places.store).add(HERE, KERNEL)
    machine.archive = pack({str(HERE): (0,)}, [NEED])
    wanted = machine.search()
    tried: list[tuple[str, str]] = []
    found = []
    with pytest.raises(BtfNotFoundError) as caught:  # noqa: PT012 - the loop ends with it
        for one in discovery.sources(wanted, "", tried):
            found.append(one.origin)
            assert machine.closed == max(len(found) - 1, 0)
            discovery.refuse(wanted, one, "was refused", tried)
    memory = "inferred from the memory of the running kernel"
    origins = [own, *files, stored, str(HERE), "inferred from debian/12/x86_64/x", memory]
    assert found == origins
    assert [one for one in tried if one[1] == "was refused"] == [
        (o, "was refused") for o in origins
    ]
    assert [str(caught.value).find(o) for o in origins] == sorted(
        str(caught.value).find(o) for o in origins
    )
