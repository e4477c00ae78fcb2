# SPDX-License-Identifier: Apache-2.0
"""Policies for tests: written in YAML, and drawn from the schema."""

from __future__ import annotations

import random
from typing import Any

import yaml
from hypothesis import strategies as st

from tetrapy.errors import PolicyError
from tetrapy.policy import types
from tetrapy.policy.problems import Problem
from tetrapy.policy.read import Read, read_policy
from tetrapy.policy.schema.field import ANYTHING, FLAG, LIST, MAP, NUMBERS, TEXT, Field, ObjectType
from tetrapy.policy.schema.policy import POLICY

HEAD = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: a}\nspec:\n"


def spec(text: str) -> str:
    """A policy with this spec, whose lines are indented by two."""
    return HEAD + text


def kprobe(text: str = "", *, kind: str = "int") -> str:
    """A policy with one kprobe that has an argument; the text is more of the hook, in a flow."""
    return spec(
        f"  kprobes:\n  - {{call: f, syscall: false, args: [{{index: 0, type: {kind}}}]{text}}}"
    )


def selector(text: str, *, kind: str = "int") -> str:
    """A policy with one kprobe and one selector, in a flow."""
    return kprobe(f", selectors: [{text}]", kind=kind)


def match(operator: str, *values: str, kind: str = "int") -> str:
    """A policy with one filter on its argument."""
    shown = ", ".join(
        '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    )
    return selector(
        f"{{matchArgs: [{{index: 0, operator: {operator}, values: [{shown}]}}]}}", kind=kind
    )


def read(text: str) -> Read:
    """The policy, which must be accepted."""
    return read_policy(text)


def refused(text: str) -> list[Problem]:
    """The mistakes of a policy, which must be refused."""
    try:
        accepted = read_policy(text)
    except PolicyError as err:
        return list(err.problems)
    raise AssertionError(f"was accepted: {accepted}")


def lines(text: str) -> list[str]:
    """The same as they are shown."""
    return [str(problem) for problem in refused(text)]


def drawn_policies() -> st.SearchStrategy[tuple[dict[str, Any], types.Policy]]:
    """Documents of the schema, with what must be read of them; no rule between fields is kept.

    By a seed: there is nothing to gain by shrinking, which would take minutes.
    """
    return st.integers(0, (1 << 64) - 1).map(lambda seed: _object(POLICY, random.Random(seed)))


def _object(kind: ObjectType, chance: random.Random) -> Any:
    document: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for field in kind.fields:
        if field.kind == ANYTHING:
            if chance.random() < 0.1:
                document[field.name] = chance.choice([None, 1, "x", [{}], {"a": 1}])
            continue
        values[field.attribute] = field.default
        if field.required or chance.random() < 0.3:
            document[field.name], values[field.attribute] = _field(field, chance)
    keys = list(document)
    chance.shuffle(keys)
    return {key: document[key] for key in keys}, getattr(types, kind.name)(**values)


def _field(field: Field, chance: random.Random) -> Any:
    if field.many == LIST:
        pairs = [_one(field, chance) for _ in range(chance.randint(0, min(field.most or 2, 2)))]
        return [left for left, _ in pairs], tuple(right for _, right in pairs)
    if field.many == MAP:
        made = {_text(chance): _one(field, chance) for _ in range(chance.randint(0, 2))}
        return (
            {name: left for name, (left, _) in made.items()},
            {name: right for name, (_, right) in made.items()},
        )
    return _one(field, chance)


def _one(field: Field, chance: random.Random) -> Any:
    if isinstance(field.kind, ObjectType):
        return _object(field.kind, chance)
    value: Any
    if field.choices:
        value = chance.choice(field.choices)
    elif field.pattern:
        value = "a" + "".join(chance.choices("abz09", k=chance.randint(0, 6)))
    elif field.kind == TEXT:
        value = _text(chance)
    elif field.kind == FLAG:
        value = chance.random() < 0.5
    else:
        ends = NUMBERS[field.kind]
        value = chance.choice([*ends, 0, 7, chance.randint(*ends)])
    return value, value


def _text(chance: random.Random) -> str:
    """Among them those that YAML would take for something else without quotes."""
    words = ["yes", "~", "0x1", "1:5", "", "<<", "- a", "a: b", "#", "null", "1e3", "a\nb", " a "]
    letters = "ab \t\n\0\x85\u00e9\u2028\u202e\U0001f600'\"\\{}[]:,#&*!|>%@`-"
    return chance.choice([*words, "".join(chance.choices(letters, k=chance.randint(0, 8)))])


def written(document: dict[str, Any], *, flow: bool | None, wide: bool) -> str:
    """A document as YAML in ASCII: PyYAML does not read back all other letters that it writes."""
    text: str = yaml.safe_dump(
        document, default_flow_style=flow, width=1000 if wide else 30, sort_keys=False
    )
    return text
