# SPDX-License-Identifier: Apache-2.0
"""Whose rights a process has (Tetragon's messages `Capabilities` and `ProcessCredentials`)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, List, Tuple

from tetrapy.json_codec import json_text
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
_SECURE_BITS: Tuple[str, ...] = (
    "SecBitNoRoot",
    "SecBitNoRootLocked",
    "SecBitNoSetUidFixup",
    "SecBitNoSetUidFixupLocked",
    "SecBitKeepCaps",
    "SecBitKeepCapsLocked",
    "SecBitNoCapAmbientRaise",
    "SecBitNoCapAmbientRaiseLocked",
)


@lru_cache(maxsize=256)
def capability_names(bits: int) -> List[str]:
    """Names of the capabilities in a set, in the order of their numbers. Not to be changed."""
    return [name for number, name in enumerate(CAPABILITY_NAMES) if bits >> number & 1]


class Capabilities(NamedTuple):
    """Three sets; bit n is capability n."""

    permitted: int
    effective: int
    inheritable: int

    def fields(self) -> Dict[str, Any]:
        """The message; empty sets are left out."""
        return {name: capability_names(bits) for name, bits in zip(self._fields, self) if bits}


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

    def fields(self) -> Dict[str, Any]:
        """The message: all ids, and the secure bits if any is set."""
        out: Dict[str, Any] = dict(zip(self._fields[:8], self))
        if self.securebits:
            out["securebits"] = [
                name for number, name in enumerate(_SECURE_BITS) if self.securebits >> number & 1
            ]
        return out


@lru_cache(maxsize=256)
def encoded_capabilities(capabilities: Capabilities) -> str:
    """The message as JSON; few different ones occur on a host."""
    return json_text(capabilities.fields())


def encoded_credentials(credentials: Credentials) -> str:
    """The message as JSON."""
    if credentials.securebits:
        return json_text(credentials.fields())
    return _IDS % credentials[:8]


_IDS = "{" + ",".join(f'"{name}":%d' for name in Credentials._fields[:8]) + "}"


class BinaryProperties(NamedTuple):
    """What is special about the binary that was executed (message `BinaryProperties`)."""

    setuid: int = -1  # the new effective uid of a set-user-ID execution; -1 for none
    setgid: int = -1
    privileges_changed: Tuple[str, ...] = ()
    inode: int = 0  # of a binary that has no name any more: deleted, or a memfd

    def fields(self) -> Dict[str, Any]:
        """The message; unset fields are left out."""
        out: Dict[str, Any] = {}
        if self.setuid >= 0:
            out["setuid"] = self.setuid
        if self.setgid >= 0:
            out["setgid"] = self.setgid
        if self.privileges_changed:
            out["privileges_changed"] = list(self.privileges_changed)
        if self.inode:
            out["file"] = {"inode": {"number": str(self.inode), "links": 0}}
        return out
