# SPDX-License-Identifier: Apache-2.0
"""Policies from files to attached programs, in the built file on this kernel, and their list."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import PYZ, isolated, until
from tests.support.compile import installed
from tests.support.policy_agent import count, listed, opened, policy, started

HAS_KPROBES = Path("/sys/bus/event_source/devices/kprobe").exists()


def test_tracepoints(tmp_path: Path) -> None:
    """Two hooks at one tracepoint, both observe; a raw one; none when the agent is gone."""
    wanted, other = tmp_path / "wanted", tmp_path / "other"
    text = policy("opens", {"tracepoints": [opened(str(wanted)), opened(str(wanted))]})
    raw = policy(
        "raw",
        {
            "tracepoints": [
                {
                    "subsystem": "sched",
                    "event": "sched_process_exit",
                    "raw": True,
                    "selectors": [
                        {"matchBinaries": [{"operator": "In", "values": ["/usr/bin/nothing"]}]}
                    ],
                }
            ]
        },
    )
    with started(tmp_path / "agent", opens=text, raw=raw) as agent:
        agent.started()
        subprocess.run(["cat", str(wanted), str(other)], check=False, stderr=subprocess.DEVNULL)
        until(lambda: count(agent, "process_tracepoint", "opens") == 2, "both events")
        one, two = listed(agent)
        assert (one["id"], one["name"], one["state"], one["hooks"]) == (1, "opens", "enabled", 2)
        assert one["sensors"] == ["generic_tracepoint"]
        assert (one["mode"], one["error"]) == ("monitor_only", "")
        assert 0 < one["kernel_memory_bytes"] < 300_000
        assert (two["id"], two["name"], two["state"]) == (2, "raw", "enabled")
        assert agent.stop() == 0
        assert agent.statistics()["errors"] == 0


def test_a_function_of_a_program(tmp_path: Path) -> None:
    """By its symbol, by an offset and an address; one event for each call and hook."""
    target = installed("called", tmp_path)
    hook = {"path": str(target), "args": [{"index": 0, "type": "int"}]}
    text = policy("calls", {"uprobes": [{**hook, "symbols": ["called"]}]})
    with started(tmp_path / "agent", calls=text) as agent:
        agent.started()
        subprocess.run([target], input=b"7 1 2 3 61\n" * 3, check=True, stdout=subprocess.DEVNULL)
        until(lambda: count(agent, "process_uprobe", "calls") == 3, "three events")
        assert [one["state"] for one in listed(agent)] == ["enabled"]


def test_hooks_that_need_more_than_others(tmp_path: Path) -> None:
    """Programs for simple hooks are loaded first, then those for any; both kinds observe."""
    target = installed("called", tmp_path)
    one = {"path": str(target), "symbols": ["called"], "args": [{"index": 0, "type": "int"}]}
    filters = [{"index": 0, "operator": "Equal", "values": ["7"]}]
    many = [{"index": 0, "operator": "InMap", "values": [str(7 + 2 * at) for at in range(9)]}]
    none = [{"operator": "In", "values": [1]}]
    texts = {
        "simple": policy("simple", {"uprobes": [{**one, "selectors": [{"matchArgs": filters}]}]}),
        "set": policy("set", {"uprobes": [{**one, "selectors": [{"matchArgs": many}]}]}),
        "pids": policy("pids", {"uprobes": [{**one, "selectors": [{"matchPIDs": none}]}]}),
        "again": policy("again", {"uprobes": [one]}),
    }
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        subprocess.run([target], input=b"7 1 2 3 61\n8 1 2 3 61\n", check=True)
        until(lambda: count(agent, "process_uprobe", "again") == 2, "all calls")
        assert agent.stop() == 0
        calls = {name: count(agent, "process_uprobe", name) for name in texts}
        assert calls == {"simple": 1, "set": 1, "pids": 0, "again": 2}


REFUSED = {
    "yaml": ("spec: [", "no YAML"),
    "unknown": (policy("a", {"kprobe": []}), "kprobe"),
    "no_subsystem": (
        policy("b", {"tracepoints": [{"subsystem": "nothing", "event": "at_all"}]}),
        "spec.tracepoints[0]: this kernel has no tracepoint nothing/at_all: no subsystem nothing",
    ),
    "no_event": (
        policy("c", {"tracepoints": [{"subsystem": "raw_syscalls", "event": "sys_entr"}]}),
        "did you mean sys_enter",
    ),
    "no_field": (
        policy("d", {"tracepoints": [opened("/x", event="sys_enter_close")]}),
        "fields 0 to 5, not 6",
    ),
    "auto": (
        policy(
            "e",
            {
                "tracepoints": [
                    {
                        "subsystem": "sched",
                        "event": "sched_process_exec",
                        "args": [{"index": 4, "type": "auto"}],
                    }
                ]
            },
        ),
        "type auto of field 4 of sched/sched_process_exec (__data_loc char[] filename)",
    ),
    "no_file": (
        policy("f", {"uprobes": [{"path": "/nothing/there", "symbols": ["x"]}]}),
        "spec.uprobes[0]: /nothing/there: No such file or directory",
    ),
    "no_program": (
        policy("g", {"uprobes": [{"path": "/etc/passwd", "symbols": ["x"]}]}),
        "/etc/passwd: no little-endian ELF64 file",
    ),
    "no_symbol": (
        policy("h", {"uprobes": [{"path": "/bin/sh", "symbols": ["nothing_of_it"]}]}),
        "there is no symbol nothing_of_it",
    ),
    "digest": (
        policy(
            "i",
            {
                "uprobes": [
                    {"path": "/bin/sh", "offsets": [4096], "binaryDigests": ["sha1:" + "0" * 40]}
                ]
            },
        ),
        "/bin/sh is another file than those of binaryDigests",
    ),
    "asks": (
        policy(
            "n",
            {
                "tracepoints": [
                    {
                        "subsystem": "raw_syscalls",
                        "event": "sys_enter",
                        "selectors": [{"matchActions": [{"action": "GetUrl", "argUrl": "u"}]}],
                    }
                ]
            },
        ),
        "or set allow-policy-requests",
    ),
    "half": (
        policy(
            "o",
            {"tracepoints": [opened("/x"), {"subsystem": "nothing", "event": "at_all"}]},
        ),
        "spec.tracepoints[1]",
    ),
}


def test_what_cannot_be_loaded(tmp_path: Path) -> None:
    """It stays in the list with its error, in the log and the metrics; the others are loaded."""
    texts = {name: text for name, (text, _) in REFUSED.items()}
    if not HAS_KPROBES:
        texts["kprobe"] = policy("p", {"kprobes": [{"call": "sys_getpgid"}]})
        texts["loader"] = policy("l", {"loader": True})
        texts["fentry"] = policy("q", {"fentries": [{"call": "sys_getpgid"}]})
        texts["lsm"] = policy("r", {"lsmhooks": [{"hook": "file_open"}]})
    good = policy("good", {"tracepoints": [opened("/x")]})
    again = policy("good", {"tracepoints": [opened("/y")]})
    flags = ("--metrics-server", "127.0.0.1:0")
    with started(tmp_path / "agent", *flags, **texts, good=good, again=again) as agent:
        agent.started()
        found = {Path(one["file"]).stem: one for one in listed(agent)}
        for name, (_, why) in REFUSED.items():
            assert (found[name]["state"], found[name]["mode"]) == ("load_error", "")
            assert why in found[name]["error"], found[name]["error"]
        if not HAS_KPROBES:
            for name in ("kprobe", "loader"):
                assert "this kernel has no kprobes" in found[name]["error"]
            _expect_no_trampolines(found)
        assert found["good"]["state"] == "enabled"
        assert "the name good is loaded already" in found["again"]["error"]
        assert agent.log.count("Policy is not loaded") == len(texts) + 1
        line = next(x for x in agent.log.splitlines() if "Starting metrics server" in x)
        address = line.split("addr=")[1].split()[0]
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            metrics = answer.read().decode()
        assert 'tetragon_tracingpolicy_loaded{state="enabled"} 1' in metrics
        assert f'tetragon_tracingpolicy_loaded{{state="load_error"}} {len(texts) + 1}' in metrics
        assert 'tetragon_tracingpolicy_kernel_memory_bytes{policy="good",' in metrics
        missed = 'tetragon_missed_prog_probes_total{attach="tracepoint",policy="__policies__"} '
        assert missed in metrics
        assert agent.stop() == 0


def _expect_no_trampolines(found: dict[str, dict[str, Any]]) -> None:
    """Each says which kernel would take it, and what to hook instead."""
    if not Path("/sys/kernel/btf/vmlinux").exists():
        assert "fentry needs the BTF of the kernel itself" in found["fentry"]["error"]
        return
    for name, since, instead in (
        ("fentry", "older than Linux 5.5", "hook it by a kprobe"),
        ("lsm", "older than Linux 5.7", "hook security_file_open by a kprobe"),
    ):
        assert since in found[name]["error"]
        assert instead in found[name]["error"]


def test_the_directory(tmp_path: Path) -> None:
    """Files in it and one level below, whatever they are called, in order; hidden ones are none."""
    home = tmp_path / "policies"
    (home / "b" / "deeper").mkdir(parents=True)
    (home / "..data").mkdir()
    for name in ("a.yaml", "b/x.json", "b/deeper/no", "c", ".hidden", "..data/c"):
        (home / name).write_text(policy(name.replace("/", "-").strip("."), {}))
    (home / "d").symlink_to(home / "c-of-nowhere")
    with started(tmp_path / "agent", "--tracing-policy-dir", str(home)) as agent:
        agent.started()
        found = [(os.path.relpath(one["file"], home), one["state"]) for one in listed(agent)]
        names = [("a.yaml", "enabled"), ("b/x.json", "enabled"), ("c", "enabled")]
        assert found == [*names, ("d", "load_error")]


def test_twenty_policies(tmp_path: Path) -> None:
    """All observe the same tracepoint, each its own file."""
    paths = [tmp_path / f"file-{number:02}" for number in range(20)]
    texts = {
        f"p{number}": policy(f"p{number}", {"tracepoints": [opened(str(path))]})
        for number, path in enumerate(paths)
    }
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        assert [one["state"] for one in listed(agent)] == ["enabled"] * 20
        # Objects are given back when their programs are attached; each has two dozen maps.
        assert len(os.listdir(f"/proc/{agent.pid}/fd")) < 250
        subprocess.run(["cat", *paths], check=False, stderr=subprocess.DEVNULL)
        for name in texts:
            until(lambda name=name: count(agent, "process_tracepoint", name) == 1, name)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_strictness(tmp_path: Path, what: str) -> None:
    """As Tetragon: the start ends where a policy cannot be loaded."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("nothing: true")
    flags = {"file": ("--tracing-policy", str(bad)), "directory": ("--tracing-policy-dir", "/no")}
    with started(tmp_path / "agent", "--tracing-policy-strict", *flags[what]) as agent:
        assert agent.wait() == 255
        assert {"file": str(bad), "directory": "policies dir /no"}[what] in agent.log


def test_the_connector_has_none(tmp_path: Path) -> None:
    """It says so; the agent goes on."""
    text = policy("a", {"tracepoints": [opened("/x")]})
    with started(tmp_path / "agent", "--sensor", "connector", a=text) as agent:
        agent.started()
        (one,) = listed(agent)
        assert one["state"] == "load_error"
        assert "policies need eBPF" in one["error"]


def test_no_mount_is_left(tmp_path: Path) -> None:
    """Tracefs is read without mounting it where anybody sees it."""
    text = policy("a", {"tracepoints": [opened("/x")]})
    before = Path("/proc/self/mountinfo").read_text()
    with started(tmp_path / "agent", a=text) as agent:
        agent.started()
        mounts = Path(f"/proc/{agent.pid}/mountinfo").read_text()
        assert mounts.count("tracefs") == before.count("tracefs")
        links = [os.readlink(fd) for fd in Path(f"/proc/{agent.pid}/fd").iterdir()]
        assert not [link for link in links if link.endswith("(unreachable)/")]
    assert Path("/proc/self/mountinfo").read_text() == before


def test_ancestors(tmp_path: Path) -> None:
    """Shown by the kinds of events that the setting names, beyond the parent."""
    text = policy("opens", {"tracepoints": [opened(str(tmp_path / "wanted"))]})
    with started(tmp_path / "a", "--enable-ancestors=base,tracepoint", a=text) as agent:
        agent.started()
        command = f"sh -c 'cat {tmp_path}/wanted; true'; true"
        subprocess.run(["sh", "-c", command], check=True, stderr=subprocess.DEVNULL)
        until(lambda: count(agent, "process_tracepoint", "opens"), "the event")
        (line,) = [one for one in agent.lines() if one.startswith(b'{"process_tracepoint"')]
    body = json.loads(line)["process_tracepoint"]
    assert body["ancestors"][0]["exec_id"] == body["parent"]["parent_exec_id"]


def test_what_a_policy_has_the_agent_ask(tmp_path: Path) -> None:
    """A URL is fetched for a call that matches, once the settings allow it; the event says so."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        hook = opened(str(tmp_path / "wanted"))
        url = f"http://127.0.0.1:{server.server_port}/asked"
        hook["selectors"][0]["matchActions"] = [{"action": "GetUrl", "argUrl": url}]
        text = policy("asks", {"tracepoints": [hook]})
        with started(tmp_path / "a", "--allow-policy-requests", asks=text) as agent:
            agent.started()
            subprocess.run(["cat", str(tmp_path / "wanted")], check=False, capture_output=True)
            until(lambda: count(agent, "process_tracepoint", "asks") == 1, "the event")
            asked, _ = server.get_request()
            with asked:
                assert asked.recv(64).startswith(b"GET /asked HTTP/1.1\r\n")
            assert agent.stop() == 0
    assert b"KPROBE_ACTION_GETURL" in agent.export.read_bytes()


def test_the_list_without_an_agent() -> None:
    """It says that there is none, whatever agent runs or ended in the directory of this machine."""
    command = isolated([sys.executable, str(PYZ), "policy", "list"])
    run = subprocess.run(command, check=False, stderr=subprocess.PIPE, timeout=60)
    assert run.returncode == 255
    assert b"no agent runs here" in run.stderr


def test_who_reads_policies_is_gone(tmp_path: Path) -> None:
    """A text that is refused beside a good one: no process stays behind."""
    good = policy("good", {"tracepoints": [opened(str(tmp_path))]})
    with started(tmp_path / "a", deep="a: [" * 99, good=good) as agent:
        agent.started()
        states = {one["file"].rpartition("/")[2]: one["state"] for one in listed(agent)}
        children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text(encoding="utf-8")
        assert agent.stop() == 0
    assert states == {"deep.yaml": "load_error", "good.yaml": "enabled"}
    assert children == ""
