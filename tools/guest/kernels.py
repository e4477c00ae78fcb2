# SPDX-License-Identifier: Apache-2.0
"""The kernels that tests and benchmarks boot: one list, tests/vm/kernels.toml.

A kernel is a Debian package, pinned by version and SHA-256, made bootable once and kept in the
cache under the package's digest.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tetrapy.btf.harvest import bzimage, limits
from tetrapy.btf.harvest.compression import unpack
from tetrapy.btf.harvest.deb import open_deb
from tetrapy.btf.harvest.package import kernel_of
from tetrapy.errors import TetrapyError
from tools import debian
from tools.errors import BuildError
from tools.fetch import cache_dir
from tools.guest.unpackers import UNPACKERS

LIST = Path(__file__).resolve().parents[2] / "tests/vm/kernels.toml"
PIN_COMMAND = "python3 -m tools.guest pin"


class KernelError(BuildError):
    """A kernel is not in the list, or cannot be made bootable."""


@dataclass(frozen=True)
class Kernel:
    """One entry of the list. `arch` is Debian's name (amd64, arm64)."""

    name: str
    arch: str
    release: str  # uname -r
    package: str
    version: str
    suite: str
    sha256: str
    btf: bool  # False: patched to behave as if built without CONFIG_DEBUG_INFO_BTF
    short: bool  # part of the selection that `make test` boots
    known: bool  # whether the BTF archive is meant to have it
    nvme: bool  # driver built in, so that a guest can write its result to a disk
    la57: bool  # five levels of page tables: kernel memory is elsewhere (amd64)
    sessions: tuple[str, ...]  # ways of running the agent (tests/vm/ways.py)

    def stock_image(self) -> Path:
        """As Debian built it: vmlinux (ELF) on amd64, the vmlinuz itself on arm64.

        Raises KernelError when the package is gone from the mirror and not in the cache.
        """
        path = _store() / f"{self.release}-{self.sha256[:12]}.kernel"
        if not path.exists():
            write_atomically(path, self._bootable())
        return path

    def package_file(self) -> Path:
        """The Debian package, verified; KernelError when it is to be had nowhere any more."""
        try:
            return debian.download(self.package, self.version, self.suite, self.arch, self.sha256)
        except debian.PackageGone as err:
            raise KernelError(f"{err}; to pin a version that it has: {PIN_COMMAND}") from err

    def _bootable(self) -> bytes:
        package = self.package_file()
        try:
            with package.open("rb") as file:
                found = kernel_of(open_deb(file, UNPACKERS))
                if found is None or found.release != self.release:
                    raise KernelError(f"{package}: has no kernel {self.release}")
                image = found.entry.content(limits.KERNEL)
            if self.arch != "amd64":
                return image
            # QEMU boots the ELF directly (PVH entry), which saves the guest two to three seconds of
            # decompressing under emulation.
            return unpack(bzimage.payload(image), limits.KERNEL, UNPACKERS)
        except TetrapyError as err:
            raise KernelError(f"{package}: {err}") from err


def load(path: Path = LIST) -> list[Kernel]:
    """All kernels of the list, in its order."""
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text())["kernel"]
    usual = {"btf": True, "short": False, "known": True, "nvme": True, "la57": False}
    return [Kernel(**{**usual, **entry, "sessions": tuple(entry["sessions"])}) for entry in entries]


def get(name: str) -> Kernel:
    """The kernel with that name; KernelError lists the names there are."""
    kernels = load()
    for kernel in kernels:
        if kernel.name == name:
            return kernel
    raise KernelError(f"no kernel {name} in {LIST}: has {', '.join(k.name for k in kernels)}")


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a cache never holds half a file."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(content)
    os.replace(file.name, path)


def _store() -> Path:
    path = cache_dir() / "kernels"
    path.mkdir(exist_ok=True)
    return path
