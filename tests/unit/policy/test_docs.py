# SPDX-License-Identifier: Apache-2.0
"""TracingPolicy: what is written from the schema, and the JSON Schema for editors."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given

from tests.support.paths import ROOT
from tests.support.policies import drawn_policies, kprobe, match, selector, spec
from tetrapy.policy.json_schema import schema
from tetrapy.policy.names import POLICY_NAMESPACED
from tetrapy.policy.schema.policy import object_types
from tools.policy_docs.pages import pages

GENERATED = pages()


@pytest.mark.parametrize("path", sorted(GENERATED))
def test_what_is_generated_is_up_to_date(path: str) -> None:
    """`python3 -m tools.policy_docs` has been run."""
    assert (ROOT / path).read_text() == GENERATED[path]


def test_every_field_says_what_it_is() -> None:
    """In a sentence that ends; names are there once."""
    for kind in object_types():
        assert kind.meaning.endswith(".")
        assert len({field.attribute for field in kind.fields}) == len(kind.fields)
        for field in kind.fields:
            assert re.fullmatch(r"[A-Z a-z].*[.]|[a-z].*\.", field.meaning), field.meaning
            assert field.attribute.isidentifier()


def mistakes(value: Any, rule: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """What a JSON Schema does not like about a value, by the keywords that ours uses."""
    known = {"$schema", "title", "description", "definitions", "default", "$ref", "anyOf", "type",
             "properties", "required", "additionalProperties", "items", "maxItems", "enum",
             "pattern", "minimum", "maximum"}  # fmt: skip
    assert set(rule) <= known
    if "$ref" in rule:
        return mistakes(value, whole["definitions"][rule["$ref"].rpartition("/")[2]], whole)
    if "anyOf" in rule:
        found = [mistakes(value, one, whole) for one in rule["anyOf"]]
        return [] if [] in found else found[0]
    if "type" not in rule:
        return []
    types = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    if not any(is_type(value, one) for one in types):
        return [f"{value!r} is no {types}"]
    out = []
    if "enum" in rule and value not in rule["enum"]:
        out.append(f"{value!r} is not in {rule['enum']}")
    if isinstance(value, str) and not re.search(rule.get("pattern", ""), value):
        out.append(f"{value!r} does not match")
    if "minimum" in rule and not rule["minimum"] <= value <= rule["maximum"]:
        out.append(f"{value} is out of range")
    if isinstance(value, list):
        if len(value) > rule.get("maxItems", len(value)):
            out.append(f"{len(value)} elements")
        out += [line for one in value for line in mistakes(one, rule["items"], whole)]
    if isinstance(value, dict):
        out += [f"{name} is missing" for name in rule.get("required", []) if name not in value]
        for name, one in value.items():
            inner = rule.get("properties", {}).get(name, rule["additionalProperties"])
            out += [f"{name} is unknown"] if inner is False else mistakes(one, inner, whole)
    return out


def is_type(value: Any, name: str) -> bool:
    """Whether a value of YAML is of a type of JSON."""
    kinds: dict[str, Any] = {"string": str, "boolean": bool, "array": list, "object": dict}
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return value is None if name == "null" else isinstance(value, kinds[name])


@pytest.mark.parametrize(
    "text",
    [
        kprobe(),
        match("Equal", "1"),
        spec("  loader: true\n  hostSelector: {}"),
        spec("  kprobes:\n  podSelector: ~"),
        spec("  loader: true").replace("TracingPolicy", POLICY_NAMESPACED),
    ],
)
def test_editors_accept_what_is_right(text: str) -> None:
    """The JSON Schema has nothing against it."""
    assert mistakes(yaml.safe_load(text), schema(), schema()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (spec("  probes: []"), "probes is unknown"),
        (spec("  kprobes: [{}]"), "call is missing"),
        (spec("  kprobes: [{call: 7}]"), "7 is no ['string']"),
        (spec("  loader: 1"), "1 is no ['boolean']"),
        (kprobe(kind="integer"), "'integer' is not in "),
        (selector("{}, {}, {}, {}, {}, {}"), "6 elements"),
        (kprobe(", returnArg: {index: -1}"), "-1 is out of range"),
        (spec("  loader: true").replace("{name: a}", "{name: A}"), "'A' does not match"),
        (spec("  loader: true").replace("TracingPolicy", "Pod"), "'Pod' is not in "),
    ],
)
def test_editors_refuse_what_is_wrong(text: str, found: str) -> None:
    """As the parser does."""
    assert any(
        line.startswith(found) for line in mistakes(yaml.safe_load(text), schema(), schema())
    )


@pytest.mark.slow
@given(drawn_policies())
def test_editors_accept_what_the_schema_draws(drawn: Any) -> None:
    """Parser and JSON Schema come from one description."""
    assert mistakes(drawn[0], schema(), schema()) == []


def test_the_schema_is_plain_json() -> None:
    """What is written is what is meant."""
    written = json.loads((ROOT / "docs/tracingpolicy.schema.json").read_text())
    assert written == json.loads(json.dumps(schema()))
