# SPDX-License-Identifier: Apache-2.0
"""Which capabilities the agent needs for what, found by taking the others away in guests.

docs/privileges.md shows the same table, so that nobody has to believe it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.vm import archives
from tests.vm.guests import PYZ
from tests.vm.privileges import FEATURES, table
from tools.guest import kernels, qemu

HERE = Path(__file__).resolve().parent
DOC = HERE.parents[1] / "docs/privileges.md"
GUEST_SIDE = (
    "after_start.py",
    "bounded.py",
    "capability_names.py",
    "privileged.py",
    "privileges.py",
    "situations.py",
)
# Everything that is needed is taken away one by one on the first; that takes minutes.
THOROUGH, OTHERS = "6.1", ("5.10", "7")

Record = dict[str, Any]


def release(name: str) -> tuple[int, int]:
    major, minor = kernels.get(name).release.split(".")[:2]
    return int(major), int(minor)


def plan(name: str) -> Record:
    """What is tried on a kernel."""
    needed = {feature: list(FEATURES[feature].needed(release(name))) for feature in FEATURES}
    attempts = list(needed.items())
    if name == THOROUGH:
        attempts += [
            (feature, [one for one in names if one != less])
            for feature, names in needed.items()
            for less in names
        ]
    return {"attempts": attempts, "after": [[], ["BPF"], ["BPF", "SYS_PTRACE"]]}


def boot(name: str) -> Record:
    kernel = kernels.get(name)
    known = archives.truth(kernel, PYZ)
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/tetrapy-without.pyz": archives.with_archive(
            PYZ, archives.VARIANTS["without-layout"](known)
        ),
        "/test/own.btf": archives.own_btf(known),
        "/test/plan.json": json.dumps(plan(name)),
        **{f"/test/tests/vm/{file}": HERE / file for file in GUEST_SIDE},
    }
    result = qemu.run(kernel, "cd /test && exec python3 -m tests.vm.privileged", files, smp=2)
    assert "record.json" in result.files, result.output
    return json.loads(result.files["record.json"])


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.matrix) for name in (THOROUGH, *OTHERS)],
)
def measured(request: pytest.FixtureRequest) -> tuple[str, Record]:
    """A kernel's name, and what was found on it."""
    return request.param, boot(request.param)


def test_what_is_said_to_be_needed(measured: tuple[str, Record]) -> None:
    """With just these capabilities each feature works; without any one of them it does not."""
    name, record = measured
    wrong = []
    for one in record["attempts"]:
        needed = set(FEATURES[one["feature"]].needed(release(name)))
        if one["works"] != (set(one["capabilities"]) == needed):
            wrong.append(one)
    assert len(record["attempts"]) >= len(FEATURES)
    assert not wrong


def test_what_is_needed_after_the_start(measured: tuple[str, Record]) -> None:
    """CAP_BPF for maps, before Linux 5.19; CAP_SYS_PTRACE for processes of other users."""
    name, record = measured
    for one in record["after"]:
        held, answers = set(one["capabilities"]), one["answers"]
        assert answers, one["told"]
        other = answers.pop("other users' programs")
        assert other == ("SYS_PTRACE" in held)
        assert answers.pop("events")
        assert answers.pop("detaching")
        assert set(answers.values()) == {"BPF" in held or release(name) >= (5, 19)}, one


def test_the_document_has_what_was_measured() -> None:
    """The table in docs/privileges.md is the one that the guests are held to."""
    found = re.search(r"<!-- features -->\n(.*?)<!-- end -->", DOC.read_text(), re.DOTALL)
    assert found
    assert found[1] == table()
