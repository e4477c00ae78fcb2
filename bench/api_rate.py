# SPDX-License-Identifier: Apache-2.0
"""How many events a second a live agent streams to one client and to ten. As root.

    .venv/bin/python -m bench.api_rate [--seconds 5] [--rates 10000 20000 30000] [--clients 1 10]

Two loads: processes, as fast as this machine runs them, each an exec and an exit (bench/load.c),
and calls that a policy reports, in bursts at the rates that are asked for (bench/calls.c). Clients
ask for those alone, read what comes, and count. A line says what came to each from the first event
to the last, what the kernel lost, what a client was not told, and the agent's processor time an
event. Agent, load and clients share the machine, so figures depend on its processors.
Exit codes: 0; 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench import programs
from bench.api_attacks import HEADERS, SETTINGS, frame, subscribed
from bench.api_soak import PYZ, isolated
from tetrapy.api.codec import encode

TAG = "rate-of-stream"  # an argument that the load's processes alone have, a number behind it
WIDTH = 8  # processes of the load in flight
NUMBER = "4711"  # of a process whose group nobody else asks for
BURSTS = 20  # a second
PATIENCE = 5.0  # seconds without an event, after which no more is waited for
POLICY = f"""
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: rate}}
spec:
  tracepoints:
  - subsystem: syscalls
    event: sys_enter_getpgid
    args: [{{index: 5, type: int64}}]
    selectors:
    - matchArgs: [{{index: 5, operator: Equal, values: ["{NUMBER}"]}}]
"""
_DATA, _WINDOW_UPDATE = 0, 8  # types of frames
_HEAD = 9  # bytes of a frame's header
_WINDOW = 1 << 30  # bytes that may be sent without an answer
_INITIAL_WINDOW = b"\0\4" + _WINDOW.to_bytes(4, "big")  # a setting


class Load(NamedTuple):
    """What makes events."""

    name: str
    filter: dict[str, Any]  # a message Filter: those events
    mark: bytes  # stands once in the message of each
    run: Callable[[], int]  # returns how many there are


class Client:
    """One subscriber, that never has to say anything again after it has asked."""

    def __init__(self, path: Path, load: Load) -> None:
        self.count = 0  # events
        self._answered = False
        self._mark = load.mark
        self._text = b""  # the last of the messages' bytes, too short for a mark
        self._frame = bytearray()  # what came of a frame that is not whole
        asked = subscribed(message=encode("GetEventsRequest", {"allow_list": [load.filter]}))
        settings = frame(SETTINGS, 0, 0, _INITIAL_WINDOW)
        more = frame(_WINDOW_UPDATE, 0, 0, _WINDOW.to_bytes(4, "big"))
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.sendall(asked.outgoing + settings + more)
        while not self._answered:  # from then on events are for it
            self.read()

    def read(self) -> bool:
        """Whether the agent is still there."""
        data = self.socket.recv(1 << 18)
        self._frame += data
        parts, at = [self._text], 0
        while len(self._frame) >= at + _HEAD:
            end = at + _HEAD + int.from_bytes(self._frame[at : at + 3], "big")
            if len(self._frame) < end:
                break
            self._answered |= self._frame[at + 3] == HEADERS
            if self._frame[at + 3] == _DATA:
                parts.append(bytes(self._frame[at + _HEAD : end]))
            at = end
        del self._frame[:at]
        text = b"".join(parts)
        self.count += text.count(self._mark)
        # A mark that begins here may end in what comes next.
        self._text = text[1 - len(self._mark) :]
        return bool(data)


class Readers(threading.Thread):
    """Reads for all clients until it is stopped and none has got anything for some time."""

    def __init__(self, clients: list[Client]) -> None:
        super().__init__(daemon=True)
        self._clients = clients
        self.expected = 0  # events for each client, once that is known
        self.first = self.last = 0.0  # of an event, on the monotonic clock

    def run(self) -> None:
        """Read."""
        with selectors.DefaultSelector() as ready:
            for one in self._clients:
                ready.register(one.socket, selectors.EVENT_READ, one)
            while not self.expected or min(one.count for one in self._clients) < self.expected:
                found = ready.select(PATIENCE)
                before = sum(one.count for one in self._clients)
                for key, _ in found:
                    if not key.data.read():
                        return
                if sum(one.count for one in self._clients) > before:
                    self.last = time.monotonic()
                    self.first = self.first or self.last
                elif self.expected and time.monotonic() - self.last > PATIENCE:
                    return


def processes(directory: Path, count: int) -> Load:
    """That many, as fast as they come."""
    load, target = programs.build(directory)

    def run() -> int:
        subprocess.run(
            [load, str(count), str(WIDTH), target, TAG], check=True, stdout=subprocess.DEVNULL
        )
        return 2 * count

    return Load("processes", {"arguments_regex": [f"^{TAG} "]}, f"{TAG} ".encode(), run)


def calls(program: Path, rate: int, seconds: float) -> Load:
    """Calls of getpgid, `rate` a second."""

    def run() -> int:
        bursts, size = int(seconds * BURSTS), rate // BURSTS
        begin = time.monotonic()
        for number in range(1, bursts + 1):
            subprocess.run(
                [program, "getpgid", NUMBER, str(size)], check=True, stdout=subprocess.DEVNULL
            )
            time.sleep(max(0, begin + number / BURSTS - time.monotonic()))
        return bursts * size

    wanted = {"event_set": ["PROCESS_TRACEPOINT"], "policy_names": ["rate"]}
    return Load(f"{rate:,} calls/s", wanted, b"sys_enter_getpgid", run)


def measure(directory: Path, load: Load, number: int) -> None:
    """Print a line for this load and number of clients."""
    path, log, policy = directory / "s", directory / "log", directory / "policy.yaml"
    policy.write_text(POLICY)
    flags = ["--server-address", f"unix://{path}", "--export-filename", ""]
    flags += ["--tracing-policy", str(policy), "--policy-cpu-share", "0"]
    with log.open("wb") as out, subprocess.Popen(isolated(*flags), stdout=out) as agent:
        try:
            while "Listening for events" not in log.read_text():
                if agent.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.05)
            clients = [Client(path, load) for _ in range(number)]
            readers = Readers(clients)
            readers.start()
            schedule = Path(f"/proc/{agent.pid}/schedstat")
            spent = int(schedule.read_text().split()[0])
            readers.expected = made = load.run()
            readers.join()
            spent = int(schedule.read_text().split()[0]) - spent
        finally:
            agent.terminate()
    told = [one.count for one in clients]
    if not all(told):
        raise RuntimeError(log.read_text())
    lost = re.search(r'Observer events statistics".* lost=(\d+)', log.read_text())
    print(
        f"{load.name}, {number} clients: {max(told) / (readers.last - readers.first):,.0f} events/s"
        f" to each; of {made:,} the kernel lost {lost[1] if lost else '?'}, clients were not told"
        f" {made - max(told):,} to {made - min(told):,}; {spent / made / 1e3:.1f} us of the agent"
        " an event",
        flush=True,
    )


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.api_rate", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rates", type=int, nargs="*", default=[10_000, 20_000, 30_000])
    parser.add_argument("--processes", type=int, default=20_000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10])
    arguments = parser.parse_args()
    if os.geteuid() or not PYZ.exists():
        print("bench.api_rate: root and dist/tetrapy.pyz are needed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="trate-") as name:
        directory = Path(name)
        program = programs.build_with_libc(directory, "calls")
        loads = [calls(program, rate, arguments.seconds) for rate in arguments.rates]
        if arguments.processes:
            loads.append(processes(directory, arguments.processes))
        for number in arguments.clients:
            for load in loads:
                measure(directory, load, number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
