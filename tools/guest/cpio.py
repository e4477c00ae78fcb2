# SPDX-License-Identifier: Apache-2.0
"""Writer of newc cpio archives, the format of an initramfs.

Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's sources. Several
archives may follow each other in one file when each begins at a multiple of four bytes.
"""

from __future__ import annotations

import stat
from typing import IO


class CpioWriter:
    """Writes entries one after the other; all belong to root and carry time 0, so bytes repeat.

    Parent directories are made on demand (mode 0755). Paths are absolute in the guest.
    """

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._inode = 0
        self._made: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        """A directory; making it twice is no error, the first mode stays."""
        path = path.strip("/")
        if not path or path in self._made:
            return
        self._parents(path)
        self._entry(path, stat.S_IFDIR | mode, b"", links=2)

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        """A regular file."""
        self._parents(path.strip("/"))
        self._entry(path.strip("/"), stat.S_IFREG | mode, content)

    def symlink(self, path: str, target: str) -> None:
        """A symbolic link with any target text."""
        self._parents(path.strip("/"))
        self._entry(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """A character device node."""
        self._parents(path.strip("/"))
        self._entry(path.strip("/"), stat.S_IFCHR | mode, b"", device=(major, minor))

    def close(self) -> None:
        """Write the trailer and pad to 512 bytes; the underlying file stays open."""
        self._entry("TRAILER!!!", 0, b"")
        self._pad(512)

    def _parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent:
            self.directory(parent)

    def _entry(
        self,
        name: str,
        mode: int,
        content: bytes,
        links: int = 1,
        device: tuple[int, int] = (0, 0),
    ) -> None:
        self._made.add(name)
        self._inode += 1
        encoded = name.encode() + b"\0"
        fields = (
            self._inode,
            mode,
            0,  # uid
            0,  # gid
            links,
            0,  # mtime
            len(content),
            0,  # major and minor of the device that holds the file
            0,
            *device,
            len(encoded),
            0,  # checksum: unused in this flavour
        )
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        self._pad(4)
        self._out.write(content)
        self._pad(4)

    def _pad(self, alignment: int) -> None:
        self._out.write(bytes(-self._out.tell() % alignment))
