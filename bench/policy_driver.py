# SPDX-License-Identifier: Apache-2.0
"""What runs in the deterministic guest for bench.policies: calls without and with policies.

Guest nanoseconds are instructions there. It computes and judges nothing; everything ends in
/result/policies.json. Usage: python3 -m bench.policy_driver COUNT (calls of a load).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.driver import AGENT, RESULT, SETTLE, Agent, bpf_descriptors, cpu_ns, memory

CALLS = "/test/calls"
READ = "/test/data/read"
BURSTS, BURST = 3, 2000

_READ_ONLY = [f"/boot/{name}" for name in "grub vmlinuz initrd config".split()]
_READ_ONLY += [f"/etc/{name}" for name in "shadow sudoers pam.d ssh ssl".split()]
_ENDS = [f".{name}" for name in "bashrc zshrc profile login logout netrc pgpass npmrc".split()]
_ENDS += ["id_rsa", "id_ed25519"]
_WRITTEN = [f"/{name}" for name in "etc boot lib lib64 bin sbin var/log root/.ssh opt/app".split()]
_WRITTEN += [f"/usr/{name}" for name in "bin sbin lib local/bin local/lib".split()]


def _filter(index: int, operator: str, *values: str) -> dict[str, Any]:
    return {"index": index, "operator": operator, "values": list(values)}


def _hook(call: str, kinds: list[str], *selectors: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "call": call,
        "syscall": call.startswith("sys_"),
        "args": [{"index": index, "type": kind} for index, kind in enumerate(kinds)],
        "selectors": [{"matchArgs": filters} for filters in selectors],
    }


def _returning(hook: dict[str, Any]) -> dict[str, Any]:
    return {**hook, "return": True, "returnArg": {"index": 0, "type": "int"}}


_PERMISSION = ("security_file_permission", ["file", "int"])
# Of the shape of Tetragon's file_monitoring.yaml: as many hooks, arguments, filters and values.
FILES = [
    _returning(
        _hook(
            *_PERMISSION,
            [_filter(0, "Prefix", *_READ_ONLY), _filter(1, "Equal", "4")],
            [_filter(0, "Postfix", *_ENDS), _filter(1, "Equal", "4")],
            [_filter(0, "Prefix", *_WRITTEN), _filter(1, "Equal", "2")],
        )
    ),
    _returning(
        _hook(
            "security_mmap_file",
            ["file", "uint32", "uint32"],
            [
                _filter(0, "Prefix", *_READ_ONLY, *_ENDS),
                _filter(1, "Equal", "1"),
                _filter(2, "Mask", "1"),
            ],
            [_filter(0, "Prefix", *_WRITTEN), _filter(1, "Mask", "2"), _filter(2, "Mask", "1")],
        )
    ),
    _returning(_hook("security_path_truncate", ["path"], [_filter(0, "Prefix", *_WRITTEN)])),
]
# Name -> hooks, and the calls that are made.
POLICIES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "prefix": ([_hook(*_PERMISSION, [_filter(0, "Prefix", "/etc")])], ["pread", READ]),
    "files": (FILES, ["pread", READ]),
    "number": ([_hook("sys_getpgid", ["int"], [_filter(0, "Equal", "77")])], ["getpgid", "0"]),
    "matching": ([_hook(*_PERMISSION, [_filter(0, "Equal", READ)])], ["pread", READ]),
}


def calls(words: list[str], count: int) -> int:
    """Make calls; their nanoseconds."""
    done = subprocess.run(
        [CALLS, *words, str(count)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout.rpartition("ns=")[2])


def children_ns(pid: int) -> int:
    """CPU time of the children that a process has waited for, in steps of 10 ms (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * 10_000_000


def written(name: str) -> str:
    """The file of a policy."""
    path = Path(f"/test/{name}.yaml")
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {"kprobes": POLICIES[name][0]},
    }
    path.write_text(json.dumps(document))
    return str(path)


def listed() -> list[dict[str, Any]]:
    """What the agent says of its policies."""
    command = [sys.executable, *AGENT, "policy", "list", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)["policies"]
    assert isinstance(found, list)
    return found


def life(name: str, count: int) -> dict[str, Any]:
    """An agent with one policy, or with none."""
    agent = Agent(name, ["--tracing-policy", written(name)] if name in POLICIES else [])
    record: dict[str, Any] = {"start": agent.start_cpu + children_ns(agent.pid)}
    time.sleep(SETTLE)
    record["memory"] = memory(agent.pid)
    record["descriptors"] = bpf_descriptors(agent.pid)
    if name in POLICIES:
        record["policies"] = listed()
        words = POLICIES[name][1]
        calls(words, count // 4)
        if name == "matching":
            time.sleep(SETTLE)
            record["bursts"] = [burst(agent, words) for _ in range(BURSTS)]
            record["lines"] = agent.export.read_bytes().count(b'{"process_kprobe"') - count // 4
        else:
            record["calls"] = calls(words, count)
    agent.stop()
    record["log"] = agent.log.decode()
    return record


def burst(agent: Agent, words: list[str]) -> dict[str, int]:
    """Calls without a pause; `cpu` is the agent's, `during` what of it fell between them."""
    before = cpu_ns(agent.pid)
    wall = calls(words, BURST)
    during = cpu_ns(agent.pid) - before
    time.sleep(SETTLE)
    return {"wall": wall, "during": during, "cpu": cpu_ns(agent.pid) - before}


def main() -> None:
    """Each policy in an agent of its own."""
    count = int(sys.argv[1])
    Path(READ).parent.mkdir(parents=True)
    Path(READ).write_text("x")
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    calls(["pread", READ], count)
    record: dict[str, Any] = {
        "count": count,
        "pread": calls(["pread", READ], count),
        "getpgid": calls(["getpgid", "0"], count),
        "none": life("none", count),
    }
    for name in POLICIES:
        record[name] = life(name, count)
    (RESULT / "policies.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
