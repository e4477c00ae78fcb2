/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose calls keep the agent busy, by policy, and to whom that costs the report of his calls.
 *
 * There are no such maps unless a policy has used up a part of its budget. User space then adds up
 * what owners (share.h) have used, and puts those who stand out into `silent`. What a policy does
 * to a process is done all the same.
 */
#ifndef TETRAPY_CALL_USE_H
#define TETRAPY_CALL_USE_H

#include "call.h"
#include "share.h"

/* Who calls what a policy hooks. */
struct use_key {
	struct owner owner;
	__u32 policy; /* hook_head.policy */
	__u32 __pad;
};

/* Forgets who has called for the longest time not. */
struct use_map {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, USERS);
	__uint(key_size, sizeof(struct use_key));
	__uint(value_size, sizeof(__u64)); /* what the agent had to read; user space takes it out */
};

struct silent_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SILENT_USERS);
	__uint(key_size, sizeof(struct use_key));
	__uint(value_size, sizeof(__u64)); /* calls that were not reported */
};

LATE_MAP(uses, use_map);
LATE_MAP(silent, silent_map);

/* The owner of a call: in `uses` his uid, or its block of subordinate ones, in his cgroup; in
 * `silent` that of one of all kinds.
 */
static __always_inline struct use_key use_key(const struct hook *hook, struct owner owner)
{
	struct use_key key = { .owner = owner, .policy = hook->head.policy };

	return key;
}

/* Charges what the report of a call costs the agent: about as much as its bytes and USE_RECORD. */
static __always_inline void note_use(const struct hook *hook, __u64 bytes)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&uses, &zero);
	struct owner owner;
	struct use_key key;
	__u64 *used;

	if (!map)
		return;
	owner = current_owner();
	owner.uid = owner_of_uid(owner).uid;
	key = use_key(hook, owner);
	bytes += USE_RECORD;
	used = bpf_map_lookup_elem(map, &key);
	if (used)
		__sync_fetch_and_add(used, bytes);
	else
		bpf_map_update_elem(map, &key, &bytes, BPF_ANY);
}

/* Whether calls of this owner are not reported for now; counts them. */
static __always_inline int is_silent(const struct hook *hook)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&silent, &zero);
	struct owner owner;
	struct use_key key;
	__u64 *unreported;

	if (!map)
		return 0;
	owner = current_owner();
	/* Root is many services and containers: one of them is meant. */
	key = use_key(hook, owner.uid ? owner_of_uid(owner) : owner);
	unreported = bpf_map_lookup_elem(map, &key);
	if (!unreported && owner.uid) {
		key = use_key(hook, owner_of_cgroup(owner));
		unreported = bpf_map_lookup_elem(map, &key);
	}
	if (!unreported)
		return 0;
	__sync_fetch_and_add(unreported, 1);
	return 1;
}

#endif
