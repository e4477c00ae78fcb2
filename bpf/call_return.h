/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept of a call until it returns. */
#ifndef TETRAPY_CALL_RETURN_H
#define TETRAPY_CALL_RETURN_H

#include "call.h"
#include "share_counts.h"

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

LATE_MAP(returning, returning_map);
LATE_MAP(return_counts, share_counts_map);

/* It has returned. */
static __always_inline void forget_returning(void *map, struct returning_key *key, __u32 share)
{
	__u32 zero = 0;
	void *counts = bpf_map_lookup_elem(&return_counts, &zero);

	if (!bpf_map_delete_elem(map, key) && counts)
		count_in_share(counts, share, -1);
}

/* Where the call is reported when it returns, what the other program needs. Returns 0 where there
 * is no room for one more of its owner.
 */
static __always_inline int keep_until_return(struct call *call)
{
	struct returning_key key = { bpf_get_current_pid_tgid(), call->event.hook };
	/* In the call, where nothing is looked up any more: the verifier copies a stack at each
	 * branch.
	 */
	struct returning *began = (void *)call->key.data;
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&returning, &zero);
	void *counts = bpf_map_lookup_elem(&return_counts, &zero);
	struct returning *known;

	if (!map || !counts)
		return 0;
	known = bpf_map_lookup_elem(map, &key);
	began->selectors = call->selectors;
	began->unknown_workload = call->unknown_workload;
	began->__pad = 0;
	began->share = known ? known->share : number_of_owner();
	if (!known && !share_has_room(counts, began->share, RETURNING_CALLS))
		return 0;
	bpf_probe_read_kernel(began->arguments, sizeof(began->arguments), call->arguments);
	if (bpf_map_update_elem(map, &key, began, BPF_ANY))
		return 0;
	if (!known)
		count_in_share(counts, began->share, 1);
	return 1;
}

#endif
