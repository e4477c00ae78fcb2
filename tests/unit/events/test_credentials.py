# SPDX-License-Identifier: Apache-2.0
"""Capabilities, credentials and what is special about a binary, as messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.events.credentials import (
    CAPABILITY_NAMES,
    BinaryProperties,
    Capabilities,
    Credentials,
    capability_names,
)
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.process import DetailedProcess, ExecutedProcess
from tetrapy.events.schema import FIELDS, PROCESS

HEADER = Path("/usr/include/linux/capability.h")


def shown(name: str, value: object) -> dict[str, Any]:
    """The message of a value, out of its JSON."""
    process = DetailedProcess(b"", 1, 1, 1)
    row = {row.type: row for row in FIELDS[PROCESS].values()}[name]
    process.start_time = 1
    if isinstance(value, BinaryProperties):
        process.binary_properties = value
        text = process.copy(ExecutedProcess).encoded()
    else:
        setattr(process, row.source, value)
        text = process.encoded()
    message: dict[str, Any] = json.loads(text).get(row.name)
    return message


sets = st.integers(0, 2 ** len(CAPABILITY_NAMES) - 1)


def test_the_names_are_the_kernels() -> None:
    """Each number has the name of the kernel's header, except for Tetragon's oddity, number 1."""
    if not HEADER.exists():
        pytest.skip(f"needs {HEADER}: linux-libc-dev")
    found = re.findall(r"^#define\s+(CAP_\w+)\s+(\d+)$", HEADER.read_text("utf-8"), re.MULTILINE)
    names = {int(number): name for name, number in found}
    names[1] = "DAC_OVERRIDE"
    assert dict(enumerate(CAPABILITY_NAMES)) == {n: names[n] for n in range(len(CAPABILITY_NAMES))}


@given(sets)
def test_a_set_is_reported_in_the_order_of_numbers(bits: int) -> None:
    """Bit n stands for name n, and nothing else is reported."""
    names = capability_names(bits)
    assert sum(1 << CAPABILITY_NAMES.index(name) for name in names) == bits
    assert names == sorted(names, key=CAPABILITY_NAMES.index)


def test_numbers_beyond_the_known_ones_are_left_out() -> None:
    """A kernel with more capabilities than this agent knows shows those that it knows."""
    assert capability_names(2**63 | 1) == ["CAP_CHOWN"]
    assert len(capability_names(2**64 - 1)) == len(CAPABILITY_NAMES) == 41


def test_empty_sets_are_left_out() -> None:
    """As protojson leaves out empty lists; without any the message is empty."""
    assert shown("Capabilities", Capabilities(1 << 21, 0, 1 << 1)) == {
        "permitted": ["CAP_SYS_ADMIN"],
        "inheritable": ["DAC_OVERRIDE"],
    }
    assert shown("Capabilities", Capabilities(0, 0, 0)) == {}
    names = list(shown("Capabilities", Capabilities(1, 1, 1)))
    assert names == ["permitted", "effective", "inheritable"]


def test_all_ids_are_reported() -> None:
    """Ids are wrappers in the message: those that are 0 are there too."""
    assert shown("ProcessCredentials", Credentials(0, 1, 2, 3, 4, 5, 6, 7, 0)) == {
        "uid": 0,
        "gid": 1,
        "euid": 2,
        "egid": 3,
        "suid": 4,
        "sgid": 5,
        "fsuid": 6,
        "fsgid": 7,
    }


@pytest.mark.parametrize(
    ("bits", "names"),
    [
        (0x01, ["SecBitNoRoot"]),
        (0x30, ["SecBitKeepCaps", "SecBitKeepCapsLocked"]),
        (0x0E, ["SecBitNoRootLocked", "SecBitNoSetUidFixup", "SecBitNoSetUidFixupLocked"]),
        (0xC0, ["SecBitNoCapAmbientRaise", "SecBitNoCapAmbientRaiseLocked"]),
    ],
)  # fmt: skip
def test_secure_bits(bits: int, names: list[str]) -> None:
    """They are named by Tetragon's enum, in the order of the kernel's bits, after the ids."""
    message = shown("ProcessCredentials", Credentials(0, 0, 0, 0, 0, 0, 0, 0, bits))
    assert message["securebits"] == names
    assert list(message)[-1] == "securebits"


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({}, {}),
        ({"setuid": 0}, {"setuid": 0}),
        ({"setgid": 33}, {"setgid": 33}),
        ({"file": ExecutedFile("", 7, 0, 0)}, {"file": {"inode": {"number": "7", "links": 0}}}),
        (
            {
                "setuid": 0,
                "setgid": 0,
                "privileges_changed": ("PRIVILEGES_RAISED_EXEC_FILE_SETUID",),
                "file": ExecutedFile("", 2**40, 0, 0),
            },
            {
                "setuid": 0,
                "setgid": 0,
                "privileges_changed": ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"],
                "file": {"inode": {"number": str(2**40), "links": 0}},
            },
        ),
    ],
)
def test_binary_properties(given_: dict[str, object], message: dict[str, object]) -> None:
    """Only what there is; 64-bit numbers are texts, and the links of a nameless file are
    reported.
    """
    properties = BinaryProperties(**given_)
    assert shown("BinaryProperties", properties) == message
    assert list(shown("BinaryProperties", properties)) == list(message)
