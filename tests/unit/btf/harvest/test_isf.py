# SPDX-License-Identifier: Apache-2.0
"""Symbol files of Volatility 3 -> BTF that gives the programs what the kernel's own gives."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import harvest_builders as b
from tests.support.btf_kernels import queries
from tests.support.builders import BtfBuilder
from tests.support.exactness import spread
from tests.support.symbol_file import Document, document, symbol_file
from tests.unit.abi.test_fuzz import flipped
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.btf.harvest import limits, verify
from tetrapy.btf.harvest.isf import NotLinuxError, read_isf
from tetrapy.btf.harvest.result import DAMAGED, DONE, SKIPPED
from tetrapy.errors import FormatError


def every_kind() -> bytes:
    """BTF with every kind of type that a symbol file can describe."""
    w = BtfBuilder()
    integer = w.integer("int", 4, k.INT_SIGNED)
    wide = w.integer("long unsigned int", 8)
    state = w.enum("state", {"RUNNING": 0, "DEAD": -1}, signed=True)
    pair = w.composite("", 8, [("low", integer, 0), ("high", integer, 32)])
    nothing = w.add(k.KIND_FWD, "nowhere")
    called = w.add(k.KIND_PTR, ref=w.add(k.KIND_FUNC_PROTO))
    task = w.add(k.KIND_PTR, ref=w.add(k.KIND_FWD, "task_struct"))
    members = [
        ("pid", integer, 0),
        ("flag_a", wide, 3 << 24 | 64),
        ("flag_b", wide, 7 << 24 | 67),
        ("", pair, 128),
        ("state", state, 192),
        ("ops", called, 256),
        ("parent", task, 320),
        ("comm", w.array(integer, 4), 384),
        ("link", w.add(k.KIND_PTR, ref=nothing), 512),
        ("secret", w.add(k.KIND_TYPEDEF, "secret_t", pair), 576),
    ]
    body = [word for text, *rest in members for word in (w.name(text), *rest)]
    w.add(k.KIND_STRUCT, "task_struct", 80, body, len(members), flag=True)
    return w.build()


def changed(change: Callable[[Document], Any]) -> bytes:
    """The symbol file of `every_kind` after a change."""
    made = copy.deepcopy(document(Btf(every_kind()), b.BANNER))
    change(made)
    return json.dumps(made).encode()


def test_every_kind_of_type_is_kept() -> None:
    """Places, bit fields, anonymous members, enums, arrays and pointers are as in the source."""
    data, banner = read_isf(symbol_file(every_kind(), b.BANNER))
    assert banner.rstrip(b"\0").decode() == b.BANNER
    btf = Btf(data)
    task = btf.find("task_struct", k.KIND_STRUCT)
    assert task is not None
    assert task.ref == 80
    members = {member.name: member for member in btf.members(task)}
    assert {name: member.bit_offset for name, member in members.items()} == {
        "pid": 0, "flag_a": 64, "flag_b": 67, "": 128, "state": 192, "ops": 256, "parent": 320,
        "comm": 384, "link": 512, "secret": 576,
    }  # fmt: skip
    assert (members["flag_a"].bits, members["flag_b"].bits, members["pid"].bits) == (3, 7, 0)
    pair = btf.type(members[""].type_id)
    assert [member.name for member in btf.members(pair)] == ["low", "high"]
    states = dict(btf.enumerators(btf.type(members["state"].type_id)))
    assert states == {"RUNNING": 0, "DEAD": -1}
    assert btf.array(btf.type(members["comm"].type_id)).elements == 4
    parent = btf.type(members["parent"].type_id)
    assert btf.type(parent.ref).id == task.id
    link = btf.type(btf.type(members["link"].type_id).ref)
    assert (link.kind, link.name) == (k.KIND_FWD, "nowhere")


@pytest.mark.slow
def test_real_kernels_give_the_same_answers() -> None:
    """What the BPF objects ask is answered alike by a kernel's BTF and by its symbol file."""
    by_machine = {path.parent.name: path for path in spread() if "debian" in path.parts}
    assert set(by_machine) == {"x86_64", "arm64"}
    for path in by_machine.values():
        whole = path.read_bytes()
        data, _banner = read_isf(symbol_file(whole))
        mine, own = queries().answers(Btf(data)), queries().answers(Btf(whole))
        assert [name for name, *pair in zip(queries().names, mine, own, strict=True)
                if pair[0] != pair[1]] == [], path  # fmt: skip
        assert verify.check(data).arch == verify.check(whole).arch


@pytest.mark.parametrize("compression", ["", "gzip", "bzip2", "xz"])
def test_a_symbol_file_is_harvested(tmp_path: Path, compression: str) -> None:
    """The banner in it names the kernel, whatever the file is called; packed or not."""
    suffix = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "": ""}[compression]
    path = tmp_path / f"Debian_any.json{suffix}"
    pack = b.COMPRESSORS.get(compression, bytes)
    path.write_bytes(pack(symbol_file(b.kernel_btf(), b.BANNER)))
    outcome = b.only(b.collect(tmp_path, path))
    assert (outcome.state, outcome.key) == (DONE, b.KEY)
    assert outcome.notes[0].startswith("it is made of a symbol file of Volatility")
    assert list(b.written(tmp_path)) == [f"{b.KEY}.btf"]


def test_a_symbol_file_without_banner_is_named_by_its_path(tmp_path: Path) -> None:
    """Of a kernel without the data of linux_banner the name tells the release, options the rest."""
    path = tmp_path / f"vmlinux-{b.RELEASE}.json.xz"
    path.write_bytes(b.COMPRESSORS["xz"](symbol_file(b.kernel_btf())))
    outcome = b.only(b.collect(tmp_path, path, id="debian", version_id="12"))
    assert outcome.key == b.KEY


def test_other_json_in_a_directory_is_passed(tmp_path: Path) -> None:
    """A collection has symbols of other systems, and JSON of any kind; a named one is an error."""
    directory = tmp_path / "in"
    directory.mkdir()
    (directory / "package.json").write_text('{"name": "x"}')
    windows = document(Btf(b.kernel_btf()))
    windows["metadata"] = {"windows": {}}
    (directory / "ntkrnlmp.json").write_text(json.dumps(windows))
    (directory / "kernel.json").write_bytes(symbol_file(b.kernel_btf(), b.BANNER))
    result = b.collect(tmp_path, directory)
    assert [outcome.state for outcome in result.outcomes] == [DONE, SKIPPED, SKIPPED]
    assert b.only(b.collect(tmp_path, directory / "package.json")).state == DAMAGED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("enums"), "no object 'enums'"),
        (lambda d: d["base_types"]["pointer"].update(size=4), "pointers have 4 bytes"),
        (lambda d: d["base_types"]["int"].update(endian="big"), "int is big-endian"),
        (lambda d: d["base_types"].pop("int"), "of the base type 'int', which is not in"),
        (lambda d: d["enums"]["state"].update(size=-1), "-1 for the size of state"),
        (lambda d: d["enums"]["state"]["constants"].update(X=1 << 64), "for the value of X"),
        (lambda d: d["user_types"]["task_struct"].update(kind="table"), "is a 'table'"),
        (lambda d: d["user_types"]["task_struct"].update(size=1 << 40), "the size of task_struct"),
        (lambda d: d["user_types"]["task_struct"].update(size=True), "has True for the size"),
        (lambda d: d["user_types"]["task_struct"]["fields"]["pid"].update(offset=0.5), "0.5 for"),
        (lambda d: d["user_types"]["task_struct"]["fields"]["pid"].update(offset=1 << 22),
         "beyond 2 MiB"),
        (lambda d: d["user_types"]["task_struct"]["fields"]["pid"].update(type={}), "kind of task"),
        (lambda d: d["user_types"]["task_struct"]["fields"].update({"n" * 600: {
            "offset": 0, "type": {"kind": "base", "name": "int"}}}), "has the name 'nnn"),
        (lambda d: d["symbols"]["linux_banner"].update(constant_data="\u00e9"), "linux_banner is"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_reported(change: Callable[[Document], Any], text: str) -> None:
    """What is damaged, or of another machine, is a FormatError that says what was found."""
    with pytest.raises(FormatError, match=text):
        read_isf(changed(change))


def test_what_is_no_kernel_is_distinguished() -> None:
    """JSON without task_struct, or of another system, is not damaged."""
    for change in (
        lambda d: d["user_types"].pop("task_struct"),
        lambda d: d["metadata"].update(mac={}),
    ):
        with pytest.raises(NotLinuxError):
            read_isf(changed(change))
    with pytest.raises(NotLinuxError, match="no symbol file"):
        read_isf(b"{}")


def test_types_inside_types_have_an_end() -> None:
    """Deep nesting is refused, of types as of JSON as such."""
    deep: dict[str, Any] = {"kind": "base", "name": "int"}
    for _ in range(100):
        deep = {"kind": "pointer", "subtype": deep}
    fields = {"offset": 0, "type": deep}
    with pytest.raises(FormatError, match="more than 32"):
        read_isf(changed(lambda d: d["user_types"]["task_struct"]["fields"].update(x=fields)))
    with pytest.raises(FormatError, match="damaged"):
        read_isf(b'{"user_types": "base_types", "base_types":' + b"[" * 200_000)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbol file above the limit is not parsed."""
    monkeypatch.setattr(limits, "ISF", 1 << 20)
    with pytest.raises(FormatError, match="the limit is 1"):
        read_isf(symbol_file(every_kind()) + b" " * (1 << 21))


@pytest.mark.slow
@given(flipped(symbol_file(every_kind(), b.BANNER)))
def test_changed_bytes_are_read_or_refused(data: bytes) -> None:
    """A symbol file with a few bytes changed gives BTF that can be read, or a FormatError."""
    _read(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)


def _places(found: Any) -> list[tuple[dict[str, Any], str]]:
    """Every value of an object, at any depth: the object and the key."""
    if not isinstance(found, dict):
        return []
    inner = [place for value in found.values() for place in _places(value)]
    return [(found, key) for key in found] + inner


@pytest.mark.slow
@given(st.integers(min_value=0), _JSON)
def test_any_value_anywhere_is_read_or_refused(place: int, value: Any) -> None:
    """Whatever stands where something else belongs, there is BTF or a FormatError."""
    made = copy.deepcopy(document(Btf(every_kind()), b.BANNER))
    places = _places(made)
    at, key = places[place % len(places)]
    at[key] = value
    _read(json.dumps(made).encode())


def _read(data: bytes) -> None:
    try:
        made, _banner = read_isf(data)
        verify.check(made)
    except FormatError:
        return
    btf = Btf(made)
    for found in btf:
        if found.kind in (k.KIND_STRUCT, k.KIND_UNION):
            btf.members(found)
