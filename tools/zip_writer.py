# SPDX-License-Identifier: Apache-2.0
"""A zip file whose bytes follow from the names and contents of its members and from nothing else.

Members are sorted by name, carry one fixed date and mode, and are stored where deflating does not
make them smaller; zipimport knows no other methods. The entry is always stored: Python runs it
without zlib, which a host's variables may have replaced by a module of that name.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tools.errors import BuildError

# The earliest date that the format can say (.ZIP File Format Specification, 4.4.6).
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_REGULAR_FILE_0644 = 0o100644
_DEFLATE_LEVEL = 9
_ENTRY = frozenset({"__main__.py", "__main__.pyc"})


def zip_bytes(members: Mapping[str, bytes], first_line: str = "") -> bytes:
    """A zip file with these members after a first line such as "#!/usr/bin/env python3".

    Raises BuildError for a name that does not stay inside the directory it is unpacked to.
    """
    buffer = io.BytesIO()
    buffer.write(f"{first_line}\n".encode() if first_line else b"")
    with zipfile.ZipFile(buffer, "a") as archive:
        for name in sorted(members):
            if not all(part not in {"", ".", ".."} for part in name.split("/")):
                raise BuildError(f"{name!r} is no name for a member of a zip file")
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = _UNIX
            info.external_attr = _REGULAR_FILE_0644 << 16
            deflated = name not in _ENTRY and packed_size(members[name]) < len(members[name])
            info.compress_type = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
            archive.writestr(info, members[name], compresslevel=_DEFLATE_LEVEL)
    return buffer.getvalue()


def packed_size(data: bytes) -> int:
    """The number of bytes that the contents of a member take in the file."""
    deflate = zlib.compressobj(_DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return min(len(data), len(deflate.compress(data)) + len(deflate.flush()))


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that whoever opens its name meets the old or the new file, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two builds at once do not write to one file.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.chmod(mode)
    aside.replace(path)
