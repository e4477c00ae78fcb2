# SPDX-License-Identifier: Apache-2.0
"""The JSON of arguments that come again, and of what all events of a hook have alike, is kept."""

from __future__ import annotations

from typing import Any

from tetrapy.events import encoders
from tetrapy.events.arguments import Argument, File
from tetrapy.events.calls import Probe


def test_equal_arguments_are_written_once_and_long_ones_each_time() -> None:
    """What a process chooses takes no more memory than many short texts."""
    written: list[Any] = []

    def write(it: Any) -> str:
        written.append(it)
        return str(it.value)

    kept = encoders._Kept(write)
    for path in ("/short", "/short", "/" * 600, "/" * 600):
        assert kept[Argument("string_arg", path)] == path
    assert [len(one.value) for one in written] == [6, 600, 600]
    for number in range(1000):
        assert kept[Argument("int_arg", number)] == str(number)
    assert len(kept) <= 256


def test_arguments_that_differ_in_a_field_alone_are_distinguished() -> None:
    """Member, value, label, and what a value is made of."""
    ones = [
        Argument("int_arg", 4),
        Argument("uint_arg", 4),
        Argument("int_arg", 4, "mask"),
        Argument("string_arg", "4"),
        Argument("bytes_arg", b"4"),
        Argument("file_arg", File("/a", "", "-rw-r--r--")),
        Argument("file_arg", File("/a", "", "-rwxr--r--")),
        Argument("path_arg", File("/a", "", "-rw-r--r--")),
    ]
    for _ in range(2):
        texts = [encoders._kept_kprobe_argument(one) for one in ones]
        assert texts == [encoders._kprobe_argument(one) for one in ones]
    assert len(set(texts)) == len(ones)


def test_the_fields_of_many_probes_are_not_kept_for_ever() -> None:
    """Policies come and go."""
    kept = encoders._Probes(lambda probe: (probe.policy_name.encode(),))
    for number in range(3000):
        assert kept[Probe("kprobe:f", f"p{number}")] == (f"p{number}".encode(),)
    assert len(kept) <= 1024
