# SPDX-License-Identifier: Apache-2.0
"""Hostile clients of the API for a while, beside one that behaves and processes that run. As root.

    .venv/bin/python -m bench.api_soak [--seconds 60] [--rate 50]

Each kind of attack (bench/api_attacks.py) has a thread that does nothing else. Memory is the
agent's; an event's delay is from the process's start to the client that behaves. Exit codes: 0; 1
when an event is missing or memory grew beyond the bound; 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bench.api_attacks import ATTACKS, Connect, subscribed
from tetrapy.api.codec import decode, encode
from tools.fetch import ROOT

PYZ = ROOT / "dist" / "tetrapy.pyz"
GROWTH = 100 << 20  # bytes that all clients together may make the agent grow by
PATIENCE = 60.0  # seconds for the last event
_PRIVATE = 'mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"'


class Witness(threading.Thread):
    """The client that behaves."""

    def __init__(self, connect: Connect) -> None:
        super().__init__(daemon=True)
        self.seen: Counter[str] = Counter()
        self.delays: list[float] = []
        request = encode("GetEventsRequest", {"allow_list": [{"arguments_regex": ["^soak-"]}]})
        self._client = subscribed(message=request)
        (call,) = self._client.calls
        call.on_message = self._take
        self._socket = connect()
        self._socket.sendall(self._client.outgoing)
        self._client.sent(len(self._client.outgoing))

    def run(self) -> None:
        """Read until the agent is gone."""
        try:
            while data := self._socket.recv(1 << 20):
                self._client.receive(data)
                self._socket.sendall(self._client.outgoing)
                self._client.sent(len(self._client.outgoing))
        except OSError:
            pass

    def _take(self, message: bytes) -> None:
        event = decode("GetEventsResponse", message)
        for kind in ("process_exec", "process_exit"):
            if kind in event:
                self.seen[kind] += 1
                if kind == "process_exec":
                    told = datetime.fromisoformat(event["time"][:26] + "+00:00")
                    self.delays.append(time.time() - told.timestamp())


def attack(
    kind: Callable[[Connect], None], connect: Connect, end: float, done: Counter[str]
) -> None:
    """Again and again until the monotonic clock says `end`."""
    while time.monotonic() < end:
        try:
            kind(connect)
        except OSError:
            pass  # the agent hung up
        done[kind.__name__] += 1


def resident(pid: int) -> int:
    """Bytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def cpu(pid: int) -> float:
    """Seconds of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def isolated(*flags: str) -> list[str]:
    """The command of an agent with a /run of its own."""
    command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _PRIVATE, "sh"]
    return [*command, sys.executable, str(PYZ), *flags]


def soak(directory: Path, seconds: float, rate: float) -> int:
    """Exit code."""
    path, export = directory / "s", directory / "events.json"
    command = isolated("--export-filename", str(export), "--server-address", f"unix://{path}")

    def connect() -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(5)
        one.connect(str(path))
        return one

    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log) as agent:
        try:
            while "Listening for events" not in (directory / "log").read_text():
                if agent.poll() is not None:
                    print(f"bench.api_soak: {(directory / 'log').read_text()}", file=sys.stderr)
                    return 2
                time.sleep(0.05)
            return _measure(agent.pid, connect, export, seconds, rate)
        finally:
            agent.terminate()


def _measure(pid: int, connect: Connect, export: Path, seconds: float, rate: float) -> int:
    witness = Witness(connect)
    witness.start()
    subprocess.run(["/bin/true", "warm-up"], check=True)
    time.sleep(1)
    before, spent = resident(pid), cpu(pid)
    end, done, peak, count = time.monotonic() + seconds, Counter[str](), before, 0
    for kind in ATTACKS:
        arguments = (kind, connect, end, done)
        threading.Thread(target=attack, args=arguments, daemon=True).start()
    while time.monotonic() < end:
        subprocess.run(["/bin/true", f"soak-{count}"], check=True)
        count += 1
        peak = max(peak, resident(pid))
        time.sleep(1 / rate)
    spent = cpu(pid) - spent
    wait = time.monotonic() + PATIENCE
    while min(witness.seen["process_exec"], witness.seen["process_exit"]) < count:
        if time.monotonic() > wait:
            break
        time.sleep(0.1)
    written = Counter(
        line[2:14] for line in export.read_bytes().splitlines() if b'"arguments":"soak-' in line
    )
    print(f"attacks: {', '.join(f'{name} {times:,}' for name, times in sorted(done.items()))}")
    print(
        f"processes: {count:,}; told to the client {witness.seen['process_exec']:,} execs,"
        f" {witness.seen['process_exit']:,} exits; in the file {written[b'process_exec']:,},"
        f" {written[b'process_exit']:,}"
    )
    delays = sorted(witness.delays)
    print(
        f"delay of an event: median {1000 * statistics.median(delays):.0f} ms, 99 of 100 below"
        f" {1000 * delays[len(delays) * 99 // 100]:.0f} ms, longest {1000 * delays[-1]:.0f} ms"
    )
    print(
        f"memory: {before / 1e6:.1f} MB before, {peak / 1e6:.1f} MB at most,"
        f" {resident(pid) / 1e6:.1f} MB afterwards; {spent / seconds:.0%} of a processor"
    )
    counts = {*witness.seen.values(), *written.values()}
    return int(counts != {count} or peak - before > GROWTH)


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.api_soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=50, help="processes a second")
    arguments = parser.parse_args()
    if os.geteuid() or not PYZ.exists():
        print("bench.api_soak: root and dist/tetrapy.pyz are needed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="tsoak-") as directory:
        return soak(Path(directory), arguments.seconds, arguments.rate)


if __name__ == "__main__":
    sys.exit(main())
