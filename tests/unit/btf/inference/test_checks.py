# SPDX-License-Identifier: Apache-2.0
"""The table of checks: what it covers, and that each check tells its fields from their
neighbours.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies

from tests.unit.btf.inference import inference_corpus as c
from tests.unit.btf.inference.synthetic_objects import PLAIN, Host
from tetrapy.btf.inference.candidates import check, same_names
from tetrapy.btf.inference.checks import TABLE, UNPROVEN, run_checks
from tetrapy.btf.inference.checks.namespaces import TIME_QUERIES
from tetrapy.btf.inference.memory import Memory
from tetrapy.btf.inference.view import RENAMED, Missing, View, key

KERNEL = "debian/13/x86_64/7.3.4+deb13-amd64"


@pytest.fixture(scope="module")
def kernel() -> c.Kernel:
    return c.kernel(KERNEL)


def test_every_query_has_a_check_or_a_reason() -> None:
    """Checks prove, and UNPROVEN excuses, all that the objects ask for and nothing else, once."""
    known = set(map(key, c.all_queries().names))
    proven = {name for found in TABLE for name in found.proves}
    assert proven | set(UNPROVEN) == known
    assert not proven & set(UNPROVEN)


def test_short_names_are_unique() -> None:
    """No two queries have the same short name."""
    names = c.all_queries().names
    assert len(set(map(key, names))) == len(names)
    assert key("offset struct pid.numbers[1].nr int") == "pid.numbers[1].nr"
    assert key("size struct task_struct.comm array") == "size task_struct.comm"
    assert key("type_exists struct bpf_iter") == "type_exists bpf_iter"


@pytest.mark.slow
@pytest.mark.parametrize("host", [PLAIN, Host(bound=True), Host(covered=True)])
def test_a_wrong_answer_is_noticed(kernel: c.Kernel, host: Host) -> None:
    """Each query alone, off by up to 64 bytes in steps of 4, or without an answer, is refused."""
    names, reference = c.queries().names, kernel.reference(0, host)
    memory = Memory(reference.read)
    wrong = [
        (name, other, (*kernel.answers[:at], other, *kernel.answers[at + 1 :]))
        for at, name in enumerate(names)
        for other in around(name, kernel.answers[at])
    ]
    assert len(wrong) > 20 * len(names)
    views = [(name, other, View(names, layout, memory)) for name, other, layout in wrong]
    living = [one for one in views if not run_checks(one[2], reference, ended=False).failed]
    reference.end()
    memory.forget()
    passed = [one[:2] for one in living if not run_checks(one[2], reference, ended=True).failed]
    assert not passed


def around(query: str, value: int | None) -> list[int | None]:
    """Other answers to a query than this one."""
    step = 32 if query.startswith("offset") else 1
    places = [(value or 0) + step * number for number in range(-16, 17)]
    return [other for other in (*places, None) if other != value and (other or 0) >= 0]


def test_a_renamed_field_has_one_name(kernel: c.Kernel) -> None:
    """A layout with both names is of no kernel."""
    names = ("offset struct kernfs_node.parent pointer", "offset struct kernfs_node___r.up pointer")
    short = [key(name) for name in names]
    memory = Memory(kernel.reference().read)
    assert View(names, (None, 64), memory).either(short) == 8
    assert View(names, (64, None), memory).either(short) == 8
    for layout in ((64, 64), (None, None)):
        with pytest.raises(Missing):
            View(names, layout, memory).either(short)


@pytest.mark.slow
@settings(max_examples=40)
@given(strategies.data())
def test_any_numbers_are_judged(kernel: c.Kernel, data: strategies.DataObject) -> None:
    """A layout out of a damaged file is refused, whatever its numbers; nothing is raised."""
    drawn = strategies.one_of(
        strategies.none(), strategies.integers(), strategies.integers(0, 70_000)
    )
    places = data.draw(
        strategies.sets(strategies.sampled_from(range(len(kernel.answers))), min_size=1)
    )
    answers = tuple(
        data.draw(drawn) if at in places else answer for at, answer in enumerate(kernel.answers)
    )
    # To do without the login uid is safe: nothing is read then.  So it is without time namespaces.
    groups = [
        {c.query("task_struct.loginuid"), c.query("task_struct.loginuid.val")},
        set(map(c.query, TIME_QUERIES)),
    ]
    left_out = [{*one, *other} for one in (set(), groups[0]) for other in (set(), groups[1])]
    failed = check(c.queries().names, answers, kernel.reference()).failed
    named = list(zip(c.queries().names, kernel.answers, strict=True))
    right = [
        same_names(
            c.queries().names, tuple(None if name in group else answer for name, answer in named)
        )
        for group in left_out
    ]
    # No kernel has a field under both of its names.
    pairs = zip(c.queries().names, answers, strict=True)
    answered = {key(name) for name, answer in pairs if answer is not None}
    twice = any(answered.issuperset(names) for names in RENAMED)
    assert bool(failed) == (twice or same_names(c.queries().names, answers) not in right)


@pytest.mark.parametrize("offset", [-8, -4096, 1 << 40])
def test_a_place_outside_of_what_was_read_is_refused(kernel: c.Kernel, offset: int) -> None:
    """A damaged layout may have the executed file before the structure that has it."""
    at = c.queries().names.index(c.query("linux_binprm.file"))
    layout = (*kernel.answers[:at], offset, *kernel.answers[at + 1 :])
    assert check(c.queries().names, layout, kernel.reference()).failed


def test_what_only_optional_needs_prove_is_doubted(kernel: c.Kernel) -> None:
    """A wrong answer to an optional need is no reason against the layout: the query is left out."""
    names, reference = c.queries().names, kernel.reference()
    memory, spare = Memory(reference.read), frozenset(map(key, c.optional()))
    wrong = {
        name: (*kernel.answers[:at], (kernel.answers[at] or 0) + 64, *kernel.answers[at + 1 :])
        for at, name in enumerate(names)
        if name in c.optional() and not name.startswith("enumval")
    }
    assert len(wrong) > 30
    for name, layout in wrong.items():
        found = run_checks(View(names, layout, memory), reference, ended=False, optional=spare)
        assert not found.failed
        assert found.doubtful
        assert key(name) in found.doubted - found.proven
