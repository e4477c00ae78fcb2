# SPDX-License-Identifier: Apache-2.0
"""A kernel without BTF, made of a stock one.

Two functions of the stock vmlinux are patched to return 0 at once: `bpf_get_btf_vmlinux`, as it
does when built without CONFIG_DEBUG_INFO_BTF, and `btf_vmlinux_init`, which makes /sys/kernel/btf.
The struct layouts are those of a real release, which an archive can know, and nothing is compiled.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tools.errors import BuildError
from tools.guest.kernels import Kernel, write_atomically

FUNCTIONS = ("bpf_get_btf_vmlinux", "btf_vmlinux_init")

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_CALL = 0xE8  # of __fentry__, five bytes
_NOP5 = b"\x0f\x1f\x44\x00\x00"  # the same, patched out at build time
_RETURN_ZERO = b"\x31\xc0\xc3"  # xor eax,eax; ret


class PatchError(BuildError):
    """The kernel does not look as expected, so it is not patched."""


# Boots a kernel, runs a script in it, and gives what that printed.
Boot = Callable[[Kernel, str], str]


def patched_image(kernel: Kernel, boot: Boot) -> Path:
    """The patched copy of the stock image (an x86_64 vmlinux) beside it, kept under its digest.

    Boots the stock kernel once to read the functions' addresses from its /proc/kallsyms.
    """
    stock = kernel.stock_image()
    content = stock.read_bytes()
    path = stock.with_name(
        f"{kernel.release}-nobtf-{hashlib.sha256(content).hexdigest()[:12]}.kernel"
    )
    if not path.exists():
        write_atomically(path, patch(content, function_addresses(replace(kernel, btf=True), boot)))
    return path


def function_addresses(kernel: Kernel, boot: Boot) -> list[int]:
    """Addresses of FUNCTIONS in a boot of the stock kernel without address randomization."""
    found = boot(kernel, f"grep -wE '{'|'.join(FUNCTIONS)}' /proc/kallsyms")
    addresses = []
    for name in FUNCTIONS:
        match = re.search(rf"^([0-9a-f]+) [tT] {name}$", found, re.MULTILINE)
        if not match:
            raise PatchError(
                f"{kernel.release}: no function {name} in kallsyms, which has: {found!r}"
            )
        addresses.append(int(match[1], 16))
    return addresses


def patch(vmlinux: bytes, addresses: list[int]) -> bytes:
    """The ELF with each function at `addresses` returning 0 right after its entry sequence."""
    patched = bytearray(vmlinux)
    for address in addresses:
        offset = _file_offset(vmlinux, address)
        if vmlinux[offset : offset + 4] == _ENDBR64:
            offset += 4
        if vmlinux[offset] == _CALL or vmlinux[offset : offset + 5] == _NOP5:
            offset += 5  # ftrace rewrites these five bytes at boot: leave them alone
        patched[offset : offset + len(_RETURN_ZERO)] = _RETURN_ZERO
    return bytes(patched)


def _file_offset(elf: bytes, address: int) -> int:
    """Where a virtual address lies in the file, by the program headers (ELF64, little endian)."""
    (table,) = struct.unpack_from("<Q", elf, 32)
    (count,) = struct.unpack_from("<H", elf, 56)
    for index in range(count):
        kind, _, offset, start, _, size = struct.unpack_from("<IIQQQQ", elf, table + 56 * index)
        if kind == 1 and start <= address < start + size:
            return int(offset + address - start)
    raise PatchError(f"no loaded segment holds address {address:#x}")
