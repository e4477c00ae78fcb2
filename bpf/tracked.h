/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whose a socket is: other threads and interrupts work on it, too.
 *
 * Nobody says when a socket is gone, so that whoever opens many leaves as many here. They are kept
 * in sets of a few, by a hash of their addresses, which nobody can choose. In a set that is full
 * whoever has most of it gives one up, the one that nobody has looked for the longest. So one owner
 * has as much of a set as others leave, and takes nothing of one who has less than half of it.
 *
 * Two processors may write the same place at once, or one read what another writes: what does not
 * add up to its sum is not known.
 */
#ifndef TETRAPY_TRACKED_H
#define TETRAPY_TRACKED_H

#include "call_operations.h"
#include "share.h"

#define TRACKED_TIME 20 /* bits that are left out of nanoseconds: it is in about milliseconds */
#define TRACKED_FRESH 1024 /* how long no one writes that a socket was looked for */

/* Whose socket. */
struct tracked {
	__u64 socket; /* the kernel's address of it; 0: the place is free */
	__u64 start; /* of the process */
	__u32 pid;
	__u32 tid;
	__u32 policy;
	__u32 owner; /* owner_hash() */
	__u32 time; /* when it was noted or looked for */
	__u32 sum; /* of those that say whose it is */
};

struct tracked_set {
	struct tracked ways[TRACKED_WAYS];
};

struct tracked_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRACKED_SETS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct tracked_set));
};

LATE_MAP(tracked, tracked_map);

static __always_inline __u32 tracked_time(void)
{
	return bpf_ktime_get_ns() >> TRACKED_TIME;
}

static __always_inline struct tracked_set *tracked_set(__u64 socket, __u32 policy)
{
	__u32 zero = 0;
	__u32 number = ((socket ^ policy) * GOLDEN >> 32) & (TRACKED_SETS - 1);
	void *map = bpf_map_lookup_elem(&tracked, &zero);

	return map ? bpf_map_lookup_elem(map, &number) : 0;
}

static __always_inline __u32 tracked_sum(const struct tracked *one)
{
	__u64 sum = one->socket;

	sum = sum * GOLDEN + one->start;
	sum = sum * GOLDEN + ((__u64)one->pid << 32 | one->tid);
	sum = sum * GOLDEN + ((__u64)one->policy << 32 | one->owner);
	return sum * GOLDEN >> 32;
}

/* Where a socket is in its set; 0: nowhere. Without branches and loops, here and below: the
 * verifier would look at what follows once for each place, and again and again at each round.
 * `spare` is any memory of a map: what is read from there the verifier does not follow back.
 */
static __always_inline struct tracked *find_way(struct tracked_set *set, __u64 socket, __u32 policy,
						volatile __u64 *spare)
{
	__u64 at = 0, i;

#pragma clang loop unroll(full)
	for (i = 0; i < TRACKED_WAYS; i++) {
		const struct tracked *way = &set->ways[i];
		__u64 alike = is_zero((way->socket ^ socket) | (way->policy ^ policy));

		at |= (i + 1) & -alike;
	}
	*spare = at;
	at = *spare;
	return at ? &set->ways[(at - 1) & (TRACKED_WAYS - 1)] : 0;
}

/* A place for one more of an owner: one that is free, else the oldest of whoever has most of the
 * set, his own where he has as many.
 */
static __always_inline struct tracked *choose_way(struct tracked_set *set, __u32 owner, __u32 now,
						  volatile __u64 *spare)
{
	__u64 best = 0, at = 0, i, j;

#pragma clang loop unroll(full)
	for (i = 0; i < TRACKED_WAYS; i++) {
		const struct tracked *way = &set->ways[i];
		__u64 is_own = is_zero(way->owner ^ owner);
		__u64 many = is_own;
		__u64 rank, is_better;

#pragma clang loop unroll(full)
		for (j = 0; j < TRACKED_WAYS; j++)
			many += is_zero(way->owner ^ set->ways[j].owner);
		rank = is_zero(way->socket) << 63 | many << 33 | is_own << 32 |
		       (__u32)(now - way->time);
		is_better = -is_below(best, rank);
		best = (best & ~is_better) | (rank & is_better);
		at = (at & ~is_better) | (i & is_better);
	}
	*spare = at;
	return &set->ways[*spare & (TRACKED_WAYS - 1)];
}

/* Notes whose a socket is, whosever one was that had its address before. */
static __always_inline void note_tracked(struct tracked *one, volatile __u64 *spare)
{
	struct tracked_set *set = tracked_set(one->socket, one->policy);
	struct tracked *way;

	if (!set)
		return;
	one->owner = hash_of_owner() >> 32;
	one->time = tracked_time();
	one->sum = tracked_sum(one);
	way = find_way(set, one->socket, one->policy, spare);
	if (!way)
		way = choose_way(set, one->owner, one->time, spare);
	*way = *one;
}

static __always_inline void forget_tracked(__u64 socket, __u32 policy, volatile __u64 *spare)
{
	struct tracked_set *set = tracked_set(socket, policy);
	struct tracked *way = set ? find_way(set, socket, policy, spare) : 0;

	if (way)
		__builtin_memset(way, 0, sizeof(*way));
}

/* Copies whose a socket is. Returns 0 where that is not known. */
static __always_inline int find_tracked(__u64 socket, __u32 policy, struct tracked *found,
					volatile __u64 *spare)
{
	struct tracked_set *set = tracked_set(socket, policy);
	struct tracked *way = set ? find_way(set, socket, policy, spare) : 0;
	__u32 now = tracked_time();

	if (!way)
		return 0;
	bpf_probe_read_kernel(found, sizeof(*found), way);
	if (found->socket != socket || found->policy != policy || found->sum != tracked_sum(found))
		return 0;
	if (now - found->time >= TRACKED_FRESH)
		way->time = now;
	return 1;
}

#endif
