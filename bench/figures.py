# SPDX-License-Identifier: Apache-2.0
"""What the deterministic guest brought back -> figures with names, units, floors, comparison."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

RING_BUFFER = "27"  # BPF_MAP_TYPE_RINGBUF

_LINE = re.compile(rb'^\{"(process_exec|process_exit)":\{"process":\{.*?"arguments":"([^"]*)"')


class Figure(NamedTuple):
    """One number that has a budget: the lower the better."""

    title: str
    unit: str
    scale: float  # of the unit
    floor: float | None  # what the project has promised to reach, in units
    tetragon: str = ""


FIGURES: Mapping[str, Figure] = {
    "added": Figure("added by one fork+exec+exit, all in", "k", 1e3, 100, "545 to 576"),
    "agent": Figure("- of that, CPU of the agent", "k", 1e3, None, "510 to 540"),
    "kernel": Figure("- of that, BPF programs", "k", 1e3, None, "26"),
    "details": Figure(
        "the same with credentials, namespaces, ancestors", "k", 1e3, None, "545 and more"
    ),
    "denied_in_user_space": Figure("the same, denied by a filter in user space", "k", 1e3, None),
    "denied_in_kernel": Figure("the same, denied by a filter in the kernel", "k", 1e3, None),
    "metrics": Figure("the same with metrics", "k", 1e3, None),
    "streamed": Figure("the same, sent to a client and not written", "k", 1e3, 150, "570"),
    "start": Figure("start to listening, CPU of the agent", "M", 1e6, 500, "5660"),
    "start_elapsed": Figure("start to listening, guest time", "M", 1e6, None, "6100 to 6300"),
    "idle": Figure("an idle minute, CPU of the agent", "M", 1e6, 5, "20"),
    "verified": Figure("verified BPF instructions", "k", 1e3, None),
    "peak": Figure("resident memory, peak", "MB", 1e6, 36, "110 to 113"),
    "settled": Figure("resident memory, 3 s after the start", "MB", 1e6, 26, "92.6"),
    "loaded": Figure("resident memory, after all loads", "MB", 1e6, None, "98.9"),
    "private": Figure("- of that, shared with no other process", "MB", 1e6, None),
    "metrics_peak": Figure("resident memory with metrics, peak", "MB", 1e6, 40),
    "metrics_settled": Figure("resident memory with metrics, after a scrape", "MB", 1e6, 30),
    "maps": Figure("memory of BPF maps", "MB", 1e6, 8, "30.4"),
}


def figures_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of FIGURES, from the driver's record."""
    count = record["count"]
    base = (record["base"] + record["base_again"]) / 2
    load = record["load"]
    # What the agent still does when the load has ended belongs to the load's cost too.
    added = load["wall"] + load["after"] - base
    memories = [value for name, value in record.items() if name.startswith("memory_")]
    variants = record["variants"]
    with_metrics = variants["metrics"]["memory"]
    return {
        "added": added / count,
        "agent": load["cpu"] / count,
        "kernel": sum(program_costs(record).values()),
        **{name: _added(record, found) for name, found in variants.items()},
        "start": record["start"]["cpu"],
        "start_elapsed": record["start"]["elapsed"],
        "idle": record["idle"],
        "verified": sum(int(d.get("verified_insns", 0)) for d in record["descriptors"]),
        # The kernel keeps the peak in batches of pages, so it may lag behind what is there.
        "peak": max(max(memory["peak"], memory["rss"]) for memory in memories),
        "settled": record["memory_started"]["rss"],
        "loaded": record["memory_burst"]["rss"],
        "private": record["memory_burst"]["private"],
        "metrics_peak": max(with_metrics["peak"], with_metrics["rss"]),
        "metrics_settled": with_metrics["rss"],
        "maps": map_bytes(record["descriptors"]),
    }


def _added(record: Mapping[str, Any], variant: Mapping[str, Any]) -> float:
    """What one process of the load costs more than without an agent."""
    count = record["count"] // 2
    base = (record["base"] + record["base_again"]) / 2 / record["count"]
    load = variant["load"]
    return float((load["wall"] + load["after"]) / count - base)


def map_bytes(descriptors: Iterable[Mapping[str, str]]) -> int:
    """Memory of all BPF maps. Linux before 6.4 counts no byte of a ring buffer as locked."""
    sizes = {}
    for fields in descriptors:
        if "map_id" in fields:
            locked = int(fields["memlock"])
            is_ring = fields["map_type"] == RING_BUFFER
            sizes[fields["map_id"]] = locked or (int(fields["max_entries"]) if is_ring else 0)
    return sum(sizes.values())


def program_costs(record: Mapping[str, Any]) -> dict[str, float]:
    """Hook -> instructions of its BPF program for one process of the load."""
    before, after = (
        {d["prog_id"]: int(d["run_time_ns"]) for d in record["programs"][when] if "run_cnt" in d}
        for when in ("before", "after")
    )
    hooks = {d["prog_id"]: d["tp_name"] for d in record["programs"]["after"] if "tp_name" in d}
    return {
        hook: (after[program] - before[program]) / record["count"]
        for program, hook in sorted(hooks.items())
    }


def missing_lines(export: Iterable[bytes], tag: str, count: int) -> list[str]:
    """Which events of a load are not there exactly once; the load was given `tag`."""
    seen: Counter[tuple[bytes, bytes]] = Counter()
    prefix = tag.encode() + b" "
    for line in export:
        found = _LINE.match(line)
        if found and found[2].startswith(prefix):
            seen[found[1], found[2]] += 1
    return [
        f"{kind} of '{tag} {number}': {seen[kind.encode(), prefix + b'%d' % number]} lines"
        for kind in ("process_exec", "process_exit")
        for number in range(count)
        if seen[kind.encode(), prefix + b"%d" % number] != 1
    ]


def is_json(export: Iterable[bytes]) -> bool:
    """Whether every line is a JSON object."""
    try:
        return all(isinstance(json.loads(line), dict) for line in export)
    except ValueError:
        return False
