# SPDX-License-Identifier: Apache-2.0
"""Processes with every field set, for tests of how they are shown."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.unit.records import NODE
from tetrapy.events import flags
from tetrapy.events.credentials import BinaryProperties, Capabilities, Credentials
from tetrapy.events.namespaces import Namespaces
from tetrapy.events.process import DetailedProcess, Process
from tetrapy.visible import json_bytes

# All of Unicode that is text, with what encoders treat in their own way drawn often.
texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(
        '"\\/\0\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x9f\u2028\u2029\ufeff\ufffd\U0001f600'
    ),
    max_size=20,
)
numbers = st.integers(0, 2**64 - 1)
ids = st.integers(0, 2**32 - 1)


def plain(value: Any) -> bytes:
    """The standard library's encoder, writing what protojson does but for what is not seen."""
    return json_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def process(kind: type[Process] = Process, /, **fields: Any) -> Process:
    """A process with every field set, but for those given."""
    made = kind(NODE.encode(), 42, 5, 10_000_000_000)
    values = {
        "uid": 0,
        "auid": 1000,
        "cwd": "/root",
        "binary": "/usr/bin/id",
        "arguments": "-u",
        "flags": flags.EXECVE | flags.CLONE,
        "start_time": "2026-01-01T00:00:00.123456789Z",
        "docker": "0123456789abcdef0123456789abcde",
        "parent_exec_id": "cGFyZW50",
        "refcnt": 1,
        "in_init_tree": True,
    }
    for name, value in {**values, **fields}.items():
        setattr(made, name, value)
    return made


def detailed(**fields: Any) -> Process:
    """A process with all that settings can ask for."""
    host = Namespaces(*range(1, 11))
    details = {
        "user": "ann",
        "capabilities": Capabilities(3, 1, 0),
        "credentials": Credentials(1, 2, 3, 4, 5, 6, 7, 8, 0),
        "namespaces": host._replace(net=99).shown(host),
        "environment": (("PATH", "/bin"), ("EMPTY", ""), ("invalid", "x")),
        "binary_properties": BinaryProperties(setuid=0),
    }
    return process(DetailedProcess, **{**details, **fields})
