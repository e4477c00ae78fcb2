# SPDX-License-Identifier: Apache-2.0
"""Parts of an agent with a different figure in every attribute, and what they are reported as."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families

from tetrapy.btf.source import KIND_KERNEL, BtfSource
from tetrapy.metrics.collectors import collectors
from tetrapy.metrics.counters import EventCounter, FlagCounter
from tetrapy.metrics.server import Figures
from tetrapy.metrics.sources import (
    Cache,
    Containers,
    Dispatcher,
    Exporter,
    MapUse,
    Policies,
    ProgramUse,
    Reassembly,
    Sensor,
    Sources,
    Table,
)

KERNEL = BtfSource(KIND_KERNEL, "/sys/kernel/btf/vmlinux")


def busy() -> Sources:
    """An agent in full swing."""
    sensor = Sensor(
        name="ebpf",
        blind=("thread names", "cgroups"),
        received=1001,
        losses={"exec": 11, "exit": 12, "fork": 13, "args": 14, "throttle": 15},
        lost_in_socket=16,
        owner_losses={("1000", "4711"): 14, ("", ""): 15},
        kernel_filtered={"PROCESS_EXEC": 17, "PROCESS_EXIT": 18},
        programs=(
            ProgramUse(
                attach="sched_process_exec",
                section="raw_tp/sched_process_exec",
                runs=19,
                seconds=0.25,
                missed=20,
            ),
        ),
        maps={"throttled": MapUse(entries=21, capacity=22, update_errors=23, delete_errors=24)},
        cgroup_rate={"process": 25},
    )
    dispatcher = Dispatcher(
        messages={"exec": 31, "fork": 32, "exit": 33},
        failures={"exec": 34, "": 35},
        oddities={"process_pid_tid_mismatch_exec": 36},
        latencies={"exec": SimpleNamespace(counts=[1, 2, 3, 0, 0, 0, 4], sum=37.5)},
        reassembly=Reassembly(
            Cache(size=38, capacity=39, evictions=40, misses={"get": 41}),
            events={"Matched": 42},
            sizes={"ok": SimpleNamespace(counts=[0] * 20 + [43], sum=44)},
        ),
    )
    table = Table(
        Cache(size=51, capacity=52, evictions=53, misses={"get": 54, "remove": 55}),
        early_deletions=56,
        unknown_processes=57,
        bytes=58,
        cuts=59,
        unanswered=60,
    )
    exporter = Exporter(
        events=61,
        bytes=62,
        last=1_700_000_000.25,
        filtered=63,
        aggregated=64,
        rate_limited=65,
        lost_lines=66,
        write_errors=67,
        rotations=68,
        rotation_failures=85,
        over_budget={"redaction-filters": 69},
        overflowed=69,
        cut_lines=70,
        cut_ancestors=71,
        lost_to_clients=79,
    )
    own = ("f", "kprobe", 72, 0.5, 73, "p", "ns", "generic_kprobe")
    policies = Policies(
        states={"enabled": 74},
        kernel_memory={("p", "ns"): 75},
        programs=(ProgramUse(*own), ProgramUse(*own)),  # at the call, and at its return
        waited=76,
        merges={("f", "ok"): 77, ("f", "error"): 78},
        requests={("GetUrl", "dropped"): 82},
        calls={("kprobe:f", "0", "p", "ns"): 84},
        missed={("kprobe:f", "0", "p", "ns"): 85},
        matches={("kprobe:f", "0", "p", "ns", "1", "kill"): 86},
        actions={("signal", "kprobe:f", "0", "p", "ns", "1", "kill"): 80},
        throttled={("p", "ns"): 83},
        unreported={("4711", "p", "ns", "1000"): 87},
    )
    sources = Sources()
    sources.policies = lambda: policies
    sources.containers = lambda: Containers(80, 81, {"PROCESS_EXIT": 8}, {"refused": 84})
    sources.sensor = lambda: sensor
    sources.dispatcher = lambda: dispatcher
    sources.table = lambda: table
    sources.exporter = lambda: exporter
    sources.heartbeat = lambda: 0.0
    return sources


def figures_of(sources: Sources, events: EventCounter | None = None) -> Figures:
    """The reply at /metrics of an agent with these parts."""
    return Figures(collectors(KERNEL, sources, FlagCounter(), events))


def series(kind: str, binary: str, node: str = "") -> str:
    """A series of tetragon_events_total as it is written."""
    labels = f'binary="{binary}",namespace="",node_name="{node}",pod="",type="{kind}",workload=""'
    return f"tetragon_events_total{{{labels}}}"


def read(text: str) -> dict[str, float]:
    """Each sample as it is written without its figure, and the figure."""
    assert list(text_string_to_metric_families(text))
    rows = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    found = {sample: float(value) for sample, _, value in rows}
    assert len(found) == len(rows), "a series is there twice"
    return found
