# SPDX-License-Identifier: Apache-2.0
"""Credentials of a process (Tetragon's messages `Capabilities` and `ProcessCredentials`)."""

from __future__ import annotations

from functools import lru_cache
from typing import List, Optional, Tuple

from tetrapy.events.executed import ExecutedFile
from tetrapy.named import NamedTuple

# Names by number: include/uapi/linux/capability.h. Number 1 has no prefix in Tetragon's enum.
CAPABILITY_NAMES: Tuple[str, ...] = tuple(
    "CAP_CHOWN DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID"
    " CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST"
    " CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO"
    " CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE"
    " CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE"
    " CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM"
    " CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE".split()
)

# include/uapi/linux/securebits.h
SECURE_BITS: Tuple[str, ...] = (
    "SecBitNoRoot",
    "SecBitNoRootLocked",
    "SecBitNoSetUidFixup",
    "SecBitNoSetUidFixupLocked",
    "SecBitKeepCaps",
    "SecBitKeepCapsLocked",
    "SecBitNoCapAmbientRaise",
    "SecBitNoCapAmbientRaiseLocked",
)


# Tetragon's enum `ProcessPrivilegesChanged`, from 1 on.
PRIVILEGES_CHANGED: Tuple[str, ...] = (
    "PRIVILEGES_RAISED_EXEC_FILE_CAP",
    "PRIVILEGES_RAISED_EXEC_FILE_SETUID",
    "PRIVILEGES_RAISED_EXEC_FILE_SETGID",
)


@lru_cache(maxsize=256)
def capability_names(bits: int) -> List[str]:
    """Names of the capabilities in a set, in the order of their numbers. Not to be changed."""
    return [name for number, name in enumerate(CAPABILITY_NAMES) if bits >> number & 1]


def secure_bit_names(bits: int) -> List[str]:
    """Names of the secure bits that are set, in the order of the kernel's bits."""
    return [name for number, name in enumerate(SECURE_BITS) if bits >> number & 1]


class Capabilities(NamedTuple):
    """Three sets; bit n is capability n."""

    permitted: int
    effective: int
    inheritable: int


class Credentials(NamedTuple):
    """User and group ids in the initial user namespace, and the secure bits."""

    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    securebits: int

    @property
    def caps(self) -> Optional[Capabilities]:
        """Shown of credentials that are an argument (events/arguments.py), not of a process."""
        return None

    @property
    def user_ns(self) -> None:
        """Shown of credentials that are an argument, not of a process."""


class BinaryProperties(NamedTuple):
    """Privilege changes of the exec (message `BinaryProperties`)."""

    setuid: Optional[int] = None  # the new effective uid of a set-user-ID execution
    setgid: Optional[int] = None
    privileges_changed: Tuple[str, ...] = ()
    file: Optional[ExecutedFile] = None  # a binary that has no name any more, or a memfd
