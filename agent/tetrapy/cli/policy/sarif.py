# SPDX-License-Identifier: Apache-2.0
"""What `tetrapy policy check` found, as SARIF 2.1.0 (OASIS), which code review tools read."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Tuple
from urllib.parse import quote

from tetrapy.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ERROR, _WARNING, _NOTE = "error", "warning", "note"

INVALID, UNMEANT, UNSUPPORTED = "invalid-policy", "probably-not-meant", "not-supported-yet"
NOT_ON_KERNEL, UNLIKELY_ON_KERNEL, NOT_KNOWN = "not-on-kernel", "doubtful-on-kernel", "not-known"
# In the order of their numbers in results.
_RULES: Mapping[str, Tuple[str, str]] = {
    INVALID: (_ERROR, "The policy breaks a rule and cannot be loaded."),
    UNMEANT: (_WARNING, "The policy can be loaded, but this is probably not meant."),
    UNSUPPORTED: (_NOTE, "A feature of Tetragon that this tetrapy does not have yet."),
    NOT_ON_KERNEL: (_ERROR, "What is hooked or read is not there on a kernel."),
    UNLIKELY_ON_KERNEL: (_WARNING, "What is read is probably not what is meant on a kernel."),
    NOT_KNOWN: (_NOTE, "What is known of a kernel does not tell whether this is there."),
}


def log(reports: Iterable[Mapping[str, Any]]) -> Dict[str, Any]:
    """A SARIF log of one run, from the reports of files."""
    results: List[Dict[str, Any]] = []
    notifications = []
    for report in reports:
        if "unreadable" in report:
            notifications.append(
                {
                    "level": _ERROR,
                    "message": {"text": report["unreadable"]},
                    "locations": [_location(report["file"])],
                }
            )
            continue
        results += _results(report)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver()},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not notifications,
                        "toolExecutionNotifications": notifications,
                    }
                ],
                "results": results,
            }
        ],
    }


def _driver() -> Dict[str, Any]:
    rules = [
        {
            "id": name,
            "shortDescription": {"text": text},
            "defaultConfiguration": {"level": level},
        }
        for name, (level, text) in _RULES.items()
    ]
    return {"name": "tetrapy policy check", "version": __version__, "rules": rules}


def _results(report: Mapping[str, Any]) -> Iterable[Dict[str, Any]]:
    path = report["file"]
    for rule, problems in ((INVALID, report["errors"]), (UNMEANT, report["warnings"])):
        for problem in problems:
            yield _result(rule, path, problem, "")
    for feature in report["later"]:
        text = f"{feature['path']}: {feature['name']} is not supported yet ({feature['part']})"
        yield _made(UNSUPPORTED, text, _location(path))
    for kernel in report.get("kernels", ()):
        for rule, name in (
            (NOT_ON_KERNEL, "errors"),
            (UNLIKELY_ON_KERNEL, "warnings"),
            (NOT_KNOWN, "unanswered"),
        ):
            for problem in kernel[name]:
                yield _result(rule, path, problem, f"{kernel['kernel']}: ")


def _result(rule: str, path: str, problem: Mapping[str, Any], start: str) -> Dict[str, Any]:
    text = f"{problem['path']}: {problem['message']}" if problem["path"] else problem["message"]
    location = _location(path)
    location["physicalLocation"]["region"] = {
        "startLine": problem["line"],
        "startColumn": problem["column"],
    }
    return _made(rule, start + text, location)


def _made(rule: str, text: str, location: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "ruleId": rule,
        "ruleIndex": list(_RULES).index(rule),
        "level": _RULES[rule][0],
        "message": {"text": text},
        "locations": [location],
    }


def _location(path: str) -> Dict[str, Any]:
    uri = ("file://" if path.startswith("/") else "") + quote(
        path.encode("utf-8", "surrogateescape")
    )
    return {"physicalLocation": {"artifactLocation": {"uri": uri}}}
