# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a process (Tetragon's messages `Namespaces` and `Namespace`)."""

from __future__ import annotations

from tetrapy.named import NamedTuple


class Namespace(NamedTuple):
    """One namespace of a process: the inode number that names it."""

    inum: int
    is_host: bool  # whether it is that of the machine's first process


class Namespaces(NamedTuple):
    """Inode numbers; 0 where the kernel has no such namespace."""

    uts: int
    ipc: int
    mnt: int
    pid: int
    pid_for_children: int
    net: int
    time: int
    time_for_children: int
    cgroup: int
    user: int

    def shown(self, host: Namespaces) -> ShownNamespaces:
        """The message; `host` are the namespaces of the machine's first process."""
        out = ShownNamespaces()
        for name, number, own in zip(self._fields, self, host):
            is_time = name.startswith("time")
            if is_time and not self.time:
                setattr(out, name, None)
            else:
                same = number == own and bool(number or not is_time)
                setattr(out, name, Namespace(number, same))
        return out


class ShownNamespaces:
    """A `Namespace` by each name, None where the kernel has no such; many processes share one."""

    __slots__ = Namespaces._fields
