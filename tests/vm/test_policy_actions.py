# SPDX-License-Identifier: Apache-2.0
"""Policies that act on processes. They are attached in guests only.

Each kind of hook, in one run of an agent; processes that nobody is to miss make the calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.compile import program
from tests.vm.acting_policies import EACCES, ENOSPC, EPERM, EROFS, POLICIES, POSTS, actions_of
from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

SCRIPT = """
mkdir -p /tmp/act/directory; cd /tmp/act; touch readable refused secret deadly; cd /
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf --rb-size-total 128K \
    --tracing-policy-dir /policies >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/acting.py $agent >/result/fates 2>/result/load
sleep 1
kill -TERM $agent; wait $agent
busybox dmesg | busybox grep -c bpf_probe_write_user >/result/warnings
"""


class Answer:
    """What a guest says after all processes have met their fates."""

    def __init__(self, kernel: str) -> None:
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": PYZ,
            "/test/acting.py": Path(__file__).with_name("acting.py"),
            "/test/settable": program("settable"),
        }
        for name, spec in POLICIES.items():
            document = {
                "apiVersion": "cilium.io/v1alpha1",
                "kind": "TracingPolicy",
                "metadata": {"name": name},
                "spec": spec,
            }
            files[f"/policies/{name}.yaml"] = json.dumps(document).encode()
        result = qemu.run(kernels.get(kernel), SCRIPT, files, append="lsm=bpf")
        self.log = result.files["log"].decode(errors="replace")
        assert result.files["load"] == b"", result.files["load"].decode() + self.log
        answer = json.loads(result.files["fates"])
        self.fates: dict[str, Any] = answer["fates"]
        self.said: dict[str, str] = answer["said"]
        self.policies = {one["name"]: one for one in answer["listed"]["policies"]}
        self.at_end = {one["name"]: one for one in answer["at_end"]["policies"]}
        self.warnings = int(result.files["warnings"])
        self.written: dict[str, list[int]] = answer["written"]
        self.events: dict[str, list[Any]] = {}
        for line in result.files["events"].splitlines():
            for body in json.loads(line).values():
                if isinstance(body, dict) and "policy_name" in body:
                    self.events.setdefault(body["policy_name"], []).append(body)

    def actions(self, policy: str) -> list[str]:
        return [one["action"] for one in self.events.get(policy, ())]

    def counts(self, policy: str) -> dict[str, str]:
        return actions_of(self.policies[policy])

    def posts(self, policy: str) -> list[str]:
        """How many events were sent, and how many calls an action NoPost kept back."""
        found = self.policies[policy]["stats"]["action_counters"]
        return [found.get(action, "0") for action in POSTS]

    def hook(self, policy: str) -> Any:
        """The counters of its only hook, after all."""
        (found,) = self.at_end[policy]["stats"]["hook_counters"]
        return found

    def selectors(self, policy: str) -> list[tuple[int, int, int]]:
        """The same of its selectors: matched, acted, would have."""
        names = ("matched", "acted", "monitored")
        return [
            tuple(int(one.get(name, 0)) for name in names) for one in self.hook(policy)["selectors"]
        ]


def killed(fate: dict[str, Any]) -> bool:
    return bool(fate["status"] == -9)


def expect_signals(answer: Answer) -> None:
    """Those of all hooks but LSM's, and what is told and counted of them."""
    fates = answer.fates
    assert fates["spared"] == {"status": 0, "heard": []}
    for name in ("kprobe", "raw", "uprobe", "quiet", "full"):
        assert killed(fates[name]), (name, fates[name], answer.policies.get(name), answer.log)
    assert fates["tracepoint"] == {"status": 0, "heard": [10]}
    assert fates["limited"] == {"status": 0, "heard": [10] * 5}
    assert fates["return"] == fates["full_return"] == {"status": 0, "heard": [12]}
    assert sorted(fates["both"]["heard"]) == [10, 12]
    # Others who wait in the function take nobody's return.
    assert fates["crowded"] == {"status": 0, "heard": [12]}, answer.log
    assert fates["second"] == {"status": 0, "heard": [12]}
    assert answer.actions("kprobe")[0] == "KPROBE_ACTION_SIGKILL"
    assert answer.actions("raw") == ["KPROBE_ACTION_SIGKILL"]
    assert answer.actions("uprobe") == ["KPROBE_ACTION_SIGKILL"]
    assert answer.actions("tracepoint") == ["KPROBE_ACTION_SIGNAL"]
    assert answer.actions("quiet") == []
    assert answer.actions("limited") == ["KPROBE_ACTION_SIGNAL"]
    assert answer.counts("limited") == {"signal": "5"}
    assert answer.posts("limited") == ["1", "0"]
    assert answer.posts("quiet")[0] == "0" != answer.posts("quiet")[1]
    assert answer.counts("both") == {"signal": "2"}
    returned = answer.events["return"][0]
    assert returned["return_action"] == "KPROBE_ACTION_SIGNAL"
    assert returned["action"] == "KPROBE_ACTION_POST"
    (selector,) = answer.policies["second"]["stats"]["selector_action_counters"]
    assert selector["hook"] == "kprobe:sys_getpgid"
    assert (selector["selector_index"], selector["selector_label"]) == (1, "by text")


def expect_owners(answer: Answer) -> None:
    """Calls with a socket are told of whoever made it, until it is forgotten."""
    assert answer.fates["tracked"]["status"] == 0
    called: dict[str, list[Any]] = {}
    for one in answer.events["tracked"]:
        called.setdefault(one["function_name"], []).append(one)
    first, second = (one["process"] for one in called["security_socket_listen"])
    (shut,) = called["inet_shutdown"]
    assert first["exec_id"] == shut["process"]["exec_id"] == second["parent_exec_id"]
    assert first["pid"] in [one["process"]["pid"] for one in called["sk_alloc"]]
    assert shut["action"] == "KPROBE_ACTION_UNTRACKSOCK"


def expect_written(answer: Answer) -> None:
    """Memory of a process is written where its argument is; the event has what was there."""
    assert answer.written == {"7": [32, -1, 7], "8": [8, 8, 8], "9": [9, 9, 9]}, answer.log
    (event,) = answer.events["set"]
    assert (event["action"], event["args"]) == ("KPROBE_ACTION_SET", [{"int_arg": 7}])
    assert answer.counts("set") == answer.counts("set-indexed") == {"set": "1"}
    assert answer.counts("set-monitored") == {"monitor_set": "1"}
    assert answer.selectors("set") == [(1, 1, 0)]
    assert answer.selectors("set-monitored") == [(1, 0, 1)]
    assert answer.policies["set"]["mode"] == "TP_MODE_ENFORCE"
    # Where nothing may be written nothing is, and that is not counted as done.
    assert answer.selectors("set-constant") == [(1, 0, 0)]
    assert "argument 0 is not 4 bytes in the memory" in answer.policies["set-short"]["error"]
    # The kernel warns of the program that writes: of its trial, and where it is loaded.
    assert answer.warnings > 0


def expect_modes(answer: Answer) -> None:
    """What monitors acts on nobody and tells the same; it may enforce at any time."""
    fates = answer.fates
    assert fates["monitored"] == fates["monitored_again"] == {"status": 0, "heard": []}
    assert killed(fates["enforced"]), answer.said
    assert answer.actions("monitored") == ["KPROBE_ACTION_SIGKILL"] * 3
    assert answer.counts("monitored") == {"signal": "1", "monitor_signal": "2"}
    modes = {name: one.get("mode") for name, one in answer.policies.items()}
    assert modes["monitored"] == "TP_MODE_MONITOR"
    assert (modes["kprobe"], modes["only"]) == ("TP_MODE_ENFORCE", "TP_MODE_MONITOR_ONLY")
    assert "no action that it could enforce" in answer.said["only"]


def expect_counters(answer: Answer) -> None:
    """Each match once: in any mode, told or not, and while the buffer is full."""
    assert answer.selectors("monitored") == [(3, 1, 2)]
    assert answer.selectors("kprobe") == [(2, 2, 0)]
    assert answer.selectors("quiet") == [(1, 1, 0)]
    assert answer.selectors("limited") == [(5, 5, 0)]
    assert answer.selectors("return") == [(2, 2, 0)]  # decided when the function returns
    assert answer.selectors("both") == [(1, 2, 0)]
    assert answer.selectors("second") == [(0, 0, 0), (1, 1, 0)]
    assert answer.selectors("only") == [(20000, 0, 0)]
    assert answer.selectors("tracepoint") == [(1, 1, 0)]
    assert answer.selectors("raw") == [(1, 1, 0)]
    assert answer.selectors("uprobe") == [(1, 1, 0)]
    # All of the same function, which was called with other numbers, too.
    policies = "kprobe quiet limited return both second monitored only tracepoint".split()
    (called,) = {int(answer.hook(name)["called"]) for name in policies}
    assert called >= 20016


def expect_overrides(answer: Answer) -> None:
    """Of LSM hooks and of functions before them."""
    fates = answer.fates
    assert fates["readable"]["status"] == 0
    assert fates["secret"]["status"] == EACCES, answer.policies["lsm"]
    assert fates["refused"]["status"] == EPERM  # no error is named
    assert killed(fates["deadly"])
    assert sorted(answer.actions("lsm")) == ["KPROBE_ACTION_OVERRIDE"] * 2 + [
        "KPROBE_ACTION_SIGKILL"
    ]
    assert fates["mkdir"]["status"] == EROFS, answer.policies["override"]
    assert fates["mkdir_other"] == {"status": 0, "heard": []}
    # Who goes by what the function returns sees what it is overridden by, and acts too.
    assert sorted(fates["mkdir"]["heard"]) == [10, 12], (answer.policies, answer.log)
    for name in ("before", "seen"):
        (event,) = answer.events[name]
        assert event["return"] == {"int_arg": -EROFS}
        assert event["return_action"] == "KPROBE_ACTION_SIGNAL"
        assert answer.counts(name) == {"signal": "1"}
    assert answer.actions("override") == ["KPROBE_ACTION_OVERRIDE"]
    assert answer.counts("override") == {"override": "1"}
    # What awaits a thread holds for one call.
    assert fates["armed"]["status"] == ENOSPC, answer.policies["enforcer"]
    assert fates["unarmed"]["status"] == 0
    assert answer.actions("enforcer") == ["KPROBE_ACTION_NOTIFYENFORCER"]
    assert answer.counts("enforcer") == {"notify_enforcer": "1"}
    assert answer.counts("lsm") == {"override": "2", "signal": "1"}
    refused = answer.policies["unreturned"]
    assert refused["state"] == "TP_STATE_LOAD_ERROR"
    assert "CONFIG_BPF_KPROBE_OVERRIDE" in refused["error"]


def test_actions() -> None:
    """Signals, overrides and modes on a kernel that has all of them."""
    answer = Answer("6.1")
    expect_signals(answer)
    expect_owners(answer)
    expect_written(answer)
    expect_modes(answer)
    expect_counters(answer)
    expect_overrides(answer)


@pytest.mark.matrix
def test_actions_on_an_old_kernel() -> None:
    """Where links tell programs nothing of themselves, each hook has an instance."""
    answer = Answer("5.10")
    expect_signals(answer)
    expect_owners(answer)
    expect_written(answer)
    expect_modes(answer)
    expect_counters(answer)
