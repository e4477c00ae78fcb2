/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept of a call until it returns. */
#ifndef TETRAPY_CALL_RETURN_H
#define TETRAPY_CALL_RETURN_H

#include "call.h"
#include "share.h"

/* What is kept of a call until it returns. */
struct returning_key {
	__u32 tid;
	__u32 hook;
};

struct returning {
	__u64 arguments[8];
	__u32 selectors;
	__u32 unknown_workload; /* 1: see struct call */
	__u32 share; /* whose calls it counts as */
	__u32 __pad;
};

/* User space takes out calls of threads that are gone: some never return. */
struct returning_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RETURNING_CALLS);
	__uint(key_size, sizeof(struct returning_key));
	__uint(value_size, sizeof(struct returning));
};

/* How many there are of each share, and behind them of all; then how many of these user space has
 * taken out.
 */
struct return_counts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * (OWNER_SHARES + 1));
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
};

LATE_MAP(returning, returning_map);
LATE_MAP(return_counts, return_counts_map);

static __always_inline __s64 returning_of(void *counts, __u32 share)
{
	__u32 taken = share + OWNER_SHARES + 1;
	__s64 *came = bpf_map_lookup_elem(counts, &share);
	__s64 *gone = bpf_map_lookup_elem(counts, &taken);

	return came && gone ? *came - *gone : 0;
}

static __always_inline void count_returning(void *counts, __u32 share, __s64 change)
{
	__u32 all = OWNER_SHARES;
	__s64 *count = bpf_map_lookup_elem(counts, &share);

	if (count)
		__sync_fetch_and_add(count, change);
	count = bpf_map_lookup_elem(counts, &all);
	if (count)
		__sync_fetch_and_add(count, change);
}

/* It has returned. */
static __always_inline void forget_returning(void *map, struct returning_key *key, __u32 share)
{
	__u32 zero = 0;
	void *counts = bpf_map_lookup_elem(&return_counts, &zero);

	if (!bpf_map_delete_elem(map, key) && counts)
		count_returning(counts, share, -1);
}

/* Where the call is reported when it returns, what the other program needs. Returns 0 where there
 * is no room: an owner may have as many calls waiting as there is room for more, so that whoever
 * has thousands of threads wait takes no other's.
 */
static __always_inline int keep_until_return(struct call *call)
{
	struct returning_key key = { bpf_get_current_pid_tgid(), call->event.hook };
	struct returning began = { .selectors = call->selectors,
				   .unknown_workload = call->unknown_workload };
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);
	void *counts = bpf_map_lookup_elem(&return_counts, &zero);
	struct returning *known;

	if (!map || !counts)
		return 0;
	known = bpf_map_lookup_elem(map, &key);
	began.share = known ? known->share : number_of_owner();
	if (!known && returning_of(counts, began.share) + returning_of(counts, OWNER_SHARES) >=
			      RETURNING_CALLS)
		return 0;
	bpf_probe_read_kernel(began.arguments, sizeof(began.arguments), call->arguments);
	if (bpf_map_update_elem(map, &key, &began, BPF_ANY))
		return 0;
	if (!known)
		count_returning(counts, began.share, 1);
	return 1;
}

#endif
