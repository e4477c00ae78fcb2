"""Where the BTF of the running kernel is looked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.builders import EXIT, BtfBuilder, Symbol, elf
from tetrapy.abi import core_relocs
from tetrapy.btf import discovery
from tetrapy.btf.discovery import Places, find_btf
from tetrapy.btf.host import Host
from tetrapy.btf.pack import pack
from tetrapy.errors import BtfNotFoundError

SAMPLE = (Path(__file__).parent / "data/sample.bpf.o").read_bytes()
BTF = BtfBuilder().build()
RELEASE = "6.1.0-50-cloud-amd64"
HERE = Host("debian", "12", "x86_64", RELEASE)

# The places after the kernel's own, in order, below the root or the library's directory.
FILES = [
    f"lib-dir/metadata/vmlinux-{RELEASE}",
    "lib-dir/metadata/vmlinux-6.1.0",
    "lib-dir/btf",
    *(place.format(RELEASE) for place in discovery.LIBBPF_PLACES),
]


class Log:
    """Collects log lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, str]]] = []

    def __call__(self, level: str, message: str, **fields: str) -> None:
        self.lines.append((level, message, fields))


class Machine:
    """A root directory with nothing in it, and an archive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = Places(str(root / "lib-dir"), str(root))
        self.archive = pack({}, "digest")
        self.log = Log()

    def put(self, place: str, data: bytes = BTF) -> str:
        """Write a file, and return its path."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def find(self, host: Host = HERE, user_path: str = "") -> discovery.BtfSource:
        """What discovery finds on this machine."""
        return find_btf(host, lambda: self.archive, self.log, user_path, self.places)


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path) -> Machine:
    """A machine without any BTF."""
    return Machine(tmp_path)


def test_the_kernels_own_btf_needs_no_path(machine: Machine) -> None:
    """libbpf finds /sys/kernel/btf/vmlinux itself, and it is preferred to all files."""
    path = machine.put(discovery.KERNEL_BTF)
    machine.put(FILES[0])
    found = machine.find()
    assert (found.kind, found.path, found.data) == (discovery.KIND_KERNEL, None, None)
    assert machine.log.lines == [
        ("info", "BTF discovery: default kernel btf file found", {"btf-file": path})
    ]


def test_the_users_file_comes_before_all(machine: Machine) -> None:
    """--btf overrides the kernel's own BTF."""
    machine.put(discovery.KERNEL_BTF)
    path = machine.put("mine")
    found = machine.find(user_path=path)
    assert (found.kind, found.path) == (discovery.KIND_USER, path)
    assert machine.log.lines == [
        ("info", "BTF file: user specified btf file found", {"btf-file": path})
    ]


def test_a_missing_users_file_is_an_error_in_tetragons_words(machine: Machine) -> None:
    """Nothing else is tried when the file that the user names is not there."""
    machine.put(discovery.KERNEL_BTF)
    path = str(machine.root / "nowhere")
    text = f"^user specified BTF does not exist: stat {path}: no such file or directory$"
    with pytest.raises(BtfNotFoundError, match=text):
        machine.find(user_path=path)


def test_a_users_file_that_is_no_btf_is_an_error(machine: Machine) -> None:
    """The error says what the file is instead."""
    path = machine.put("mine", b"#!/bin/sh\nexit 0\n# more than a header\n")
    with pytest.raises(BtfNotFoundError, match=f"user specified BTF {path}: no BTF: starts with"):
        machine.find(user_path=path)
    with pytest.raises(BtfNotFoundError, match="is a directory"):
        machine.find(user_path=str(machine.root))


@pytest.mark.parametrize("number", range(len(FILES)))
def test_files_are_tried_in_order(machine: Machine, number: int) -> None:
    """The first of the places that holds BTF is taken, each one before is logged as absent."""
    for place in FILES[number:]:
        machine.put(place)
    found = machine.find()
    assert found.path == str(machine.root / FILES[number])
    assert found.data is None
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
    image = elf({"text": EXIT, ".BTF": BTF}, [Symbol("f", "text", 0, 8)])
    path = machine.put(FILES[4], image)
    assert machine.find().path == path
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
        (BTF[:-1], "cut short"),
        (elf({".BTF": b""}, []), "too few"),
        (elf({".BTF": BTF}, [])[:-1], "ends at byte"),
    ],
    ids=["empty", "cut", "empty section", "cut image"],
)
def test_a_damaged_file_is_passed_over(machine: Machine, data: bytes, text: str) -> None:
    """What is in the way and holds no BTF is named in the error with what was found there."""
    path = machine.put(FILES[2], data)
    assert text in discovery.inspect(path)
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
    assert discovery.inspect(str(machine.root / FILES[2])) == "is no regular file"


def test_the_archive_comes_last_and_exact(machine: Machine) -> None:
    """A kernel that the archive names gets its bytes."""
    machine.archive = pack({str(HERE): b"one", "debian/13/x86_64/" + RELEASE: b"two"}, "digest")
    found = machine.find()
    assert found == discovery.BtfSource(discovery.KIND_ARCHIVE, None, str(HERE), b"one")


def test_a_rebranded_host_is_found_by_its_release(machine: Machine) -> None:
    """os-release may lie: the release alone decides when its kernels have equal BTF."""
    rebranded = HERE._replace(id="proxmox", version_id="8")
    machine.archive = pack({str(HERE): b"one", "debian/13/x86_64/" + RELEASE: b"one"}, "digest")
    found = machine.find(rebranded)
    assert found.data == b"one"
    assert "by release alone" in found.origin
    assert str(HERE) in found.origin


def test_a_release_of_two_kernels_decides_nothing(machine: Machine) -> None:
    """Kernels of one release with different BTF are named, and none of them is taken."""
    names = [f"debian/{version}/x86_64/{RELEASE}" for version in (12, 13)]
    machine.archive = pack(dict(zip(names, (b"one", b"two"), strict=True)), "digest")
    with pytest.raises(BtfNotFoundError, match=f"differ: {names[0]}, {names[1]}"):
        machine.find(HERE._replace(id="proxmox"))


def test_another_architecture_is_another_kernel(machine: Machine) -> None:
    """The release alone does not cross architectures, nor does a part of it match."""
    machine.archive = pack(
        {"debian/12/arm64/" + RELEASE: b"one", f"debian/12/x86_64/x{RELEASE}": b"two"}, "digest"
    )
    with pytest.raises(BtfNotFoundError, match=f"has no {HERE} among 2 kernels"):
        machine.find()


def test_the_error_lists_every_place_in_order_and_the_way_out(machine: Machine) -> None:
    """Each place with what was found there, then what the operator can do."""
    with pytest.raises(BtfNotFoundError) as caught:
        machine.find()
    text = str(caught.value)
    assert text.startswith(f'kernel version "{RELEASE}" BTF search failed')
    places = [str(machine.root / discovery.KERNEL_BTF)]
    places += [str(machine.root / place) for place in FILES]
    listed = [f"{place}: does not exist" for place in places]
    listed.append(f"{discovery.ARCHIVE_NAME}: has no {HERE} among 0 kernels")
    assert "; ".join(listed) in text
    assert "--btf FILE" in text
    assert "pahole --btf_encode_detached FILE" in text
    assert "\n" not in text


@pytest.mark.parametrize("archive", [b"", b"rubbish"])
def test_a_damaged_archive_is_not_believed(machine: Machine, archive: bytes) -> None:
    """The archive's damage is what was found in that place."""
    machine.archive = archive
    with pytest.raises(BtfNotFoundError, match=r"the BTF archive is (damaged|empty)"):
        machine.find()


def test_a_bundle_without_archive_is_named() -> None:
    """An archive that cannot be read is one more place that was tried."""

    def missing() -> bytes:
        raise FileNotFoundError(2, "No such file or directory", "btfs/archive.xz")

    with pytest.raises(BtfNotFoundError, match=r"btfs/archive\.xz"):
        find_btf(HERE, missing, Log(), places=Places("/nowhere", "/nowhere"))


def test_an_archive_for_other_objects_is_not_used(machine: Machine) -> None:
    """Its BTF lacks what these objects ask for, which libbpf would take for an answer."""
    kernels = {str(HERE): b"one"}
    for digest, matches in ((core_relocs.digest([SAMPLE]), True), ("0" * 64, False)):
        packed = pack(kernels, digest)
        arguments = (HERE, lambda packed=packed: packed, Log(), "", machine.places)
        if matches:
            assert find_btf(*arguments, lambda: [SAMPLE]).data == b"one"
        else:
            with pytest.raises(BtfNotFoundError, match="made for other BPF objects"):
                find_btf(*arguments, lambda: [SAMPLE])
