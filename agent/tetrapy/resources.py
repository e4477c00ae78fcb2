# SPDX-License-Identifier: Apache-2.0
"""Files in the packed file, for importlib.resources (its protocols: TraversableResources).

zipimport knows already where each file lies. Its own reader would have zipfile read the directory
of hundreds of entries once more, which costs a start 64 million instructions.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO, Iterator, TextIO, Union
from zipimport import zipimporter


class Reader:
    """The resources of one package."""

    def __init__(self, archive: zipimporter, directory: str) -> None:
        """`directory` is the package's own, within the archive."""
        self._root = Member(archive, directory)

    def files(self) -> Member:
        """The package's directory."""
        return self._root


class Member:
    """A file or a directory, which need not be there."""

    def __init__(self, archive: zipimporter, path: str) -> None:
        self._archive = archive
        self._path = path
        self.name = path.rpartition("/")[2]

    def joinpath(self, *names: str) -> Member:
        """The file or directory below this one."""
        return Member(self._archive, "/".join((self._path, *names)))

    __truediv__ = joinpath

    def read_bytes(self) -> bytes:
        """The contents. Raises OSError."""
        return self._archive.get_data(self._path)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The contents as text. Raises OSError, UnicodeDecodeError."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "r", *args: Any, **options: Any) -> Union[BinaryIO, TextIO]:
        """The contents as an open file. Raises OSError."""
        file = io.BytesIO(self.read_bytes())
        return file if "b" in mode else io.TextIOWrapper(file, *args, **options)

    def is_file(self) -> bool:
        """Whether there is such a file."""
        return self._path in self._names()

    def is_dir(self) -> bool:
        """Whether there are files below."""
        return any(name.startswith(f"{self._path}/") for name in self._names())

    def iterdir(self) -> Iterator[Member]:
        """All that lies directly below."""
        start = f"{self._path}/"
        below = {n[len(start) :].partition("/")[0] for n in self._names() if n.startswith(start)}
        return (self.joinpath(name) for name in sorted(below))

    def _names(self) -> Any:
        return self._archive._files  # type: ignore[attr-defined] # noqa: SLF001 - the directory
