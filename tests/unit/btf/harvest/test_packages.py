# SPDX-License-Identifier: Apache-2.0
"""Packages -> the BTF of the kernel in them, and which kernel that is."""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path

import pytest

from tests.support import harvest_builders as b
from tests.support.harvest_builders import collect, only, written
from tetrapy.btf.harvest import cpio, limits, tar
from tetrapy.btf.harvest.result import DAMAGED, DONE

pytestmark = pytest.mark.slow

PATH = f"boot/vmlinuz-{b.RELEASE}"
DEBUG = f"usr/lib/debug/boot/vmlinux-{b.RELEASE}"
EL = "4.18.0-348.el8.x86_64"
EL_VMLINUX = b.vmlinux(
    {
        ".rodata": f"Linux version {EL} (mockbuild@example) (gcc (Red Hat 8.5)) #1 SMP\n".encode(),
        ".BTF": b.kernel_btf(),
    }
)


def package(tmp_path: Path, data: bytes, name: str = "a.deb") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compression", ["", "gzip", "xz", "zstd", "bzip2"])
@pytest.mark.parametrize("place", [PATH, f"usr/lib/modules/{b.RELEASE}/vmlinuz"])
def test_a_deb_gives_the_btf_of_its_kernel(tmp_path: Path, compression: str, place: str) -> None:
    """Wherever Debian put the kernel, and whatever packed the files, its BTF is written."""
    data = b.deb({"usr/share/doc/x/copyright": b"c" * 3000, place: b.vmlinuz()}, compression)
    outcome = only(collect(tmp_path, package(tmp_path, data)))
    assert (outcome.state, outcome.key, outcome.notes) == (DONE, b.KEY, ())
    assert written(tmp_path) == {f"{b.KEY}.btf": b.kernel_btf()}


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd", "bzip2", "lzma"])
@pytest.mark.parametrize("place", [f"lib/modules/{EL}/vmlinuz", f"boot/vmlinuz-{EL}"])
def test_an_rpm_gives_the_btf_of_its_kernel(tmp_path: Path, compression: str, place: str) -> None:
    """Signature, header and a packed cpio are read; Vendor and the release's suffix name it."""
    data = b.rpm({"etc/x": b"", place: b.vmlinuz("gzip", EL_VMLINUX)}, compression)
    outcome = only(collect(tmp_path, package(tmp_path, data, "a.rpm")))
    assert (outcome.state, outcome.key) == (DONE, f"centos/8/x86_64/{EL}")
    assert list(written(tmp_path).values()) == [b.kernel_btf()]


def test_reading_ends_with_the_kernel(tmp_path: Path) -> None:
    """What follows the kernel in a package is not read: here it is cut off."""
    data = b.deb({PATH: b.vmlinuz(), "usr/lib/large": os.urandom(400_000)}, "gzip")
    outcome = only(collect(tmp_path, package(tmp_path, data[:-200_000])))
    assert (outcome.state, outcome.key) == (DONE, b.KEY)


def test_long_and_odd_names_are_passed_over(tmp_path: Path) -> None:
    """GNU's long names, pax headers and names that lead out of the tree are only names."""
    files = {"usr/" + "d/" * 80 + "file": b"1", "../../../etc/passwd": b"2", PATH: b.vmlinuz()}
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        control = b"Package: x\nArchitecture: amd64\n"
        members = {"control.tar": b.tar({"control": control}), "data.tar": b.tar(files, form)}
        data = b.ar({"debian-binary": b"2.0\n", **members})
        outcome = only(collect(tmp_path, package(tmp_path, data), force=True))
        assert (outcome.state, outcome.key) == (DONE, b.KEY)


def test_a_release_that_leads_out_of_the_output_is_refused(tmp_path: Path) -> None:
    """Neither the path in a package nor the banner may name a file outside of the output."""
    evil = b.vmlinux(
        {".rodata": b"Linux version 6/../../../../evil (x) y\n", ".BTF": b.kernel_btf()}
    )
    data = b.deb({"boot/vmlinuz-..": b.vmlinuz("gzip", evil)})
    outcome = only(collect(tmp_path, package(tmp_path, data), id="debian", version_id="12"))
    assert outcome.state == DAMAGED
    assert "cannot be the release of a kernel: give --release" in outcome.error
    plain = b.vmlinux({".BTF": b.kernel_btf()})
    data = b.deb({"boot/vmlinuz-..": b.vmlinuz("gzip", plain)})
    outcome = only(collect(tmp_path, package(tmp_path, data), id="debian", version_id="12"))
    assert outcome.state == DAMAGED
    assert written(tmp_path) == {}


def test_the_kernel_itself_is_believed_about_its_release(tmp_path: Path) -> None:
    """A file under another release's name is filed by its banner, and that is reported."""
    outcome = only(collect(tmp_path, package(tmp_path, b.deb({"boot/vmlinuz-9.9": b.vmlinuz()}))))
    assert outcome.key == b.KEY
    assert outcome.notes == (f"its path says 9.9, the kernel itself {b.RELEASE}: that is taken",)


def test_names_of_archives_do_no_harm_in_messages(tmp_path: Path) -> None:
    """Escape sequences, newlines and bytes that are no UTF-8 in a path are reported as escapes."""
    raw = b.tar({"boot/vmlinuz-A": b"junk"})
    for evil in (b"\x1b", b"\n", b"\xff"):
        header = bytearray(raw[:512].replace(b"vmlinuz-A", b"vmlinuz-" + evil))
        header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 256)
        members = {"control.tar": b.tar({"control": b""}), "data.tar": bytes(header) + raw[512:]}
        outcome = only(
            collect(tmp_path, package(tmp_path, b.ar({"debian-binary": b"", **members})))
        )
        assert outcome.error.startswith("boot/vmlinuz-\\")
        assert outcome.error.isprintable()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b.deb({"bin/true": b"x"}), "in linux-binary-" + b.RELEASE),
        (
            b.deb({"bin/true": b"x"}, Package="coreutils"),
            "no kernel is in the deb package coreutils",
        ),
        (b.rpm({}, name="kernel"), "it is in kernel-core"),
        (b.deb({PATH: b"junk"}), f"{PATH}: begins with 6a756e6b"),
        (b.deb({PATH: b.vmlinuz("gzip", b.vmlinux({}))}), f"give linux-image-{b.RELEASE}-dbg"),
        (b.rpm({PATH: b.vmlinuz("gzip", b.vmlinux({}))}), "give its kernel-debuginfo package"),
        (b.deb({PATH: b.vmlinuz()})[:700], "cut short"),
        (b.rpm({PATH: b.vmlinuz()})[:500], "ends inside|zstd"),
        (b.deb({PATH: b.vmlinuz()}, Architecture="arm64"), "contradictory: the image is x86_64"),
        (b"!<arch>\ndebian-binary" + bytes(60), "no ar header at byte 8"),
        (b.ar({"debian-binary": b"2.0\n"}), "no data.tar behind a control.tar"),
        (b"\xed\xab\xee\xdb" + bytes(200), "no rpm header at byte 96"),
        (b.rpm({}, format="drpm"), "format drpm, not cpio"),
    ],
)
def test_what_is_wrong_with_a_package_is_reported(tmp_path: Path, data: bytes, text: str) -> None:
    """A package without a kernel, with one without BTF, or damaged, says so and what helps."""
    outcome = only(collect(tmp_path, package(tmp_path, data)))
    assert outcome.state == DAMAGED
    assert re.search(text, outcome.error), outcome.error


def test_a_package_that_unpacks_endlessly_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files before the kernel count towards a limit of bytes unpacked."""
    for archive in (tar, cpio):
        monkeypatch.setattr(archive.entries, "__defaults__", (1 << 20,))
    files = {"usr/zeros": bytes(2 << 20), PATH: b.vmlinuz()}
    for data in (b.deb(files), b.rpm(files, "gzip")):
        outcome = only(collect(tmp_path, package(tmp_path, data)))
        assert (outcome.state, outcome.error) == (DAMAGED, "unpacks to more than 1 MiB")


def test_a_kernel_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size that the archive states is compared with the limit before anything is read."""
    monkeypatch.setattr(limits, "KERNEL", 1 << 20)
    outcome = only(collect(tmp_path, package(tmp_path, b.deb({PATH: bytes(2 << 20)}))))
    assert outcome.error == f"{PATH}: {PATH} has 2 MiB, the limit is 1"


def pahole(tmp_path: Path, body: str) -> str:
    """A stand-in for pahole; its second argument is where the BTF goes, the third the vmlinux."""
    program = tmp_path / "pahole"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


DWARF = b.vmlinux({".rodata": b.BANNER.encode(), ".debug_info": b"dwarf"})


def test_btf_of_a_debug_package_is_taken_as_it_is(tmp_path: Path) -> None:
    """A vmlinux with DWARF that has BTF too needs no pahole."""
    data = b.deb({DEBUG: b.vmlinux()}, Package=f"linux-image-{b.RELEASE}-dbg")
    outcome = only(collect(tmp_path, package(tmp_path, data), pahole="/no/pahole"))
    assert (outcome.state, outcome.key) == (DONE, b.KEY)


def test_pahole_makes_btf_of_dwarf(tmp_path: Path) -> None:
    """pahole gets the vmlinux of a debug package, what it writes is taken, and nothing is left."""
    (tmp_path / "made.btf").write_bytes(b.kernel_btf())
    (tmp_path / "expected").write_bytes(DWARF)
    program = pahole(
        tmp_path,
        '[ "$1" = --btf_encode_detached ] && cmp "$3" '
        f'{tmp_path}/expected && cp {tmp_path}/made.btf "$2"',
    )
    data = b.rpm({f"usr/lib/debug/lib/modules/{b.RELEASE}/vmlinux": DWARF})
    outcome = only(collect(tmp_path, package(tmp_path, data, "a.rpm"), pahole=program))
    assert (outcome.state, outcome.key) == (DONE, b.KEY)
    assert set(os.listdir(tmp_path / "out")) == {".harvest.journal", "debian"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (None, "install pahole"),
        ("echo no DWARF here >&2; exit 3", "exit code 3.: no DWARF here"),
        ("true", "exit code 0.: silent"),
        ('echo junk > "$2"', "no BTF: "),
    ],
)
def test_pahole_that_fails_is_reported(tmp_path: Path, body: str | None, text: str) -> None:
    """A missing pahole, its exit code with its words, and junk that it writes are named."""
    program = "/no/such/pahole" if body is None else pahole(tmp_path, body)
    path = tmp_path / "vmlinux"
    path.write_bytes(DWARF)
    outcome = only(collect(tmp_path, path, pahole=program))
    assert outcome.state == DAMAGED
    assert re.search(text, outcome.error), outcome.error


def test_a_kernel_without_btf_says_what_to_give(tmp_path: Path) -> None:
    """DWARF in a packed file has to be unpacked for pahole; a kernel without both has a package."""
    path = package(tmp_path, b.COMPRESSORS["gzip"](DWARF), "vmlinux.gz")
    assert only(collect(tmp_path, path)).error.endswith(
        "but DWARF: unpack it first, and have pahole"
    )
    path.write_bytes(b.vmlinuz("gzip", b.vmlinux({})))
    assert only(collect(tmp_path, path)).error.endswith("give its debug package, and have pahole")


def test_what_pahole_writes_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pahole that writes without end is stopped by the system, not by a full disk."""
    monkeypatch.setattr(limits, "BTF", 1 << 16)
    program = pahole(tmp_path, 'exec cat /dev/zero > "$2"')
    path = tmp_path / "vmlinux"
    path.write_bytes(DWARF)
    outcome = only(collect(tmp_path, path, pahole=program))
    assert outcome.state == DAMAGED
    assert "pahole made no BTF" in outcome.error
