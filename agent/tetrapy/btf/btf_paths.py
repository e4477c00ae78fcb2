# SPDX-License-Identifier: Apache-2.0
"""Files in which the BTF of a kernel may be."""

from __future__ import annotations

import os
import stat
from typing import Iterator, Tuple

from tetrapy.abi import btf_sections
from tetrapy.abi.elf import SHF_COMPRESSED, Elf, FileBytes
from tetrapy.btf.source import KIND_FILE, KIND_METADATA
from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

# What `tetrapy btf add` fills.
STORE_DIRECTORY = "/var/lib/tetrapy/btf"

KERNEL_BTF = "sys/kernel/btf/vmlinux"

# The list of btf__load_vmlinux_btf() in libbpf's btf.c, in its order.
LIBBPF_PLACES = (
    "boot/vmlinux-{0}",
    "lib/modules/{0}/vmlinux-{0}",
    "lib/modules/{0}/build/vmlinux",
    "usr/lib/modules/{0}/kernel/vmlinux",
    "usr/lib/debug/boot/vmlinux-{0}",
    "usr/lib/debug/boot/vmlinux-{0}.debug",
    "usr/lib/debug/lib/modules/{0}/vmlinux",
)


class Places(NamedTuple):
    """Where to look; `root` stands before the kernel's and the system's own places."""

    bpf_lib: str = "/usr/local/lib/tetrapy/bpf/"
    root: str = "/"
    store: str = STORE_DIRECTORY


DEFAULT_PLACES = Places()


def candidates(release: str, places: Places) -> Iterator[Tuple[str, str]]:
    """Kinds and paths of the files after the kernel's own, in order."""
    # Tetragon looks for the cut release only, its documentation shows the full one.
    for version in dict.fromkeys((release, release.partition("-")[0])):
        name = os.path.join(places.bpf_lib, "metadata", f"vmlinux-{version}")
        yield KIND_METADATA, name
    yield KIND_METADATA, os.path.join(places.bpf_lib, "btf")
    for place in LIBBPF_PLACES:
        yield KIND_FILE, os.path.join(places.root, place.format(release))


def inspect(path: str) -> str:
    """Why the file at that path is no BTF, as raw bytes or in an ELF file; empty if it is."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return "is a directory" if stat.S_ISDIR(mode) else "is no regular file"
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(FileBytes(fd))
        finally:
            os.close(fd)
    except FileNotFoundError:
        return "does not exist"
    except OSError as err:
        return (err.strerror or str(err)).lower()
    except FormatError as err:
        return str(err)
    return ""


def _check(file: FileBytes) -> None:
    """Raise FormatError unless the file is BTF or an ELF file with a section of it."""
    start, size = 0, len(file)
    if file[0:4] == b"\x7fELF":
        section = Elf(file).section(".BTF")
        if section is None:
            raise FormatError("is an ELF file without a .BTF section")
        if section.flags & SHF_COMPRESSED:
            raise FormatError("its .BTF section is compressed")
        start, size = section.offset, min(section.size, len(file) - section.offset)
    btf_sections.read_header(file[start : start + min(size, 64)], size)
