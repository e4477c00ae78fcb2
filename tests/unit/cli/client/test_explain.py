# SPDX-License-Identifier: Apache-2.0
"""`explain`, and commands that are about what tetrapy has not."""

from __future__ import annotations

import json

import pytest
import yaml

from tetrapy.cli.client.run import run


def explained(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(["explain", *words], "tetra") == 0
    return capsys.readouterr().out


def test_a_field_and_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """In the form of `kubectl explain`; all spellings of a path, names of any case."""
    text = explained(capsys, "tracingpolicy.spec.lists")
    head = "KIND:     TracingPolicy\nVERSION:  v1alpha1\n\nFIELD:    lists <[]object>\n\n"
    assert text.startswith(f"{head}DESCRIPTION:\n")
    assert "\nFIELDS:\n   name\t<string> -required-\n" in text
    assert "\n   values\t<[]string>\n" in text
    for path in ("TracingPolicy[spec][lists]", "tgtp[spec].lists", "tgtp.spec.lists[]"):
        assert explained(capsys, path) == text


def test_the_document_and_fields_of_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """With -R those of lists, too; of a mapping what its values are."""
    assert "FIELD:" not in explained(capsys, "tgtpn")
    deep = explained(capsys, "tgtp.spec.kprobes", "-R")
    assert "\n     matchArgs\t<[]object>\n" in deep
    assert "\n       operator\t<string> -required-\n" in deep
    assert "   <map[string]object>\n" in explained(capsys, "tgtp.spec.selectorsMacros")
    assert "matchArgs\t<[]object>" in explained(capsys, "tgtp.spec.selectorsMacros.anything")


def test_as_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """The same in JSON and YAML."""
    found = json.loads(explained(capsys, "tgtp.spec.lists", "-o", "json"))
    assert found["type"] == "array"
    assert found["items"]["properties"]["values"]["items"] == {"type": "string"}
    assert found["items"]["required"] == ["name"]
    assert yaml.safe_load(explained(capsys, "tgtp.spec.lists", "-o", "yaml")) == found


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["explain", "pod"], "unsupported resource: pod (supported resources: TracingPolicy,"),
        (["explain", "podinfo"], "Kubernetes"),
        (["explain", "tgtp.spec.x"], 'field "x" not found in "tgtp.spec.x" (available fields:'),
        (["explain", "tgtp.kind.x"], 'field "TracingPolicy.kind.x" does not have properties'),
        (["explain", ".a"], "cannot start or end with '.'"),
        (["explain", "tgtp", "--api-version", "v1"], "version v1 not found"),
        (["explain"], "accepts 1 arg(s), received 0"),
        (["policyfilter", "dump"], "failed to open policyfilter map"),
        (["policyfilter", "cgroupid", "/"], "failed to parse cgroup"),
        (["cgtracker", "dump"], "failed to open cgtracker map"),
        (["debug", "dump", "execve"], "failed to open execve map"),
        (["dump", "errmetrics", "-o", "json"], "failed to open errmetrics map"),
        (["pt", "run", "--all-tests"], "policy test FILE --replay"),
        (["policytest", "list"], "policy test FILE --replay"),
    ],
)
def test_refusals(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and a line that says why and what there is instead."""
    assert run(words, "tetra") == 1
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert error.startswith("Error: ")
    assert why in error
