# SPDX-License-Identifier: Apache-2.0
"""Attacks on what the agent needs to go on: its file, its readers, its room."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from typing import Any

from bench.reliability import cgroups
from bench.reliability.attack import ATTACKER, MEMORY, VICTIM, done
from bench.reliability.reader import files
from bench.reliability.setting import Setting, all_lines, ended, execs, fence, scrape
from bench.reliability.watched import TIMEOUT, free_port

_STOP_BOUND = 20.0  # seconds: four times the deadline that a stop has

_SILENT = "A policy is throttled for one owner,"
# Of numbers that no process can have.
_ARGUMENT = re.compile(rb'"int_arg":(\d+)')
_POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "flooded"},
    "spec": {
        "tracepoints": [
            {
                "subsystem": "syscalls",
                "event": "sys_enter_getpgid",
                "args": [{"index": 5, "type": "int32"}],
                "selectors": [
                    {"matchArgs": [{"index": 5, "operator": "GT", "values": ["4999999"]}]}
                ],
            }
        ]
    },
}


def file_gone(setting: Setting) -> list[str]:
    """The file of the running agent is deleted, then another one put there."""
    wrong = []
    for how in ("deleted", "replaced"):
        own = setting.directory / "own.pyz"
        own.write_bytes(setting.pyz.read_bytes())
        port = free_port()
        flags = ("--export-file-max-size-mb=1", "--export-file-max-backups=0")
        here = setting._replace(pyz=own, directory=setting.directory / how)
        here.directory.mkdir()
        with here.agent(*flags, f"--metrics-server=127.0.0.1:{port}") as agent:
            own.unlink()
            if how == "replaced":
                own.write_bytes(b"PK" + bytes(1 << 20))
            agent.process.send_signal(signal.SIGUSR1)
            agent.process.send_signal(signal.SIGHUP)
            here.storm("storm", "count=40", "bytes=100000")
            fence(agent, setting)
            if b"tetragon_events_total" not in scrape(port):
                wrong.append(f"{how}: no metrics")
            if len(files(agent.export)) < 2:
                wrong.append(f"{how}: the export was not rotated")
            wrong += [f"{how}: {line}" for line in ended(agent)]
    return wrong


def slow_reader(setting: Setting) -> list[str]:
    """Who reads the FIFO that events are written to reads little, or nothing."""
    return [
        f"{name}: {line}"
        for name, pause in (("slow", 0.5), ("stopped", 3600.0))
        for line in _read_slowly(setting, name, pause)
    ]


def _read_slowly(setting: Setting, name: str, pause: float) -> list[str]:
    fifo = setting.directory / name
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    over = threading.Event()

    def read() -> None:
        while not over.wait(pause):
            try:
                os.read(reader, 4096)
            except BlockingIOError:
                pass  # nothing there yet

    thread = threading.Thread(target=read)
    thread.start()
    try:
        with setting.agent(export=fifo) as agent:
            setting.storm("storm", "bytes=4000")
            agent.process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + TIMEOUT
            while "debug" not in agent.log.rpartition("Listening")[2]:
                if time.monotonic() > deadline:
                    return ["the loop does not turn: no answer to SIGUSR1"]
                time.sleep(0.05)
            agent.process.terminate()
            try:
                agent.process.wait(_STOP_BOUND)
            except subprocess.TimeoutExpired:
                return [f"does not end within {_STOP_BOUND:.0f} s of SIGTERM"]
            return ended(agent)
    finally:
        over.set()
        thread.join()
        os.close(reader)


def evidence(setting: Setting) -> list[str]:
    """What happened before cannot be pushed out of the export files by a few fat execs."""
    return _pushed_out(setting, uid=ATTACKER)


def evidence_by_container(setting: Setting) -> list[str]:
    """The same by root of a container."""
    with cgroups.named([f"docker/{'0123456789abcdef' * 4}"]) as made:
        (place,) = made.values()
        entry = place / "cgroup.procs"
        return _pushed_out(setting, uid=0, preexec_fn=lambda: entry.write_text("0"))


def _pushed_out(setting: Setting, **options: Any) -> list[str]:
    with setting.agent() as agent:
        setting.run("evidence", uid=VICTIM)
        fence(agent, setting)
        for _ in range(60):
            setting.run("\x1b" * 130_000, "\x1b" * 130_000, **options)
        fence(agent, setting)
        there = any(b'"arguments":"evidence"' in line for line in all_lines(agent.export))
        return [*ended(agent), *([] if there else ["60 execs of another user pushed it out"])]


def flooded_policy(setting: Setting) -> list[str]:
    """A user floods calls that a policy matches: another one's are reported, each of them."""
    policy = setting.directory / "policy.yaml"
    policy.write_text(json.dumps(_POLICY))  # which is YAML
    # A small budget, so that it is used up soon.
    flags = ("--policy-cpu-share=4", "--export-file-max-size-mb=1000")
    with setting.agent(*flags, f"--tracing-policy={policy}") as agent:
        start = setting.programs.start
        # By time: a fast machine makes what a load is bounded to in a second.
        words = ("calls", "procs=2", "ms=0", "seconds=30", "count=1000000000", "from=5000000")
        flood = start(*words, uid=ATTACKER)
        called, turns = 0, 4
        # While the budget lasts, and when it was used up.
        while flood.poll() is None and turns:
            begin = f"from={6_000_000 + called}"
            called += done(start("calls", "ms=20", "count=50", begin, uid=VICTIM))
            turns -= _SILENT in agent.log
        flood.terminate()
        done(flood)
        fence(agent, setting)
        found = {int(one) for line in all_lines(agent.export) for one in _ARGUMENT.findall(line)}
        told = sum(1 for number in range(called) if 6_000_000 + number in found)
        wrong = [] if told == called else [f"{told} of {called} calls of another user are reported"]
        if _SILENT not in agent.log:
            wrong.append(f"the flood was not throttled: {agent.log[-500:]}")
        return [*wrong, *ended(agent)]


def unread_metrics(setting: Setting) -> list[str]:
    """Many who ask for metrics and do not read the answers."""
    port = free_port()
    ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    clients = []
    with setting.agent(f"--metrics-server=127.0.0.1:{port}") as agent:
        for _ in range(100):
            client = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
            client.setblocking(False)
            clients.append(client)
            try:
                for _ in range(50):
                    client.send(ask)
            except OSError:
                pass  # closed, or full: nobody has to take more
        time.sleep(2)
        fence(agent, setting)
        peak = agent.peak() / 1024
        for client in clients:
            client.close()
        wrong = [] if b"tetragon_events_total" in scrape(port) else ["no metrics for others"]
        wrong += ended(agent)
    return [*wrong, *([f"{peak:.0f} MB of memory"] if peak > MEMORY else [])]


def series(setting: Setting) -> list[str]:
    """A user who makes up binaries does not take all series of metrics."""
    port = free_port()
    links, own = setting.directory / "links", setting.directory / "own"
    links.mkdir()
    os.chown(links, ATTACKER, ATTACKER)
    own.symlink_to(setting.programs.nothing)
    with setting.agent(f"--metrics-server=127.0.0.1:{port}") as agent:
        setting.storm("storm", "binaries=3000", "count=3000", f"place={links}", seconds=100)
        setting.start([str(own)], VICTIM).wait()
        fence(agent, setting)
        named = f'binary="{own}"'.encode() in scrape(port)
        return [*ended(agent), *([] if named else ["another user's binary has no series"])]


def rate_limit(setting: Setting) -> list[str]:
    """A user who uses up the rate limit of the export leaves others their share."""
    with setting.agent("--export-rate-limit=600") as agent:
        setting.storm("storm", "count=1000", seconds=100)
        names = {f"limited-{number}" for number in range(20)}
        for name in names:
            setting.run(name, uid=VICTIM)
        fence(agent, setting)
        missing = names - {one.get("arguments", "") for one in execs(agent.export)}
        wrong = ended(agent)
    return [*wrong, *([f"{len(missing)} execs of another user"] if missing else [])]


def small_memory(setting: Setting) -> list[str]:
    """The agent in a cgroup with 40 MB, as a container or a unit may have it."""
    with cgroups.limited(40 << 20) as limited:
        if limited is None:
            return []  # no controller here
        under = ["sh", "-c", 'echo 0 > "$0"; exec "$@"', str(limited / "cgroup.procs")]
        with setting.agent("--export-file-max-size-mb=1", under=under) as agent:
            setting.storm("storm", "bytes=16000", "fill=01")
            setting.storm("parent", "bytes=262000", "fill=01")
            if agent.process.poll() is not None:
                return [f"ended by {agent.process.returncode}"]
            fence(agent, setting)
            return ended(agent)
