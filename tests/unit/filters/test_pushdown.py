# SPDX-License-Identifier: Apache-2.0
"""Which part of the lists the kernel decides, and that it never drops too much."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filter_events import EVERYTHING, executed, exited, process
from tests.support.paths import ROOT
from tetrapy.events.process import Process
from tetrapy.filters.filter import FilterList
from tetrapy.filters.lists import parse_list, predicate
from tetrapy.filters.pushdown import Pushdown

AGENT = str(ROOT / "agent")

Fields = dict[str, Any]


def filters(*objects: Fields) -> FilterList | None:
    """A list of these objects."""
    return parse_list("\n".join(map(json.dumps, objects)), "a-list", EVERYTHING)


def pushed(allow: list[Fields], deny: list[Fields]) -> Pushdown | None:
    """What is pushed of two lists."""
    return Pushdown.of(filters(*allow), filters(*deny))


def mask_of(pushdown: Pushdown, made: Process) -> int:
    """What the kernel finds for a process: its masks ANDed."""
    mask = pushdown.binary_masks(made.binary)[0]
    if made.parent is None:
        mask &= pushdown.unknown_parent
    else:
        mask &= pushdown.binary_masks(made.parent.binary)[1]
    return mask & pushdown.pid_mask(made.pid) & pushdown.container_mask(made.docker)


decided = st.fixed_dictionaries(
    {},
    optional={
        "binary_regex": st.lists(st.sampled_from(["a$", "^/a", "b", "/c/"]), min_size=1),
        "parent_binary_regex": st.lists(st.sampled_from(["a$", "^/b"]), min_size=1),
        "pid": st.lists(st.integers(1, 4), min_size=1),
        "container_id": st.lists(st.sampled_from(["^$", "^c", "d"]), min_size=1),
        "health_check": st.just(False),
        "event_set": st.sampled_from([[1, 5], [1, 5, 27]]),
    },
)
undecided = st.fixed_dictionaries(
    {},
    optional={
        "arguments_regex": st.sampled_from([["x"], ["y"]]),
        "parent_arguments_regex": st.just(["x"]),
        "cel_expression": st.just(["process_exec.process.pid == 1u || process_exit.status == 0u"]),
        "capabilities": st.just({"effective": {"any": [1]}}),
        "in_init_tree": st.booleans(),
        "ancestor_binary_regex": st.just(["a"]),
        "pid_set": st.lists(st.integers(1, 4), min_size=1),
        "event_set": st.sampled_from([[1], [5], [27], [1, 5]]),
        "health_check": st.booleans(),
        "pod_regex": st.just(["x"]),
        "namespace": st.sampled_from([["x"], [""]]),
        "policy_names": st.just(["x"]),
        "labels": st.just(["a=b"]),
    },
)


def with_events(fields: Fields) -> Fields:
    """An ancestor filter names the events that have ancestors."""
    if "ancestor_binary_regex" in fields:
        fields.setdefault("event_set", [1, 5])
        fields["event_set"] = [kind for kind in fields["event_set"] if kind != 27] or [1]
    return fields


any_filter = st.tuples(decided, undecided).map(lambda two: with_events({**two[0], **two[1]}))
paths = st.sampled_from(["/a", "/b", "/x/a", "/c/b", "/d"])
containers = st.sampled_from(["", "c1", "d1"])


@st.composite
def processes(draw: st.DrawFn) -> Process:
    """A process, with or without a parent."""
    parent = None
    if draw(st.booleans()):
        parent = process(draw(paths), draw(st.sampled_from(["x", ""])), draw(st.integers(1, 5)))
    return process(
        draw(paths),
        draw(st.sampled_from(["x", "y", ""])),
        draw(st.integers(1, 5)),
        parent,
        draw(containers),
        in_init_tree=draw(st.booleans()),
    )


@pytest.mark.slow
@given(st.lists(any_filter, max_size=5), st.lists(any_filter, max_size=5), processes())
def test_the_kernel_never_drops_what_user_space_exports(
    allow: list[Fields], deny: list[Fields], made: Process
) -> None:
    """Neither the exec nor the exit, whatever the lists."""
    pushdown = pushed(allow, deny)
    if pushdown is None or not pushdown.drops(mask_of(pushdown, made)):
        return
    passes = predicate(filters(*allow), filters(*deny))
    assert passes is not None
    assert not passes(executed(made))
    assert not passes(exited(made))


@pytest.mark.slow
@given(st.lists(decided, max_size=5), st.lists(decided, max_size=5), processes())
def test_lists_that_the_kernel_can_decide_are_decided_there(
    allow: list[Fields], deny: list[Fields], made: Process
) -> None:
    """Where all conditions are pushed and the parent is known, it drops exactly what is to go."""
    asks = ("binary_regex", "parent_binary_regex", "pid", "container_id")
    if made.parent is None or any(not any(name in one for name in asks) for one in allow):
        return
    passes = predicate(filters(*allow), filters(*deny))
    pushdown = pushed(allow, deny)
    drops = pushdown is not None and pushdown.drops(mask_of(pushdown, made))
    assert drops == (passes is not None and not passes(executed(made)))
    assert drops == (passes is not None and not passes(exited(made)))


@pytest.mark.slow
@given(
    st.lists(any_filter, max_size=4),
    st.lists(any_filter, max_size=4),
    processes(),
    st.booleans(),
    st.booleans(),
)
def test_what_the_kernel_does_not_know_drops_nothing_more(
    allow: list[Fields], deny: list[Fields], made: Process, parent: bool, container: bool
) -> None:
    """An unknown parent or container: only what is dropped whatever they are."""
    pushdown = pushed(allow, deny)
    if pushdown is None:
        return
    mask = pushdown.binary_masks(made.binary)[0] & pushdown.pid_mask(made.pid)
    if parent and made.parent is not None:
        mask &= pushdown.binary_masks(made.parent.binary)[1]
    else:
        mask &= pushdown.unknown_parent
    mask &= (
        pushdown.container_mask(made.docker)
        if container
        else pushdown.no_container_condition | pushdown.allow_bits
    )
    if pushdown.drops(mask):
        assert pushdown.drops(mask_of(pushdown, made))


@pytest.mark.parametrize(
    "fields",
    [
        {"arguments_regex": ["a"]},
        {"parent_arguments_regex": ["a"]},
        {"cel_expression": ["process_exec.process.pid == 1u"]},
        {"capabilities": {"effective": {"any": [1]}}},
        {"in_init_tree": False},
        {"ancestor_binary_regex": ["a"], "event_set": [1, 5]},
        {"pid_set": [1]},
        {"event_set": [1]},
        {"event_set": [5, 27]},
        {"health_check": True},
        {"namespace": ["x"]},
        {"namespace_regex": ["x"]},
        {"pod_regex": ["x"]},
        {"container_name_regex": ["x"]},
        {"labels": ["x"]},
        {"policy_names": ["x"]},
    ],
)
def test_a_deny_filter_with_a_condition_that_is_not_decided_has_no_bit(fields: Fields) -> None:
    """Though its binary could be pushed."""
    assert pushed([], [{**fields, "binary_regex": ["a"]}]) is None


def test_an_allow_filter_with_such_a_condition_is_pushed_without_it() -> None:
    """Its binary still tells where it cannot hold."""
    pushdown = pushed([{"binary_regex": ["a$"], "arguments_regex": ["x"]}], [])
    assert pushdown is not None
    assert (pushdown.deny_bits, pushdown.allow_bits) == (0, 1)
    assert not pushdown.drops(mask_of(pushdown, process("/a", "y")))
    assert pushdown.drops(mask_of(pushdown, process("/b", "x")))


def test_an_allow_list_is_pushed_whole_or_not_at_all() -> None:
    """One filter that may hold for every process makes it useless."""
    deny = [{"binary_regex": ["b"]}]
    for useless in ({"arguments_regex": ["x"]}, {}, {"namespace": [""]}, {"pod_regex": ["x"]}):
        pushdown = pushed([{"binary_regex": ["a"]}, useless], deny)
        assert pushdown is not None
        assert (pushdown.deny_bits, pushdown.allow_bits) == (1, 0)
    # A filter that no exec or exit fulfils does no harm.
    for other in ({"event_set": [27]}, {"policy_names": ["p"]}, {"health_check": True}):
        pushdown = pushed([{"binary_regex": ["a"]}, other], deny)
        assert pushdown is not None
        assert (pushdown.deny_bits, pushdown.allow_bits) == (1, 2)


def test_deny_filters_get_the_64_bits_first() -> None:
    """Further deny filters stay in user space; an allow list that does not fit stays there too."""
    deny = [{"pid": [number]} for number in range(70)]
    pushdown = pushed([{"pid": [100]}], deny)
    assert pushdown is not None
    assert (pushdown.deny_bits, pushdown.allow_bits) == ((1 << 64) - 1, 0)
    assert pushdown.drops(pushdown.pid_mask(63))
    assert not pushdown.drops(pushdown.pid_mask(64))
    fits = pushed([{"pid": [100]}] * 4, deny[:60])
    assert fits is not None
    assert fits.allow_bits == 0xF << 60
    assert fits.bits == (1 << 64) - 1


def test_the_masks_of_what_has_no_condition() -> None:
    """Bits: 0 denies by binary and parent, 1 allows by pid, 2 allows by container."""
    pushdown = pushed(
        [{"pid": [7, 8]}, {"container_id": ["^c"]}],
        [{"binary_regex": ["a"], "parent_binary_regex": ["b"]}],
    )
    assert pushdown is not None
    assert pushdown.pids == {7, 8}
    assert pushdown.no_parent_condition == 0b110
    assert (pushdown.no_container_condition, pushdown.pid_default) == (0b011, 0b101)
    assert pushdown.unknown_parent == 0b110
    assert pushdown.binary_masks("/a") == (0b111, 0b110)
    assert pushdown.binary_masks("/b") == (0b110, 0b111)
    assert (pushdown.pid_mask(7), pushdown.pid_mask(9)) == (0b111, 0b101)
    assert (pushdown.container_mask("c1"), pushdown.container_mask("")) == (0b111, 0b011)


def test_the_masks_cost_a_start_no_filters() -> None:
    """What every start imports for them holds no pattern and no parser."""
    program = "import sys, tetrapy.filters.pushdown; print(*sys.modules)"
    run = [sys.executable, "-c", program]
    done = subprocess.run(
        run, check=True, capture_output=True, text=True, env={"PYTHONPATH": AGENT}
    )
    loaded = {name for name in done.stdout.split() if name.startswith("tetrapy.filters")}
    assert loaded == {
        "tetrapy.filters.pushdown",
        "tetrapy.filters",
        "tetrapy.filters.filter",
    }


def test_nothing_is_pushed_of_no_lists() -> None:
    """The kernel is not asked then."""
    assert Pushdown.of(None, None) is None
    assert pushed([], [{"arguments_regex": ["a"]}]) is None
