# SPDX-License-Identifier: Apache-2.0
"""The reader of BTF reads what libbpf writes and bpftool reads: this kernel's, and a module's."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import split_btf
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.errors import BtfError

KERNEL = Path("/sys/kernel/btf/vmlinux")

pytestmark = pytest.mark.skipif(not KERNEL.exists(), reason="needs a kernel with BTF")


def dump(*arguments: str | Path) -> dict[int, dict]:
    """What `bpftool btf dump` tells, by type id."""
    bpftool = shutil.which("bpftool")
    if bpftool is None:
        pytest.skip("needs bpftool: make setup")
    command = [bpftool, "-j", "btf", "dump", "file", *arguments]
    done = subprocess.run(command, check=True, capture_output=True)
    return {entry["id"]: entry for entry in json.loads(done.stdout)["types"]}


def reported(btf: Btf, found: Type) -> dict:
    """A type in bpftool's words."""
    answer = {"id": found.id, "kind": k.KIND_NAMES[found.kind], "name": found.name or "(anon)"}
    if found.kind == k.KIND_INT:
        answer["size"], answer["nr_bits"] = found.ref, btf.integer(found).bits
    elif found.kind == k.KIND_ARRAY:
        answer["type_id"], answer["nr_elems"] = btf.array(found)
    elif found.kind in (k.KIND_STRUCT, k.KIND_UNION):
        answer["size"] = found.ref
        answer["members"] = [
            (m.name or "(anon)", m.type_id, m.bit_offset, m.bits) for m in btf.members(found)
        ]
    elif found.kind in (k.KIND_ENUM, k.KIND_ENUM64):
        answer["size"], answer["values"] = found.ref, list(btf.enumerators(found))
    elif found.kind == k.KIND_FUNC_PROTO:
        answer["ret_type_id"] = found.ref
        answer["params"] = [(name or "(anon)", number) for name, number in btf.parameters(found)]
    elif found.kind == k.KIND_DATASEC:
        answer["vars"] = [(v.offset, v.size) for v in btf.variables(found)]
    elif found.kind == k.KIND_FLOAT:
        answer["size"] = found.ref
    elif found.kind != k.KIND_FWD:
        answer["type_id"] = found.ref
    return answer


_KINDS = {"PTR": "pointer"}


def expected(entry: dict) -> dict:
    """bpftool's words in the form of `reported`."""
    wanted = "id kind name size nr_bits type_id nr_elems ret_type_id".split()
    answer = {name: entry[name] for name in wanted if name in entry}
    answer["kind"] = _KINDS.get(entry["kind"], entry["kind"].lower())
    if answer["kind"] == "datasec":
        del answer["size"]
    if "members" in entry:
        answer["members"] = [
            (m["name"], m["type_id"], m["bits_offset"], m.get("bitfield_size", 0))
            for m in entry["members"]
        ]
    if "values" in entry:
        # bpftool extends 32 bits by their sign, also where it says that they have none.
        mask = 0xFFFFFFFF if (entry["kind"], entry["encoding"]) == ("ENUM", "UNSIGNED") else -1
        answer["values"] = [(v["name"], v["val"] & mask) for v in entry["values"]]
    if "params" in entry:
        answer["params"] = [(p["name"], p["type_id"]) for p in entry["params"]]
    if "vars" in entry:
        answer["vars"] = [(v["offset"], v["size"]) for v in entry["vars"]]
    return answer


@pytest.fixture(scope="module")
def kernel() -> Btf:
    """This kernel's types."""
    return Btf(KERNEL.read_bytes())


@pytest.fixture(scope="module")
def split() -> bytes:
    """A module's types."""
    return split_btf.module(KERNEL)


def test_a_kernel_is_read_as_bpftool_reads_it(kernel: Btf) -> None:
    """Every type with every member, value and parameter."""
    entries = dump(KERNEL)
    assert len(kernel) == len(entries) + 1 > 10_000
    for found in kernel:
        assert reported(kernel, found) == expected(entries[found.id])


def test_a_module_is_read_as_bpftool_reads_it(kernel: Btf, split: bytes, tmp_path: Path) -> None:
    """Its own types, whose names and types may be the kernel's."""
    path = tmp_path / "module"
    path.write_bytes(split)
    entries = dump(path, "-B", KERNEL)
    module = Btf(split, kernel)
    assert len(module) == len(kernel) + len(entries)
    assert min(entries) == len(kernel)
    for number, entry in entries.items():
        assert reported(module, module.type(number)) == expected(entry)


def test_a_module_and_its_kernel_are_one(kernel: Btf, split: bytes) -> None:
    """Types of both are found by name, sized, and looked into."""
    module = Btf(split, kernel)
    both = module.find_all("task_struct", k.KIND_STRUCT)
    assert [found.id < len(kernel) for found in both] == [True, False]
    assert both[0] == kernel.find("task_struct", k.KIND_STRUCT)
    assert module.members(both[0]) == kernel.members(both[0])
    assert [member.name for member in module.members(both[1])] == ["module_only"]
    thing = module.find("module_thing")
    assert thing is not None
    assert kernel.find("module_thing") is None
    sizes = {member.name: module.size_of(member.type_id) for member in module.members(thing)}
    assert sizes == {"pid": 8, "lists": 48, "low_bits": 4, "list": 16}
    limits = module.find("module_limits", k.KIND_ENUM64)
    assert limits is not None
    assert module.enumerators(limits) == (("MODULE_LEAST", -(1 << 40)),)
    kernels = next(found for found in kernel if found.kind == k.KIND_FUNC_PROTO and found.vlen)
    assert module.parameters(kernels) == kernel.parameters(kernels)


def test_a_module_without_its_kernel_is_refused(split: bytes) -> None:
    """Alone its names and types are not there."""
    with pytest.raises(BtfError):
        Btf(split).find("module_thing")
