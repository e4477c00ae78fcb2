/* SPDX-License-Identifier: GPL-2.0-only */
/* Handing a record to user space, and counting the ones that cannot be. */
#ifndef TETRAPY_OUTPUT_H
#define TETRAPY_OUTPUT_H

#include "maps.h"

/* The reader sleeps a little between two looks at a busy buffer. It is woken
 * when it went to sleep for good, or when so much waits that it should hurry.
 */
#define HURRY_BYTES (256 * 1024)

static __always_inline __u64 event_clock(void)
{
#if EVENTS_RINGBUF
	return bpf_ktime_get_boot_ns();
#else
	return bpf_ktime_get_ns();
#endif
}

static __always_inline void count_loss(__u32 kind)
{
	__u64 *lost = bpf_map_lookup_elem(&losses, &kind);

	if (lost)
		*lost += 1;
}

static __always_inline void fill_header(struct event_header *header, __u8 kind)
{
	header->ktime = event_clock();
	header->size = 0;
	header->cpu = bpf_get_smp_processor_id();
	header->kind = kind;
	header->__pad = 0;
}

static __always_inline void submit(__attribute__((unused)) void *ctx, struct event_header *header,
				   __u64 size)
{
	long err;
#if EVENTS_RINGBUF
	__u64 wakeup = BPF_RB_NO_WAKEUP;

	if (reader_sleeps) {
		reader_sleeps = 0;
		wakeup = BPF_RB_FORCE_WAKEUP;
	} else if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > HURRY_BYTES) {
		wakeup = BPF_RB_FORCE_WAKEUP;
	}
	header->size = size;
	err = bpf_ringbuf_output(&events, header, size, wakeup);
#else
	header->size = size;
	err = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, header, size);
#endif
	if (err)
		count_loss(header->kind);
}

#endif
