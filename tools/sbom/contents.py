"""Every file inside the .pyz, those of the zip within it too, and that there is nothing else."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from tools.errors import BuildError

INNER = "packages.zip"
_LOCAL_HEADER = 30  # bytes, before the name (.ZIP File Format Specification, 4.3.7)
_DIRECTORY_HEADER = 46  # 4.3.12
_END = 22  # 4.3.16, without a comment


def contents(pyz: bytes, first_line: bytes) -> dict[str, bytes]:
    """Name -> contents; files of packages.zip are called `packages.zip/NAME`.

    Raises BuildError for bytes between the files, which no list of files would show.
    """
    files = dict(_members(pyz, first_line, "tetrapy.pyz"))
    inner = files.get(INNER)
    if inner is not None:
        files |= {f"{INNER}/{name}": data for name, data in _members(inner, b"", INNER)}
    return files


def _members(archive: bytes, first_line: bytes, what: str) -> Iterator[tuple[str, bytes]]:
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
    except zipfile.BadZipFile as err:
        raise BuildError(f"{what} is no zip file: {err}") from err
    with opened:
        members = sorted(opened.infolist(), key=lambda info: info.header_offset)
        names = [info.filename for info in members]
        if len(set(names)) < len(names):
            raise BuildError(f"{what} has a name twice; Python would run one, readers see another")
        if not archive.startswith(first_line):
            raise BuildError(f"{what} does not begin with {first_line!r}")
        at = len(first_line)
        for info in members:
            if info.header_offset != at or info.extra or info.comment:
                raise BuildError(f"{what} has bytes that belong to no file before {info.filename}")
            at += _LOCAL_HEADER + len(info.filename.encode()) + info.compress_size
        directory = sum(_DIRECTORY_HEADER + len(name.encode()) for name in names)
        if at != opened.start_dir or at + directory + _END != len(archive):
            raise BuildError(f"{what} has bytes that belong to no file at its end")
        for name in sorted(names):
            yield name, opened.read(name)
