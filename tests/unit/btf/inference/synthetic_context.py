# SPDX-License-Identifier: Apache-2.0
"""Credentials, namespaces and an exec in a made-up memory: what only some programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.unit.btf.inference.synthetic_memory import Memory, Object
from tests.unit.btf.inference.synthetic_objects import dentry, mount
from tetrapy.abi import kinds as k
from tetrapy.btf.inference.checks.credentials import CAPABILITIES, IDS
from tetrapy.btf.inference.checks.execs import PER_CLEAR_ON_SETID
from tetrapy.btf.inference.checks.namespaces import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_NUMBER = 0xF0000000  # PROC_DYNAMIC_FIRST (fs/proc/generic.c)
TARGET_WORDS = 24  # bpf/kernel_read.bpf.c
ALL = (1 << 41) - 1
READ_ONLY = 0o100444
EXEC_NAME = b"memfd:exec"
DEVICE = 1  # of memfds


class Credentials(NamedTuple):
    """What is in a struct cred; `ids` and `sets` in its order."""

    ids: tuple[int, ...]
    securebits: int
    sets: tuple[int, ...]


ROOT = Credentials((0,) * 8, 0, (0, ALL, ALL, 0))


class Namespaces:
    """One namespace of each kind, and one pid namespace for each level."""

    def __init__(self, memory: Memory, level: int) -> None:
        """`level` is that of the pid namespace of the reference process."""
        self._memory = memory
        self._made = 0
        self.pid = [self._new("pid_namespace") for _ in range(level + 1)]
        self.user = self._new("user_namespace")
        self.numbers = {"user": self.user[1], "pid": self.pid[-1][1]}

    def _new(self, struct: str) -> tuple[Object, int]:
        number = FIRST_NUMBER + 37 * self._made
        self._made += 1
        return self._memory.object(struct, ns__inum=number), number

    def below(self, owner: int, group: int) -> tuple[Object, int]:
        """A user namespace below the first, and its number."""
        made, number = self._new("user_namespace")
        self.user[0].set("level", 0)
        made.set("level", 1)
        made.set("parent", self.user[0].address)
        made.set("owner", owner)
        made.set("group", group)
        return made, number

    def nsproxy(self) -> Object:
        """A new set of namespaces; pid numbers of children come from the pid namespace."""
        proxy = self._memory.object("nsproxy", count=3)
        for kind in KINDS:
            if self._memory.types.btf.find(kind.struct, k.KIND_STRUCT) is None:
                continue
            made = self.pid[-1] if kind.struct == "pid_namespace" else self._new(kind.struct)
            proxy.set(kind.member, made[0].address)
            self.numbers[kind.name] = made[1]
        return proxy


def cred(memory: Memory, held: Credentials, user: Object) -> Object:
    """A struct cred in a user namespace."""
    made = memory.object("cred", usage=5)
    for text, value in zip(IDS, held.ids, strict=True):
        made.set(text, value)
    made.set("securebits", held.securebits)
    for text, value in zip(CAPABILITIES, held.sets, strict=True):
        made.set(f"cap_{text}", value)
    made.set("cap_bset", ALL)
    made.set("user_ns", user.address)
    return made


def open_file(
    memory: Memory,
    number: int,
    mode: int,
    links: int,
    size: int,
    name: bytes = b"script",
    magic: int = 0x01021994,
) -> Object:
    """A struct file, its inode, and where it is: in no directory, as a memfd."""
    inode = memory.object("inode", i_ino=number, i_mode=mode, i_nlink=links, i_rdev=0, i_size=size)
    block = memory.object("super_block", s_dev=DEVICE, s_magic=magic)
    block.list("s_list")
    pages = memory.object("address_space", host=inode.address)
    inode.set("i_sb", block.address)
    inode.set("i_mapping", pages.address)
    file = memory.object("file", f_inode=inode.address)
    leaf = dentry(memory, name, None)
    place = mount(memory, dentry(memory, b"/", None), None, None)
    file.set("f_path.mnt", place[0].at("mnt"))
    file.set("f_path.dentry", leaf.address)
    leaf.set("d_inode", inode.address)
    return file


def binprm(
    memory: Memory, strings: Mapping[str, bytes], file: tuple[int, int, int, int]
) -> tuple[Object, tuple[bytes, ...]]:
    """A struct linux_binprm of an exec of a script, and the strings that its words point to."""
    made = memory.object("linux_binprm")
    found = [b""] * min(made.size // 8, 64)
    for field, text in strings.items():
        found[(made.at(field) - made.address) // 8] = text
        made.set(field, memory.text(text))
    made.set("file", open_file(memory, *file, name=EXEC_NAME).address)
    made.maybe("executable", open_file(memory, file[0] + 1, READ_ONLY, 1, 31).address)
    made.set("per_clear", PER_CLEAR_ON_SETID)
    made.set("unsafe", 0)
    return made, tuple(found)


def words(memory: Memory, address: int, count: int) -> tuple[int, ...]:
    """Words of memory, 0 where there is none."""
    data = memory.read(address, 8 * count) or bytes(8 * count)
    return tuple(int.from_bytes(data[at : at + 8], "little") for at in range(0, 8 * count, 8))
