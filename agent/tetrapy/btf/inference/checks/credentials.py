# SPDX-License-Identifier: Apache-2.0
"""Checks of all of struct cred that is reported of a process (include/linux/cred.h).

It is "uid, gid, suid, sgid, euid, egid, fsuid, fsgid, securebits, cap_inheritable, cap_permitted,
cap_effective, cap_bset, cap_ambient, ..., user, user_ns". struct user_namespace is "..., parent,
level, owner, group, ns, ..." (include/linux/user_namespace.h).
"""

from __future__ import annotations

from typing import List, Optional

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.checks.namespaces import place_of
from tetrapy.btf.inference.checks.processes import EUID
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

# In the order of struct cred.
IDS = ("uid", "gid", "suid", "sgid", "euid", "egid", "fsuid", "fsgid")
CAPABILITIES = ("inheritable", "permitted", "effective", "ambient")
# Where these sets are, from the first on; the bounding set is before the last.
SETS_AT = (0, 8, 16, 32)
# How far "cap_inheritable" and "user_ns" are behind "securebits" at most: 8 and 104 bytes in all
# kernels that were looked at. Behind a cred stands another one.
SETS_BEHIND = 8
USER_BEHIND = 152

# What a user namespace has of its owner, in this order, behind the pointer to the one above.
OWNED = tuple(f"user_namespace.{name}" for name in ("level", "owner.val", "group.val"))

_OTHER_IDS = tuple(f"cred.{name}.val" for name in IDS if name != "euid")
_SETS = tuple(f"cred.cap_{name}" for name in CAPABILITIES)


@check(CHECKS, "ids", *_OTHER_IDS)
def _ids(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.ids is None:
        return None
    cred = view.follow(reference.thread.address, "task_struct.cred")
    first = _behind_ids(view) - 4 * len(IDS)
    return all(
        view[name] == first + 4 * at and view.u32(cred, name) == reference.ids[at]
        for at, name in enumerate(f"cred.{name}.val" for name in IDS)
    )


@check(CHECKS, "securebits", "cred.securebits")
def _securebits(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.securebits is None:
        return None
    cred = view.follow(reference.thread.address, "task_struct.cred")
    is_there = view["cred.securebits"] == _behind_ids(view)
    return is_there and view.u32(cred, "cred.securebits") == reference.securebits


@check(CHECKS, "capabilities", *_SETS)
def _capabilities(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.capabilities is None:
        return None
    cred = view.follow(reference.thread.address, "task_struct.cred")
    places = tuple(view[name] - view[_SETS[0]] for name in _SETS)
    sets = tuple(view.u64(cred, name) for name in _SETS)
    behind = view[_SETS[0]] - _behind_ids(view)
    return 0 < behind <= SETS_BEHIND and places == SETS_AT and sets == tuple(reference.capabilities)


@check(CHECKS, "user namespace", "cred.user_ns", "user_namespace.ns.inum")
def _user_namespace(view: View, reference: ReferenceProcess) -> Optional[bool]:
    number = reference.namespaces.get("user")
    if number is None:
        return None
    if not 0 < view["cred.user_ns"] - _behind_ids(view) <= USER_BEHIND:
        return False
    namespace = view.follow(reference.thread.address, "task_struct.cred", "cred.user_ns")
    return place_of(number, namespace, view.memory) == view["user_namespace.ns.inum"]


@check(CHECKS, "owner of a user namespace", *OWNED)
def _owner(view: View, reference: ReferenceProcess) -> Optional[bool]:
    wanted = reference.user_namespace
    if wanted is None:
        return None
    memory, at = view.memory, view["user_namespace.level"]
    above, made = (
        view.follow(task.address, "task_struct.cred", "cred.user_ns")
        for task in (reference.thread, wanted.holder)
    )
    if [view[name] - at for name in OWNED] != [0, 4, 8] or memory.pointer(made + at - 8) != above:
        return False
    found = [view.u32(made, name) for name in OWNED]
    is_made = view.u32(made, "user_namespace.ns.inum") == wanted.number
    return is_made and found == [memory.u32(above + at) + 1, wanted.owner, wanted.group]


def _behind_ids(view: View) -> int:
    """The place behind the ids, by that of the one that is not optional."""
    return view["cred.euid.val"] + 4 * (len(IDS) - EUID)
