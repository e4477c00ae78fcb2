# SPDX-License-Identifier: Apache-2.0
"""A field of a filter -> whether an event fulfils it.

Events that are about no process fulfil none that asks for one. Outside Kubernetes a container is in
no pod, so its `namespace` is "", as that of a process in no container is.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, Mapping, Tuple

from tetrapy.events.credentials import Capabilities
from tetrapy.events.event import Event
from tetrapy.filters.binaries import ProcessTest
from tetrapy.filters.filter import Condition, TextTest


def never(event: Event) -> bool:
    """What no event fulfils."""
    return False


def type_in(types: FrozenSet[str]) -> Condition:
    """`event_set`"""
    return lambda event: event.type in types


def pid_in(pids: FrozenSet[int]) -> Condition:
    """`pid`"""
    return lambda event: event.process is not None and event.process.pid in pids


def binary(test: ProcessTest) -> Condition:
    """`binary_regex`"""
    return lambda event: event.process is not None and test(event.process)


def parent_binary(test: ProcessTest) -> Condition:
    """`parent_binary_regex`"""
    return lambda event: event.parent is not None and test(event.parent)


def ancestor_binary(test: ProcessTest) -> Condition:
    """`ancestor_binary_regex`"""
    return lambda event: any(test(ancestor) for ancestor in event.ancestors)


def arguments(test: TextTest) -> Condition:
    """`arguments_regex`"""
    return lambda event: event.process is not None and test(event.process.arguments)


def parent_arguments(test: TextTest) -> Condition:
    """`parent_arguments_regex`"""
    return lambda event: event.parent is not None and test(event.parent.arguments)


def container(test: TextTest) -> Condition:
    """`container_id`"""
    return lambda event: event.process is not None and test(event.process.docker)


def namespace(names: FrozenSet[str]) -> Condition:
    """`namespace`"""

    def test(event: Event) -> bool:
        if event.process is None:
            return False
        pod = event.process.container.pod
        return ("" if pod is None else pod.namespace) in names

    return test


def of_pod(name: str, test: TextTest) -> Condition:
    """`namespace_regex`, `pod_regex` and `container_name_regex`."""

    def holds(event: Event) -> bool:
        pod = None if event.process is None else event.process.container.pod
        if pod is None:
            return False
        if name == "container_name_regex":
            return test(pod.container.name)
        return bool(pod.name) and test(pod.namespace if name == "namespace_regex" else pod.name)

    return holds


def labels(test: Callable[[Mapping[str, str]], bool]) -> Condition:
    """`labels`: of the pod; those of the container where there is no pod in Kubernetes."""

    def holds(event: Event) -> bool:
        pod = None if event.process is None else event.process.container.pod
        if pod is None:
            return False
        return test(pod.pod_labels if pod.name else pod.container.labels)

    return holds


def in_init_tree(wanted: bool) -> Condition:
    """`in_init_tree`"""
    return lambda event: event.process is not None and event.process.in_init_tree == wanted


def policy_in(names: FrozenSet[str]) -> Condition:
    """`policy_names`: only events of policies have one."""
    named = names - {""}
    return lambda event: getattr(event, "policy_name", "") in named


def capabilities(wanted: Dict[str, Tuple[str, int]]) -> Condition:
    """`capabilities`: set -> rule and bits."""
    tests = [
        (Capabilities._fields.index(which), _RULES[rule], bits)
        for which, (rule, bits) in wanted.items()
    ]

    def test(event: Event) -> bool:
        process = event.process
        if process is None or process.capabilities is None:
            return False
        held: Tuple[int, ...] = process.capabilities
        return all(rule(held[which], bits) for which, rule, bits in tests)

    return test


_RULES: Dict[str, Callable[[int, int], bool]] = {
    "any": lambda held, bits: bool(held & bits),
    "all": lambda held, bits: held & bits == bits,
    "exactly": lambda held, bits: held == bits,
    "none": lambda held, bits: not held & bits,
}


def all_of(conditions: List[Condition]) -> Condition:
    """One condition that asks for all of them in turn."""
    if not conditions:
        return lambda event: True
    if len(conditions) == 1:
        return conditions[0]
    if len(conditions) == 2:
        first, second = conditions
        return lambda event: first(event) and second(event)
    return lambda event: all(condition(event) for condition in conditions)


def any_of(conditions: List[Condition]) -> Condition:
    """One condition that asks for one of them."""
    if not conditions:
        return never
    if len(conditions) == 1:
        return conditions[0]
    if len(conditions) == 2:
        first, second = conditions
        return lambda event: first(event) or second(event)
    return lambda event: any(condition(event) for condition in conditions)
