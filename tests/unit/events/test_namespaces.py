# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a process as a message."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tetrapy.events.namespaces import Namespaces
from tetrapy.events.process import DetailedProcess


def shown(namespaces: Namespaces, host: Namespaces) -> dict[str, Any]:
    """The message, out of its JSON."""
    process = DetailedProcess(b"", 1, 1, 1)
    process.namespaces = namespaces.shown(host)
    message: dict[str, Any] = json.loads(process.encoded())["ns"]
    return message


HOST = Namespaces(*range(4026531830, 4026531840))
numbers = st.integers(1, 2**32 - 1)


def test_the_hosts_namespaces() -> None:
    """Number and is_host of each, in the order of the message."""
    message = shown(HOST, HOST)
    assert list(message) == [
        "uts",
        "ipc",
        "mnt",
        "pid",
        "pid_for_children",
        "net",
        "time",
        "time_for_children",
        "cgroup",
        "user",
    ]
    assert message["net"] == {"inum": HOST.net, "is_host": True}
    assert all(entry["is_host"] is True for entry in message.values())


@given(st.tuples(*[st.booleans()] * 10))
def test_only_those_of_the_host_say_so(own: tuple[bool, ...]) -> None:
    """is_host is left out where it is false."""
    numbers = [host if same else host + 1000 for host, same in zip(HOST, own, strict=True)]
    message = shown(Namespaces(*numbers), HOST)
    for name, number, same in zip(Namespaces._fields, numbers, own, strict=True):
        expected = {"inum": number, "is_host": True} if same else {"inum": number}
        assert message[name] == expected


@given(st.lists(numbers, min_size=10, max_size=10))
def test_a_kernel_without_time_namespaces(given_: list[int]) -> None:
    """Before Linux 5.6 both are left out, and the rest is reported."""
    message = shown(Namespaces(*given_)._replace(time=0, time_for_children=0), HOST)
    assert set(message) == set(Namespaces._fields) - {"time", "time_for_children"}


def test_without_a_host_to_compare_with() -> None:
    """Where the machine's own namespaces cannot be told nothing is called the host's."""
    unknown = Namespaces(*[0] * 10)
    assert all(entry == {"inum": n} for entry, n in zip(
        shown(HOST, unknown).values(), HOST, strict=True
    ))  # fmt: skip
