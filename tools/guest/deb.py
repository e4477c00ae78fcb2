"""Reader of .deb files: an `ar` archive whose member data.tar.* holds the package's files."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tools.debian import DebianError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def entries(path: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """(absolute path, tar header, content) of each entry, in the archive's order.

    Content is empty for what is not a regular file. The archive is read as it is asked for, so a
    caller that stops early does not pay for the rest.
    """
    name, data = _data_member(path)
    if name == "data.tar.zst":
        result = subprocess.run(["zstd", "-qdc"], input=data, stdout=subprocess.PIPE, check=True)
        name, data = "data.tar", result.stdout
    if name not in ("data.tar", "data.tar.xz", "data.tar.gz"):
        raise DebianError(f"{path}: has {name}, which is not read here (xz, gz, zst, plain are)")
    with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            yield "/" + info.name.lstrip("./"), info, file.read() if file else b""


def _data_member(path: Path) -> tuple[str, bytes]:
    with path.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise DebianError(f"{path}: not an ar archive")
        while header := file.read(_AR_HEADER):
            name = header[:16].decode("ascii").rstrip(" /")
            size = int(header[48:58])
            if name.startswith("data.tar"):
                return name, file.read(size)
            file.seek(size + size % 2, io.SEEK_CUR)
    raise DebianError(f"{path}: no data.tar in it")
