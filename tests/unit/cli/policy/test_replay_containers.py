# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy test`: policies and selectors for some containers, over recorded events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.policies import HEAD, kprobe, spec
from tests.unit.cli.policy.test_replay import NUMBER, event, outcome
from tetrapy.cli.policy.replay import QUIET, REPORTED, UNDECIDED, Replay
from tetrapy.policy.read import read_policy

WEB: dict[str, Any] = {
    "docker": "5ca1ab1e",
    "pod": {
        "container": {
            "id": "docker://5ca1ab1e",
            "name": "web",
            "image": {"name": "nginx:1.25"},
            "labels": {"tier": "front"},
        }
    },
}
IN_POD: dict[str, Any] = {"docker": "5ca1ab1e", "pod": {
    "namespace": "shop", "name": "web-1", "pod_labels": {"tier": "front"},
    "container": {"id": "containerd://5ca1ab1e", "name": "web"}}}  # fmt: skip
BY_ID = {"docker": "5ca1ab1e"}
NAMED = "containerSelector: {matchLabels: {name: web}}"
NOT_NAMED = "containerSelector: {matchExpressions: [{key: name, operator: NotIn, values: [web]}]}"
FRONT = "podSelector: {matchLabels: {tier: front}}"


@pytest.mark.parametrize(
    ("selector", "process", "expected"),
    [
        (NAMED, WEB, REPORTED),
        (NAMED, {}, QUIET),
        (NAMED, BY_ID, UNDECIDED),
        (NOT_NAMED, WEB, QUIET),
        (NOT_NAMED, BY_ID, UNDECIDED),
        (NOT_NAMED, {}, QUIET),
        ("containerSelector: {}", BY_ID, REPORTED),
        ("containerSelector: {}", {}, QUIET),
        (NAMED, {"flags": "execve errorCgroupName"}, REPORTED),
        ("containerSelector: {matchLabels: {repo: nginx}}", WEB, REPORTED),
        ("containerSelector: {matchLabels: {image: nginx}}", WEB, QUIET),
        (FRONT, WEB, REPORTED),
        (FRONT, IN_POD, REPORTED),
        (FRONT.replace("front", "back"), IN_POD, QUIET),
        ("hostSelector: {}", {}, REPORTED),
        ("hostSelector: {}", WEB, QUIET),
        ("hostSelector: {}", BY_ID, QUIET),
    ],
)
def test_containers(selector: str, process: dict[str, Any], expected: str) -> None:
    """Of a policy and of one of its selectors, by what the event has of the container."""
    whole = spec(f"  {selector}\n") + kprobe().partition("spec:\n")[2]
    assert outcome(whole, event(NUMBER, process=process)) == expected
    one = kprobe(f", selectors: [{{matchWorkloads: {{{selector}}}}}]")
    assert outcome(one, event(NUMBER, process=process)) == expected


@pytest.mark.parametrize(
    ("process", "expected"),
    [(IN_POD, REPORTED), ({**IN_POD, "pod": {**IN_POD["pod"], "namespace": "b"}}, QUIET),
     (WEB, REPORTED), (BY_ID, UNDECIDED), ({}, QUIET)],
)  # fmt: skip
def test_namespaced_policies(process: dict[str, Any], expected: str) -> None:
    """Are for pods of their namespace, and for containers in none."""
    head = HEAD.replace("TracingPolicy", "TracingPolicyNamespaced")
    head = head.replace("{name: a}", "{name: a, namespace: shop}")
    text = kprobe().replace(HEAD, head + "  podSelector: {}\n")
    assert outcome(text, event(NUMBER, process=process)) == expected


def test_the_first_selector_for_the_container() -> None:
    """Others are passed over; a name that is missed where no filter holds does not matter."""
    number = "matchArgs: [{index: 0, operator: Equal, values: ['1']}]"
    web = f"{{{number}, matchWorkloads: {{{NAMED}}}, matchActions: [{{action: Sigkill}}]}}"
    host = f"{{{number}, matchWorkloads: {{hostSelector: {{}}}}}}"
    text = kprobe(f", selectors: [{web}, {host}]")
    replay = Replay(read_policy(text).policy)
    found = [replay.report(event(NUMBER, process=one)) for one in (WEB, {}, BY_ID)]
    assert [one and (one["outcome"], one["selector"]) for one in found] == [
        (REPORTED, 0),
        (REPORTED, 1),
        (UNDECIDED, None),
    ]
    assert outcome(text, event({"int_arg": 2}, process=BY_ID)) == QUIET
