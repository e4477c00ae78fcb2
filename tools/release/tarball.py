# SPDX-License-Identifier: Apache-2.0
"""The tarball that install.sh is run from; the same sources give the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile

from tools.fetch import ROOT
from tools.release import tree
from tools.release.tree import EPOCH, File

_LEVEL = 6  # as Tetragon's; the .pyz in it is compressed already


def build(arch: str) -> tuple[str, bytes]:
    """File name and content."""
    name = f"tetrapy-{tree.version()}-{arch}"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        directories: set[str] = set()
        for path, file in sorted(members(arch).items()):
            _add_parents(tar, f"{name}/{path}", directories)
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size, info.mode = len(file.content), file.mode
            _add(tar, info, file.content)
    # Without the name and time that gzip's header may hold.
    return f"{name}.tar.gz", gzip.compress(buffer.getvalue(), _LEVEL, mtime=0)


def members(arch: str) -> dict[str, File]:
    """The files below the tarball's one directory."""
    files = {path.lstrip("/"): file for path, file in tree.installed("tarball", arch).items()}
    for name in ("install.sh", "uninstall.sh"):
        files[name] = File((ROOT / name).read_bytes(), 0o755)
    files["VERSION"] = File(f"{tree.version()}\n".encode())
    files["SHA256SUMS"] = File(tree.sums(files))
    return files


def _add_parents(tar: tarfile.TarFile, path: str, known: set[str]) -> None:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        directory = "/".join(parts[:count])
        if directory not in known:
            known.add(directory)
            info = tarfile.TarInfo(directory)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            _add(tar, info, b"")


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, content: bytes) -> None:
    info.uname = info.gname = "root"
    info.mtime = EPOCH
    tar.addfile(info, io.BytesIO(content))
