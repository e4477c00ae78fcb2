# SPDX-License-Identifier: Apache-2.0
"""Which structures of a kernel are known, and who is refused where one is not."""

from __future__ import annotations

import functools

import pytest

from tests.support.paths import ROOT
from tetrapy.abi import core_relocs as relocs
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import requirements
from tetrapy.btf.archive import Archive
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.read import read_policy
from tetrapy.policy.types import Policy
from tetrapy.sensors.policy.structures import (
    GROUPS,
    MAY_LACK,
    TYPES,
    Structures,
    is_in,
    member_of,
)
from tetrapy.sensors.policy.values import _KINDS

KERNEL = "debian/13/x86_64/6.12.107+deb13-cloud-amd64"
# Numbers, texts and addresses, and what has its place in the kernel's interface.
NO_STRUCTURE = {"string", "char_buf", "nop", "sockaddr", "sockaddr_un", "bpf_attr", "char_iovec"}
NO_STRUCTURE |= {"const_buf"}


def read(name: str) -> bytes:
    return (ROOT / "build/bundle/bpf" / name).read_bytes()


@functools.cache
def queries() -> CoreQueries:
    return CoreQueries([read("policy.bpf.o")])


@functools.cache
def answers() -> Answers:
    archive = Archive((ROOT / "btfs/archive.xz").read_bytes()).select(queries().names)
    return archive.layouts[archive.kernels[KERNEL]]


def without(*members: str) -> Structures:
    """The kernel, but for members that are not known."""
    left = tuple(
        None if member_of(query) in members else answer
        for query, answer in zip(queries().names, answers(), strict=True)
    )
    return Structures.of(queries(), left, "inferred from a test")


def hook(argument: str, selectors: str = "[]") -> Policy:
    """A policy with one hook."""
    return read_policy(
        f"""{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: a}}, spec:
        {{kprobes: [{{call: some_function, syscall: false, args: [{{index: 0, type: {argument}}}],
        selectors: {selectors}}}]}}}}"""
    ).policy


def refusal(known: Structures, policy: Policy) -> str:
    """What is said of its hook; empty where nothing is."""
    found = policy.spec.kprobes[0]
    try:
        known.expect([("args", found.args)], found.return_arg, found.selectors)
    except PolicyUnsupportedError as err:
        return str(err)
    return ""


def test_each_member_that_policies_read_is_in_a_group() -> None:
    """But for those that the base sensor cannot do without either."""
    base = requirements.Programs([read("base.bpf.o")])
    needed = {member_of(f"offset {text}") for text in base.essential}
    found = {member_of(query) for query in queries().names}
    skb = {"skb_ext.offset", "sec_path.len", "sec_path.olen", "skb_ext_id.SKB_EXT_SEC_PATH"}
    grouped = {one for one in found if any(is_in(group, one) for group in GROUPS.values())}
    assert found - grouped - needed == skb  # read where all four are there
    assert found >= MAY_LACK
    assert {group.guard for group in GROUPS.values()} <= found


def test_each_guard_is_asked_for() -> None:
    """The programs look whether it is there, so that they load without it."""
    local, relocations = relocs.of_object(read("policy.bpf.o"))
    exists = relocs.KINDS.index("field_exists")
    asked = {
        member_of(f"offset {relocs.access_name(local, one)}")
        for one in relocations
        if one.kind == exists
    }
    assert {group.guard for group in GROUPS.values()} <= asked


def test_each_type_says_what_it_reads() -> None:
    """And each group but those of selectors, and of files without a path, is some type's."""
    assert not set(TYPES) & NO_STRUCTURE
    assert set(_KINDS) == set(TYPES) | NO_STRUCTURE
    used = {name for groups in TYPES.values() for name in groups}
    selectors = {"executable", "capabilities", "Uts", "Ipc", "Mnt", "Pid", "PidForChildren", "Net"}
    selectors |= {"nameless", "executed"}  # what is asked is told, or left in, without
    assert set(GROUPS) - used == selectors | {"Time", "TimeForChildren", "Cgroup", "User"}


def test_a_kernel_that_is_known() -> None:
    """Nothing is refused, and its types are all there."""
    known = without()
    assert not known.unknown
    assert known.data is not None
    assert queries().answers(Btf(known.data)) == answers()
    assert refusal(known, hook("skb")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_one_member_is_not_known(name: str) -> None:
    """Its group is off, the guard is hidden, and nothing else than what reads it is refused."""
    members = {member_of(query) for query in queries().names}
    lacking = sorted(one for one in members - MAY_LACK if is_in(GROUPS[name], one))
    for member in (lacking[0], lacking[-1]):
        known = without(member)
        assert name in known.unknown
        assert known.data is not None
        found = dict(zip(queries().names, queries().answers(Btf(known.data)), strict=True))
        assert all(found[one] is None for one in found if member_of(one) == GROUPS[name].guard)
        for kind, groups in TYPES.items():
            said = refusal(known, hook(kind))
            assert bool(said) == bool(known.unknown & set(groups)), (kind, said)


def test_refusals_name_what_is_not_known() -> None:
    """The type or the selector, the structure, where the types are from, and what helps."""
    said = refusal(without("sock_common.skc_dport"), hook("sock"))
    assert said.startswith("args: type sock reads struct sock, which is not known of this kernel")
    assert "inferred from a test" in said
    assert "--btf" in said
    assert "tetrapy btf add" in said
    binaries = '[{matchBinaries: [{operator: In, values: ["/bin/a"]}]}]'
    said = refusal(without("mm_struct.exe_file"), hook("int", binaries))
    assert said.startswith("selectors: matchBinaries reads struct mm_struct")
    namespaces = "[{matchNamespaces: [{namespace: Net, operator: In, values: [host_ns]}]}]"
    for member, refused in (("net.ns.inum", True), ("uts_namespace.ns.inum", False)):
        assert bool(refusal(without(member), hook("int", namespaces))) == refused
    changes = "[{matchNamespaceChanges: [{operator: NotIn, values: [Net]}]}]"
    for member, refused in (("net.ns.inum", False), ("uts_namespace.ns.inum", True)):
        assert bool(refusal(without(member), hook("int", changes))) == refused
    capable = "[{matchCapabilities: [{type: Effective, operator: In, values: [CAP_CHOWN]}]}]"
    assert "matchCapabilities" in refusal(without("cred.cap_effective"), hook("int", capable))
    assert refusal(without("cred.securebits"), hook("int", capable)) == ""
