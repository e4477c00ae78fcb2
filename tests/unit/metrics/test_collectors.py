# SPDX-License-Identifier: Apache-2.0
"""Every collector: what it tells of the parts of the agent, and before they are there."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.metrics.metrics_sources import busy, figures_of, read
from tetrapy.events import decoder
from tetrapy.metrics import collectors
from tetrapy.metrics.catalog import CATALOG, EVENTS, GROUPS
from tetrapy.metrics.collectors import OPCODES, Resources
from tetrapy.metrics.counters import EventCounter
from tetrapy.metrics.deprecated_names import DEPRECATED
from tetrapy.metrics.sources import Sources

RINGBUF = "tetragon_observer_ringbuf"


def samples(sources: Sources, events: EventCounter | None = None) -> dict[str, float]:
    return read(figures_of(sources, events)().body.decode())


def families(sources: Sources, events: EventCounter | None = None) -> dict[str, str]:
    """Name -> type, as the comments of the text say."""
    text = figures_of(sources, events)().body.decode()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))


_OWN = 'attach="f",policy="p",policy_namespace="ns",section="kprobe",sensor="generic_kprobe"'
_HOOK = 'hook="kprobe:f",hook_index="0",policy="p",policy_namespace="ns"'
_SELECTOR = f'{_HOOK},selector_index="1",selector_label="kill"'
_MERGE = 'curr_fn="f",curr_type="exit",prev_fn="f",prev_type="enter"'

TOLD = {
    'tetrapy_sensor_info{blind="thread names, cgroups",sensor="ebpf"}': 1,
    'tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="5"}': 11,
    'tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="7"}': 12,
    'tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="23"}': 13,
    'tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="24"}': 14,
    'tetragon_bpf_missed_events_total{error="ENOSPC",msg_op="27"}': 15,
    f"{RINGBUF}_events_received_total": 1001,
    f"{RINGBUF}_queue_events_received_total": 1001,
    f"{RINGBUF}_events_lost_total": 16,
    'tetrapy_owner_lost_records_total{cgroup="4711",uid="1000"}': 14,
    'tetrapy_owner_lost_records_total{cgroup="",uid=""}': 15,
    'tetrapy_kernel_filtered_events_total{type="PROCESS_EXEC"}': 17,
    'tetrapy_kernel_filtered_events_total{type="PROCESS_EXIT"}': 18,
    'tetragon_missed_prog_probes_total{attach="sched_process_exec",policy="__base__"}': 20,
    'tetragon_map_entries{map="throttled"}': 21,
    'tetragon_map_capacity{map="throttled"}': 22,
    'tetragon_map_errors_update_total{map="throttled"}': 23,
    'tetragon_map_errors_delete_total{map="throttled"}': 24,
    'tetragon_cgroup_rate_total{type="process"}': 25,
    'tetragon_cgroup_rate_total{type="throttle_start"}': 0,
    'tetragon_msg_op_total{msg_op="5"}': 31,
    'tetragon_msg_op_total{msg_op="23"}': 32,
    'tetragon_msg_op_total{msg_op="7"}': 33,
    'tetragon_msg_op_total{msg_op="27"}': 0,
    'tetragon_handler_errors_total{error="event_handler_failed",opcode="5"}': 34,
    'tetragon_handler_errors_total{error="unknown_opcode",opcode="0"}': 35,
    'tetragon_handler_errors_total{error="perf_empty_data",opcode="7"}': 0,
    'tetragon_errors_total{error="process_pid_tid_mismatch_exec"}': 36,
    'tetragon_errors_total{error="process_pid_tid_mismatch_exit"}': 0,
    'tetragon_handling_latency_bucket{le="50",op="5"}': 1,
    'tetragon_handling_latency_bucket{le="500",op="5"}': 6,
    'tetragon_handling_latency_bucket{le="+Inf",op="5"}': 10,
    'tetragon_handling_latency_sum{op="5"}': 37.5,
    'tetragon_handling_latency_count{op="5"}': 10,
    'tetragon_handling_latency_count{op="7"}': 0,
    "tetragon_data_cache_size": 38,
    "tetragon_data_cache_capacity": 39,
    "tetragon_data_cache_evictions_total": 40,
    'tetragon_data_cache_misses_total{operation="get"}': 41,
    'tetragon_data_cache_misses_total{operation="remove"}': 0,
    'tetragon_data_events_total{event="Matched"}': 42,
    'tetragon_data_events_total{event="Bad"}': 0,
    'tetragon_data_event_size_bucket{le="39000",op="ok"}': 0,
    'tetragon_data_event_size_count{op="ok"}': 43,
    'tetragon_data_event_size_sum{op="ok"}': 44,
    'tetragon_data_event_size_count{op="bad"}': 0,
    "tetragon_process_cache_size": 51,
    "tetragon_process_cache_capacity": 52,
    "tetragon_process_cache_evictions_total": 53,
    'tetragon_process_cache_misses_total{operation="get"}': 54,
    'tetragon_process_cache_misses_total{operation="remove"}': 55,
    "tetragon_process_cache_early_deletions_total": 56,
    "tetragon_events_missing_process_info_total": 57,
    "tetragon_events_exported_total": 61,
    "tetragon_events_exported_bytes_total": 62,
    "tetragon_events_last_exported_timestamp": 1_700_000_000.25,
    "tetrapy_export_filtered_events_total": 63,
    "tetrapy_export_aggregated_events_total": 64,
    "tetragon_export_ratelimit_events_dropped_total": 65,
    "tetrapy_export_lost_lines_total": 66,
    "tetrapy_export_write_errors_total": 67,
    "tetrapy_export_rotations_total": 68,
    "tetrapy_export_rotation_failures_total": 85,
    'tetrapy_container_lookups_total{outcome="refused"}': 84,
    'tetrapy_container_lookups_total{outcome="found"}': 0,
    'tetrapy_patterns_over_budget_total{setting="redaction-filters"}': 69,
    'tetrapy_patterns_over_budget_total{setting="export-denylist"}': 0,
    "tetrapy_export_overflow_lines_total": 69,
    "tetrapy_export_cut_lines_total": 70,
    "tetrapy_export_cut_ancestors_total": 71,
    "tetrapy_process_cache_bytes": 58,
    "tetrapy_process_cache_cuts_total": 59,
    "tetrapy_unanswered_reads_total": 60,
    'promhttp_metric_handler_errors_total{cause="encoding"}': 0,
    'promhttp_metric_handler_errors_total{cause="gathering"}': 0,
    'tetragon_tracingpolicy_loaded{state="load_error"}': 0,
    'tetragon_tracingpolicy_loaded{state="enabled"}': 74,
    'tetragon_tracingpolicy_kernel_memory_bytes{policy="p",policy_namespace="ns"}': 75,
    'tetragon_missed_prog_probes_total{attach="f",policy="p"}': 2 * 73,
    f"tetragon_overhead_program_runs_total{{{_OWN}}}": 2 * 72,
    f"tetragon_overhead_program_seconds_total{{{_OWN}}}": 2 * 0.5,
    "tetragon_generic_kprobe_merge_pushed_total": 76,
    f'tetragon_generic_kprobe_merge_total{{{_MERGE},status="ok"}}': 77,
    f'tetragon_generic_kprobe_merge_total{{{_MERGE},status="error"}}': 78,
    'tetrapy_policy_requests_total{action="GetUrl",outcome="dropped"}': 82,
    'tetrapy_policy_throttled_total{policy="p",policy_namespace="ns"}': 83,
    "tetrapy_policy_unreported_calls_total"
    '{cgroup="4711",policy="p",policy_namespace="ns",uid="1000"}': 87,
    f"tetrapy_policy_hook_calls_total{{{_HOOK}}}": 84,
    f"tetrapy_policy_hook_missed_total{{{_HOOK}}}": 85,
    f"tetrapy_policy_selector_matches_total{{{_SELECTOR}}}": 86,
    "tetragon_notify_overflowed_events_total": 79,
    "tetragon_event_cache_entries": 80,
    "tetragon_event_cache_inserts_total": 81,
    'tetragon_event_cache_fetch_failures_total{entry_type="pod_info",event_type="PROCESS_EXIT"}': 8,
    'tetragon_event_cache_fetch_failures_total{entry_type="pod_info",event_type="PROCESS_EXEC"}': 0,
    'tetragon_flags_total{type="clone"}': 0,
    # former names
    'tetragon_missed_events_total{msg_op="23"}': 13,
    'tetragon_map_errors_total{map="throttled"}': 47,
    "tetragon_ringbuf_perf_event_received_total": 1001,
    "tetragon_ringbuf_perf_event_lost_total": 16,
    "tetragon_ratelimit_dropped_total": 65,
    'tetragon_event_cache_parent_info_errors_total{event_type="PROCESS_EXEC"}': 0,
}


NOT_KNOWN_AHEAD = (
    "tetrapy_",
    "tetragon_missed_prog",
    "tetragon_overhead",
    "tetragon_tracingpolicy_kernel",
    "tetragon_generic_kprobe_merge",
)


@pytest.mark.parametrize(("sample", "figure"), TOLD.items())
def test_every_figure_is_its_own(sample: str, figure: float) -> None:
    """Each attribute of each part is told under its name, and what is known ahead begins with 0."""
    assert samples(busy())[sample] == figure


def test_every_part_may_be_missing() -> None:
    """An agent that is still starting tells 0 everywhere, and of no sensor."""
    early = samples(Sources())
    assert [name for name in early if name.startswith("tetrapy_sensor_info")] == []
    labelled = {name for name in TOLD if "{" in name and "throttled" not in name}
    known = {name for name in labelled if not name.startswith(NOT_KNOWN_AHEAD)}
    assert {early[name] for name in known} == {0}


@pytest.mark.parametrize("events", [None, EventCounter(frozenset(), "host1")])
def test_the_catalog_is_what_is_served(events: EventCounter | None) -> None:
    """Every row once, with its type, and the former names; events only where they are enabled."""
    expected = {name: row.kind for name, row in CATALOG.items()}
    expected |= {old.name: "counter" for old in DEPRECATED}
    if events is None:
        expected = {n: kind for n, kind in expected.items() if GROUPS.get(n) != EVENTS}
    assert families(busy(), events) == expected
    text = figures_of(busy(), events)().body.decode()
    assert len(re.findall(r"^# TYPE ", text, re.MULTILINE)) == len(expected)


def test_labels_are_those_of_the_catalog() -> None:
    """And stand in the order of the alphabet, as the catalog's rows have them."""
    rows = {**CATALOG, **{old.name: old.family for old in DEPRECATED}}
    assert [row.name for row in rows.values() if list(row.labels) != sorted(row.labels)] == []
    text = figures_of(busy(), EventCounter(frozenset(), ""))().body.decode()
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" if family.type == "counter" else family.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(rows[name].labels), name


def test_every_kind_of_record_has_an_opcode() -> None:
    """A kind that the agent decodes cannot be left out of the figures."""
    assert set(OPCODES) == set(decoder._RECORDS)


@pytest.mark.slow
def test_a_mapping_that_grows_meanwhile() -> None:
    """New keys while the figures are read do no harm."""
    sources, over = busy(), threading.Event()
    growing: dict[str, int] = {}
    sensor = sources.sensor()._replace(losses=growing, kernel_filtered=growing)
    dispatcher = sources.dispatcher()._replace(messages=growing, failures=growing)
    sources.sensor, sources.dispatcher = lambda: sensor, lambda: dispatcher

    def grow() -> None:
        number = 0
        while not over.is_set():
            number += 1
            growing[f"key{number % 2_000}"] = number
            if number % 2_000 == 0:
                growing.clear()

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that the other thread comes in within each mapping
    thread = threading.Thread(target=grow)
    thread.start()
    try:
        figures = figures_of(sources)
        assert all(figures().body for _ in range(30))
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(usual)


# --- the process ---------------------------------------------------------------------------------


def resource_samples(proc: str = "/proc") -> dict[str, float]:
    found = {}
    for family in Resources(proc).collect():
        for sample in family.samples:
            found[sample.name] = sample.value
    return found


def test_resources_are_those_of_this_process() -> None:
    """Memory, threads and descriptors are what procfs says, the start is a date of these years."""
    before = resource_samples()
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    resident = int(status["VmRSS"].split()[0]) * 1024
    assert before["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.3)
    assert before["process_threads"] == int(status["Threads"])
    assert before["process_start_time_seconds"] > 1_600_000_000
    assert before["process_cpu_seconds_total"] <= resource_samples()["process_cpu_seconds_total"]
    assert before["process_max_fds"] == os.sysconf("SC_OPEN_MAX")
    pipe = os.pipe()
    assert resource_samples()["process_open_fds"] == before["process_open_fds"] + 2
    for fd in pipe:
        os.close(fd)


def test_a_process_without_procfs() -> None:
    """What procfs would tell is left out, the rest is there."""
    assert set(resource_samples("/nowhere")) == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_virtual_memory_max_bytes",
    }


def test_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported as Go's library tells it."""
    unlimited = (collectors.resource.RLIM_INFINITY,) * 2
    monkeypatch.setattr(collectors.resource, "getrlimit", lambda _: unlimited)
    assert resource_samples()["process_virtual_memory_max_bytes"] == float(2**64 - 1)
