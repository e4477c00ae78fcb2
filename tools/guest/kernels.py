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

from tools import debian
from tools.errors import BuildError
from tools.fetch import cache_dir
from tools.guest import bzimage, deb

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

    def image(self) -> Path:
        """The file QEMU boots: vmlinux (ELF) on amd64, the vmlinuz itself on arm64.

        Raises KernelError when the package is gone from the mirror and not in the cache.
        """
        stock = self._stock_image()
        if self.btf:
            return stock
        from tools.guest import nobtf  # it boots the stock image to learn addresses

        return nobtf.patched_image(self, stock)

    def _stock_image(self) -> Path:
        path = _store() / f"{self.release}-{self.sha256[:12]}.kernel"
        if not path.exists():
            vmlinuz = self._vmlinuz()
            write_atomically(
                path, bzimage.extract_elf(vmlinuz) if self.arch == "amd64" else vmlinuz
            )
        return path

    def _vmlinuz(self) -> bytes:
        try:
            package = debian.download(
                self.package, self.version, self.suite, self.arch, self.sha256
            )
        except debian.PackageGone as err:
            raise KernelError(f"{err}; to pin a version that it has: {PIN_COMMAND}") from err
        # Up to 6.18 in /boot; from 6.19 on among the modules.
        wanted = (f"/boot/vmlinuz-{self.release}", f"/usr/lib/modules/{self.release}/vmlinuz")
        for path, _, content in deb.entries(package):
            if path in wanted:
                return content
        raise KernelError(f"{package}: has none of {', '.join(wanted)}")


def load(path: Path = LIST) -> list[Kernel]:
    """All kernels of the list, in its order."""
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text())["kernel"]
    return [Kernel(**{"btf": True, "short": False, **entry}) for entry in entries]


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
