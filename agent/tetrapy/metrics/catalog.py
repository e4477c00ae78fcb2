# SPDX-License-Identifier: Apache-2.0
"""Every metric of the agent, once: names, types and labels are Tetragon's where it has them.

docs/metrics.md shows the same rows, and says which of Tetragon's metrics are not here, and why.
"""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.metrics.containers import FAMILIES as CONTAINER_FAMILIES
from tetrapy.metrics.family import COUNTER, GAUGE, HISTOGRAM, Family
from tetrapy.metrics.policies import FAMILIES as POLICY_FAMILIES

HEALTH, RESOURCES, EVENTS = "health", "resources", "events"

_PROGRAM = ("attach", "policy", "policy_namespace", "section", "sensor")

# group -> name, type, help, labels
_ROWS: Dict[str, Tuple[Family, ...]] = {
    HEALTH: (
        # --- what the agent is
        Family(
            "tetragon_build_info",
            GAUGE,
            "The version of tetrapy; always 1",
            ("commit", "go_version", "modified", "time", "version"),
        ),
        Family(
            "tetrapy_btf_source_info",
            GAUGE,
            "Where the kernel's types (BTF) come from; always 1",
            ("kind", "source"),
        ),
        Family(
            "tetrapy_sensor_info",
            GAUGE,
            "What watches the kernel (ebpf, connector), and what it cannot see; always 1",
            ("blind", "sensor"),
        ),
        *POLICY_FAMILIES,
        # --- the kernel side
        Family(
            "tetragon_bpf_missed_events_total",
            COUNTER,
            "Records that found no room in the buffer between kernel and agent",
            ("error", "msg_op"),
        ),
        Family(
            "tetrapy_kernel_filtered_events_total",
            COUNTER,
            "Events that the kernel did not send, since filters or limits kept them back",
            ("type",),
        ),
        Family(
            "tetrapy_owner_lost_records_total",
            COUNTER,
            "Records that found no room, by whose they were; without labels: of all further owners",
            ("cgroup", "uid"),
        ),
        Family(
            "tetragon_missed_prog_probes_total",
            COUNTER,
            "Runs of a BPF program that the kernel skipped because it was running on that CPU",
            ("attach", "policy"),
        ),
        Family(
            "tetragon_overhead_program_runs_total",
            COUNTER,
            "Runs of a BPF program, counted while kernel.bpf_stats_enabled is 1",
            _PROGRAM,
        ),
        Family(
            "tetragon_overhead_program_seconds_total",
            COUNTER,
            "Time spent in a BPF program, counted while kernel.bpf_stats_enabled is 1",
            _PROGRAM,
        ),
        Family("tetragon_map_entries", GAUGE, "Entries in use of a BPF map", ("map",)),
        Family("tetragon_map_capacity", GAUGE, "Most entries of a BPF map", ("map",)),
        Family(
            "tetragon_map_errors_update_total",
            COUNTER,
            "Entries that a BPF map did not take",
            ("map",),
        ),
        Family(
            "tetragon_map_errors_delete_total",
            COUNTER,
            "Entries of a BPF map that could not be deleted",
            ("map",),
        ),
        Family(
            "tetragon_cgroup_rate_total",
            COUNTER,
            "Steps of the limit on events of a cgroup, by kind",
            ("type",),
        ),
        # --- from the kernel to the agent
        Family(
            "tetragon_observer_ringbuf_events_received_total",
            COUNTER,
            "Records read from the kernel",
        ),
        Family(
            "tetragon_observer_ringbuf_events_lost_total",
            COUNTER,
            "Messages that the socket of the process connector dropped",
        ),
        Family(
            "tetragon_observer_ringbuf_errors_total",
            COUNTER,
            "Reads of the buffer that failed; the reading of mapped memory cannot",
        ),
        Family(
            "tetragon_observer_ringbuf_queue_events_received_total",
            COUNTER,
            "Records handed from reader to handlers: all that were read",
        ),
        Family(
            "tetragon_observer_ringbuf_queue_events_lost_total",
            COUNTER,
            "Records lost between reader and handlers; there is no queue, so none",
        ),
        # --- records
        Family(
            "tetragon_msg_op_total",
            COUNTER,
            "Records by operation: 5 exec, 7 exit, 23 clone, 24 data, 27 throttle",
            ("msg_op",),
        ),
        Family(
            "tetragon_handler_errors_total",
            COUNTER,
            "Records that made no sense, by operation; 0 is one that is unknown",
            ("error", "opcode"),
        ),
        Family(
            "tetragon_handling_latency",
            HISTOGRAM,
            "Microseconds from record to event, by operation",
            ("op",),
        ),
        Family("tetragon_flags_total", COUNTER, "Flags of exec events, by word", ("type",)),
        Family(
            "tetragon_errors_total",
            COUNTER,
            "Inconsistencies in what the kernel reported",
            ("error",),
        ),
        Family("tetragon_data_cache_size", GAUGE, "Long arguments that wait for their exec"),
        Family("tetragon_data_cache_capacity", GAUGE, "Most long arguments that may wait"),
        Family(
            "tetragon_data_cache_evictions_total",
            COUNTER,
            "Long arguments dropped because too many waited: their execs were lost",
        ),
        Family(
            "tetragon_data_cache_misses_total",
            COUNTER,
            "Looks for long arguments that were not there: a chunk was lost",
            ("operation",),
        ),
        Family(
            "tetragon_data_events_total",
            COUNTER,
            "Chunks of long arguments that came, and execs that found theirs, by what became of it",
            ("event",),
        ),
        Family(
            "tetragon_data_event_size",
            HISTOGRAM,
            "Bytes of long arguments, by whether they were whole",
            ("op",),
        ),
        # --- processes
        Family("tetragon_process_cache_size", GAUGE, "Processes in the table"),
        Family("tetragon_process_cache_capacity", GAUGE, "Most processes in the table"),
        Family(
            "tetragon_process_cache_evictions_total",
            COUNTER,
            "Processes dropped from the table because it was full",
        ),
        Family(
            "tetragon_process_cache_misses_total",
            COUNTER,
            "Processes that the table did not have when they were looked for",
            ("operation",),
        ),
        Family(
            "tetragon_process_cache_early_deletions_total",
            COUNTER,
            "Processes that were gone from the table before they were collected",
        ),
        Family(
            "tetragon_events_missing_process_info_total",
            COUNTER,
            "Events of a process of which nothing is known but its pid",
        ),
        Family(
            "tetrapy_process_cache_bytes",
            GAUGE,
            "Bytes of the processes that are remembered, when they were last weighed",
        ),
        Family(
            "tetrapy_process_cache_cuts_total",
            COUNTER,
            "Processes whose texts were cut because all together took too many bytes",
        ),
        Family(
            "tetrapy_unanswered_reads_total",
            COUNTER,
            "Reads of procfs that were given up, or not tried, since a process keeps them waiting",
        ),
        *CONTAINER_FAMILIES,
        # --- export
        Family(
            "tetragon_notify_overflowed_events_total",
            COUNTER,
            "Events lost to clients of the gRPC API that read too slowly; others have them",
        ),
        Family(
            "tetrapy_export_filtered_events_total",
            COUNTER,
            "Events that the export's allow and deny lists dropped, as the settings ask",
        ),
        Family(
            "tetrapy_patterns_over_budget_total",
            COUNTER,
            "Texts for which the patterns of a setting would have cost too much",
            ("setting",),
        ),
        Family(
            "tetrapy_export_aggregated_events_total",
            COUNTER,
            "Events that were counted in the line of an equal one, as the settings ask",
        ),
        Family(
            "tetragon_export_ratelimit_events_dropped_total",
            COUNTER,
            "Events that the export's rate limit dropped",
        ),
        Family("tetragon_events_exported_total", COUNTER, "Events written to the export"),
        Family("tetragon_events_exported_bytes_total", COUNTER, "Bytes written to the export"),
        Family(
            "tetragon_events_last_exported_timestamp",
            GAUGE,
            "When the last event was written, in seconds since 1970; 0 is never",
        ),
        Family(
            "tetrapy_export_lost_lines_total",
            COUNTER,
            "Lines that the export's target did not take and that could not wait longer",
        ),
        Family(
            "tetrapy_export_write_errors_total", COUNTER, "Writes that the export's target refused"
        ),
        Family("tetrapy_export_rotations_total", COUNTER, "Rotations of the export file"),
        Family(
            "tetrapy_export_rotation_failures_total",
            COUNTER,
            "Rotations, and compressions and removals of rotated files, that failed",
        ),
        Family(
            "tetrapy_export_overflow_lines_total",
            COUNTER,
            "Lines written beside the export file, since their user had filled its share",
        ),
        Family(
            "tetrapy_export_cut_lines_total",
            COUNTER,
            "Lines that were longer than export-event-max-bytes, so that texts were cut",
        ),
        Family(
            "tetrapy_export_cut_ancestors_total",
            COUNTER,
            "Ancestors that were left out of lines because they took too many bytes",
        ),
        # --- the metrics themselves
        Family(
            "promhttp_metric_handler_errors_total",
            COUNTER,
            "Requests for metrics that ended in an error of the agent",
            ("cause",),
        ),
    ),
    RESOURCES: (
        Family("process_cpu_seconds_total", COUNTER, "CPU time of the agent, user and system"),
        Family("process_max_fds", GAUGE, "Most file descriptors that the agent may open"),
        Family("process_open_fds", GAUGE, "File descriptors that the agent has open"),
        Family("process_resident_memory_bytes", GAUGE, "Memory of the agent that is in RAM"),
        Family(
            "process_start_time_seconds", GAUGE, "When the agent started, in seconds since 1970"
        ),
        Family("process_threads", GAUGE, "Threads of the agent"),
        Family("process_virtual_memory_bytes", GAUGE, "Addresses that the agent has mapped"),
        Family(
            "process_virtual_memory_max_bytes",
            GAUGE,
            "Most addresses that the agent may map; 1.8e+19 is no limit",
        ),
    ),
    EVENTS: (
        Family(
            "tetragon_events_total",
            COUNTER,
            "Events, before any filter of the export",
            ("binary", "namespace", "node_name", "pod", "type", "workload"),
        ),
        Family(
            "tetragon_policy_events_total",
            COUNTER,
            "Events of policies, before any filter of the export",
            ("binary", "hook", "namespace", "node_name", "pod", "policy", "workload"),
        ),
        Family("tetrapy_event_series", GAUGE, "Series of the two counters of events"),
        Family(
            "tetrapy_event_series_capacity",
            GAUGE,
            "The most series that binaries may have; one user has a part of them, and the rest is"
            " `other`",
        ),
    ),
}

CATALOG: Dict[str, Family] = {row.name: row for rows in _ROWS.values() for row in rows}
GROUPS: Dict[str, str] = {row.name: group for group, rows in _ROWS.items() for row in rows}
