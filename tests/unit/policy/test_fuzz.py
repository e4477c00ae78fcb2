# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: any bytes give a policy or a PolicyError, and what is drawn is read back."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.policies import drawn_policies, kprobe, match, selector, spec, written
from tetrapy.config.yaml_nodes import MAX_NODES
from tetrapy.errors import PolicyError
from tetrapy.policy.later import later
from tetrapy.policy.parser import parse
from tetrapy.policy.problems import MAX_PROBLEMS, Problems
from tetrapy.policy.read import read_policy
from tetrapy.policy.schema.policy import object_types
from tetrapy.policy.text import text_of

SEEDS = [
    kprobe(", message: hello, tags: [ab], return: true, returnArg: {index: 0, type: int}"),
    match("InRange", "1:5"),
    match("DAddr", "10.0.0.0/8", "fe80::1", kind="sock"),
    match("CelExpr", "arg0 == int32(1)"),
    selector("{macros: [m], matchActions: [{action: Post, rateLimit: 5m}]}")
    + "\n  selectorsMacros: {m: {matchPIDs: [{operator: In, values: [1]}]}}",
    spec("  lists: [{name: l, type: syscalls, values: [sys_dup]}]\n  kprobes: [{call: 'list:l'}]"),
    spec("  uprobes: [{path: /a, symbols: [a+1], binaryDigests: ['build-id:00']}]"),
    spec("  x: &a [1, *a]\n  <<: {y: z}\n  ? b\n  : |\n    c\n"),
]
WORDS = [field.name for kind in object_types() for field in kind.fields]
MARKS = [
    *WORDS,
    ": ",
    "\n",
    "\n  - ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: *a",
    "!!int ",
    "|",
    "'",
]
MARKS += ['"\\0', "\t", "0x", "-1", "~", "---\n", "9" * 30, "\u2028", "#", "%", "@", "list:", "+"]


def attempt(text: str) -> None:
    """A policy, whose later features can be reported, or mistakes that can be shown; not too
    many.
    """
    problems: tuple[Any, ...] = ()
    try:
        read = read_policy(text)
        assert all(str(one) for one in (*read.warnings, *later(read.policy)))
    except PolicyError as err:
        problems = err.problems
        assert problems
    assert len(problems) <= MAX_PROBLEMS + 1
    for problem in problems:
        assert str(problem).isprintable()
        assert problem.line > 0 < problem.column
        assert len(str(problem)) < 5000


@pytest.mark.slow
@given(drawn_policies(), st.sampled_from([True, False, None]), st.booleans())
def test_what_is_drawn_is_read_back(drawn: Any, flow: bool | None, wide: bool) -> None:
    """Every field of the schema, written in any style."""
    document, policy = drawn
    problems = Problems()
    found = parse(written(document, flow=flow, wide=wide), problems)
    assert found == policy
    assert problems.errors == []


@pytest.mark.slow
@given(drawn_policies())
def test_rules_on_what_is_drawn(drawn: Any) -> None:
    """The rules are kept or broken, whatever is drawn."""
    attempt(written(drawn[0], flow=None, wide=True))


@given(st.text(max_size=200))
@example("\ufeff")
@example("a: !!python/object:os.system x")
@example('"\\UFFFFFFFF"')
@example("- " * 1000)
def test_any_text(text: str) -> None:
    """Whatever it is."""
    attempt(text)


@given(st.lists(st.sampled_from(MARKS), max_size=40).map("".join))
def test_pieces_of_policies(text: str) -> None:
    """Words of the schema and marks of YAML in any order."""
    attempt(text)
    attempt(spec("  " + text))


@pytest.mark.slow
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_mutated_policies(seed: str, chance: random.Random) -> None:
    """Pieces of a right policy that are cut out, doubled or replaced."""
    text = seed
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.randint(0, 12))
        middle = chance.choice(
            ["", text[start:end] * 2, chance.choice(MARKS), chance.choice(WORDS)]
        )
        text = text[:start] + middle + text[end:]
    attempt(text)


@given(st.binary(max_size=60) | st.sampled_from(SEEDS).map(str.encode))
@example(b"\xff\xfe\0")
@example(b"\xef\xbb\xbf" + SEEDS[0].encode())
def test_any_bytes_in_a_file(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """With a byte order mark, of another encoding, or no text at all."""
    path = tmp_path_factory.getbasetemp() / "policy.yaml"
    path.write_bytes(content)
    try:
        read_policy(text_of(str(path)))
    except PolicyError:
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "a: " + "1" * 300_000,
        "a: &a [" + "*a," * 300_000 + "]",
        "&a " * 300_000,
        "%TAG ! x\n" * 30_000,
        "{" * 1_000_000,
        "? " * 400_000,
        "- - - - " * 100_000,
        '"' + "\\x41" * 220_000 + '"',
        "#" * 1_000_000,
        "\n" * 1_000_000,
        "a: |\n" + " x\n" * 100_000,
        "a" * 1_000_000,
        "'" * 1_000_001,
        "kind: TracingPolicy\n" * 20_000,
        spec("  kprobes:\n" + "  - {}\n" * (MAX_NODES // 2)),
    ],
    ids=range(15),
)
def test_large_texts(text: str) -> None:
    """They are refused within bounds."""
    attempt(text)


def test_a_large_file(tmp_path: Path) -> None:
    """More than a policy can be is not read."""
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"#" * 10_000_000)
    with pytest.raises(OSError, match="it is larger than 1048576 bytes"):
        text_of(str(path))
