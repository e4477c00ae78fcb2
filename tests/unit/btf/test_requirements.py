# SPDX-License-Identifier: Apache-2.0
"""Which kernels serve the programs, although they lack something."""

from __future__ import annotations

import pytest

from tests.support.btf_kernels import answers, objects, queries
from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.unit.abi.test_core_relocs import Records, extension
from tetrapy.btf.requirements import AccessPath, Programs, missing, optional, optional_accesses

RENAMED = ("kernfs_node.parent", "kernfs_node___rcu.__parent")


def lacking(*absent: str) -> list[str]:
    return missing(queries().names, answers(0, *absent), optional_accesses(objects()))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("struct task_struct.pid int", ("struct task_struct", ".pid", "int")),
        ("struct a.b[3].c enum e", ("struct a", ".b[3].c", "enum e")),
        ("enum e::x", ("enum e", "::x", "")),
        ("struct upid", ("struct upid", "", "")),
        ("struct pid[1].level int", ("struct pid", "[1].level", "int")),
    ],
)
def test_parts_of_a_subject(text: str, parts: tuple[str, str, str]) -> None:
    """The text of a subject falls into type, path and kind of value."""
    assert AccessPath.of(text) == parts


def test_inside() -> None:
    """A path is inside another one only where a name ends."""
    inner = AccessPath.of("struct t.loginuid.val int")
    assert inner.is_inside(AccessPath.of("struct t.loginuid struct"))
    assert inner.is_inside(AccessPath.of("struct t"))
    assert not inner.is_inside(AccessPath.of("struct t.login struct"))
    assert not inner.is_inside(AccessPath.of("struct u.loginuid struct"))


def test_a_kernel_with_everything_serves() -> None:
    """Nothing is missed where all queries are answered."""
    assert lacking() == []


def test_what_is_asked_about_may_be_absent() -> None:
    """A field or enumerator whose existence a program asks for may be absent, with its parts."""
    assert lacking("loginuid") == []
    assert lacking("memory_cgrp_id", "pids_cgrp_id") == []


@pytest.mark.parametrize("word", RENAMED)
def test_one_name_of_a_renamed_field_is_enough(word: str) -> None:
    """Of a field that was renamed, one name may be absent."""
    assert lacking(word) == []


def test_no_name_of_a_renamed_field() -> None:
    """Without any of its names, a renamed field is missing."""
    assert lacking(*RENAMED) == ["offset struct kernfs_node___rcu.__parent pointer"]


def test_a_plain_field_must_be_there() -> None:
    """A field that is read without asking is missing when it is absent."""
    assert lacking("task_struct.pid ") == ["offset struct task_struct.pid int"]
    assert lacking("struct upid") == ["offset struct upid.nr int", "type_size struct upid"]


GUARDED = {
    "enumval enum cgroup_subsys_id::memory_cgrp_id",
    "enumval enum cgroup_subsys_id::pids_cgrp_id",
    "offset struct dentry.d_hash.pprev pointer",
    "offset struct task_struct.loginuid struct",
    "offset struct task_struct.loginuid.val int",
}


@pytest.mark.slow
def test_optional_needs() -> None:
    """Optional is what is asked about, unless a renamed field has to stand in for it, and what only
    optional programs read.
    """
    exclusive_accesses = Programs(objects()).exclusive_accesses()
    of_programs = {
        query for query in queries().names if query.partition(" ")[2] in exclusive_accesses
    }
    assert optional(queries().names, optional_accesses(objects())) == GUARDED | of_programs
    assert {"offset struct cred.uid.val int", "offset struct net.ns.inum int"} <= of_programs
    # Others read these too.
    assert not {"offset struct cred.euid.val int", "type_size struct upid"} & of_programs


def disabled(*absent: str) -> tuple[str, ...]:
    return Programs(objects()[:2]).disabled(queries().names, answers(0, *absent))


@pytest.mark.slow
@pytest.mark.parametrize("word", ["cred.cap_permitted", "cred.uid.val", "linux_binprm.per_clear"])
def test_an_optional_program_is_off(word: str) -> None:
    """Without something that only it reads it cannot be loaded; the others can."""
    assert lacking(word) == []
    assert disabled(word) == ("on_exec_context",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "word",
    ["loginuid", "net.ns.inum", "nsproxy.net_ns", "cred.user_ns", "upid.ns", "task_struct.nsproxy"],
)
def test_no_program_is_off(word: str) -> None:
    """With everything, or without what it asks about, the optional program is loaded: a kind of
    namespaces that is not known costs its number alone.
    """
    assert disabled() == ()
    assert lacking(word) == []
    assert disabled(word) == ()


def sample(*programs: tuple[str, str], optional: tuple[str, ...] = ()) -> bytes:
    """An object with programs, one behind the other in a section, that read a field of struct s."""
    b = BtfBuilder()
    fields = sorted({field for _, field in programs})
    number = b.integer("int", 4)
    s = b.composite("s", 64, [(field, number, 32 * at) for at, field in enumerate(fields)])
    size = len(EXIT)
    relocations: dict[str, Records] = {"prog": [], "?prog": []}
    symbols = []
    for name, field in programs:
        section = "?prog" if name in optional else "prog"
        at = len(relocations[section])
        relocations[section].append((at, s, f"0:{fields.index(field)}", 0))
        symbols.append(Symbol(name, section, size * at, size))
    code = {section: EXIT * len(listed) for section, listed in relocations.items() if listed}
    extended = extension(b, {section: relocations[section] for section in code})
    return elf({**code, ".BTF": b.build(), ".BTF.ext": extended}, symbols)


def test_needs_belong_to_programs() -> None:
    """By where the program is in its section, whose name says whether it is optional; what another
    program reads too is essential.
    """
    programs = (("one", "a"), ("some", "b"), ("some", "a"), ("two", "c"))
    found = Programs([sample(*programs, optional=("some",))])
    assert found.essential == {"struct s.a int", "struct s.c int"}
    assert found.exclusive_accesses() == {"struct s.b int"}
    names = ("offset struct s.a int", "offset struct s.b int", "offset struct s.c int")
    assert found.disabled(names, (0, None, 0)) == ("some",)
    assert found.disabled(names, (0, 0, None)) == ()
    assert missing(names, (0, None, 0), found.optional_accesses()) == []
    assert missing(names, (None, 0, 0), found.optional_accesses()) == [names[0]]
    # In one object it is essential what another object's program reads.
    both = [sample(("some", "a"), optional=("some",)), sample(("one", "a"))]
    assert Programs(both).exclusive_accesses() == set()
