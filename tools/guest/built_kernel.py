# SPDX-License-Identifier: Apache-2.0
"""Kernels in configurations that no kernel of Debian has, from Debian's source.

Each is built once and kept in the cache under the digest of source and configuration: the one with
BTF takes 600 s of two idle CPUs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools import artifacts
from tools.errors import BuildError
from tools.fetch import cache_dir
from tools.guest.kernels import Kernel

_HERE = Path(__file__).parent
_PROGRAMS = {"gcc": "gcc", "make": "make", "bc": "bc", "flex": "flex", "bison": "bison",
             "pahole": "dwarves", "dpkg-deb": "dpkg"}  # fmt: skip
_HEADERS = {"/usr/include/gelf.h": "libelf-dev"}
# Nothing of the machine that builds is in the image.
_MACHINE = {"KBUILD_BUILD_USER": "tetrapy", "KBUILD_BUILD_HOST": "tetrapy", "ARCH": "x86_64"}


@dataclass(frozen=True)
class BuiltKernel(Kernel):
    """Made of the source in its package.

    `configurations` are files beside this one; of an option that several have the last counts.
    """

    configurations: tuple[str, ...] = ()

    def stock_image(self) -> Path:
        """vmlinux, with its symbols and BTF. Raises BuildError when it cannot be built here."""
        key = artifacts.digest([self.sha256, self._configuration()])
        return artifacts.built("kernel", key, self._build) / "vmlinux"

    def _configuration(self) -> bytes:
        return b"".join((_HERE / f"{name}.config").read_bytes() for name in self.configurations)

    def _build(self, directory: Path) -> None:
        missing = [package for program, package in _PROGRAMS.items() if not shutil.which(program)]
        missing += [package for path, package in _HEADERS.items() if not Path(path).exists()]
        if missing:
            wanted = " ".join(missing)
            raise BuildError(f"{self.name} is built, which needs: apt-get install {wanted}")
        package = self.package_file()
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            _run(["dpkg-deb", "-x", str(package), scratch])
            (archive,) = Path(scratch).glob("usr/src/linux-source-*.tar.xz")
            _run(["tar", "-xf", str(archive), "-C", scratch])
            (source,) = Path(scratch).glob("linux-source-*")
            make = ["make", "-C", str(source), f"-j{os.cpu_count()}"]
            _run([*make, "tinyconfig"])
            with (source / ".config").open("ab") as config:
                config.write(self._configuration())
            _run([*make, "olddefconfig"])
            _run([*make, "vmlinux"])
            output = str(directory / "vmlinux")
            _run(["strip", "--strip-debug", "-o", output, str(source / "vmlinux")])


def overriding() -> Kernel:
    """Linux 6.1 whose system calls may be overridden by kprobes, and by trampolines."""
    return _kernel("override")


def appliance() -> Kernel:
    """Linux 6.1 without cgroups, namespaces, audit and BTF."""
    return _kernel("override", "appliance")


def _kernel(*configurations: str) -> Kernel:
    return BuiltKernel(
        name=f"6.1-{configurations[-1]}",
        arch="amd64",
        release=f"6.1.176-{configurations[-1]}",
        package="linux-source-6.1",
        version="6.1.176-1",
        suite="bookworm",
        sha256="9305d1a151b8e83dcb88aa11361e7b9513f0c252bdf7f5647e4542762d99c094",
        btf=True,  # as it was built: it is not patched
        short=False,
        known=False,
        nvme=False,
        la57=False,
        sessions=(),
        configurations=configurations,
    )


def _run(command: list[str]) -> None:
    ended = subprocess.run(
        command,
        env={**os.environ, **_MACHINE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode:
        end = "\n".join(ended.stdout.splitlines()[-20:])
        raise BuildError(f"{' '.join(command)}: exit code {ended.returncode}\n{end}")
