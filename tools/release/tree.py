# SPDX-License-Identifier: Apache-2.0
"""The files of an installation: the same whether a tarball, a .deb or an .rpm brings them."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools import contents, oci_hook
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.sbom.texts import texts

PYZ = ROOT / "dist" / contents.PYZ
# Of every file in a release, whenever it is made: 1980-01-01, as inside the .pyz.
EPOCH = 315532800

DESCRIPTION = "Tetragon's process events out of one self-contained Python file"

Kind = Literal["tarball", "deb", "rpm"]
# Units are looked for in /usr/lib everywhere, generators only there where that is systemd's own
# directory: a Debian whose /usr is split has /lib. Below /usr/local all of them look.
_GENERATORS = {
    "tarball": "/usr/local/lib/systemd/system-generators",
    "deb": "/lib/systemd/system-generators",
    "rpm": "/usr/lib/systemd/system-generators",
}


@dataclass(frozen=True)
class File:
    """A regular file of root's."""

    content: bytes
    mode: int = 0o644


def executable(arch: str) -> Path:
    """Where the executable for `arch` is (tools/interpreter)."""
    return PYZ.with_name(contents.EXECUTABLES[arch])


def version() -> str:
    """What agent/tetrapy/version.py states."""
    text = (ROOT / "agent/tetrapy/version.py").read_text()
    found = re.search(r'^__version__ = "([0-9][0-9a-z.]*)"$', text, re.MULTILINE)
    if not found:
        raise BuildError("agent/tetrapy/version.py does not state a version such as 1.2.3")
    return found[1]


def installed(kind: Kind, arch: str) -> dict[str, File]:
    """Absolute path -> file. Raises BuildError when a program was not built."""
    prefix = "/usr/local" if kind == "tarball" else "/usr"
    zsh = "vendor-completions" if kind == "deb" else "site-functions"
    manuals = {name: _read(f"docs/{name}") for name in ("tetrapy.8", "tetra.8")}
    if kind != "tarball":
        for name, manual in manuals.items():
            manuals[name] = File(gzip.compress(manual.content, 9, mtime=0))
    suffix = "" if kind == "tarball" else ".gz"
    files = {
        f"{prefix}/bin/tetrapy": _read("deploy/tetrapy", 0o755),
        **{f"{prefix}/share/man/man8/{name}{suffix}": file for name, file in manuals.items()},
        f"{prefix}/share/bash-completion/completions/tetrapy": _read("completions/tetrapy.bash"),
        f"{prefix}/share/fish/vendor_completions.d/tetrapy.fish": _read("completions/tetrapy.fish"),
        f"{prefix}/share/zsh/{zsh}/_tetrapy": _read("completions/_tetrapy"),
        "/usr/lib/systemd/system/tetrapy.service": _read("tetrapy.service"),
        f"{_GENERATORS[kind]}/tetrapy-generator": _read("deploy/tetrapy-generator", 0o755),
        f"{prefix}/lib/tetrapy/oci-hooks.d/tetrapy.json": _read("deploy/oci-hook/tetrapy.json"),
    }
    for path in sorted((ROOT / "deploy/tetrapy.conf.d").iterdir()):
        files[f"{prefix}/lib/tetrapy/tetrapy.conf.d/{path.name}"] = File(path.read_bytes())
    if kind == "tarball":
        files[f"{prefix}/lib/tetrapy/uninstall.sh"] = _read("uninstall.sh", 0o755)
    else:
        # What names places names those of a package, which leaves /usr/local alone.
        files = {
            path: File(file.content.replace(b"/usr/local/", b"/usr/"), file.mode)
            for path, file in files.items()
        }
    programs = {"tetrapy-oci-hook": oci_hook.program(arch).read_bytes(), **_programs(arch)}
    for name, content in programs.items():
        files[f"{prefix}/lib/tetrapy/{name}"] = File(content, 0o755)
    files[f"{prefix}/share/doc/tetrapy/licenses.txt"] = File(texts(executable=True).encode())
    return files


def _programs(arch: str) -> dict[str, bytes]:
    """What deploy/tetrapy chooses from, by its names."""
    if not PYZ.exists():
        raise BuildError("dist/tetrapy.pyz is not there: make build")
    pyz, alone = PYZ.read_bytes(), executable(arch)
    whole = alone.read_bytes() if alone.exists() else b""
    if not whole.endswith(pyz):
        raise BuildError(f"dist/{alone.name} is not there, or of another .pyz: make executable")
    return {"tetrapy.pyz": pyz, "tetrapy": whole}


def sums(files: dict[str, File]) -> bytes:
    """SHA256SUMS as sha256sum writes it, for names relative to the current directory."""
    lines = (
        f"{hashlib.sha256(file.content).hexdigest()}  {name}\n"
        for name, file in sorted(files.items())
    )
    return "".join(lines).encode()


def write(files: dict[str, File], root: Path) -> None:
    """Put the files below `root`."""
    for name, file in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)


def _read(name: str, mode: int = 0o644) -> File:
    return File((ROOT / name).read_bytes(), mode)
