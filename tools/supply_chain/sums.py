# SPDX-License-Identifier: Apache-2.0
"""SHA256SUMS: the digests of a directory's files, in the form that sha256sum reads."""

from __future__ import annotations

import re
from pathlib import Path

from tools.errors import BuildError
from tools.fetch import sha256_of
from tools.zip_writer import replace_file

NAME = "SHA256SUMS"
_PLAIN_NAME = re.compile(r"[\w.+~-]+", re.ASCII)


def write(directory: Path) -> Path:
    """Write the sums of all files; returns the path. Raises BuildError when there are none."""
    found = files(directory)
    if not found:
        raise BuildError(f"{directory} has no files to sum up")
    text = "".join(f"{sha256_of(path)}  {path.name}\n" for path in found)
    replace_file(directory / NAME, text.encode(), 0o644)
    return directory / NAME


def files(directory: Path) -> list[Path]:
    """The files that are summed up, by name. Raises BuildError for a name that needs escapes."""
    found = []
    for path in sorted(directory.iterdir()):
        if path.name.startswith((".", NAME)) or path.is_dir():
            continue
        if path.is_symlink() or not _PLAIN_NAME.fullmatch(path.name):
            raise BuildError(f"{path} is no plain file with a plain name; remove it from there")
        found.append(path)
    return found
