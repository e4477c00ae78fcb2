# SPDX-License-Identifier: Apache-2.0
"""Kernels of a few hundred bytes and what they are packed in, by the formats' own rules."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.builders import BtfBuilder
from tests.support.packed import lz4_legacy, lz4_literals, lzop, zstd_frame
from tetrapy.abi import kinds as k
from tetrapy.btf.harvest import Options, Outcome, Progress, Result, Unpackers, harvest
from tetrapy.kernel import decompress

RELEASE = "6.1.0-99-amd64"
DEBIAN = "(debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0)"
BANNER = f"Linux version {RELEASE} {DEBIAN} #1 SMP Debian 6.1.999-1 (2026-01-01)\n"
KEY = f"debian/12/x86_64/{RELEASE}"
ARM_RELEASE = "6.1.0-99-arm64"
ARM_BANNER = BANNER.replace(RELEASE, ARM_RELEASE)

UNPACKERS = Unpackers(decompress.decompressors(), decompress.open_zstd)

# As the kernel's build writes them: lzma without a size, lz4 in legacy frames, lzop.
COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzo": lambda data: lzop([(len(data), data)]),
    "lz4": lambda data: lz4_legacy([lz4_literals(data)]),
    "zstd": lambda data: zstd_frame([(0, len(data), data)]),
}


def kernel_btf(arch: str = "x86_64", *, full: bool = True) -> bytes:
    """BTF with a task_struct; full BTF has functions, minimized BTF has none."""
    b = BtfBuilder()
    integer = b.integer("int", 4, k.INT_SIGNED)
    b.composite("task_struct", 8, [("pid", integer, 0), ("tgid", integer, 32)])
    b.composite("pt_regs", 4, [("orig_ax" if arch == "x86_64" else "orig_x0", integer, 0)])
    if full:
        prototype = b.add(k.KIND_FUNC_PROTO)
        b.add(k.KIND_FUNC, "start_kernel", prototype)
    return b.build()


def module_btf(kernel: bytes) -> bytes:
    """The split BTF of a module: one struct with a member of the kernel's first type."""
    strings_size = struct.unpack_from("<I", kernel, 20)[0]
    strings = b"module_struct\0field\0"
    words = [strings_size, k.KIND_STRUCT << 24 | 1, 4, strings_size + 14, 1, 0]
    types = struct.pack("<6I", *words)
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def vmlinux(
    sections: Mapping[str, bytes] | None = None, machine: int = 62, flags: int = 0
) -> bytes:
    """An ELF file; without `sections` one with the BTF and banner of an x86_64 kernel."""
    if sections is None:
        sections = {".rodata": b"\0%s\0" % BANNER.encode(), ".BTF": kernel_btf()}
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    headers, body, place = bytes(64), b"", 1
    for name, data in [*sections.items(), (".shstrtab", names)]:
        flag = 0 if name == ".shstrtab" else flags
        where = (place, 1, flag, 0, 64 + len(body), len(data), 0, 0, 1, 0)
        headers += struct.pack("<IIQQQQIIQQ", *where)
        body += data
        place += len(name) + 1
    count = len(sections) + 2
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(b"\x7fELF\x02\x01\x01", 2, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64),
        *(count, count - 1),
    )
    return header + body + headers


def bz_image(payload: bytes, protocol: int = 0x20F) -> bytes:
    """An x86 boot image with one setup sector."""
    image = bytearray(0x400)
    image[0:2] = b"MZ"
    image[0x1F1] = 1
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, protocol)
    struct.pack_into("<II", image, 0x248, 0x40, len(payload))
    return bytes(image).ljust(0x400 + 0x40, b"\0") + payload + bytes(512)


def vmlinuz(compression: str = "xz", elf: bytes | None = None) -> bytes:
    """A bzImage; behind its payload stands the unpacked size, as the build appends it."""
    elf = vmlinux() if elf is None else elf
    return bz_image(COMPRESSORS[compression](elf) + struct.pack("<I", len(elf)))


def arm64_image(btf: bytes | None = None, banner: str = ARM_BANNER) -> bytes:
    """An arm64 Image: code, the banner, BTF, and things around it that only look like BTF."""
    head = bytearray(64)
    head[0:2] = b"MZ"
    head[56:60] = b"ARM\x64"
    decoy = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 1 << 30, 1 << 30, 9)
    btf = kernel_btf("arm64") if btf is None else btf
    return bytes(head) + decoy + banner.encode() + b"\0" + btf + bytes(32) + decoy


def zboot(payload: bytes, name: bytes = b"gzip") -> bytes:
    """An EFI zboot image."""
    head = b"MZ\0\0zimg" + struct.pack("<IIII", 64, len(payload), 0, 0) + name
    return head.ljust(64, b"\0") + payload


def tar(files: Mapping[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of regular files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive."""
    data = b"!<arch>\n"
    for name, content in members.items():
        data += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        data += content + b"\n" * (len(content) % 2)
    return data


_SUFFIXES = {"gzip": ".gz", "xz": ".xz", "zstd": ".zst", "bzip2": ".bz2", "": ""}


def deb(files: Mapping[str, bytes], compression: str = "xz", **fields: str) -> bytes:
    """A .deb of Debian's kernel team, unless fields say otherwise."""
    known = {
        "Package": f"linux-image-{RELEASE}",
        "Version": "6.1.999-1",
        "Architecture": "amd64",
        "Maintainer": "Debian Kernel Team <debian-kernel@lists.debian.org>",
        "Description": "Linux\n with a second line",
        **fields,
    }
    control = "".join(f"{name}: {value}\n" for name, value in known.items()).encode()
    pack = COMPRESSORS.get(compression, bytes)
    suffix = _SUFFIXES[compression]
    return ar(
        {
            "debian-binary": b"2.0\n",
            f"control.tar{suffix}": pack(tar({"./md5sums": b"", "./control": control})),
            f"data.tar{suffix}": pack(tar({f"./{name}": data for name, data in files.items()})),
        }
    )


def cpio(files: Mapping[str, bytes], magic: bytes = b"070701") -> bytes:
    """A cpio archive in the new ASCII format."""
    data = b""
    for name, content in [*files.items(), ("TRAILER!!!", b"")]:
        fields = [1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        data += magic + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        data += bytes(-len(data) % 4) + content
        data += bytes(-len(data) % 4)
    return data


def _rpm_header(tags: Mapping[int, str]) -> bytes:
    index, store = b"", b""
    for tag, text in tags.items():
        index += struct.pack(">IIII", tag, 6, len(store), 1)
        store += text.encode() + b"\0"
    return (
        b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", len(tags), len(store)) + index + store
    )


def rpm(files: Mapping[str, bytes], compression: str = "zstd", **fields: str) -> bytes:
    """An .rpm of CentOS, unless fields say otherwise."""
    known = {
        "name": "kernel-core",
        "version": "4.18.0",
        "release": "348.el8",
        "vendor": "CentOS",
        "distribution": "",
        "arch": "x86_64",
        "format": "cpio",
        **fields,
    }
    numbers = dict(
        zip(
            ("name", "version", "release", "distribution", "vendor", "arch", "format"),
            (1000, 1001, 1002, 1010, 1011, 1022, 1124),
            strict=True,
        )
    )
    signature = _rpm_header({1000: "not a name: this is the signature header"})
    header = _rpm_header({numbers[name]: text for name, text in known.items()})
    lead = b"\xed\xab\xee\xdb\x03" + bytes(91)
    signature += bytes(-len(lead + signature) % 8)
    pack = COMPRESSORS.get(compression, bytes)
    return lead + signature + header + pack(cpio({f"./{n}": d for n, d in files.items()}))


def hub(directory: Path, key: str, data: bytes) -> Path:
    """A raw BTF in BTFHub's layout."""
    path = directory / f"{key}.btf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def collect(tmp_path: Path, *inputs: Path | str, **options: Any) -> Result:
    """Harvest into tmp_path/out."""
    return harvest(
        [str(name) for name in inputs],
        str(tmp_path / "out"),
        Options(**{"jobs": 1, **options}),
        UNPACKERS,
        lambda progress: None,
    )


def only(result: Result) -> Outcome:
    """The outcome of the only input."""
    (outcome,) = result.outcomes
    return outcome


def written(tmp_path: Path) -> dict[str, bytes]:
    """All BTFs below tmp_path/out by their paths."""
    out = tmp_path / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.btf")}


def no_progress(_progress: Progress) -> None:
    """For whom it may not concern."""
