# SPDX-License-Identifier: Apache-2.0
"""What types of arguments and selectors read of the kernel's structures, and what is known of it.

A kernel without BTF may be known in part: from the archive, by inference, by a scan.  A policy that
asks for what is not known is refused by the name of the type or the selector; the others load.
Each group below has a member, its *guard*, for which the programs ask whether it is there
(bpf_core_field_exists) before they read any of the group: where the group is not known as a whole
the guard is left out of the types, and the kernel's verifier never sees the code.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.types import Argument, Selector

if TYPE_CHECKING:
    from tetrapy.abi.core_queries import Answers, CoreQueries


class Group(NamedTuple):
    """Members of structures that are read together.

    `guard` and `others` are `STRUCTURE.MEMBER`, as `member_of` has them; `STRUCTURE.` are all
    members of one.
    """

    about: str  # for people: the structures
    guard: str
    others: Tuple[str, ...] = ()


def _namespace(member: str, structure: str) -> Group:
    return Group(
        f"struct nsproxy, struct {structure}",
        f"nsproxy.{member}",
        ("task_struct.nsproxy", f"{structure}.ns.inum"),
    )


_CAPABILITIES = ("cred.cap_effective", "cred.cap_inheritable")
_USER_NAMESPACE = ("user_namespace.group.val", "user_namespace.owner.val", "user_namespace.ns.inum")

GROUPS: Mapping[str, Group] = {
    "files": Group(
        "struct file, struct path, struct dentry, struct inode",
        "file.f_path",
        ("path.dentry", "path.mnt", "dentry.d_inode", "inode.i_mode"),
    ),
    # Only of files without a path: nothing is refused for it.
    "nameless": Group("struct super_block", "super_block.s_magic", ("inode.i_sb", "inode.i_ino")),
    "descriptors": Group(
        "struct files_struct, struct fdtable",
        "files_struct.fdt",
        ("task_struct.files", "fdtable.fd", "fdtable.max_fds"),
    ),
    "executable": Group("struct mm_struct", "mm_struct.exe_file"),
    # Only of what is left out: nothing is, then, and nothing is refused for it.
    "executed": Group("struct file", "file.f_flags"),
    "binprm": Group("struct linux_binprm", "linux_binprm.file"),
    "kiocb": Group("struct kiocb", "kiocb.ki_filp"),
    "filename": Group("struct filename", "filename.name"),
    "net_device": Group("struct net_device", "net_device.name"),
    "sock": Group("struct sock", "sock.__sk_common", ("sock.", "sock_common.")),
    "socket": Group("struct socket", "socket.sk"),
    "packet": Group("struct sk_buff", "sk_buff.head", ("sk_buff.",)),
    "capabilities": Group("struct cred", "cred.cap_permitted", _CAPABILITIES),
    "credentials": Group(
        "struct cred, struct user_namespace",
        "cred.uid.val",
        ("cred.", "user_namespace.level", *_USER_NAMESPACE),
    ),
    "user_namespace": Group("struct user_namespace", "user_namespace.level", _USER_NAMESPACE),
    "bpf_prog": Group("struct bpf_prog", "bpf_prog.len", ("bpf_prog.", "bpf_prog_aux.")),
    "bpf_map": Group("struct bpf_map", "bpf_map.max_entries", ("bpf_map.",)),
    "perf_event": Group("struct perf_event", "perf_event.attr"),
    "module": Group("struct module", "module.name", ("module.",)),
    "load_info": Group("struct load_info", "load_info.name", ("load_info.", "module.taints")),
    "iov_iter": Group("struct iov_iter", "iov_iter.count", ("iov_iter.", "iter_type.")),
    "Uts": _namespace("uts_ns", "uts_namespace"),
    "Ipc": _namespace("ipc_ns", "ipc_namespace"),
    "Mnt": _namespace("mnt_ns", "mnt_namespace"),
    "PidForChildren": _namespace("pid_ns_for_children", "pid_namespace"),
    "Net": _namespace("net_ns", "net"),
    "Time": _namespace("time_ns", "time_namespace"),
    "TimeForChildren": _namespace("time_ns_for_children", "time_namespace"),
    "Cgroup": _namespace("cgroup_ns", "cgroup_namespace"),
    "Pid": Group("struct upid, struct pid_namespace", "upid.ns", ("pid_namespace.ns.inum",)),
    "User": Group(
        "struct cred, struct user_namespace", "cred.user_ns", ("user_namespace.ns.inum",)
    ),
}

# What some kernels do not have, so that the programs do without or read another member.
MAY_LACK = frozenset(
    "sock_common.skc_v6_daddr sock_common.skc_v6_rcv_saddr sk_buff.active_extensions"
    " sk_buff.extensions load_info.sig_ok"
    " iov_iter.iter_type iov_iter.type iov_iter.__iov iov_iter.iov iov_iter.ubuf"
    " iter_type.ITER_UBUF".split()
)

# Type of an argument -> the groups that are read.
TYPES: Mapping[str, Tuple[str, ...]] = {
    "file": ("files",),
    "path": ("files",),
    "dentry": ("files",),
    "linux_binprm": ("files", "binprm"),
    "fd": ("files", "descriptors"),
    "kiocb": ("files", "kiocb"),
    "filename": ("filename",),
    "net_device": ("net_device",),
    "sock": ("sock",),
    "socket": ("socket", "sock"),
    "skb": ("packet",),
    "cred": ("credentials",),
    "user_namespace": ("user_namespace",),
    "bpf_prog": ("bpf_prog",),
    "bpf_map": ("bpf_map",),
    "perf_event": ("perf_event",),
    "module": ("module",),
    "load_info": ("load_info",),
    "iov_iter": ("iov_iter",),
}
_BINARY = ("executable", "files")
# Selectors that ask for the process beyond its pid -> the groups that are read.
_SELECTORS: Mapping[str, Tuple[str, ...]] = {
    "matchBinaries": _BINARY,
    "matchParentBinaries": _BINARY,
    "matchCapabilities": ("capabilities",),
    "matchCapabilityChanges": ("capabilities",),
}


class Structures:
    """Which structures are known, and the BTF that says so."""

    def __init__(
        self, data: Optional[bytes] = None, unknown: FrozenSet[str] = frozenset(), origin: str = ""
    ) -> None:
        """`data` None: the kernel's own BTF. `unknown` are names of groups, `origin` says where
        the others come from.
        """
        self.data = data
        self.unknown = unknown
        self._origin = origin

    @classmethod
    def of(cls, queries: CoreQueries, answers: Answers, origin: str) -> Structures:
        """What a kernel's answers to the programs' queries tell.

        Raises LayoutError for answers that no BTF can have.
        """
        # Imported late: only kernels without BTF need it.
        from tetrapy.abi.core_minimal import minimal_btf

        unknown = frozenset(_unknown(queries, answers))
        hidden = {GROUPS[name].guard for name in unknown}
        left = tuple(
            None if member_of(query) in hidden else answer
            for query, answer in zip(queries.names, answers)
        )
        return cls(minimal_btf(queries, left), unknown, origin)

    def expect(
        self,
        values: Iterable[Tuple[str, Sequence[Argument]]],
        returned: Optional[Argument],
        selectors: Sequence[Selector],
    ) -> None:
        """Raise PolicyUnsupportedError where a hook asks for what is not known.

        `values` are its arguments, and what else it tells, by the field of the policy.
        """
        if not self.unknown:
            return
        listed = (*values, ("returnArg", (returned,) if returned else ()))
        for what, groups in (*_of_types(listed), *_of_selectors(selectors)):
            for name in groups:
                if name in self.unknown:
                    raise PolicyUnsupportedError(
                        f"{what} reads {GROUPS[name].about}, which is not known of this kernel:"
                        f" it has no BTF, and its types are {self._origin}; name a whole BTF file"
                        " with --btf, or add it with `tetrapy btf add`"
                    )


# What a policy says, and the groups that are read for it.
_Asked = Tuple[str, Tuple[str, ...]]


def member_of(query: str) -> str:
    """The member that a query is about, `STRUCTURE.MEMBER` without flavours."""
    _, *words = query.split()
    name = words[1] if words[0] in ("struct", "union", "enum") else words[0]
    structure, _, member = name.replace("::", ".").partition(".")
    return f"{structure.partition('___')[0]}.{member}"


def is_in(group: Group, member: str) -> bool:
    """Whether a group has a member."""
    return any(
        member == one or (one.endswith(".") and member.startswith(one))
        for one in (group.guard, *group.others)
    )


def _unknown(queries: CoreQueries, answers: Answers) -> Iterator[str]:
    """The groups of which something is missing."""
    known: Dict[str, bool] = {}
    for query, answer in zip(queries.names, answers):
        member = member_of(query)
        known[member] = known.get(member, False) or answer is not None
    missing = [one for one, is_known in known.items() if not is_known and one not in MAY_LACK]
    for name, group in GROUPS.items():
        if any(is_in(group, one) for one in missing):
            yield name


def _of_types(values: Iterable[Tuple[str, Sequence[Argument]]]) -> Iterator[_Asked]:
    for field, arguments in values:
        for argument in arguments:
            yield f"{field}: type {argument.type}", TYPES.get(argument.type, ())


def _of_selectors(selectors: Iterable[Selector]) -> Iterator[_Asked]:
    for selector in selectors:
        for name, used in (
            ("matchBinaries", selector.match_binaries),
            ("matchParentBinaries", selector.match_parent_binaries),
            ("matchCapabilities", selector.match_capabilities),
            ("matchCapabilityChanges", selector.match_capability_changes),
        ):
            if used:
                yield f"selectors: {name}", _SELECTORS[name]
        for caps in (*selector.match_capabilities, *selector.match_capability_changes):
            if caps.is_namespace_capability:
                yield "selectors: isNamespaceCapability", ("User",)
        for pids in selector.match_pids:
            if pids.is_namespace_pid and pids.follow_forks:
                yield "selectors: matchPIDs with isNamespacePID and followForks", ("Pid",)
        for namespace in selector.match_namespaces:
            yield "selectors: matchNamespaces", (namespace.namespace,)
        for changes in selector.match_namespace_changes:
            named = changes.operator != "NotIn"
            wanted = tuple(one for one in names.NAMESPACES if (one in changes.values) == named)
            yield "selectors: matchNamespaceChanges", wanted
