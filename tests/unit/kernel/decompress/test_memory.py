# SPDX-License-Identifier: Apache-2.0
"""What decompression takes: memory up to the limit, given back; the library when it is needed."""

from __future__ import annotations

import mmap
import resource
import struct
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.support.packed import GOLDEN, golden
from tests.support.paths import ROOT
from tetrapy.abi.elf import Elf
from tetrapy.errors import DecompressError
from tetrapy.kernel import bundle
from tetrapy.kernel.decompress import decompress_zstd, decompressors
from tetrapy.kernel.decompress.library import PROTOTYPES
from tools import shared_library, unpack_so

AGENT = ROOT / "agent"
MIB = 1 << 20

BOMBS = """
import io, sys
sys.path[:0] = sys.argv[1:]
from tests.support.packed import lz4_legacy, lz4_run, lzo_run, lzop, zstd_frame
from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress import decompressors, open_zstd
bombs = {
    "zstd": zstd_frame([(1, 1 << 17, b"x")] * (1 << 15)),
    "lz4": lz4_legacy([lz4_run(8 << 20)] * 512),
    "lzo": lzop([(4 << 20, lzo_run(4 << 20))] * 1024),
}
for name, unpack in decompressors().items():
    try:
        unpack(bombs[name], 64 << 20)
    except DecompressError as err:
        print(err)
with open_zstd(io.BytesIO(bombs["zstd"])) as file:
    print(sum(map(len, iter(lambda: file.read(1 << 20), b""))))
"""


@pytest.mark.slow
def test_bombs_take_no_memory():
    """4 GiB out of a few MB end at the limit within its memory; reading them in pieces goes on."""

    def little_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (400 * MIB, 400 * MIB))

    command = [sys.executable, "-c", BOMBS, str(AGENT), str(ROOT)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, preexec_fn=little_memory
    )
    limit = "decompressed data is larger than the limit, 67108864 bytes"
    expected = [f"{name}: {limit}" for name in ("zstd", "lz4", "lzop")]
    assert (done.stdout.splitlines(), done.stderr) == ([*expected, str(4 << 30)], "")


def test_no_memory_is_reported(monkeypatch):
    """Where the room for the result cannot be had, the error says how much was asked for."""

    def refuse(*_: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(DecompressError, match=r"no memory for 100 bytes .* Cannot allocate"):
        decompress_zstd(golden("kernel.zst"), 100)


def test_library_is_loaded_at_the_first_use():
    """Importing the decompressors loads nothing, and asking for the table does not either."""
    script = (
        f"import sys; sys.path.insert(0, {str(AGENT)!r})\n"
        "from tetrapy.kernel import decompress\n"
        "decompress.decompressors()\n"
        "print('libunpack' in open('/proc/self/maps').read())\n"
        "decompress.decompress_lz4_legacy(b'\\x02\\x21\\x4c\\x18', 0)\n"
        "print('libunpack' in open('/proc/self/maps').read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\nTrue\n"


def test_memory_is_given_back(monkeypatch):
    """The room for a result is unmapped after it was copied, and after an error."""
    mapped = []
    real = mmap.mmap

    def note(*arguments: int) -> mmap.mmap:
        mapped.append(real(*arguments))
        return mapped[-1]

    monkeypatch.setattr(mmap, "mmap", note)
    for name, key in GOLDEN.items():
        for size, limit in ((None, MIB), (2000, MIB), (None, 1000)):
            with suppress(DecompressError):
                decompressors()[key](golden(name)[:size], limit)
    assert len(mapped) > 2 * len(GOLDEN)
    assert all(memory.closed for memory in mapped)


@pytest.mark.parametrize("architecture", shared_library.ARCHITECTURES)
def test_library_is_what_is_called(architecture: str):
    """libunpack.so is small, needs glibc 2.17 alone, and exports what is called, nothing else."""
    image = bundle.read(f"lib/libunpack-{architecture}.so")
    shared_library.check("libunpack.so", image, architecture)
    assert len(image) < 64 << 10
    assert exports(image) == set(PROTOTYPES) == set(unpack_so.EXPORTS)


def exports(image: bytes) -> set[str]:
    """The names that a shared library defines for others."""
    file = Elf(image)
    names = file.data(file.section(".dynstr"))
    # Elf64_Sym: name, info, other, section index (0: not defined here), value, size.
    entries = struct.iter_unpack("<IBBHQQ", file.data(file.section(".dynsym")))
    starts = [name for name, _, _, section, _, _ in entries if section]
    return {names[start : names.index(b"\0", start)].decode() for start in starts}
