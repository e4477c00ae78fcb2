/* SPDX-License-Identifier: GPL-2.0-only */
/* A limit for the events of a cgroup in an interval, over all CPUs. */
#ifndef TETRAPY_RATE_H
#define TETRAPY_RATE_H

#include "process.h"
#include "settings.h"

struct cgroup_rate {
	__u64 window; /* when the interval began; ns, as all times of records */
	__u64 count; /* events since then */
	__u64 over; /* when the limit was last exceeded */
	__u64 throttled; /* since when; 0: not. User space ends it. */
};

/* By the inode number of the cgroup's directory; the size is set before loading. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct cgroup_rate);
} cgroup_rates SEC(".maps");

/* Counts an exit: it is never held back for the rate, or its process would be left over. */
static __always_inline void count_exit_rate(__u64 cgroup_id)
{
	struct cgroup_rate *rate = bpf_map_lookup_elem(&cgroup_rates, &cgroup_id);

	if (rate)
		__sync_fetch_and_add(&rate->count, 1);
}

/* Counts an exec. Returns 1 when `began` is to be reported, and sets `throttled`. */
static __always_inline int count_rate(__u64 cgroup_id, __u64 now, int *throttled)
{
	struct cgroup_rate *rate = bpf_map_lookup_elem(&cgroup_rates, &cgroup_id);
	struct cgroup_rate first = { .window = now, .count = 1 };

	*throttled = 0;
	if (!rate) {
		bpf_map_update_elem(&cgroup_rates, &cgroup_id, &first, BPF_ANY);
		return 0;
	}
	if (now - rate->window >= rate_interval) {
		rate->window = now;
		rate->count = 0;
	}
	__sync_fetch_and_add(&rate->count, 1);
	if (rate->count > rate_events) {
		rate->over = now;
		if (!rate->throttled) {
			rate->throttled = now;
			return 1;
		}
	}
	*throttled = rate->throttled != 0;
	return 0;
}

#endif
