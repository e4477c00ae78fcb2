# SPDX-License-Identifier: Apache-2.0
"""All files of a .deb with their modes and links; the agent's reader knows kernels only."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from tetrapy.btf.harvest.compression import unpacked_reader
from tetrapy.btf.harvest.deb import members
from tetrapy.errors import TetrapyError
from tools.debian import DebianError
from tools.guest.unpackers import UNPACKERS


def entries(path: Path) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    """(absolute path, tar header, content) of each entry, in the archive's order.

    Content is empty for what is not a regular file. The archive is read as it is asked for, so a
    caller that stops early does not pay for the rest. Raises DebianError when it cannot be read.
    """
    try:
        with path.open("rb") as package:
            for name, part in members(package):
                if name.startswith("data.tar"):
                    yield from _files(cast("IO[bytes]", unpacked_reader(part, UNPACKERS)))
                    return
    except (TetrapyError, tarfile.TarError) as err:
        raise DebianError(f"{path}: {err}") from err
    raise DebianError(f"{path}: no data.tar in it")


def _files(data: IO[bytes]) -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=data, mode="r|") as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            yield "/" + info.name.lstrip("./"), info, file.read() if file else b""
