# SPDX-License-Identifier: Apache-2.0
"""What has to be known about a task of ours; `tetrapy.kernel` prepares one.

All of it comes from system calls, BPF helpers and procfs, never from a layout of structures.
"""

from __future__ import annotations

from typing import Mapping, Optional, Protocol, Sequence, Tuple

from tetrapy.btf.inference.open_files import OpenFiles

# What /proc/PID/loginuid says of a task whose login uid nobody set: (uid_t)-1.
UNSET_LOGIN_UID = 0xFFFFFFFF


class Task(Protocol):
    """A task: where its task_struct is, and its ids in the initial pid namespace."""

    @property
    def address(self) -> int:
        """What bpf_get_current_task() returns in it."""

    @property
    def pid(self) -> int:
        """The thread's id."""

    @property
    def tgid(self) -> int:
        """The process's id."""


class UserNamespace(Protocol):
    """A user namespace one level below that of the prepared task."""

    @property
    def holder(self) -> Task:
        """A task that is in it."""

    @property
    def number(self) -> int:
        """The inode number of /proc/PID/ns/user of that task."""

    @property
    def owner(self) -> int:
        """The user who made it."""

    @property
    def group(self) -> int:
        """His group."""


class ReferenceProcess(Protocol):
    """The prepared task, with the truths that the checks are compared with."""

    @property
    def thread(self) -> Task:
        """A living thread that is not the leader."""

    @property
    def leader(self) -> Task:
        """The thread group's leader, which has ended and is a zombie while the others live."""

    @property
    def parent(self) -> Task:
        """The main thread of the process that made it."""

    @property
    def leader_exit_code(self) -> int:
        """task_struct.exit_code of the leader: what it gave to exit(2), times 256."""

    @property
    def group_exit_code(self) -> int:
        """signal_struct.group_exit_code after `end`: what the group gave to exit_group(2), times
        256.
        """

    @property
    def threads_alive(self) -> int:
        """The threads that have not ended."""

    @property
    def ns_pid(self) -> Optional[int]:
        """The thread's pid in a pid namespace one below its parent's; None if it is in no such."""

    @property
    def start_ticks(self) -> int:
        """Field 22 of /proc/PID/task/TID/stat: when the thread was started."""

    @property
    def ticks_per_second(self) -> int:
        """The unit of `start_ticks`: sysconf(_SC_CLK_TCK)."""

    @property
    def boot_gap_ns(self) -> int:
        """CLOCK_BOOTTIME less CLOCK_MONOTONIC: how long the machine was suspended, in ns."""

    @property
    def ids(self) -> Optional[Tuple[int, ...]]:
        """uid, gid, suid, sgid, euid, egid, fsuid, fsgid, as struct cred has them; all differ.

        None if they could not be changed.
        """

    @property
    def capabilities(self) -> Optional[Tuple[int, int, int, int]]:
        """The inheritable, permitted, effective and ambient set, which all differ.

        Bit N stands for capability N. None if they could not be changed.
        """

    @property
    def securebits(self) -> Optional[int]:
        """The securebits (prctl(2)); None if they could not be changed."""

    @property
    def namespaces(self) -> Mapping[str, int]:
        """Inode numbers of the links in /proc/PID/ns by their names; only those that are there."""

    @property
    def login_uid(self) -> Optional[int]:
        """/proc/PID/loginuid; None if there is no such file."""

    @property
    def arg_start(self) -> int:
        """Address of the first byte of the arguments in the task's memory."""

    @property
    def arg_end(self) -> int:
        """Address of the first byte behind the arguments in the task's memory."""

    @property
    def env_start(self) -> int:
        """Address of the first byte of the environment in the task's memory."""

    @property
    def env_end(self) -> int:
        """Address of the first byte behind the environment in the task's memory."""

    @property
    def cwd_names(self) -> Tuple[bytes, ...]:
        """The components from the task's root directory to its working directory.

        Empty where the root directory could not be changed; then `mount_point` is empty.
        """

    @property
    def root_names(self) -> Tuple[bytes, ...]:
        """The components from the root of that mount to the task's root directory."""

    @property
    def mount_point(self) -> bytes:
        """The last component of the mount point of that mount."""

    @property
    def has_cgroups(self) -> bool:
        """Whether procfs tells of cgroups: a kernel that is built with them does."""

    @property
    def cgroup_names(self) -> Tuple[bytes, ...]:
        """The last components of the path of its cgroup in the unified hierarchy."""

    @property
    def cgroup_v1(self) -> Mapping[str, Tuple[bytes, ...]]:
        """The last components of the cgroup's path by controller ("memory", "pids") of hierarchies
        of version 1.
        """

    @property
    def cgroup_ids(self) -> Mapping[str, Tuple[int, ...]]:
        """Ids of its cgroup and, if that is one, of the directory above.

        By controller, "" being the unified hierarchy; not of all of them, perhaps of none.
        """

    @property
    def exec_path(self) -> bytes:
        """The path of a script, or of a program if scripts could not be, that was executed."""

    @property
    def exec_words(self) -> Tuple[int, ...]:
        """The first 64-bit words of struct linux_binprm then; empty if they were not seen."""

    @property
    def exec_strings(self) -> Tuple[bytes, ...]:
        """The string to which each of these words points, b"" if it points to none."""

    @property
    def exec_targets(self) -> Sequence[Tuple[int, ...]]:
        """The first 64-bit words of what each of these words points to."""

    @property
    def exec_file(self) -> Optional[Tuple[int, int, int, int]]:
        """Inode number, mode, links and size (stat(2)) of the program that was executed in the end.

        Its inode is in memory as long as the reference process is.
        """

    @property
    def exec_name(self) -> bytes:
        """The name of that file: the last component of its path, or what a memfd is called."""

    @property
    def exec_device(self) -> int:
        """The device that it is on (stat(2)), as the kernel writes it: major number << 20 | minor.

        0 like `exec_file`.
        """

    @property
    def exec_gained(self) -> bool:
        """Whether that exec gave a capability which the task had given up before."""

    @property
    def open_files(self) -> Optional[OpenFiles]:
        """Files and sockets that it holds; None where they were not asked for."""

    @property
    def user_namespace(self) -> Optional[UserNamespace]:
        """Another one than its own; None where it was not asked for, or could not be made."""

    def read(self, address: int, size: int) -> Optional[bytes]:
        """Up to 4096 bytes of kernel memory; None if they cannot be read."""

    def end(self) -> None:
        """Let the whole group exit, with `group_exit_code`; it stays as a zombie."""
