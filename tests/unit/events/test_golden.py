# SPDX-License-Identifier: Apache-2.0
"""Golden bytes of records -> golden lines."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.support import golden_cases
from tests.support.records import (
    BTF_COPY,
    DATA,
    OBJECT,
    POLICY_COPY,
    POLICY_OBJECT,
    World,
    abi,
    btf,
)
from tetrapy.abi import layout
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = sorted(golden_cases.cases())
REFRESH = "run: PYTHONPATH=agent python -m tests.support.records"
ENUMS = ("event_kind", "event_limit", "exec_flag", "args_area", "exec_privilege")
CALL_STRUCTS = ("call_value", "call_socket")
CALL_ENUMS = ("call_flag", "call_value_flag")


def records_of(data: bytes) -> Iterator[bytes]:
    """Cut a file of records by the sizes in their headers."""
    offset = layout.struct_layout(btf(), "event_header").members["size"].offset
    while data:
        (size,) = struct.unpack_from("<I", data, offset)
        assert size > 0
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize("name", CASES)
def test_golden_records_make_golden_lines(name: str) -> None:
    """The bytes of a history, read as one batch, become exactly the lines beside them."""
    world = World()
    records = list(records_of((DATA / f"{name}.bin").read_bytes()))
    lines = b"".join(world.line(event) for event in world.dispatcher.events(records))
    assert lines.decode().splitlines() == (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()
    assert world.dispatcher.errors == 0


@pytest.mark.parametrize("name", CASES)
def test_golden_records_are_what_they_are_said_to_be(name: str) -> None:
    """The files hold the records of golden_cases.py; else see records.py."""
    assert (DATA / f"{name}.bin").read_bytes() == b"".join(golden_cases.cases()[name])


def test_no_golden_file_is_left_over() -> None:
    """Each file of bytes belongs to a case and has its lines."""
    assert sorted(path.stem for path in DATA.glob("*.bin")) == CASES
    assert all((DATA / f"{name}.jsonl").exists() for name in CASES)


def abi_of(types: Btf) -> dict[str, object]:
    """All that crosses from the kernel, in a form that compares."""
    structs = layout.union_members(types, "event").values()
    found: dict[str, object] = {name: layout.struct_layout(types, name) for name in structs}
    for name in ("event_header", "exec_context"):
        found[name] = layout.struct_layout(types, name)
    for name in ENUMS:
        found[name] = layout.enum_values(types, name)
    return found


def test_the_copy_of_the_types_is_the_builds() -> None:
    """What the tests take for the object's ABI is the built object's, in each flavour."""
    if not OBJECT.exists():
        pytest.skip(f"needs {OBJECT.name}: make build")
    copy = abi_of(Btf(BTF_COPY.read_bytes()))
    for name in (OBJECT.name, "base-perf.bpf.o", "base-4.19.bpf.o"):
        path = OBJECT.with_name(name)
        assert abi_of(Btf(section_data(path.read_bytes(), ".BTF"))) == copy, REFRESH


def call_abi_of(types: Btf) -> dict[str, object]:
    """All that crosses from programs of policies."""
    found: dict[str, object] = {name: layout.struct_layout(types, name) for name in CALL_STRUCTS}
    return {**found, **{name: layout.enum_values(types, name) for name in CALL_ENUMS}}


def test_the_copy_of_the_types_of_policies_is_the_builds() -> None:
    """Likewise, of the object of policies."""
    if not POLICY_OBJECT.exists():
        pytest.skip(f"needs {POLICY_OBJECT.name}: make build")
    copy = call_abi_of(Btf(POLICY_COPY.read_bytes()))
    for path in (POLICY_OBJECT, POLICY_OBJECT.with_name("policy-perf.bpf.o")):
        assert call_abi_of(Btf(section_data(path.read_bytes(), ".BTF"))) == copy, REFRESH


def test_every_kind_has_a_decoder() -> None:
    """Kinds, names and decoders of the object's enum and union belong together."""
    kinds = layout.enum_values(btf(), "event_kind")
    assert abi().kind_names == ["", "exec", "fork", "exit", "args", "throttle", "call"]
    for name, decoder in abi().decoders.items():
        assert decoder.kind == kinds[f"EVENT_{name.upper()}"]
        assert decoder.size == layout.struct_layout(btf(), f"{name}_event").size
