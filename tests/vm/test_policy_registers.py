# SPDX-License-Identifier: Apache-2.0
"""Functions of programs that policies override: registers of the process change. In guests only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.compile import program
from tests.vm.acting_policies import actions_of
from tests.vm.guests import PYZ
from tetrapy.abi.executable import Executable
from tools.guest import kernels, qemu

TEXT = "/test/overridden"
RETURN = ["rip=(%rsp)", "rsp=8%rsp"]


def selector(number: int, *registers: str, **more: Any) -> dict[str, Any]:
    changes = {"argRegs": list(registers)} if registers else {}
    return {
        "matchArgs": [{"index": 0, "operator": "Equal", "values": [str(number)]}],
        "matchActions": [{"action": "Override", **changes, **more}],
    }


def hook(*selectors: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "path": TEXT,
        "symbols": ["asked"],
        "args": [{"index": 0, "type": "int64"}],
        "selectors": list(selectors),
        **more,
    }


POLICIES: dict[str, dict[str, Any]] = {
    # It does not run, or gets something else: a number, a register, memory of the process.
    "ways": {
        "uprobes": [
            hook(
                selector(7, "rax=-42", *RETURN),
                selector(8, "rax=0x2a%rdi", *RETURN),
                selector(9, "rdi=(%rsi)"),
                selector(10, "rdi=%rdi"),
            )
        ]
    },
    # What cannot be read leaves the rest alone.
    "unreadable": {"uprobes": [hook(selector(11, "rax=(%rdi)", *RETURN))]},
    "other": {"uprobes": [hook(selector(12, "rax=120", *RETURN))]},
    "monitored": {
        "options": [{"name": "policy-mode", "value": "monitor"}],
        "uprobes": [hook(selector(13, "rax=0", *RETURN))],
    },
    "returning": {
        "uprobes": [
            hook(
                selector(14, "rax=0", *RETURN),
                **{"return": True, "returnArg": {"index": 0, "type": "int"}},
            )
        ]
    },
}
# In place of the function another one runs, or none, by its beginning; the two are differently far.
_FILE = Executable(program("overridden").read_bytes())
_ANSWERED = _FILE.offset_of_symbol("answered")
POLICIES["instead"] = {
    "uprobes": [
        hook(
            selector(20, argError=-13),
            selector(21, argNewSymbol="answered"),
            selector(22, argNewAddr=_FILE.address_of_offset(_ANSWERED)),
            selector(23, "rdi=77", argNewOffset=_ANSWERED),
            selector(121, argNewSymbol="answered"),
            symbols=["asked", "asked_again"],
        )
    ]
}
POLICIES["nowhere"] = {"uprobes": [hook(selector(24, argNewSymbol="nobody"))]}
INSTEAD = {20: -13, 21: 21_000, 22: 22_000, 23: 77_000, 121: 121_000, 24: 25, 124: -124}
SAID = {7: -42, 8: 50, 9: 1001, 10: 11, 11: 12, 12: 120, 13: 14, 14: 15, 15: 16, **INSTEAD}
ACTED = [*range(7, 14), 20, 21, 22, 23, 121]
PLAIN = {number: number + 1 if number < 100 else -number for number in SAID}
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \\
    --tracing-policy-dir /policies >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
/test/overridden NUMBERS >/result/said
python3 /test/tetrapy.pyz tracingpolicy list -o json >/result/list
sleep 1
kill -TERM $agent; wait $agent
/test/overridden NUMBERS >/result/afterwards
"""


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", ["6.18", "7"], ids="on-{}".format)
def test_functions_of_programs(kernel: str) -> None:
    """In several ways and policies at once; without the agent all is as it was."""
    files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ, TEXT: program("overridden")}
    for name, spec in POLICIES.items():
        head = {"apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicy"}
        document = {**head, "metadata": {"name": name}, "spec": spec}
        files[f"/policies/{name}.yaml"] = json.dumps(document).encode()
    script = SCRIPT.replace("NUMBERS", " ".join(map(str, SAID)))
    result = qemu.run(kernels.get(kernel), script, files)
    log = result.files["log"].decode(errors="replace")
    policies = {one["name"]: one for one in json.loads(result.files["list"])["policies"]}
    said = dict(zip(SAID, map(int, result.files["said"].split()), strict=True))
    assert said == SAID, (policies, log)
    afterwards = dict(zip(SAID, map(int, result.files["afterwards"].split()), strict=True))
    assert afterwards == PLAIN
    assert "Override of a uprobe with return" in policies["returning"]["error"]
    assert "there is no symbol nobody" in policies["nowhere"]["error"]
    counters = {name: actions_of(one) for name, one in policies.items()}
    counted = {name: found for name, found in counters.items() if found}
    assert counted == {
        "ways": {"override": "4"},
        "unreadable": {"override": "1"},
        "other": {"override": "1"},
        "monitored": {"monitor_override": "1"},
        "instead": {"override": "5"},
    }
    lines = [json.loads(line).get("process_uprobe") for line in result.files["events"].splitlines()]
    acted = [(one["args"][0]["long_arg"], one["action"]) for one in lines if one]
    assert acted == [(str(number), "KPROBE_ACTION_OVERRIDE") for number in ACTED]
