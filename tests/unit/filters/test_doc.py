# SPDX-License-Identifier: Apache-2.0
"""docs/filters.md: every example in it does what it says."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.filter_events import (
    EVERYTHING,
    THROTTLE,
    TIME,
    capabilities,
    executed,
    exited,
    process,
)
from tests.support.paths import ROOT
from tetrapy.errors import SettingsError
from tetrapy.events.json import JsonEncoder
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.events.schema import EVENT_TYPES
from tetrapy.filters.field_filters import parse_field_filters
from tetrapy.filters.lists import parse_list
from tetrapy.filters.message import FIELDS
from tetrapy.filters.pushdown import BITS, Pushdown
from tetrapy.filters.redaction import parse_redaction
from tetrapy.filters.regex.budget import STEPS
from tetrapy.filters.regex.regex import Regex

DOC = (ROOT / "docs/filters.md").read_text()
EXAMPLES = re.findall(r"^```json (\S+)\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)

INIT = process("/sbin/init", pid=1)
CRON = process("/usr/sbin/cron", pid=2, parent=INIT)
EVENTS = {
    "sleep": executed(process("/usr/bin/sleep", "1", parent=INIT)),
    "sleep ends": exited(process("/usr/bin/sleep", "1", parent=INIT)),
    "shell of cron": executed(process("/bin/sh", "-c x", parent=CRON)),
    "shell of init": executed(process("/bin/bash", "-c 'curl x'", parent=INIT, uid=5)),
    "in a container": executed(process("/x", docker="0123456789abcdef")),
    "privileged": executed(process("/x", "--force", capabilities=capabilities(0, 1 << 39))),
    "failed": exited(process("/x"), 256),
    "killed": exited(process("/x"), 9),
}


def rows(heading: str) -> list[list[str]]:
    """The cells in back-quotes of the first table with this first column."""
    table = DOC[DOC.index(f"\n| {heading} |") + 1 :].split("\n\n")[0].splitlines()[2:]
    return [re.findall(r"(?<=\| )`(.*?)`(?= \|)", row) for row in table]


def examples(kind: str) -> list[str]:
    """The examples of one setting."""
    return [text for name, text in EXAMPLES if name == kind]


def matched(text: str, setting: str) -> set[str]:
    """The events for which the list holds."""
    made = parse_list(text, setting, EVERYTHING)
    assert made is not None
    return {name for name, event in EVENTS.items() if made.matches(event)}


def test_every_example_has_a_test() -> None:
    """No fence is of a kind that is not looked at here."""
    assert DOC.count("```") == 2 * len(EXAMPLES)
    kinds = {name for name, _ in EXAMPLES}
    lists = {"export-allowlist", "export-denylist"}
    assert kinds == {*lists, "redaction-filters", "field-filters", "event"}


def test_the_lists_hold_for_the_events_that_the_text_names() -> None:
    """One example after the other."""
    (deny,) = examples("export-denylist")
    assert matched(deny, "export-denylist") == {"sleep", "sleep ends"}
    allow = [matched(text, "export-allowlist") for text in examples("export-allowlist")]
    assert allow == [
        {"shell of cron", "in a container"},
        {name for name, event in EVENTS.items() if event.type == "PROCESS_EXEC"},
        {"privileged"},
        {"privileged", "failed", "killed", "shell of init"},
    ]


def test_the_first_examples_are_decided_in_the_kernel() -> None:
    """As the text says which filters are."""
    deny = parse_list(examples("export-denylist")[0], "export-denylist", EVERYTHING)
    allow = parse_list(examples("export-allowlist")[0], "export-allowlist", EVERYTHING)
    pushdown = Pushdown.of(allow, deny)
    assert pushdown is not None
    assert (pushdown.deny_bits, pushdown.allow_bits) == (1, 0b110)
    assert f"At most {BITS} objects" in DOC


def test_the_table_of_fields_is_complete() -> None:
    """All 19 fields of the message, and the types of events that are made."""
    table = DOC[DOC.index("\n| field |") :].split("\n\n")[0]
    first_column = "".join(row.split("|")[1] for row in table.strip().splitlines()[2:])
    assert set(re.findall(r"`(\w+)`", first_column)) == set(FIELDS)
    assert set(re.findall(r"`(PROCESS_\w+)`", DOC)) <= set(EVENT_TYPES)


def test_redaction_gives_what_the_table_says() -> None:
    """Binary, arguments, and what becomes of them."""
    redactor = parse_redaction(examples("redaction-filters")[0], "redaction-filters")
    assert redactor is not None
    assert redactor.warnings == []
    table = rows("binary")
    assert len(table) == 4
    for binary, arguments, expected in table:
        assert redactor.redact(binary, arguments, ())[0] == expected
    assert f"{STEPS:,} steps" in DOC


def test_the_field_filters_leave_what_the_text_shows() -> None:
    """The line as the encoder writes it."""
    event = executed(process("/usr/bin/id", "-u", parent=INIT))
    filters = parse_field_filters(examples("field-filters")[0], "field-filters")
    assert filters is not None
    change = filters.of_type(event.type)
    assert change is not None
    encoder = JsonEncoder("node")
    assert encoder.encode(event, change).decode() == examples("event")[0]


def test_the_other_lines_are_those_of_the_encoder() -> None:
    """Rate limit and aggregation."""
    encoder = JsonEncoder("node")
    assert encoder.encode(RateLimitInfo(118, TIME)).decode() == examples("event")[1]
    line = encoder.encode(THROTTLE, None, 3)
    assert json.loads(line) == json.loads(examples("event")[2])


@pytest.mark.parametrize("row", rows("pattern"))
def test_a_pattern_matches_what_the_table_says(row: list[Any]) -> None:
    """And does not match the other."""
    pattern, yes, no = row
    assert Regex(pattern).search(yes)
    assert not Regex(pattern).search(no)


@pytest.mark.slow
def test_what_the_text_says_is_not_there_is_refused() -> None:
    """Each pattern of the paragraph after the table."""
    paragraph = DOC[DOC.index("Not there, as in RE2") :].split("\n\n")[0]
    named = re.findall(r"`(.*?)`", paragraph)
    *refused, there = named
    assert len(refused) == 6
    assert Regex(there)
    for pattern in refused:
        with pytest.raises(SettingsError):
            Regex(pattern)
