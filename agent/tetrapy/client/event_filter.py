# SPDX-License-Identifier: Apache-2.0
"""Which events a client asks for: on the agent's side as messages, here of what was recorded."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence

from tetrapy.events.schema import EVENTS
from tetrapy.filters.cel.expression import any_holds_of_body
from tetrapy.filters.json_objects import Place
from tetrapy.filters.texts import any_matches

Message = Dict[str, Any]
_Test = Callable[[str, Message], bool]  # name of an event and its own message -> whether it passes

_PLACE = Place("filter", 0)


def of_recorded(fields: Message) -> Callable[[Message], bool]:
    """Whether an event has all that the fields of Tetragon's message Filter ask for.

    Only those that the command line can ask for: it makes no others. Raises SettingsError for a
    pattern or an expression that is none.
    """
    tests = [_TESTS[name](values) for name, values in fields.items()]

    def passes(event: Message) -> bool:
        name = next((one for one in EVENTS if one in event), "")
        body = event.get(name, {})
        return all(test(name, body) for test in tests)

    return passes


def _of_process(test: Callable[[Message], bool]) -> _Test:
    """What an event that is about no process never passes."""
    return lambda name, body: "process" in body and test(body["process"])


def _matching(field: str, patterns: Sequence[str], get: Callable[[Message], List[str]]) -> _Test:
    """Whether a pattern matches one of the texts that are asked for."""
    matches = any_matches(list(patterns), field, _PLACE)
    return _of_process(lambda process: any(map(matches, get(process))))


def _namespace(names: Sequence[str]) -> _Test:
    wanted = frozenset(names)
    return _of_process(
        lambda process: (
            process["pod"].get("namespace", "") in wanted if "pod" in process else "" in wanted
        )
    )


def _of_pod(field: str, key: str) -> Callable[[Sequence[str]], _Test]:
    def texts(process: Message) -> List[str]:
        return [process["pod"].get(key, "")] if "pod" in process else []

    return lambda patterns: _matching(field, patterns, texts)


def _container(patterns: Sequence[str]) -> _Test:
    def texts(process: Message) -> List[str]:
        container = process.get("pod", {}).get("container")
        return [] if container is None else [container.get("name", "")]

    return _matching("container_name_regex", patterns, texts)


def _policy_names(names: Sequence[str]) -> _Test:
    wanted = frozenset(names) - {""}
    return lambda name, body: body.get("policy_name", "") in wanted


def _event_set(names: Sequence[str]) -> _Test:
    wanted = frozenset("" if one == "UNDEF" else one.lower() for one in names)
    return lambda name, body: name in wanted


_TESTS: Dict[str, Callable[[Sequence[str]], _Test]] = {
    "event_set": _event_set,
    "namespace": _namespace,
    "policy_names": _policy_names,
    "binary_regex": lambda patterns: _matching(
        "binary_regex", patterns, lambda process: [process.get("binary", "")]
    ),
    "pod_regex": _of_pod("pod_regex", "name"),
    "namespace_regex": _of_pod("namespace_regex", "namespace"),
    "container_name_regex": _container,
    "cel_expression": lambda expressions: any_holds_of_body(list(expressions), _PLACE),
}
