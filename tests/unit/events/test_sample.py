# SPDX-License-Identifier: Apache-2.0
"""A real export of Tetragon (data/events/tetragon.jsonl), encoded again by this agent."""

from __future__ import annotations

import base64
import json
import re
import signal
from datetime import datetime
from typing import Any

import pytest

from tests.support.records import DATA
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.flags import _WORDS
from tetrapy.events.json import JsonEncoder
from tetrapy.events.process import Process

LINES = (DATA / "tetragon.jsonl").read_text("utf-8").splitlines()
BITS = {word: bit for bit, word in _WORDS}
_BLANK = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')


def compact(line: str) -> str:
    """Without the blanks that Go's encoder adds between tokens in some of its builds."""
    return _BLANK.sub(lambda match: match[1] or "", line)


def nanoseconds(text: str) -> int:
    """Ns since 1970."""
    second = datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    return int(second) * 10**9 + int(text[20:-1].ljust(9, "0"))


def process_of(shown: dict[str, Any]) -> Process:
    """What this agent would hold for a process of the export."""
    node, ktime, pid = base64.b64decode(shown["exec_id"]).rsplit(b":", 2)
    process = Process(node, int(pid), 0, int(ktime))
    for name in ("uid", "auid", "parent_exec_id", "in_init_tree"):
        setattr(process, name, shown[name])
    process.start_time = nanoseconds(shown["start_time"])
    for name in ("cwd", "binary", "arguments", "docker"):
        setattr(process, name, shown.get(name, ""))
    process.refcnt = shown.get("refcnt", 0)
    process.flags = sum(BITS[word] for word in shown["flags"].split())
    return process


def event_of(line: str) -> Event:
    """The event of this agent that says the same as a line of the export."""
    read = json.loads(line)
    message = read.get("process_exec") or read["process_exit"]
    process = process_of(message["process"])
    parent = process_of(message["parent"]) if "parent" in message else None
    if "process_exec" in read:
        return ProcessExec(process, parent)
    number = signal.Signals[message["signal"]].value if "signal" in message else 0
    code = message.get("status", 0) << 8 | number
    return ProcessExit(process, parent, code, nanoseconds(message["time"]))


@pytest.mark.parametrize("number", range(len(LINES)))
def test_a_line_of_tetragon_is_encoded_to_the_same_bytes(number: int) -> None:
    """Field order, names, escapes and omissions are Tetragon's, white space apart."""
    line = LINES[number]
    read = json.loads(line)
    encoder = JsonEncoder(read["node_name"])
    made = encoder.encode(event_of(line)).decode()
    if "process_exec" in read:
        # Tetragon measures the wall clock twice for the two times of an exec, this agent once.
        started = read["process_exec"]["process"]["start_time"]
        assert made.endswith(f'"time":"{started}"}}\n')
        made = made.replace(f'"time":"{started}"}}\n', f'"time":"{read["time"]}"}}\n')
    assert made == compact(line) + "\n"


def test_the_export_shows_what_matters() -> None:
    """The export has both kinds of event, every kind of parent, refcnt and quoted arguments."""
    text = "\n".join(LINES)
    for needle in ("process_exec", "process_exit", '"refcnt":1', '"procFS', "execve rootcwd clone"):
        assert needle in text
    assert '\\"Listening for events\\"' in text
