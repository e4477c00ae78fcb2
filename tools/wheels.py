# SPDX-License-Identifier: Apache-2.0
"""Wheels of the lock: downloaded by pip, verified by digest, read as zip files.

Nothing is installed. pip is used because it knows where the package index of this machine is.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from tools.errors import BuildError
from tools.fetch import LOCK, ROOT, cache_dir, pinned
from tools.xz_writer import packed

# Bytes of memory that unpacking extension modules takes: two modules for neighbouring Pythons.
EXTENSIONS_WINDOW = 1 << 19


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel; its file name says for which Python and which machine it is (PEP 427)."""

    filename: str
    sha256: str

    @property
    def project(self) -> str:
        """The name of the package."""
        return self.filename.split("-")[0]

    @property
    def version(self) -> str:
        """The release of the package."""
        return self.filename.split("-")[1]

    @property
    def abi(self) -> str:
        """The ABI tag: `cp38`, or `none` for pure Python."""
        return self.filename.split("-")[-2]

    @property
    def platforms(self) -> list[str]:
        """The platform tags: `manylinux2014_x86_64`, or `any`."""
        return self.filename.removesuffix(".whl").split("-")[-1].split(".")

    @property
    def machine(self) -> str:
        """The machine as `uname -m` names it, or `any`."""
        return next((m for m in ("x86_64", "aarch64") if self.platforms[0].endswith(m)), "any")

    def path(self) -> Path:
        """The verified wheel in the cache, downloaded if need be."""
        return pinned(self.filename, self.sha256, lambda path: self._download(path.parent))

    def extension_module(self) -> tuple[str, bytes]:
        """The name and contents of the one extension module in a wheel.

        The name carries the ABI as Python spells it: `orjson.cpython-38-x86_64-linux-gnu.so`.
        Raises BuildError for none, or several.
        """
        with zipfile.ZipFile(self.path()) as archive:
            names = [name for name in archive.namelist() if name.endswith(".so")]
            if len(names) != 1:
                raise BuildError(f"{self.filename} holds {len(names)} extension modules, not one")
            image = archive.read(names[0])
        return names[0].rpartition("/")[2], image

    def _download(self, directory: Path) -> None:
        requirements = directory / "requirements.txt"
        requirements.write_text(f"{self.project}=={self.version} --hash=sha256:{self.sha256}\n")
        command = [*pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(directory)]
        if self.machine != "any":
            command += [f"--platform={platform}" for platform in self.platforms]
        if self.abi != "none":
            command += ["--implementation=cp", f"--abi={self.abi}"]
            command += [f"--python-version={self.abi.removeprefix('cp')}"]
        command += ["--requirement", str(requirements)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
            what = "; ".join(reasons) or done.stderr.strip()
            raise BuildError(f"{self.filename}: pip download ended with {done.returncode}: {what}")


def locked(project: str) -> list[Wheel]:
    """The wheels that the lock names for a project, in the order of their file names."""
    table = tomllib.loads((LOCK / "wheels.toml").read_text())
    return [Wheel(name, digest) for name, digest in sorted(table[project]["files"].items())]


@cache  # a bill of materials asks again for what a build had
def extension_archives(project: str) -> dict[str, bytes]:
    """Machine -> .tar.xz of a project's extension modules for all Pythons of the lock.

    What the compiler made for one Python is nearly what it made for the next: together they take
    less than half of what they take one by one.
    """
    archives = {}
    for machine, found in groupby(sorted(locked(project), key=_machine), key=_machine):
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for wheel in found:
                name, image = wheel.extension_module()
                member = tarfile.TarInfo(name)
                member.size = len(image)
                archive.addfile(member, io.BytesIO(image))
        archives[machine] = packed(plain.getvalue(), EXTENSIONS_WINDOW)
    return archives


def _machine(wheel: Wheel) -> str:
    return wheel.machine


@cache
def pip() -> list[str]:
    """The command that runs pip: this Python's, the project's venv's, or one in the cache.

    Raises BuildError when there is none and no venv can be made.
    """
    own = cache_dir() / "pip"
    candidates = [sys.executable, str(ROOT / ".venv/bin/python"), str(own / "bin/python")]
    for python in candidates:
        if _works(python):
            return [python, "-m", "pip"]
    # Debian's python3 has venv but no ensurepip until python3-venv is installed.
    with tempfile.TemporaryFile() as log:
        command = [sys.executable, "-m", "venv", str(own)]
        done = subprocess.run(command, check=False, stdout=log, stderr=log)
    if done.returncode == 0 and _works(candidates[-1]):
        return [candidates[-1], "-m", "pip"]
    raise BuildError("pip is needed to download pinned wheels: sudo apt-get install python3-venv")


def _works(python: str) -> bool:
    command = [python, "-m", "pip", "--version"]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
