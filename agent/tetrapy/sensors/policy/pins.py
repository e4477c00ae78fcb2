# SPDX-License-Identifier: Apache-2.0
"""Policies that stay in the kernel when the agent is gone: a directory of pins for each.

  /sys/fs/bpf/tetrapy/         --bpf-dir
    run-2/                     of the second agent that found something, or the first one: run-1
      policy-5/                its links, and the arrays of programs that these run
        file, policy           links that lead nowhere: what it came from, and its name
      new-6/                   of one that is not complete yet, and does nothing

An agent of any version finds by these names what is to be removed. Removing the links is enough:
they hold the programs, and these the maps.
"""

from __future__ import annotations

import contextlib
import os
from typing import Iterator, List, Mapping, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import bpffs
from tetrapy.named import NamedTuple

FILE, POLICY = "file", "policy"
_RUN, _COMPLETE, _NEW = "run-", "policy-", "new-"


class Pinned(NamedTuple):
    """A policy that an agent left."""

    directory: str
    file: str
    policy: str


class Pins:
    """The pins of this run."""

    def __init__(self, base: str) -> None:
        """`base` is the agent's directory in the BPF file system; nothing is made there yet."""
        self._base = base
        runs = [int(run[len(_RUN) :]) for run in _names(base, _RUN) if run[len(_RUN) :].isdigit()]
        self._run = os.path.join(base, f"{_RUN}{max(runs, default=0) + 1}")

    def keep(
        self, number: int, about: Mapping[str, str], links: Sequence[int], arrays: Sequence[int]
    ) -> str:
        """Pin what a policy has: file descriptors. Returns the directory, for `forget`.

        An array of programs is emptied when nobody has it open or pinned. Raises KernelError, with
        nothing left.
        """
        name = os.path.join(self._run, f"{_NEW}{number}")
        complete = os.path.join(self._run, f"{_COMPLETE}{number}")
        try:
            for directory in (self._base, self._run, name):
                bpffs.make_private(directory)
            for kind, fds in (("array", arrays), ("link", links)):
                for at, fd in enumerate(fds):
                    bpffs.pin(fd, os.path.join(name, f"{kind}-{at}"))
            for label, text in about.items():
                os.symlink(text, os.path.join(name, label))
            os.rename(name, complete)
        except BaseException as err:
            self.forget(name)
            if isinstance(err, OSError):
                raise KernelError(f"{name}: {err.strerror}", err.errno or 0) from err
            raise
        return complete

    def forget(self, directory: str) -> None:
        """Unpin a policy of this or another run, and the directories that held no other.

        Raises KernelError.
        """
        bpffs.remove(directory)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(directory))
            os.rmdir(self._base)

    def earlier(self) -> List[Pinned]:
        """What is complete of earlier runs; all else of them is removed. Raises KernelError."""
        return list(self._earlier())

    def _earlier(self) -> Iterator[Pinned]:
        for name in _names(self._base, ""):
            run = os.path.join(self._base, name)
            if run == self._run:
                continue
            for inner in _names(run, ""):
                directory = os.path.join(run, inner)
                try:
                    if not inner.startswith(_COMPLETE):
                        raise FileNotFoundError
                    labels = [os.readlink(os.path.join(directory, one)) for one in (FILE, POLICY)]
                except OSError:  # it was not complete, or another version made it
                    self.forget(directory)
                else:
                    yield Pinned(directory, *labels)


def _names(directory: str, prefix: str) -> List[str]:
    try:
        return sorted(name for name in os.listdir(directory) if name.startswith(prefix))
    except OSError:
        return []
