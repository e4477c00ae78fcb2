# SPDX-License-Identifier: Apache-2.0
"""Marks of images: a bit for each filter on binaries, or on pids, that outlives a call.

The kernel side decides them once for each image (bpf/lineage.h): it looks for the longest member of
a set that is the beginning of a path, or of its end turned round; the member's value says which
filters hold. Here is the same for processes that are older than the programs.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.tables import Prefix

MOST = 63
UNKNOWN = 1 << 63
"""The bit of a binary that is not known: filters count it as theirs."""
SETS = ("path_set", "end_set", "pid_set", "inner_pid_set", "hosts_path_set", "hosts_end_set")
"""Names of what is looked up, in bpf/lineage.bpf.c."""
_PIDS, _INNER_PIDS = "pids", "inner pids"


class _Filter(NamedTuple):
    """What has a mark."""

    operator: str  # without Not, or _PIDS
    texts: Tuple[bytes, ...]
    of_host: bool = False  # only what is the host's at its path


class Seen(NamedTuple):
    """What procfs tells of a process that filters look at."""

    path: Optional[bytes]  # None: it cannot be read; b"" of a kernel thread
    pid: int
    inner_pid: int  # 0: in the initial namespace
    is_hosts: bool = True  # the host has the same file at the path


Set = Tuple[List[Prefix], List[int]]
"""Members, and the marks that each says."""


class Claim:
    """What one policy asks of the images, until it is given back."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self.asked = False  # a filter asks for images
        self.filters: List[_Filter] = []

    def of_binaries(self, operator: str, texts: Sequence[bytes], of_host: bool = False) -> int:
        """The bit of those whose path fulfils an operator: Equal, Prefix or Postfix.

        `of_host`: and is the same file for the host. Raises PolicyUnsupportedError where there is
        none left.
        """
        return self._bit(operator, texts, of_host)

    def of_pids(self, pids: Sequence[int], inner: bool) -> int:
        """The bit of those with one of these pids, in their own namespace if `inner`.

        Raises PolicyUnsupportedError where there is none left.
        """
        return self._bit(_INNER_PIDS if inner else _PIDS, [b"%d" % pid for pid in pids])

    def _bit(self, operator: str, texts: Sequence[bytes], of_host: bool = False) -> int:
        self.asked = True
        key = _Filter(operator, tuple(sorted(set(texts))), of_host)
        bit = self._marks.take(key)
        self.filters.append(key)
        return bit


class Marks:
    """The filters of all policies that have marks; equal ones have the same."""

    def __init__(self) -> None:
        self._bits: Dict[_Filter, int] = {}
        self._users: Dict[_Filter, int] = {}
        self._claims: List[Claim] = []
        self.fresh = 0  # bits that are not noted yet of processes that are there
        self.stale = 0  # bits that images may have by a former filter

    @property
    def asked(self) -> bool:
        """Whether any policy asks for images."""
        return any(claim.asked for claim in self._claims)

    def claim(self) -> Claim:
        """For a policy; to be given back by `release`."""
        claim = Claim(self)
        self._claims.append(claim)
        return claim

    def release(self, claim: Claim) -> None:
        """The policy is gone, and what only it asked for with it."""
        self._claims.remove(claim)
        for key in claim.filters:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                self.stale |= self._bits.pop(key)

    def take(self, key: _Filter) -> int:
        """The bit of a filter, for one more who asks. Raises PolicyUnsupportedError."""
        if key not in self._bits:
            bit = next(self._free(), 0)
            if not bit:
                raise PolicyUnsupportedError(
                    f"more than {MOST} filters that differ, of all policies, with followChildren,"
                    " followForks and matchParentBinaries"
                )
            self._bits[key] = bit
            self.fresh |= bit
        self._users[key] = self._users.get(key, 0) + 1
        return self._bits[key]

    def _free(self) -> Iterator[int]:
        """Bits that no filter has, those first that none has had."""
        used = set(self._bits.values())
        free = [1 << number for number in range(MOST) if 1 << number not in used]
        return iter(sorted(free, key=lambda bit: bool(bit & self.stale)))

    def of(self, process: Seen) -> Tuple[int, int]:
        """The marks of what a process runs, and of its pids."""
        binary, pids = (UNKNOWN, 0) if process.path is None else (0, 0)
        for (operator, texts, of_host), bit in self._bits.items():
            if operator in {_PIDS, _INNER_PIDS}:
                pid = process.pid if operator == _PIDS else process.inner_pid
                pids |= bit if pid and b"%d" % pid in texts else 0
            elif of_host and not process.is_hosts:
                continue
            elif process.path and _HOLDS[operator](process.path, texts):
                binary |= bit
        return binary, pids

    def sets(self) -> Mapping[str, Set]:
        """What is looked up, by the names that the sets have in bpf/lineage.bpf.c."""
        found: Dict[str, Dict[bytes, int]] = {name: {} for name in SETS}
        for (operator, texts, of_host), bit in self._bits.items():
            hosts = "hosts_" if of_host else ""
            for text in texts:
                if operator == "Equal":
                    name, key = f"{hosts}path_set", text + b"\0"
                elif operator == "Prefix":
                    name, key = f"{hosts}path_set", text
                elif operator == "Postfix":
                    name, key = f"{hosts}end_set", text[::-1]
                else:
                    name = "pid_set" if operator == _PIDS else "inner_pid_set"
                    key = int(text).to_bytes(8, "big")
                found[name][key] = found[name].get(key, 0) | bit
        return {name: _united(members) for name, members in found.items() if members}


_HOLDS: Mapping[str, Callable[[bytes, Tuple[bytes, ...]], bool]] = {
    "Equal": lambda path, texts: path in texts,
    "Prefix": lambda path, texts: path.startswith(texts),
    "Postfix": lambda path, texts: path.endswith(texts),
}


def _united(members: Mapping[bytes, int]) -> Set:
    """Of a path only the longest member is found: it says what the shorter ones say, too."""
    prefixes = [(8 * len(key), key) for key in members]
    marks = []
    for key in members:
        united = 0
        for other, bits in members.items():
            united |= bits if key.startswith(other) else 0
        marks.append(united)
    return prefixes, marks
