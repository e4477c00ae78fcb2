# SPDX-License-Identifier: Apache-2.0
"""What has to be known about the files, sockets and BPF objects that the reference process holds.

All of it comes from the system calls that made them; `tetrapy.kernel` makes them.
"""

from __future__ import annotations

from typing import Optional, Protocol


class OpenFile(Protocol):
    """An open file: the number of its descriptor, inode number and mode (stat(2))."""

    @property
    def number(self) -> int:
        """The number of the descriptor in the reference process."""

    @property
    def inode(self) -> int:
        """Its inode number (stat(2))."""

    @property
    def mode(self) -> int:
        """Type and permissions (stat(2))."""


class OpenSocket(Protocol):
    """An open socket; addresses are hexadecimal digits of their bytes, "" for none."""

    @property
    def number(self) -> int:
        """The number of the descriptor in the reference process."""

    @property
    def family(self) -> int:
        """Such as AF_INET."""

    @property
    def kind(self) -> int:
        """Such as SOCK_STREAM."""

    @property
    def protocol(self) -> int:
        """Such as IPPROTO_TCP."""

    @property
    def state(self) -> int:
        """As TCP counts (include/net/tcp_states.h)."""

    @property
    def mark(self) -> int:
        """SO_MARK (socket(7)); 0 where it could not be set."""

    @property
    def priority(self) -> int:
        """SO_PRIORITY (socket(7))."""

    @property
    def source(self) -> str:
        """Its own address."""

    @property
    def destination(self) -> str:
        """The address of its peer."""

    @property
    def source_port(self) -> int:
        """Its own port."""

    @property
    def destination_port(self) -> int:
        """That of its peer; 0 for none."""


class OpenMap(Protocol):
    """A BPF map: the number of its descriptor, and with what it was made (bpf(2))."""

    @property
    def number(self) -> int:
        """The number of the descriptor in the reference process."""

    @property
    def type(self) -> int:
        """Of enum bpf_map_type."""

    @property
    def key_size(self) -> int:
        """Bytes of a key."""

    @property
    def value_size(self) -> int:
        """Bytes of a value."""

    @property
    def max_entries(self) -> int:
        """How many it may hold."""

    @property
    def name(self) -> str:
        """At most 15 characters."""


class OpenProgram(Protocol):
    """A BPF program: the number of its descriptor, and with what it was loaded (bpf(2))."""

    @property
    def number(self) -> int:
        """The number of the descriptor in the reference process."""

    @property
    def type(self) -> int:
        """Of enum bpf_prog_type."""

    @property
    def length(self) -> int:
        """How many instructions it has."""

    @property
    def name(self) -> str:
        """At most 15 characters."""


class OpenEvent(Protocol):
    """A perf event: the number of its descriptor, and what it was opened with."""

    @property
    def number(self) -> int:
        """The number of the descriptor in the reference process."""

    @property
    def attributes(self) -> str:
        """The beginning of its struct perf_event_attr, hexadecimal digits."""


class OpenFiles(Protocol):
    """What it holds; what could not be made is None."""

    @property
    def routed(self) -> Optional[OpenFile]:
        """A socket that knows its way to the loopback device."""

    @property
    def bpf_map(self) -> Optional[OpenMap]:
        """With unusual sizes."""

    @property
    def bpf_program(self) -> Optional[OpenProgram]:
        """With an unusual length."""

    @property
    def perf_event(self) -> Optional[OpenEvent]:
        """With an unusual period."""

    @property
    def pipe(self) -> OpenFile:
        """With a number beyond those of a table of the first size."""

    @property
    def program(self) -> OpenFile:
        """The program that it runs, opened once more."""

    @property
    def connected(self) -> Optional[OpenSocket]:
        """UDP over IPv4."""

    @property
    def listening(self) -> Optional[OpenSocket]:
        """TCP over IPv4; it has no peer."""

    @property
    def mapped(self) -> Optional[OpenSocket]:
        """UDP over IPv6, to addresses of IPv4."""
