# SPDX-License-Identifier: Apache-2.0
"""What runs in the deterministic guest: loads without and with the agent, and a written record.

Guest nanoseconds are instructions there. It computes and judges nothing; everything ends in
/result/record.json, and the agent's export beside it. Usage: driver.py COUNT (processes of a load:
the measured one, one more to see whether memory grows, and a burst with all in flight).
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

AGENT = ("/test/tetrapy.pyz",)  # as the unit starts it
LOAD = "/test/load"
TARGET = "/test/nothing"
RESULT = Path("/result")
SETTLE = 3.0  # guest seconds, in which the agent writes what it has and falls asleep
IDLE = 60.0
LISTENING = b"Listening for events"

DENIED = '{"binary_regex":["^/test/nothing$"]}'
# Name -> flags: what else is measured with a load of its own.
VARIANTS = {
    "details": [
        "--enable-process-cred",
        "--enable-process-ns",
        "--enable-ancestors=base",
    ],
    "denied_in_kernel": [f"--export-denylist={DENIED}"],
    "denied_in_user_space": [f"--export-denylist={DENIED}", "--kernel-filters=false"],
    "metrics": ["--metrics-server=127.0.0.1:2112"],
    "streamed": ["--export-filename="],
}
SOCKET = "/var/run/tetrapy/tetrapy.sock"
SUBSCRIBE = "subscribe"


def load(count: int, width: int, tag: str) -> int:
    """Run a load; its nanoseconds."""
    done = subprocess.run(
        [LOAD, str(count), str(width), TARGET, tag], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(done.stdout.rpartition("ns=")[2])


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process (Documentation/scheduler/sched-stats.rst)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int(Path(task, "schedstat").read_text().split()[0]) for task in tasks)


def memory(pid: int) -> dict[str, int]:
    """Bytes: the peak and the present resident set, and what of it no other process maps."""
    status = dict(re.findall(r"(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()))
    # The kernel counts VmRSS in batches per thread; smaps walks the page tables.
    exact = dict(re.findall(r"(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text()))
    private = int(exact["Private_Clean"]) + int(exact["Private_Dirty"])
    kilobytes = {
        "peak": int(status["VmHWM"]),
        "rss": int(exact["Rss"]),
        "private": private,
    }
    return {name: 1024 * value for name, value in kilobytes.items()}


def bpf_descriptors(pid: int) -> list[dict[str, str]]:
    """What fdinfo tells of the BPF maps and programs that a process holds."""
    found = []
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(re.findall(r"(\w+):\s+(\S+)", path.read_text()))
        if "map_id" in fields or "prog_id" in fields:
            found.append(fields)
    return found


class Agent:
    """A running agent, watched by a driver that preempts it, so that no instruction is missed."""

    def __init__(self, name: str, flags: Sequence[str] = ()) -> None:
        self.export = RESULT / f"{name}.json"
        self.log = b""
        started = time.monotonic_ns()
        self.process = subprocess.Popen(
            [*AGENT, "--export-filename", str(self.export), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log += line
            if LISTENING in line:
                break
        else:
            sys.exit(f"the agent ended before it listened:\n{self.log.decode()}")
        self.start_cpu = cpu_ns(self.pid)
        self.start_elapsed = time.monotonic_ns() - started

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        rest, _ = self.process.communicate()
        self.log += rest
        return self.process.returncode


def measure(agent: Agent, count: int, tag: str) -> dict[str, int]:
    """One load under the agent. `after` is CPU that the agent spends when the load has ended."""
    before = cpu_ns(agent.pid)
    wall = load(count, 1, tag)
    ended = cpu_ns(agent.pid)
    time.sleep(SETTLE)
    settled = cpu_ns(agent.pid)
    return {"wall": wall, "cpu": settled - before, "after": settled - ended}


def variant(name: str, count: int) -> dict[str, object]:
    """A life of the agent with other settings: what a load costs, and what memory it takes."""
    agent = Agent(name, VARIANTS[name])
    client = None
    if name == "streamed":
        client = subprocess.Popen([sys.executable, __file__, SUBSCRIBE], stdout=subprocess.PIPE)
    load(count // 4, 1, f"{name}-warm-up")
    result: dict[str, object] = {"load": measure(agent, count, name)}
    if name == "metrics":
        scrape()
        time.sleep(SETTLE)
    result["memory"] = memory(agent.pid)
    agent.stop()
    if client is not None:
        told = int(client.communicate()[0])
        if told < 2 * count * 200:  # bytes; an exec and an exit have more
            sys.exit(f"the client received {told} bytes for {count} processes")
    # The events of this life are counted by others.
    agent.export.unlink(missing_ok=True)
    return result


def subscribe() -> None:
    """A client of GetEvents that costs next to nothing: it reads, and says how much it was."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return (
            struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
        )

    path = "/tetragon.FineGuidanceSensors/GetEvents"
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost"}
    headers |= {"te": "trailers", "content-type": "application/grpc"}
    block = b"".join(
        b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in pair)
        for pair in headers.items()
    )
    window = 2**31 - 1
    settings = struct.pack(">HI", 4, window)  # SETTINGS_INITIAL_WINDOW_SIZE
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(SOCKET)
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            + frame(4, 0, 0, settings)
            + frame(8, 0, 0, struct.pack(">I", window - 65535))
            + frame(1, 4, 1, block)  # HEADERS, END_HEADERS
            + frame(0, 1, 1, bytes(5))  # DATA, END_STREAM: a message without fields
        )
        told = 0
        while data := connection.recv(1 << 20):
            told += len(data)
    print(told)


def raise_loopback() -> None:
    """What `ip link set lo up` does (netdevice(7)); the guest has no such program."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def scrape() -> None:
    """What Prometheus does."""
    with socket.create_connection(("127.0.0.1", 2112)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: guest\r\n\r\n")
        answer = b""
        while data := connection.recv(65536):
            answer += data
    if b"tetragon_events_total" not in answer:
        sys.exit(f"no metrics: {answer[:500]!r}")


def main() -> None:
    """All loads, in the order that the figures are read in."""
    count = int(sys.argv[1])
    # The driver runs as soon as it can; what it starts does not inherit that.
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    load(count // 4, 1, "warm-up")
    record: dict[str, object] = {"count": count}
    record["base"] = load(count, 1, "base")

    agent = Agent("plain")
    record["start"] = {"cpu": agent.start_cpu, "elapsed": agent.start_elapsed}
    time.sleep(SETTLE)
    record["memory_started"] = memory(agent.pid)
    record["load"] = measure(agent, count, "measured")
    record["memory_loaded"] = memory(agent.pid)
    record["more_load"] = measure(agent, count, "more")
    record["memory_more"] = memory(agent.pid)
    load(count, count, "burst")
    time.sleep(SETTLE)
    record["memory_burst"] = memory(agent.pid)
    idle = cpu_ns(agent.pid)
    time.sleep(IDLE)
    record["idle"] = cpu_ns(agent.pid) - idle
    record["descriptors"] = bpf_descriptors(agent.pid)
    record["code"] = agent.stop()
    record["log"] = agent.log.decode()

    raise_loopback()
    record["variants"] = {name: variant(name, count // 2) for name in VARIANTS}

    # Apart, because counting the programs' time is work too.
    Path("/proc/sys/kernel/bpf_stats_enabled").write_text("1")
    agent = Agent("statistics")
    earlier = bpf_descriptors(agent.pid)
    load(count, 1, "statistics")
    record["programs"] = {"before": earlier, "after": bpf_descriptors(agent.pid)}
    agent.stop()
    Path("/proc/sys/kernel/bpf_stats_enabled").write_text("0")
    record["base_again"] = load(count, 1, "base")
    (RESULT / "record.json").write_text(json.dumps(record))


if __name__ == "__main__":
    if not RESULT.is_dir():
        sys.exit("bench.driver runs inside the guest that python3 -m bench.guest boots")
    if sys.argv[1] == SUBSCRIBE:
        subscribe()
    else:
        main()
