# SPDX-License-Identifier: Apache-2.0
"""What a .deb and an .rpm have in common: fields of the package, and files in a stream."""

from __future__ import annotations

import re
from typing import Iterator, Optional

from tetrapy.btf.harvest.stream import Entry
from tetrapy.named import NamedTuple

# Where packages have kernels. Most have them in /boot; Fedora and its kin, SUSE, and Debian from
# Linux 6.19 on, among the modules. arm64 kernels are also called Image, uncompressed ones vmlinux.
_IMAGE = re.compile(
    r"(?:boot/(?:vmlinuz|vmlinux|[zb]*Image)-(?P<boot>[^/]+?)"
    r"|(?:usr/)?lib/modules/(?P<modules>[^/]+)/(?:vmlinuz|vmlinux|[zb]*Image))"
    r"(?:\.(?:gz|bz2|xz|lzma|lzo|lz4|zst))?"
)
# With DWARF: Debian and Ubuntu, SUSE (usr/lib/debug/boot), Fedora and its kin (.../lib/modules).
_DEBUG = re.compile(
    r"usr/lib/debug/(?:boot/vmlinux-(?P<boot>[^/]+?)(?:\.debug)?"
    r"|(?:usr/)?lib/modules/(?P<modules>[^/]+)/vmlinux(?:\.debug)?)"
)


class Package(NamedTuple):
    """A package, opened; fields that it does not have are "".

    `kind`: deb or rpm; `arch`: in the words of the package's format; `vendor`: who made it (a
    .deb's Maintainer); `distribution`: the tag of an .rpm.  `entries` can be gone through once,
    and raises FormatError where the package is damaged.
    """

    kind: str
    name: str
    version: str
    arch: str
    vendor: str
    distribution: str
    entries: Iterator[Entry]

    def __str__(self) -> str:
        return f"{self.kind} package {self.name} {self.version}"


class Kernel(NamedTuple):
    """A kernel in a package; `release` as its path has it, `debug`: it is there for its DWARF."""

    entry: Entry
    release: str
    debug: bool


def kernel_of(package: Package) -> Optional[Kernel]:
    """The package's first kernel; the entries are read up to it. None: it has none."""
    for entry in package.entries:
        for pattern, debug in ((_IMAGE, False), (_DEBUG, True)):
            found = pattern.fullmatch(entry.path)
            if found:
                return Kernel(entry, found.group("boot") or found.group("modules"), debug)
    return None
