/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps and variables that the programs share. maps.bpf.c defines them,
 * every other source file refers to them.
 */
#ifndef TETRAPY_MAPS_H
#define TETRAPY_MAPS_H

#include "flavour.h"

#if EVENTS_RINGBUF
/* max_entries (bytes, a power of two) is set before loading. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");
#else
SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} events SEC(".maps");
#endif

/* Records that could not be handed over, by enum event_kind. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

enum counter {
	COUNT_EXEC_SUPPRESSED = 0, /* events that were not sent, see filter_masks.h and rate.h */
	COUNT_EXIT_SUPPRESSED = 1,
	COUNT_PROCESSES_FULL = 2, /* processes for which there was no room, see process.h */
	COUNT_EXEC_RESCUED = 3, /* events that only a later gate let in, see gates.h */
	COUNT_FORK_RESCUED = 4,
	COUNT_EXIT_RESCUED = 5,
	COUNTERS = 6,
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

#if EVENTS_RINGBUF
/* How many bytes may wait before the reader is woken early. */
SHARED const volatile __u64 wakeup_bytes;
#endif

/* Set by the reader before it sleeps; the next record wakes it and clears this. */
SHARED volatile __u32 reader_sleeps;

#endif
