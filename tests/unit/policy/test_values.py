# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: what the texts of filters mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.policies import match, read, selector
from tetrapy.policy import values
from tetrapy.policy.conditions import (
    BY_EITHER,
    BY_PLACE,
    Condition,
    ConditionError,
    Networks,
    Nothing,
    Numbers,
    Spans,
    Texts,
    condition,
    read_values,
)
from tetrapy.policy.macros import effective
from tetrapy.policy.names import ARGUMENT_TYPES, INTEGERS, OPERATORS
from tetrapy.policy.places import digest, resolve_path, symbol_and_offset
from tetrapy.policy.values import Network, UnfitError

TOP = (1 << 64) - 1


@pytest.mark.parametrize(
    ("operator", "kind", "given_values", "expected"),
    [
        ("Equal", "int", ("1", "-1", "0x10", "010", "0b1", "1_0"), None),
        ("Equal", "int", ("1", "-1", "0x10", "010"), Numbers((1, -1, 16, 8))),
        ("Equal", "uint8", ("4294967295",), Numbers((4294967295,))),
        ("Equal", "size_t", ("-1", "5000000000"), Numbers((-1, 5000000000))),
        ("NotEqual", "uint64", (str(TOP),), Numbers((TOP,))),
        ("GT", "long", ("-9223372036854775808",), Numbers((-(1 << 63),))),
        ("Mask", "uint32", ("0xf0",), Numbers((240,))),
        ("Equal", "cap_effective", ("CAP_CHOWN,CAP_BPF", "0x3"), Numbers((1 | 1 << 39, 3))),
        ("Equal", "string", ("a\0\0", "", "\u00e9"), Texts((b"a", b"", b"\xc3\xa9"))),
        ("Equal", "file", ("a\0",), Texts((b"a\0",))),
        ("NotEqual", "sockaddr_un", ("@x",), Texts((b"@x",))),
        ("Prefix", "string", ("a\0",), Texts((b"a\0",))),
        ("Postfix", "string", ("a\0", ""), Texts((b"a", b""))),
        ("NotPostfix", "char_buf", ("a\0",), Texts((b"a\0",))),
        ("SubString", "string", ("x" * 99,), Texts((b"x" * 99,))),
        ("InRange", "int", ("1:5", "-3:0x10"), Spans(((1, 5), (-3, 16)))),
        ("NotInRange", "uint32", ("5:1",), Spans(((5, 1),))),
        ("InMap", "int", ("010", "9:3", "-4"), Spans(((10, 10), (3, 9), (-4, -4)))),
        ("InMap", "syscall64", ("list:a", "7"), Spans(((7, 7),), ("a",))),
        ("DPort", "sock", ("80", "90:100"), Spans(((80, 80), (90, 100)))),
        ("SPortPriv", "sockaddr", (), Spans(((0, 1023),))),
        ("Protocol", "skb", ("IPPROTO_TCP", "17"), Spans(((6, 6), (17, 17)))),
        ("Family", "sockaddr_un", ("AF_UNIX", "2:10"), Spans(((1, 1), (2, 10)))),
        ("State", "sock", ("TCP_LISTEN",), Spans(((10, 10),))),
        ("FileType", "file", ("reg", "pipe"), Numbers((0o100000, 0o010000))),
        (
            "SAddr",
            "sock",
            ("10.1.2.3", "10.0.0.0/8", "fe80::/10", "::ffff:1.2.3.4"),
            Networks(
                (
                    Network(b"\x0a\x01\x02\x03", 32),
                    Network(b"\x0a\0\0\0", 8),
                    Network(b"\xfe\x80" + bytes(14), 10),
                    Network(bytes(10) + b"\xff\xff\x01\x02\x03\x04", 128),
                )
            ),
        ),
        ("Equal", "int", ("08",), None),
        ("Equal", "int", ("2147483648",), None),
        ("Equal", "int", ("1.5",), None),
        ("Equal", "int", ("",), None),
        ("Equal", "uint32", ("-1",), None),
        ("Equal", "filename", ("a",), None),
        ("Equal", "capability", ("CAP_BPF",), None),
        ("Equal", "sock", ("a",), None),
        ("GT", "string", ("1",), None),
        ("Equal", "string", ("x" * 4097,), None),
        ("Prefix", "string", ("x" * 257,), None),
        ("Postfix", "string", ("x" * 128,), None),
        ("SubString", "string", ("x" * 100,), None),
        ("SubString", "string", ("x",) * 101, None),
        ("InRange", "int", ("1",), None),
        ("InRange", "int", ("1:2:3",), None),
        ("InRange", "string", ("1:2",), None),
        ("InMap", "int", ("0x10",), None),
        ("InMap", "int", ("1_0",), None),
        ("InMap", "uint32", ("-1",), None),
        ("InMap", "int", ("list:a",), None),
        ("InMap", "string", ("1",), None),
        ("DPort", "sock", ("http",), None),
        ("Protocol", "sock", ("TCP",), None),
        ("Family", "int", ("2",), None),
        ("State", "sockaddr_un", ("1",), None),
        ("DAddr", "sockaddr", ("1.2.3.4",), None),
        ("DAddr", "sock", ("1.2.3",), None),
        ("DAddr", "sock", ("1.2.3.4/33",), None),
        ("DAddr", "sock", ("1.2.3.4/08",), None),
        ("DAddr", "sock", ("1.2.3.4/",), None),
        ("DAddr", "sock", ("01.2.3.4",), None),
        ("DAddr", "sock", ("1.2.3.4\0",), None),
        ("DAddr", "sock", ("fe80::/129",), None),
        ("FileType", "file", ("socked",), None),
        ("FileType", "dentry", ("reg",), None),
        ("Equal", "cap_effective", ("CAP_NOTHING",), None),
    ],
)
def test_values(operator: str, kind: str, given_values: tuple[str, ...], expected: object) -> None:
    """By operator and type; None stands for a refusal."""
    if expected is None:
        with pytest.raises(ConditionError):
            read_values(operator, kind, given_values)
    else:
        assert read_values(operator, kind, given_values) == expected


@pytest.mark.slow
@given(
    st.sampled_from([one for one in OPERATORS if one not in {"CelExpr", "CapabilitiesGained"}]),
    st.sampled_from(ARGUMENT_TYPES),
    st.lists(
        st.text(max_size=6) | st.integers().map(str) | st.text("0123456789abx:./_-", max_size=9)
    ),
)
def test_any_values_of_any_type(operator: str, kind: str, texts: list[str]) -> None:
    """They mean something, or are refused."""
    try:
        found = read_values(operator, kind, tuple(texts))
    except ConditionError:
        return
    if isinstance(found, Numbers) and kind in INTEGERS:
        bits = max(INTEGERS[kind][0], 32)
        assert all(-(1 << bits - 1) <= number < 1 << bits for number in found.numbers)


@given(st.integers(-(1 << 63), TOP))
def test_numbers_are_read_back(number: int) -> None:
    """In every base."""
    forms = [str(number), f"{number:#x}", f"{number:#o}", f"{number:#b}"]
    assert [values.number(form, -(1 << 63), TOP) for form in forms] == [number] * 4
    assert values.decimal(str(number), -(1 << 63), TOP) == number


@pytest.mark.parametrize(
    ("read_one", "text", "expected"),
    [
        (values.rate_limit, "5", 5000),
        (values.rate_limit, "5S", 5000),
        (values.rate_limit, "2m", 120_000),
        (values.rate_limit, "4294967295h", 0xFFFFFFFF),
        (values.rate_limit, "-1", None),
        (values.rate_limit, "4294967296", None),
        (values.rate_limit, "", None),
        (values.namespace_inode, "host_ns", None.__class__),
        (values.namespace_inode, "4026531836", 4026531836),
        (values.namespace_inode, "0x1", None),
        (values.boolean, "T", True),
        (values.boolean, "yes", None),
        (values.capability_mask, "CAP_CHOWN, cap_kill", 0b100001),
        (values.capability_mask, str(1 << 64), None),
        (resolve_path, "mm.owner[3].comm", ("mm", "owner", 3, "comm")),
        (resolve_path, "[0].a", (0, "a")),
        (resolve_path, "a[1][2]", ("a", 1, 2)),
        (resolve_path, "a.", ("a",)),
        (resolve_path, "a..b", None),
        (resolve_path, ".a", ("a",)),
        (resolve_path, "a.[0]", None),
        (resolve_path, "a[b]", None),
        (resolve_path, "a[]", None),
        (resolve_path, "a b", None),
        (resolve_path, "\u00e9", None),
        (symbol_and_offset, "main", ("main", 0)),
        (symbol_and_offset, "main+0x10", ("main", 16)),
        (symbol_and_offset, "+1", None),
        (symbol_and_offset, "main+-1", None),
        (digest, "sha1:" + "A" * 40, ("sha1", "a" * 40)),
        (digest, " build-id : 0F ", ("build-id", "0f")),
        (digest, "build-id:", None),
        (digest, "sha256", None),
        (digest, "sha512:" + "g" * 128, None),
    ],
)
def test_other_texts(read_one: Callable[[str], Any], text: str, expected: object) -> None:
    """Times, namespaces, capabilities, paths, symbols and digests; None stands for a refusal."""
    if expected is None:
        with pytest.raises(UnfitError):
            read_one(text)
    elif expected is type(None):
        assert read_one(text) is None
    else:
        assert read_one(text) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00e9", "plain \u00e9"),
        ('a"b\\c', 'a\\"b\\\\c'),
        ("\a\b\f\n\r\t\v\0\x7f", "\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f"),
        ("\u00a0\u202e\U000e0001", "\\u00a0\\u202e\\U000e0001"),
        ("x" * 255 + "\u00e9", "x" * 255 + "\\xc3"),
        ("x" * 300, "x" * 256),
    ],
)
def test_messages_are_escaped_as_go_does(text: str, shown: str) -> None:
    """strconv.Quote without the quotes, of so many bytes."""
    assert values.escaped(text, 256) == shown


def conditions(text: str, by: str = "index") -> list[Condition]:
    """Those of the only selector of the only hook."""
    spec = read(text).policy.spec
    (hook,) = spec.kprobes
    (only,) = effective(hook.selectors, spec.selectors_macros)
    return [condition(one, hook.args, by) for one in only.match_args]


def test_conditions_name_their_arguments() -> None:
    """By the position in the list of the policy."""
    assert conditions(match("Equal", "5")) == [Condition((0,), "int", "Equal", Numbers((5,)))]
    (gained,) = conditions(
        selector(
            "{matchArgs: [{args: [0, 0], operator: CapabilitiesGained}]}", kind="cap_effective"
        )
    )
    assert gained == Condition((0, 0), "cap_effective", "CapabilitiesGained", Nothing())
    (expression,) = conditions(match("CelExpr", "arg0 == int32(1)"))
    assert (expression.arguments, expression.operator) == ((0,), "CelExpr")


def test_macros_add_filters() -> None:
    """A selector has those of its macros, and its own label first."""
    text = selector("{macros: [m]}, {label: own, macros: [m]}") + (
        "\n  selectorsMacros: {m: {label: l, matchArgs: [{operator: Equal, values: ['5']}]}}"
    )
    spec = read(text).policy.spec
    one, other = effective(spec.kprobes[0].selectors, spec.selectors_macros)
    assert (one.label, other.label, one.macros) == ("l", "own", ())
    assert one.match_args == other.match_args == spec.selectors_macros["m"].match_args


def test_the_index_of_a_tracepoint_is_either() -> None:
    """Of the format file, else the place in the list; matchData has the place."""
    policy = read(match("Equal", "5")).policy
    only = policy.spec.kprobes[0].selectors[0].match_args[0]
    (argument,) = policy.spec.kprobes[0].args
    far = argument.replaced(index=4)
    assert condition(only.replaced(index=4), [far], BY_EITHER).arguments == (0,)
    assert condition(only, [far], BY_EITHER).arguments == (0,)
    assert condition(only, [far], BY_PLACE).arguments == (0,)
    with pytest.raises(ConditionError, match="index 0 is not among those of args: 4"):
        condition(only, [far])
