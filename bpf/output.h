/* SPDX-License-Identifier: GPL-2.0-only */
/* Handing a record to user space, and counting the ones that cannot be. */
#ifndef TETRAPY_OUTPUT_H
#define TETRAPY_OUTPUT_H

#include "share.h"

/* The reader sleeps a little between two looks at a busy buffer. It is woken
 * when it went to sleep for good, or when so much waits that it should hurry.
 */

static __always_inline __u64 event_clock(void)
{
#if EVENTS_RINGBUF
	return bpf_ktime_get_boot_ns();
#else
	return bpf_ktime_get_ns();
#endif
}

static __always_inline void count(__u32 what)
{
	__u64 *counter = bpf_map_lookup_elem(&counters, &what);

	/* Since Linux 7.0 a program may be preempted in the midst of an addition. */
	if (counter)
		__sync_fetch_and_add(counter, 1);
}

static __always_inline void fill_header(struct event_header *header, __u8 kind, __u64 ktime)
{
	header->ktime = ktime;
	header->size = 0;
	header->cpu = bpf_get_smp_processor_id();
	header->kind = kind;
	header->__pad = 0;
}

#if EVENTS_RINGBUF
static __always_inline __u64 wakeup_flag(__u32 sleeps)
{
	__u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);

	/* BPF_RB_NO_WAKEUP is 1 and BPF_RB_FORCE_WAKEUP 2. The sign of the
	 * difference instead of a comparison gives the verifier one path, not two.
	 */
	return BPF_RB_NO_WAKEUP + ((sleeps | ((wakeup_bytes - waiting) >> 63)) & 1);
}
#endif

/* Returns a negative number where there is no room. */
static __always_inline long output_record(__attribute__((unused)) void *ctx,
					  struct event_header *header, __u64 size)
{
	long err;

	header->size = size;
#if EVENTS_RINGBUF
	__u32 sleeps = reader_sleeps;

	err = bpf_ringbuf_output(&events, header, size, wakeup_flag(sleeps));
	/* Only who saw the request clears it: the reader may repeat it meanwhile. */
	if (sleeps && !err)
		reader_sleeps = 0;
#else
	err = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, header, size);
#endif
	/* What found no room counts too, until the reader has been here. */
	note_written(size);
	return err;
}

/* Returns a negative number where there was no room, and it is counted as lost. */
static __always_inline long submit(void *ctx, struct event_header *header, __u64 size)
{
	long err = output_record(ctx, header, size);

	if (err)
		count_losses(header->kind, 1);
	return err;
}

#endif
