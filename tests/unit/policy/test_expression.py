# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: expressions of CelExpr."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.policy.expression import BOOL, INT, INT32, UINT, UINT32, Expression, Node
from tetrapy.policy.values import UnfitError

TYPES = ["int", "uint32", "long", "uint64", "string"]
WORDS = ["arg0", "arg1", "int32", "uint32", "and", "not", "(", ")", ",", "+", "-", "!", "&&", "||"]
WORDS += [
    "==",
    "<=",
    ">",
    "1",
    "0x2u",
    "true",
    "false",
    " ",
    "arg9",
    "\u00e9",
    '"a"',
    "?",
    "[",
    ".",
]


def shown(node: Node) -> str:
    """The tree with all its parentheses."""
    if node.operator == "number":
        return {BOOL: str(bool(node.value)).lower(), UINT: f"{node.value}u"}.get(
            node.type, str(node.value)
        )
    if node.operator == "argument":
        return f"arg{node.value}"
    if node.operator == "!":
        return f"!({shown(node.operands[0])})"
    inner = [shown(operand) for operand in node.operands]
    if node.operator.isalnum():
        return f"{node.operator}({', '.join(inner)})"
    return f"({inner[0]} {node.operator} {inner[1]})"


@pytest.mark.parametrize(
    ("text", "tree", "arguments"),
    [
        (
            "arg1 == uint32(1u) && arg0 >= int32(-1024)",
            "((arg1 == uint32(1u)) && (arg0 >= int32(-1024)))",
            (0, 1),
        ),
        ("true || false && arg2 == 1", "(true || (false && (arg2 == 1)))", (2,)),
        ("(true || false) && true", "((true || false) && true)", ()),
        ("arg2 + 1 - 2 < 0x10", "(((arg2 + 1) - 2) < 16)", (2,)),
        ("!(arg3 == 1u)", "!((arg3 == 1u))", (3,)),
        ("!!true", "true", ()),
        ("true == false", "(true == false)", ()),
        ("not(arg0) != xor(arg0, int32(5))", "(not(arg0) != xor(arg0, int32(5)))", (0,)),
        ("arg2 == -9223372036854775808", "(arg2 == -9223372036854775808)", (2,)),
        ("arg3==18446744073709551615U", "(arg3 == 18446744073709551615u)", (3,)),
        ("\n arg2\t> 1 ", "(arg2 > 1)", (2,)),
    ],
)
def test_what_is_understood(text: str, tree: str, arguments: tuple[int, ...]) -> None:
    """With the precedence of CEL."""
    found = Expression(text, TYPES)
    assert (shown(found.tree), found.arguments) == (tree, arguments)
    assert found.tree.type == BOOL
    assert found == Expression(tree, TYPES)
    assert len({found, Expression(tree, TYPES)}) == 1


def test_types_of_arguments() -> None:
    """As Tetragon gives them."""
    pairs = {"int": INT32, "sint32": INT32, "uint32": UINT32, "int64": INT, "ulong": UINT}
    for kind, expected in pairs.items():
        assert Expression("arg0 == arg0", [kind]).tree.operands[0].type == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends too early"),
        ("arg0 ==", "ends too early"),
        ("arg0", "is of type int32; a condition is expected"),
        ("1 + 1", "is of type int; a condition is expected"),
        ("arg0 == 1", "has int32 == int; both must be of one type"),
        ("arg0 == int32(1u)", "gives int32() a uint; it takes a int"),
        ("true + false == true", "has + between conditions"),
        ("true < false", "has < between conditions"),
        ("1 && true", "has int && bool"),
        ("1 && 1", "has int && int"),
        ("!arg0", "has ! in front of a int32"),
        ("-arg2 == 1", "has - in front of something that is no number"),
        ("arg2 == - 1u", "has - in front of something that is no number"),
        ("arg9 == 1", "names arg9, but args has 5 elements"),
        ("arg4 == 1", "reads arg4, whose type string it cannot compare"),
        ("fd == 1", "names fd; only arg0, arg1"),
        ("argx == 1", "names argx; only"),
        ("arg\u0661 == 1", "is not understood at column 4"),
        ("size(arg0) == 1", "has no function size() of 1"),
        ("and(arg0) == arg0", "has no function and() of 1"),
        ("not(true)", "has no function not() of 1"),
        ("arg2 * 2 == 1", "is not understood at column 6"),
        ('arg2 == "a"', "is not understood at column 9"),
        ("arg2 == 1.5", "is not understood at column 9"),
        ("arg2 == 1 ? true : false", "is not understood at column 11"),
        ("(true", "lacks ) at its end"),
        ("true)", "is not understood at )"),
        ("true true", "is not understood at true"),
        ("arg2 == 9223372036854775808", "has a number of more than 64 bits"),
        ("arg2 == " + "9" * 4000, "has a number of more than 64 bits"),
        ("(" * 40 + "true" + ")" * 40, "is nested deeper than 32 levels"),
        ("x" * 5000, "has 5000 characters; at most 4096"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """The reason is reported."""
    with pytest.raises(UnfitError) as caught:
        Expression(text, TYPES)
    assert str(caught.value).startswith(message)


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join) | st.text(max_size=30))
def test_any_text(text: str) -> None:
    """It is a condition, or refused."""
    try:
        found = Expression(text, TYPES)
    except UnfitError:
        return
    assert Expression(shown(found.tree), TYPES) == found
