"""The records of bpf/events.h, one class per kind: names only, no offsets and no sizes.

The offsets come from the BTF of the BPF object. Variable parts follow the fixed structure; their
sizes are the `*_size` members.
"""

from __future__ import annotations

from typing import NamedTuple


class ExecRecord(NamedTuple):
    """struct exec_event; path, args, cwd and cgroup follow."""

    ktime: int  # ns since boot (or of CLOCK_MONOTONIC, see the object's flavour)
    start: int
    parent_start: int
    pid: int
    parent_pid: int
    uid: int
    auid: int
    inner_pid: int
    flags: int
    path_size: int
    args_size: int
    cwd_size: int
    cgroup_size: int


class ArgsRecord(NamedTuple):
    """struct args_event; `args_size` bytes of arguments follow."""

    ktime: int
    pid: int
    offset: int
    args_size: int


class ForkRecord(NamedTuple):
    """struct fork_event"""

    ktime: int
    start: int
    parent_start: int
    cloner_start: int
    pid: int
    parent_pid: int
    cloner_pid: int
    inner_pid: int


class ExitRecord(NamedTuple):
    """struct exit_event"""

    ktime: int
    start: int
    pid: int
    code: int


HEADER_FIELDS = frozenset({"ktime", "size", "cpu", "kind"})
"""Names of struct event_header; in a record's layout they are called `header.<name>`."""
