# SPDX-License-Identifier: Apache-2.0
"""Directories, mounts and cgroups in a made-up memory, and how hosts differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.unit.btf.inference.synthetic_memory import Memory, Object

if TYPE_CHECKING:
    from collections.abc import Mapping


class Host(NamedTuple):
    """How the host differs from an ordinary one."""

    gap_ns: int = 0  # how long it was suspended
    level: int = 1  # of the reference process's pid namespace; 0: the kernel has no others
    audit: bool = True
    version_1: bool = False  # controllers on hierarchies of version 1 only
    covered: bool = False  # the mount is over another at the same place
    bound: bool = False  # the root directory is mounted on itself
    hostile: bool = False  # see Memory
    stale: bool = False
    seed: int = 0  # of what is in memory beside what is set


PLAIN = Host()


def dentry(memory: Memory, name: bytes, above: Object | None) -> Object:
    """A directory below another, or one that is above itself; its name is short and inside it."""
    made = memory.object("dentry")
    short = next(field for field in ("d_shortname", "d_iname") if made.has(field))
    place = made.at(short)
    memory.write(place, name + b"\0")
    made.touched |= {place + step & -8 for step in range(0, len(name) + 8, 4)}
    prefix = "d_name" if made.has("d_name") else "__d_name"
    made.set(f"{prefix}.len", len(name))
    made.set(f"{prefix}.hash", 0x9E3779B9)
    made.set(f"{prefix}.name", place)
    made.set("d_parent", (above or made).address)
    # A list of one, and what it hangs on; what is above itself is in no list.
    head = memory.object("hlist_bl_head", first=made.at("d_hash"))
    made.set("d_hash.next", 0)
    made.set("d_hash.pprev", head.address if above else 0)
    return made


def mount(
    memory: Memory, root: Object, below: tuple[Object, Object] | None, point: Object | None
) -> tuple[Object, Object]:
    """A mount and its root directory, on a directory of the mount below, or the lowest of all."""
    made = memory.object("mount")
    made.set("mnt_parent", (below[0] if below else made).address)
    made.set("mnt_mountpoint", (point or root).address)
    made.set("mnt.mnt_root", root.address)
    made.set("mnt_master", (below[0] if below else made).address)
    return made, root


def cgroup(
    memory: Memory, name: bytes, above: tuple[Object, Object] | None
) -> tuple[Object, Object]:
    """A cgroup and its kernfs_node, below another or a root, whose name is empty."""
    node = memory.object("kernfs_node", name=memory.text(name))
    node.set("id", cgroup_id(node))
    parent = "parent" if node.has("parent") else "__parent"
    node.set(parent, above[1].address if above else 0)
    made = memory.object("cgroup", kn=node.address)
    made.set("self.cgroup", made.address)
    made.set("self.ss", 0)
    for file, text in (("procs_file", b"cgroup.procs"), ("events_file", b"cgroup.events")):
        entry = memory.object("kernfs_node", name=memory.text(text))
        entry.set(parent, node.address)
        entry.set("id", cgroup_id(entry))
        made.set(f"{file}.kn", entry.address)
    return made, node


def cgroup_id(node: Object) -> int:
    """The number of a kernfs_node."""
    return node.address >> 4 & 0xFFFFFF


def css_set(
    memory: Memory, names: tuple[bytes, ...], version_1: Mapping[str, tuple[bytes, ...]]
) -> tuple[Object, dict[str, tuple[int, ...]]]:
    """The cgroups of a task: the path of the unified one, and those of some controllers.

    The ids are those of the last two of the unified path, or of a controller's.
    """
    root = leaf = cgroup(memory, b"", None)
    ids: dict[str, tuple[int, ...]] = {}
    for component in names:
        above, leaf = leaf, cgroup(memory, component, leaf)
        ids[""] = cgroup_id(leaf[1]), cgroup_id(above[1])
    made = memory.object("css_set", dfl_cgrp=leaf[0].address, refcount=6)
    made.set("dom_cset", made.address)
    for field in ("mg_src_cgrp", "mg_dst_cgrp"):
        made.set(field, 0)
    for text, number in memory.types.enumerators("cgroup_subsys_id").items():
        name, is_controller, _ = text.partition("_cgrp_id")
        if not is_controller:
            continue
        own = root
        for component in version_1.get(name, ()):
            above, own = own, cgroup(memory, component, own)
            if not names:
                ids = {name: (cgroup_id(own[1]), cgroup_id(above[1]))}
        kind = memory.object("cgroup_subsys", id=number)
        kind.set("name", memory.text(name.encode()))
        kind.set("legacy_name", memory.text(name.encode()))
        state = memory.object("cgroup_subsys_state", 400, cgroup=own[0].address, ss=kind.address)
        made.set("subsys", state.address, number, size=8)
    return made, ids
