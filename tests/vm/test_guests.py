# SPDX-License-Identifier: Apache-2.0
"""The built file on every supported kernel: what it says about processes whose fate is known."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from tests.vm.guests import Session

VICTIM = "/test/victim"
NO_AUID = 4294967295


def one(session: Session, kind: str, victim: str) -> dict[str, Any]:
    """The body of the only event of that kind about a victim."""
    bodies = session.of(kind, session.pid(victim))
    assert len(bodies) == 1, f"{len(bodies)} {kind} events of {victim}: {bodies}"
    return bodies[0]


def lost(session: Session) -> int:
    """The number of events that the agent reported as lost when it ended."""
    match = re.search(r"Observer events statistics.* lost=(\d+)", session.log)
    assert match, session.log
    return int(match[1])


def without_refcnt(process: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in process.items() if name != "refcnt"}


def test_exec_fields(running: Session) -> None:
    """An execution is reported with binary, arguments, directory, user, flags, ids and times."""
    pid = running.pid("status")
    process = one(running, "process_exec", "status")["process"]
    node, ktime, id_pid = base64.b64decode(process["exec_id"]).decode().split(":")
    assert (node, int(id_pid)) == ("guest", pid)
    assert int(ktime) > 0
    assert process["parent_exec_id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", process["start_time"])
    fixed = {key: process[key] for key in process if not re.search("exec_id|start_time", key)}
    assert fixed == {
        "pid": pid,
        "tid": pid,
        "uid": 1234,
        "auid": NO_AUID,
        "cwd": "/test/directory",
        "binary": VICTIM,
        "arguments": 'exit 7 "two words" "" plain',
        "flags": "execve clone",
        "in_init_tree": False,
    }


def test_exit_repeats_the_process_of_its_exec(running: Session) -> None:
    """Exit carries the same process and parent as the exec, the status, and its own time."""
    started = one(running, "process_exec", "status")
    ended = one(running, "process_exit", "status")
    assert without_refcnt(ended["process"]) == without_refcnt(started["process"])
    assert ended["parent"]["exec_id"] == started["parent"]["exec_id"]
    assert ended["status"] == 7
    assert "signal" not in ended
    assert ended["time"] >= started["process"]["start_time"]
    outer = [e for e in running.events if e.get("process_exit") == ended]
    assert [(e["time"], e["node_name"]) for e in outer] == [(ended["time"], "guest")]


def test_parent_was_there_before_the_agent(running: Session) -> None:
    """A parent that procfs told about is linked by its exec_id and described."""
    event = one(running, "process_exec", "status")
    parent = event["parent"]
    assert parent["exec_id"] == event["process"]["parent_exec_id"]
    assert parent["pid"] == running.record["driver"]
    assert parent["binary"] == "/usr/bin/python3.11"
    assert parent["arguments"] == "-m tests.vm.driver"
    assert "procFS" in parent["flags"].split()
    seeded = running.of("process_exec", parent["pid"])
    assert [body["process"]["exec_id"] for body in seeded] == [parent["exec_id"]]


def test_root_directory(running: Session) -> None:
    """A working directory of / is said by path and by flag; exit status 0 is left out."""
    process = one(running, "process_exec", "root_cwd")["process"]
    assert (process["cwd"], process["flags"]) == ("/", "execve rootcwd clone")
    assert "status" not in one(running, "process_exit", "root_cwd")


@pytest.mark.parametrize(("victim", "signal"), [("killed", "SIGKILL"), ("crashed", "SIGSEGV")])
def test_signal(running: Session, victim: str, signal: str) -> None:
    """A process that a signal ended is reported with the signal's name and no status."""
    ended = one(running, "process_exit", victim)
    assert ended["signal"] == signal
    assert "status" not in ended


@pytest.mark.parametrize(("victim", "status"), [("exec_again", 3), ("thread", 6)])
def test_second_image_of_a_process(running: Session, victim: str, status: int) -> None:
    """Exec without fork, by the leader or by a thread: the former image is the parent, one exit."""
    pid = running.pid(victim)
    first, second = running.of("process_exec", pid)
    assert second["process"]["binary"] == VICTIM
    assert second["process"]["arguments"] == f"exit {status}"
    assert second["process"]["flags"] == "execve"
    assert second["process"]["tid"] == pid
    assert second["process"]["parent_exec_id"] == first["process"]["exec_id"]
    assert second["parent"]["exec_id"] == first["process"]["exec_id"]
    ended = one(running, "process_exit", victim)
    assert ended["process"]["exec_id"] == second["process"]["exec_id"]
    assert ended["status"] == status


def test_fork_without_exec(running: Session) -> None:
    """A child that only forked has an exit of its own, with its parent's binary and arguments."""
    parent = one(running, "process_exec", "fork_only")["process"]
    children = [
        event["process_exit"]
        for event in running.events
        if event.get("process_exit", {}).get("process", {}).get("parent_exec_id")
        == parent["exec_id"]
    ]
    assert len(children) == 1
    child = children[0]["process"]
    assert children[0]["status"] == 9
    assert child["pid"] != parent["pid"]
    assert (child["binary"], child["arguments"]) == (VICTIM, "fork 9")
    assert children[0]["parent"]["exec_id"] == parent["exec_id"]
    assert running.of("process_exec", child["pid"]) == []


def test_script(running: Session) -> None:
    """A script is its own binary; its arguments are those that its interpreter got."""
    process = one(running, "process_exec", "script")["process"]
    assert (process["binary"], process["arguments"]) == ("/test/script", "/test/script argument")
    assert one(running, "process_exit", "script")["status"] == 8


def test_container(running: Session) -> None:
    """A process in a container's cgroup is reported with the container's id."""
    process = one(running, "process_exec", "contained")["process"]
    assert process["docker"] == ("0123456789abcdef" * 4)[:31]
    assert "docker" not in one(running, "process_exec", "status")["process"]


def test_long_arguments(running: Session) -> None:
    """250 KB of arguments arrive whole."""
    process = one(running, "process_exec", "long")["process"]
    assert process["arguments"] == "exit 5 " + " ".join(["x" * 1000] * 250)
    assert "truncArgs" not in process["flags"].split()


def test_deep_directory(running: Session) -> None:
    """A working directory of 4000 bytes in 160 components arrives whole."""
    process = one(running, "process_exec", "deep")["process"]
    assert process["cwd"] == "/test/" + "/".join(["directory-of-a-deep-tree"] * 160)
    assert process["flags"] == "execve clone"


def test_bytes_that_are_no_text(running: Session) -> None:
    """Bytes that are not UTF-8 become U+FFFD; what is UTF-8 stays."""
    process = one(running, "process_exec", "bytes")["process"]
    assert process["arguments"] == "exit 2 caf\ufffd caf\u00e9"


def test_burst(busy: Session) -> None:
    """Of processes that live side by side none is confused, doubled, or missed in silence.

    Linux 7 runs tracepoint programs with preemption on, and skips a program that was preempted on
    the same CPU: such an event cannot be had, but it has to be among the lost ones.
    """
    assert len(busy.record["burst"]) == 200
    missed = []
    for pid, status in busy.record["burst"].items():
        started, ended = (busy.of(kind, int(pid)) for kind in ("process_exec", "process_exit"))
        if len(started) != 1 or len(ended) != 1:
            assert len(started) + len(ended) == 1, f"{pid}: {started} {ended}"
            missed.append((pid, "exit" if started else "exec"))
            continue
        assert started[0]["process"]["exec_id"] == ended[0]["process"]["exec_id"]
        assert started[0]["process"]["arguments"] == f"exit {status}"
        assert ended[0]["status"] == status
    assert len(missed) <= lost(busy), f"missed in silence: {missed}"


def test_ids_link_up(running: Session) -> None:
    """Every event's parent is known by an earlier event, and no image ends twice."""
    known: set[str] = set()
    ended: list[str] = []
    for event in running.events:
        for kind in ("process_exec", "process_exit"):
            if kind in event:
                process = event[kind]["process"]
                assert process["pid"] == 0 or process["parent_exec_id"] in known, event
                known.add(process["exec_id"])
        if "process_exit" in event:
            ended.append(event["process_exit"]["process"]["exec_id"])
    assert len(ended) == len(set(ended))


def test_processes_before_the_agent(running: Session) -> None:
    """Init and the kernel itself, which were there before, are reported as procfs shows them."""
    kernel, init = (running.of("process_exec", pid)[0]["process"] for pid in (0, 1))
    assert kernel["binary"] == "<kernel>"
    assert init["binary"] == "/usr/bin/busybox"
    assert "procFS" in init["flags"].split()
    assert init["parent_exec_id"] == kernel["exec_id"]


def test_stop(running: Session) -> None:
    """SIGTERM: exit code 0, both statistics lines, and nothing lost."""
    assert running.record["code"] == 0, running.log
    assert re.search(r"BPF events statistics: \d+ received, [\d.e-]+% events loss", running.log)
    # What can be lost from Linux 7 on is reported in test_burst.
    assert lost(running) == 0 or int(running.kernel.release.partition(".")[0]) >= 7
    assert len(running.record["during"]["programs"]) > len(running.record["before"]["programs"])


def test_nothing_is_left(session: Session) -> None:
    """After a session, be it a refusal, there are no more files, programs, cgroups, processes."""
    assert session.record["after"] == session.record["before"]
