# SPDX-License-Identifier: Apache-2.0
"""What the caller of a harvest decides, and the decompressors it brings along."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Protocol

from tetrapy.named import NamedTuple


class Readable(Protocol):
    """A file, as far as it is used here: `read(size)` gives none at the end only."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""


class Unpackers(NamedTuple):
    """The decompressors that Python's library does not have.

    `whole`: "zstd", "lz4" and "lzo" -> f(data, limit) -> the unpacked bytes, whatever follows
    them; DecompressError for damaged data, or data that unpacks to more than `limit` bytes.
    `open_zstd`: a file of zstd frames -> a file of the unpacked bytes, of which only `read(size)`
    is used; it raises DecompressError too.
    """

    whole: Mapping[str, Callable[[bytes, int], bytes]]
    open_zstd: Callable[[Any], Readable]


class Options(NamedTuple):
    """The names win over what an input tells about itself; "" leaves them to the input.

    `release` is possible for a single input only (SettingsError).  `jobs` 0: one process a CPU.
    `force`: do again what is there already.  `modules`: of this host, the modules' BTF as well.
    `pahole`: the program that makes BTF of DWARF.  `root`: where /sys and /etc/os-release of "this
    host" are.
    """

    id: str = ""
    version_id: str = ""
    arch: str = ""
    release: str = ""
    jobs: int = 0
    force: bool = False
    modules: bool = False
    pahole: str = "pahole"
    root: str = "/"
