"""The built file on every supported kernel: what it says about processes whose fate is known."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from tests.vm.guests import Guest, Session

VICTIM = "/test/victim"
NO_AUID = 4294967295

both_buffers = pytest.mark.parametrize("flavour", ["ring", "perf"])


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


@both_buffers
def test_exec_fields(guest: Guest, flavour: str) -> None:
    """An execution is reported with binary, arguments, directory, user, flags, ids and times."""
    session = guest.sessions[flavour]
    pid = session.pid("status")
    process = one(session, "process_exec", "status")["process"]
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
        "arguments": 'exit 7 "two words"  plain',
        "flags": "execve clone",
        "in_init_tree": False,
    }


@both_buffers
def test_exit_repeats_the_process_of_its_exec(guest: Guest, flavour: str) -> None:
    """Exit carries the same process and parent as the exec, the status, and its own time."""
    session = guest.sessions[flavour]
    started = one(session, "process_exec", "status")
    ended = one(session, "process_exit", "status")
    assert without_refcnt(ended["process"]) == without_refcnt(started["process"])
    assert ended["parent"]["exec_id"] == started["parent"]["exec_id"]
    assert ended["status"] == 7
    assert "signal" not in ended
    assert ended["time"] >= started["process"]["start_time"]
    outer = [e for e in session.events if e.get("process_exit") == ended]
    assert [(e["time"], e["node_name"]) for e in outer] == [(ended["time"], "guest")]


@both_buffers
def test_parent_was_there_before_the_agent(guest: Guest, flavour: str) -> None:
    """A parent that procfs told about is linked by its exec_id and described."""
    session = guest.sessions[flavour]
    event = one(session, "process_exec", "status")
    parent = event["parent"]
    assert parent["exec_id"] == event["process"]["parent_exec_id"]
    assert parent["pid"] == session.record["driver"]
    assert parent["binary"] == "/usr/bin/python3.11"
    assert parent["arguments"] == "/test/driver.py"
    assert "procFS" in parent["flags"].split()
    seeded = session.of("process_exec", parent["pid"])
    assert [body["process"]["exec_id"] for body in seeded] == [parent["exec_id"]]


@both_buffers
def test_root_directory(guest: Guest, flavour: str) -> None:
    """A working directory of / is said by path and by flag; exit status 0 is left out."""
    session = guest.sessions[flavour]
    process = one(session, "process_exec", "root_cwd")["process"]
    assert (process["cwd"], process["flags"]) == ("/", "execve rootcwd clone")
    assert "status" not in one(session, "process_exit", "root_cwd")


@both_buffers
@pytest.mark.parametrize(("victim", "signal"), [("killed", "SIGKILL"), ("crashed", "SIGSEGV")])
def test_signal(guest: Guest, flavour: str, victim: str, signal: str) -> None:
    """A process that a signal ended is reported with the signal's name and no status."""
    ended = one(guest.sessions[flavour], "process_exit", victim)
    assert ended["signal"] == signal
    assert "status" not in ended


@both_buffers
@pytest.mark.parametrize(("victim", "status"), [("exec_again", 3), ("thread", 6)])
def test_second_image_of_a_process(guest: Guest, flavour: str, victim: str, status: int) -> None:
    """Exec without fork, by the leader or by a thread: the former image is the parent, one exit."""
    session = guest.sessions[flavour]
    pid = session.pid(victim)
    first, second = session.of("process_exec", pid)
    assert second["process"]["binary"] == VICTIM
    assert second["process"]["arguments"] == f"exit {status}"
    assert second["process"]["flags"] == "execve"
    assert second["process"]["tid"] == pid
    assert second["process"]["parent_exec_id"] == first["process"]["exec_id"]
    assert second["parent"]["exec_id"] == first["process"]["exec_id"]
    ended = one(session, "process_exit", victim)
    assert ended["process"]["exec_id"] == second["process"]["exec_id"]
    assert ended["status"] == status


@both_buffers
def test_fork_without_exec(guest: Guest, flavour: str) -> None:
    """A child that only forked has an exit of its own, with its parent's binary and arguments."""
    session = guest.sessions[flavour]
    parent = one(session, "process_exec", "fork_only")["process"]
    children = [
        event["process_exit"]
        for event in session.events
        if event.get("process_exit", {}).get("process", {}).get("parent_exec_id")
        == parent["exec_id"]
    ]
    assert len(children) == 1
    child = children[0]["process"]
    assert children[0]["status"] == 9
    assert child["pid"] != parent["pid"]
    assert (child["binary"], child["arguments"]) == (VICTIM, "fork 9")
    assert children[0]["parent"]["exec_id"] == parent["exec_id"]
    assert session.of("process_exec", child["pid"]) == []


@both_buffers
def test_script(guest: Guest, flavour: str) -> None:
    """A script is its own binary; its arguments are those that its interpreter got."""
    session = guest.sessions[flavour]
    process = one(session, "process_exec", "script")["process"]
    assert (process["binary"], process["arguments"]) == ("/test/script", "/test/script argument")
    assert one(session, "process_exit", "script")["status"] == 8


@both_buffers
def test_long_arguments(guest: Guest, flavour: str) -> None:
    """250 KB of arguments arrive whole."""
    process = one(guest.sessions[flavour], "process_exec", "long")["process"]
    assert process["arguments"] == "exit 5 " + " ".join(["x" * 1000] * 250)
    assert "truncArgs" not in process["flags"].split()


@both_buffers
def test_deep_directory(guest: Guest, flavour: str) -> None:
    """A working directory of 4000 bytes in 160 components arrives whole."""
    process = one(guest.sessions[flavour], "process_exec", "deep")["process"]
    assert process["cwd"] == "/test/" + "/".join(["directory-of-a-deep-tree"] * 160)
    assert process["flags"] == "execve clone"


@both_buffers
def test_bytes_that_are_no_text(guest: Guest, flavour: str) -> None:
    """Bytes that are not UTF-8 become U+FFFD; what is UTF-8 stays."""
    process = one(guest.sessions[flavour], "process_exec", "bytes")["process"]
    assert process["arguments"] == "exit 2 caf\ufffd caf\u00e9"


@both_buffers
def test_burst(guest: Guest, flavour: str) -> None:
    """Of processes that live side by side none is confused, doubled, or missed in silence.

    Linux 7 runs tracepoint programs with preemption on, and skips a program that was preempted on
    the same CPU: such an event cannot be had, but it has to be among the lost ones.
    """
    session = guest.sessions[flavour]
    assert len(session.record["burst"]) == 200
    missed = []
    for pid, status in session.record["burst"].items():
        started, ended = (session.of(kind, int(pid)) for kind in ("process_exec", "process_exit"))
        if len(started) != 1 or len(ended) != 1:
            assert len(started) + len(ended) == 1, f"{pid}: {started} {ended}"
            missed.append((pid, "exit" if started else "exec"))
            continue
        assert started[0]["process"]["exec_id"] == ended[0]["process"]["exec_id"]
        assert started[0]["process"]["arguments"] == f"exit {status}"
        assert ended[0]["status"] == status
    assert len(missed) <= lost(session), f"missed in silence: {missed}"


@both_buffers
def test_ids_link_up(guest: Guest, flavour: str) -> None:
    """Every event's parent is known by an earlier event, and no image ends twice."""
    session = guest.sessions[flavour]
    known: set[str] = set()
    ended: list[str] = []
    for event in session.events:
        for kind in ("process_exec", "process_exit"):
            if kind in event:
                process = event[kind]["process"]
                assert process["pid"] == 0 or process["parent_exec_id"] in known, event
                known.add(process["exec_id"])
        if "process_exit" in event:
            ended.append(event["process_exit"]["process"]["exec_id"])
    assert len(ended) == len(set(ended))


@both_buffers
def test_processes_before_the_agent(guest: Guest, flavour: str) -> None:
    """Init and the kernel itself, which were there before, are reported as procfs shows them."""
    session = guest.sessions[flavour]
    kernel, init = (session.of("process_exec", pid)[0]["process"] for pid in (0, 1))
    assert kernel["binary"] == "<kernel>"
    assert init["binary"] == "/usr/bin/busybox"
    assert "procFS" in init["flags"].split()
    assert init["parent_exec_id"] == kernel["exec_id"]


@both_buffers
def test_stop(guest: Guest, flavour: str) -> None:
    """SIGTERM: exit code 0, both statistics lines, nothing lost and nothing left behind."""
    session = guest.sessions[flavour]
    assert session.record["code"] == 0, session.log
    assert re.search(r"BPF events statistics: \d+ received, [\d.e-]+% events loss", session.log)
    # What can be lost from Linux 7 on is told in test_burst.
    assert lost(session) == 0 or int(guest.kernel.release.partition(".")[0]) >= 7
    assert session.record["after"] == session.record["before"]
    assert len(session.record["during"]["programs"]) > len(session.record["before"]["programs"])


@pytest.mark.parametrize(
    ("flavour", "line"), [("ring", "BPF ring buffer size"), ("perf", "Perf buffer size")]
)
def test_buffer(guest: Guest, flavour: str, line: str) -> None:
    """Events come through the ring buffer, which all these kernels have, or the buffer forced."""
    assert line in guest.sessions[flavour].log


@both_buffers
def test_btf_source(guest: Guest, flavour: str) -> None:
    """The kernel's own BTF is used where it has one, the archive's file where it has none."""
    log = guest.sessions[flavour].log
    assert guest.record["btf"] == guest.kernel.btf
    assert ("default kernel btf file found" in log) == guest.kernel.btf
    assert ("embedded archive has this kernel" in log) == (not guest.kernel.btf)


def test_no_btf_anywhere(guest_without_btf: Guest) -> None:
    """Without the kernel in the archive: one clear error with the places tried, exit code 255."""
    refusal = guest_without_btf.record["refusal"]
    release = guest_without_btf.kernel.release
    assert refusal["code"] == 255, refusal["output"]
    assert "Traceback" not in refusal["output"]
    error = refusal["output"].splitlines()[-1]
    for expected in (release, "/sys/kernel/btf/vmlinux", f"/boot/vmlinux-{release}", "--btf"):
        assert expected in error
