# SPDX-License-Identifier: Apache-2.0
"""What each field of a filter matches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.filter_events import (
    EVERYTHING,
    THROTTLE,
    capabilities,
    executed,
    exited,
    listed,
    process,
)
from tetrapy.events.container import Container, Image, Membership, Pod
from tetrapy.events.event import Event
from tetrapy.filters import texts
from tetrapy.filters.excess import Excess, excess
from tetrapy.filters.lists import parse_list, predicate
from tetrapy.filters.regex.budget import STEPS
from tetrapy.filters.regex.regex import Regex

INIT = process("/sbin/init", "splash", pid=1)
SHELL = process("/bin/sh", "-c id", pid=50, parent=INIT, docker="0123456789abcdef")
ID = process("/usr/bin/id", "-u root", pid=60, parent=SHELL, in_init_tree=True)


def holds(event: Event, **fields: Any) -> bool:
    """Whether a filter with these fields holds for the event."""
    return listed(json.dumps(fields)).matches(event)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"binary_regex": ["bin/id"]}, True),
        ({"binary_regex": ["^id"]}, False),
        ({"binary_regex": ["^id", "id$"]}, True),
        ({"parent_binary_regex": ["/sh$"]}, True),
        ({"parent_binary_regex": ["/id$"]}, False),
        ({"arguments_regex": ["-u"]}, True),
        ({"arguments_regex": ["-g", "^x"]}, False),
        ({"parent_arguments_regex": ["^-c"]}, True),
        ({"parent_arguments_regex": ["-u"]}, False),
        ({"pid": [60]}, True),
        ({"pid": [50, 61]}, False),
        ({"event_set": ["PROCESS_EXEC"]}, True),
        ({"event_set": ["PROCESS_EXIT", "PROCESS_KPROBE"]}, False),
        ({"container_id": ["^$"]}, True),
        ({"container_id": ["a"]}, False),
        ({"in_init_tree": True}, True),
        ({"in_init_tree": False}, False),
        ({"namespace": [""]}, True),
        ({"namespace": ["default", ""]}, True),
        ({"namespace": ["default"]}, False),
        ({"namespace_regex": [".*"]}, False),
        ({"pod_regex": [".*"]}, False),
        ({"labels": ["a=b"]}, False),
        ({"container_name_regex": [".*"]}, False),
        ({"health_check": True}, False),
        ({"health_check": False}, True),
        ({"policy_names": ["p"]}, False),
        ({"binary_regex": ["id"], "pid": [60], "event_set": ["PROCESS_EXEC"]}, True),
        ({"binary_regex": ["id"], "pid": [61], "event_set": ["PROCESS_EXEC"]}, False),
        ({"binary_regex": ["id"], "pod_regex": ["a"]}, False),
    ],
)
def test_a_field_holds_for_an_exec(fields: dict[str, Any], expected: bool) -> None:
    """Values of a field are alternatives, fields must all hold."""
    assert holds(executed(ID), **fields) == expected


LABELS = {"tier": "front"}
PLAIN = Membership(Pod(Container("docker://1", "web", Image("", "nginx"), "", LABELS)))
IN_POD = Membership(Pod(Container("containerd://1", "app"), "shop", "web-5d", "0f6f"))


@pytest.mark.parametrize(
    ("fields", "plain", "in_pod"),
    [
        ({"container_name_regex": ["^web$"]}, True, False),
        ({"container_name_regex": ["app", "x"]}, False, True),
        ({"pod_regex": ["^web-"]}, False, True),
        ({"pod_regex": [".*"]}, False, True),
        ({"namespace_regex": ["sh"]}, False, True),
        ({"namespace_regex": [".*"]}, False, True),
        ({"namespace": ["shop"]}, False, True),
        ({"namespace": ["", "kube-system"]}, True, False),
        ({"namespace": ["shop"], "container_name_regex": ["app"]}, False, True),
        ({"labels": ["tier=front"]}, True, False),
        ({"labels": ["tier!=front", "x"]}, False, True),
        (
            {"cel_expression": ["process_exec.process.pod.container.image.name == 'nginx'"]},
            True,
            False,
        ),
    ],
)
def test_containers_and_pods(fields: dict[str, Any], plain: bool, in_pod: bool) -> None:
    """A container outside of Kubernetes has a name, and no pod or namespace."""
    assert holds(executed(process(container=PLAIN)), **fields) == plain
    assert holds(executed(process(container=IN_POD)), **fields) == in_pod


@pytest.mark.parametrize(
    "fields",
    [
        {"binary_regex": [""]},
        {"parent_binary_regex": [""]},
        {"ancestor_binary_regex": [""], "event_set": ["PROCESS_EXEC"]},
        {"arguments_regex": [""]},
        {"parent_arguments_regex": [""]},
        {"container_id": [""]},
        {"pid": [0]},
        {"pid_set": [0]},
        {"in_init_tree": False},
        {"namespace": [""]},
        {"capabilities": {}},
        {"policy_names": [""]},
    ],
)
def test_an_event_without_a_process_fails_what_asks_for_one(fields: dict[str, Any]) -> None:
    """process_throttle is about a cgroup."""
    assert not holds(THROTTLE, **fields)


@pytest.mark.parametrize("fields", [{}, {"event_set": [27]}, {"health_check": False}])
def test_an_event_without_a_process_passes_other_filters(fields: dict[str, Any]) -> None:
    """Its type, and that it is no health check, are known."""
    assert holds(THROTTLE, **fields)


def test_a_process_without_a_parent_fails_what_asks_for_one() -> None:
    """Whatever the pattern."""
    assert not holds(executed(INIT), parent_binary_regex=[""])
    assert not holds(executed(INIT), parent_arguments_regex=[""])


def test_an_exit_is_of_the_same_process() -> None:
    """Its binary and parent are those of the exec."""
    assert holds(exited(ID), binary_regex=["id$"], parent_binary_regex=["sh$"], event_set=[5])


@pytest.mark.parametrize(
    ("rules", "held", "expected"),
    [
        ({"effective": {"any": ["CAP_CHOWN", "CAP_BPF"]}}, (0, 1), True),
        ({"effective": {"any": ["CAP_BPF"]}}, (1 << 39, 1), False),
        ({"permitted": {"all": ["CAP_CHOWN", "DAC_OVERRIDE"]}}, (7, 0), True),
        ({"permitted": {"all": ["CAP_CHOWN", "DAC_OVERRIDE"]}}, (5, 0), False),
        ({"permitted": {"exactly": ["CAP_CHOWN", "DAC_OVERRIDE"]}}, (3, 0), True),
        ({"permitted": {"exactly": ["CAP_CHOWN"]}}, (3, 0), False),
        ({"inheritable": {"none": ["CAP_CHOWN"]}}, (3, 3, 2), True),
        ({"inheritable": {"none": [0, 1]}}, (3, 3, 2), False),
        ({"permitted": {"any": [0]}, "effective": {"any": [0]}}, (1, 0), False),
        ({}, (0, 0), True),
    ],
)
def test_capabilities(rules: Any, held: tuple[int, ...], expected: bool) -> None:
    """any, all, exactly and none, of the set that is named."""
    event = executed(process(capabilities=capabilities(*held)))
    assert holds(event, capabilities=rules) == expected


def test_a_process_without_known_capabilities_fails_every_rule() -> None:
    """Also `none`."""
    assert not holds(executed(process()), capabilities={"permitted": {"none": [0]}})


def test_deny_wins_and_no_allow_list_lets_all_pass() -> None:
    """The two lists together."""
    shells, ids = listed('{"binary_regex":["sh$"]}'), listed('{"binary_regex":["id$"]}')
    both = listed('{"binary_regex":["sh$"]}{"binary_regex":["id$"]}')
    shell, made = executed(SHELL), executed(ID)

    def passing(allow: Any, deny: Any) -> list[bool]:
        test = predicate(allow, deny)
        assert test is not None
        return [test(shell), test(made)]

    assert predicate(None, None) is None
    assert passing(shells, None) == [True, False]
    assert passing(None, shells) == [False, True]
    assert passing(both, ids) == [True, False]
    assert passing(ids, ids) == [False, False]
    never = listed('{"health_check":true}')
    assert passing(never, None) == [False, False]
    assert passing(None, never) == [True, True]


def test_pid_set_follows_descendants() -> None:
    """Children and their children, through links of the process table."""
    test = listed('{"pid_set":[50]}').matches
    grandchild = process(pid=70, parent=ID)
    assert test(executed(SHELL))
    assert test(executed(grandchild))
    assert not test(executed(INIT))
    assert not test(executed(process(pid=80, parent=INIT)))


def test_pid_set_remembers_descendants_whose_links_are_cut() -> None:
    """A process that was seen to descend still does when it is gone; its pid alone is nothing."""
    test = listed('{"pid_set":[50]}').matches
    child = process(pid=60, parent=SHELL)
    assert test(executed(child))
    child.leave()
    assert test(executed(process(pid=71, parent=child)))
    other = process(pid=60)
    other.start = 1
    assert not test(executed(other))
    assert not test(executed(process(pid=72, parent=other)))


def test_an_answer_about_a_binary_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is matched once; the memory is bounded."""
    monkeypatch.setattr(texts, "_REMEMBERED", 2)
    asked: list[str] = []
    test = texts.remembered(lambda text: asked.append(text) is None and text == "b")
    assert [test(text) for text in "aabba"] == [False, False, True, True, False]
    assert asked == ["a", "b"]
    assert [test(text) for text in "cab"] == [False, False, True]
    assert asked == ["a", "b", "c", "a", "b"]
    assert not test("x" * 300)
    assert not test("x" * 300)
    assert len(asked) == 6


COSTLY = "(a|b|ab)+c+$"
ARGUMENTS = "c" + "ab" * 130_000


@pytest.mark.parametrize("field", ["arguments_regex", "parent_arguments_regex"])
@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_pattern_that_costs_too_much_is_the_lists_to_decide(field: str, in_doubt: bool) -> None:
    """It holds in an allow list and does not in a deny list; others of the filter are asked."""
    event = executed(process(arguments=ARGUMENTS, parent=process(arguments=ARGUMENTS)))
    for patterns, expected in (
        ([COSTLY], in_doubt),
        (["x", COSTLY], in_doubt),
        ([COSTLY, "^c"], True),
        (["^x"], False),
    ):
        texts._budgets.clear()
        before = excess.counts.get("some-list", 0)
        made = parse_list(json.dumps({field: patterns}), "some-list", EVERYTHING, in_doubt)
        assert made is not None
        assert made.matches(event) is expected
        assert excess.counts.get("some-list", 0) == before + (COSTLY in patterns)


def test_an_exec_and_its_exit_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is each child's about its parent."""
    asked = []
    search = Regex.search
    monkeypatch.setattr(
        Regex, "search", lambda *given: asked.append(given[1][:9]) or search(*given)
    )
    matches = listed('{"arguments_regex":["x"]}\n{"parent_arguments_regex":["y"]}').matches
    one = process(arguments=ARGUMENTS)
    for event in (executed(one), exited(one)):
        assert not matches(event)
    for number in range(5):
        assert not matches(executed(process(arguments="a", pid=number + 2, parent=one)))
    assert len(asked) == 3


def test_all_filters_share_what_a_text_may_cost() -> None:
    """A long list costs no more than a short one."""
    text = "ab" * 40_000 + "d"
    objects = [json.dumps({"arguments_regex": [f"(a|b|ab)+c{number}$"]}) for number in range(50)]
    spent = []
    for count in (1, 50):
        made = parse_list("\n".join(objects[:count]), "some-list", EVERYTHING)
        assert made is not None
        texts._budgets.clear()
        made.matches(executed(process(arguments=text)))
        (budget,) = texts._budgets.values()
        spent.append(STEPS - budget.left)
    assert 0 < spent[0] <= spent[1] <= STEPS


def test_patterns_that_cost_too_much_are_reported_once() -> None:
    """Each of a setting, however many texts there were."""
    reported = Excess()
    for setting, pattern in [("a", "x"), ("a", "y"), ("a", "x"), ("b", "x")]:
        reported.note(setting, pattern)
    assert reported.take_new() == [("a", "x"), ("a", "y"), ("b", "x")]
    reported.note("a", "x")
    assert reported.take_new() == []
    assert reported.counts == {"a": 4, "b": 1}
