# SPDX-License-Identifier: Apache-2.0
"""Every file inside a .pyz, and that there is nothing else in it."""

from __future__ import annotations

import io
import zipfile

from tools.errors import BuildError

_LOCAL_HEADER = 30  # bytes, before the name (.ZIP File Format Specification, 4.3.7)
_DIRECTORY_HEADER = 46  # 4.3.12
_END = 22  # 4.3.16, without a comment


def members(archive: bytes, first_line: bytes, what: str = "tetrapy.pyz") -> dict[str, bytes]:
    """Name -> contents of the files in a zip file that begins with `first_line`.

    Raises BuildError for bytes between the files, which no list of files would show.
    """
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
    except zipfile.BadZipFile as err:
        raise BuildError(f"{what} is no zip file: {err}") from err
    with opened:
        listed = sorted(opened.infolist(), key=lambda info: info.header_offset)
        names = [info.filename for info in listed]
        if len(set(names)) < len(names):
            raise BuildError(f"{what} has a name twice; Python would run one, readers see another")
        if not archive.startswith(first_line):
            raise BuildError(f"{what} does not begin with {first_line!r}")
        at = len(first_line)
        for info in listed:
            if info.header_offset != at or info.extra or info.comment:
                raise BuildError(f"{what} has bytes that belong to no file before {info.filename}")
            at += _LOCAL_HEADER + len(info.filename.encode()) + info.compress_size
        directory = sum(_DIRECTORY_HEADER + len(name.encode()) for name in names)
        if at != opened.start_dir or at + directory + _END != len(archive):
            raise BuildError(f"{what} has bytes that belong to no file at its end")
        return {name: opened.read(name) for name in sorted(names)}
