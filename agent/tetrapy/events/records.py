# SPDX-License-Identifier: Apache-2.0
"""The records of bpf/events.h, one class per kind: names only, no offsets and no sizes.

The offsets come from the BTF of the BPF object. Variable parts follow the fixed structure; their
sizes are the `*_size` members.
"""

from __future__ import annotations

from tetrapy.named import NamedTuple


class ExecRecord(NamedTuple):
    """struct exec_event; path, args, cwd, cgroup, context and file follow."""

    ktime: int  # ns since boot (or of CLOCK_MONOTONIC, see the object's flavour)
    start: int
    parent_start: int
    fork_parent_start: int
    cgroup_id: int
    pid: int
    parent_pid: int
    fork_parent_pid: int
    uid: int
    auid: int
    inner_pid: int
    flags: int
    path_size: int
    args_size: int
    cwd_size: int
    cgroup_size: int
    context_size: int
    file_size: int
    env_size: int
    deferred_children: int
    real_uid: int


class FileRecord(NamedTuple):
    """struct exec_file, a variable part of an exec record; the file's path follows."""

    inode: int
    device: int
    links: int
    flags: int


class ContextRecord(NamedTuple):
    """struct exec_context, a variable part of an exec record."""

    cap_permitted: int
    cap_effective: int
    cap_inheritable: int
    inode: int
    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    securebits: int
    privileges: int
    uts_ns: int
    ipc_ns: int
    mnt_ns: int
    pid_ns: int
    pid_for_children_ns: int
    net_ns: int
    time_ns: int
    time_for_children_ns: int
    cgroup_ns: int
    user_ns: int


class ArgsRecord(NamedTuple):
    """struct args_event; `args_size` bytes of arguments, or of the environment, follow."""

    ktime: int
    pid: int
    offset: int
    args_size: int
    area: int


class ForkRecord(NamedTuple):
    """struct fork_event"""

    ktime: int
    start: int
    parent_start: int
    creator_start: int
    pid: int
    parent_pid: int
    creator_pid: int
    inner_pid: int


class ExitRecord(NamedTuple):
    """struct exit_event"""

    ktime: int
    start: int
    pid: int
    code: int
    deferred_children: int


class ThrottleRecord(NamedTuple):
    """struct throttle_event; the cgroup's name follows."""

    ktime: int
    cgroup_id: int
    cgroup_size: int


class CallRecord(NamedTuple):
    """struct call_event; the values follow, each behind a struct call_value."""

    ktime: int
    start: int
    pid: int
    tid: int
    hook: int
    selector: int
    flags: int
    values_size: int


HEADER_FIELDS = frozenset({"ktime", "size", "cpu", "kind"})
"""Names of struct event_header; in a record's layout they are called `header.<name>`."""
