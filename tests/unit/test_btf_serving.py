"""Which kernels serve the programs, although they lack something."""

from __future__ import annotations

import pytest

from tests.unit.btf_kernels import facts, needs, objects
from tetrapy.btf.serving import Subject, guards, missing, optional

RENAMED = ("kernfs_node.parent", "kernfs_node___rcu.__parent")


def lacking(*absent: str) -> list[str]:
    return missing(needs().names, facts(0, *absent), guards(objects()))


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
    assert Subject.of(text) == parts


def test_inside() -> None:
    """A path is inside another one only where a name ends."""
    inner = Subject.of("struct t.loginuid.val int")
    assert inner.is_inside(Subject.of("struct t.loginuid struct"))
    assert inner.is_inside(Subject.of("struct t"))
    assert not inner.is_inside(Subject.of("struct t.login struct"))
    assert not inner.is_inside(Subject.of("struct u.loginuid struct"))


def test_a_kernel_with_everything_serves() -> None:
    """Nothing is missed where all needs are answered."""
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


def test_optional_needs() -> None:
    """Optional is what is asked about, unless a renamed field has to stand in for it."""
    assert optional(needs().names, guards(objects())) == {
        "enumval enum cgroup_subsys_id::memory_cgrp_id",
        "enumval enum cgroup_subsys_id::pids_cgrp_id",
        "offset struct task_struct.loginuid struct",
        "offset struct task_struct.loginuid.val int",
    }
