# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy list`: what the info file says, and what the agent counted."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.unit.cli.client.server import Server
from tetrapy.cli.main import main
from tetrapy.cli.policy import list as listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL = "FineGuidanceSensors/ListTracingPolicies"
HOOKS = [
    {
        "hook": "lsm:f",
        "hook_index": 0,
        "called": "70",
        "missed": "1",
        "selectors": [
            {
                "selector_index": 0,
                "selector_label": "a",
                "matched": "5",
                "posted": "2",
                "acted": "4",
            },
            {"selector_index": 1, "matched": "6", "monitored": "3"},
        ],
    },
    {"hook": "lsm:gg", "hook_index": 1, "selectors": [{"selector_index": 0}]},
]


@pytest.fixture(name="server")
def fixture_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An agent with two policies, which is this process."""
    monkeypatch.setattr(listing, "RUN_DIRECTORY", str(tmp_path))
    policies = [
        {
            "id": number,
            "name": name,
            "namespace": "",
            "file": "/p",
            "state": state,
            "mode": "enforce",
            "sensors": ["generic_kprobe"],
            "hooks": 2,
            "left_out": [],
            "error": error,
            "kernel_memory_bytes": 9000,
            "silent": [],
        }
        for number, name, state, error in ((1, "p", "enabled", ""), (2, "q", "load_error", "no"))
    ]
    with Server(f"unix://{tmp_path}/socket") as server:
        info = {"pid": os.getpid(), "server_address": server.address, "policies": policies}
        (tmp_path / "tetrapy-info.json").write_text(json.dumps(info))
        yield server


@pytest.fixture(name="run")
def fixture_run(server: Server, capsys: pytest.CaptureFixture[str]) -> Any:
    """Gives exit code and both outputs."""

    def run(*flags: str) -> tuple[int, str, str]:
        code = main(["policy", "list", *flags])
        done = capsys.readouterr()
        return code, done.out, done.err

    return run


HEAD = "ID  NAME  STATE       MODE     SENSORS         HOOKS  KERNEL MEMORY  NAMESPACE\n"
FIRST = "1   p     enabled     enforce  generic_kprobe  2      9000           -\n"
SECOND = "2   q     load_error  enforce  generic_kprobe  2      9000           -\n"
NOTES = "    file: /p\n    error: no\n"


def test_the_list(server: Server, run: Any) -> None:
    """Out of the file alone: nobody is asked."""
    assert run() == (0, HEAD + FIRST + SECOND + NOTES, "")
    code, out, _ = run("-o", "json")
    assert code == 0
    assert [one["name"] for one in json.loads(out)["policies"]] == ["p", "q"]
    assert "hook_counters" not in json.loads(out)["policies"][0]
    assert server.asked == []


def test_whose_calls_are_not_told(tmp_path: Path, run: Any) -> None:
    """Below the policy: how many, whose, since when; of everybody's nobody knows how many."""
    path = tmp_path / "tetrapy-info.json"
    info = json.loads(path.read_text())
    owners = (("1000", "", 70), ("0", "42", 8), ("", "43", 9), ("", "", None))
    info["policies"][0]["silent"] = [
        {"uid": uid, "cgroup": cgroup, "since": "noon", "unreported": unreported}
        for uid, cgroup, unreported in owners
    ]
    path.write_text(json.dumps(info))
    texts = ("70 of uid 1000", "8 of uid 0 in cgroup 42", "9 of all uids in cgroup 43")
    silent = "".join(
        f"    calls not reported: {text}, since noon: they keep the agent busy\n"
        for text in (*texts, "of all uids")
    )
    assert run() == (0, HEAD + FIRST + silent + SECOND + NOTES, "")


def test_counters(server: Server, run: Any) -> None:
    """Below each policy that is in the kernel; in JSON as the API has them."""
    server.answers[CALL] = {"policies": [{"id": 1, "stats": {"hook_counters": HOOKS}}, {"id": 2}]}
    table = (
        "    HOOK     CFGIDX   CALLED   MISSED   SELECTOR   MATCHED   POSTED   ACTED   MONITORED"
        "   LABEL\n"
        "    lsm:f    0        70       1        0          5         2        4       0"
        "           a\n"
        "    lsm:f    0        70       1        1          6         0        0       3\n"
        "    lsm:gg   1        0        0        0          0         0        0       0\n"
    )
    assert run("--counters") == (0, HEAD + FIRST + table + SECOND + NOTES, "")
    code, out, _ = run("--counters", "--json")
    first, second = json.loads(out)["policies"]
    assert code == 0
    assert first["hook_counters"] == HOOKS
    assert second["hook_counters"] == []


def test_an_agent_that_does_not_answer(server: Server, run: Any) -> None:
    """It says why, and prints no list that could be taken for all."""
    server.answers[CALL] = (grpc.StatusCode.PERMISSION_DENIED, "not you")
    code, out, err = run("--counters")
    assert (code, out) == (255, "")
    assert "the agent does not tell its counters: rpc error: code = PermissionDenied" in err
