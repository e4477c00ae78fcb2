# SPDX-License-Identifier: Apache-2.0
"""Which recorded events are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tetrapy.client.event_filter import of_recorded
from tetrapy.errors import SettingsError

POD = {"namespace": "default", "name": "xwing-1", "container": {"name": "spaceship"}}
IN_POD = {"process_exec": {"process": {"binary": "/bin/curl", "pid": 7, "pod": POD}}}
ON_HOST = {"process_exit": {"process": {"binary": "/bin/ls"}, "status": 1}}
CALL = {"process_kprobe": {"process": {"binary": "/bin/ls"}, "policy_name": "p"}}
THROTTLE = {"process_throttle": {"type": "THROTTLE_START"}}
EVENTS = {"pod": IN_POD, "host": ON_HOST, "call": CALL, "throttle": THROTTLE}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "pod host call throttle"),
        ({"binary_regex": ["l"]}, "pod host call"),
        ({"binary_regex": ["^/bin/ls$", "nothing"]}, "host call"),
        ({"namespace": ["default"]}, "pod"),
        ({"namespace": [""]}, "host call"),
        ({"namespace": ["", "default"]}, "pod host call"),
        ({"namespace": ["other"]}, ""),
        ({"namespace_regex": ["^def"]}, "pod"),
        ({"namespace_regex": [""]}, "pod"),
        ({"pod_regex": ["wing-[0-9]"]}, "pod"),
        ({"container_name_regex": ["ship"]}, "pod"),
        ({"container_name_regex": ["^hip"]}, ""),
        ({"event_set": ["PROCESS_EXIT", "PROCESS_THROTTLE"]}, "host throttle"),
        ({"policy_names": ["p", ""]}, "call"),
        ({"binary_regex": ["ls"], "event_set": ["PROCESS_EXIT"]}, "host"),
        ({"cel_expression": ["process_exec.process.pid > 5u"]}, "pod"),
        ({"cel_expression": ["process_exit.status == 2u", "process_exit.status == 1u"]}, "host"),
        ({"cel_expression": ["process_kprobe.policy_name == 'p'"]}, "call"),
    ],
)
def test_fields(fields: dict[str, Any], expected: str) -> None:
    """All fields must hold, of each one value."""
    passes = of_recorded(fields)
    assert [name for name, event in EVENTS.items() if passes(event)] == expected.split()


def test_an_event_without_a_message() -> None:
    """It passes only where nothing is asked, or for no type."""
    assert of_recorded({})({})
    assert of_recorded({"event_set": ["UNDEF"]})({"node_name": "n"})
    assert not of_recorded({"binary_regex": [""]})({})


@pytest.mark.parametrize(
    "fields", [{"binary_regex": ["("]}, {"cel_expression": ["1"]}, {"cel_expression": ["x.y"]}]
)
def test_what_is_no_filter(fields: dict[str, Any]) -> None:
    """The error names the field."""
    with pytest.raises(SettingsError, match=next(iter(fields))):
        of_recorded(fields)
