/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares of the buffer, so that a storm of one user or cgroup is lost as that one's while others
 * lose nothing.
 *
 * As long as an eighth of the buffer waits at most, nothing is accounted. Above, an owner may hold
 * as many bytes as are still free (dynamic threshold): one takes half at most, and however many
 * storm, there is room for the next.
 *
 * Who may be many owners (a user has 65,536 subordinate uids and may have cgroups of its own, root
 * of a container has all uids) is held together by groups, which may hold GROUP_TIMES what is free:
 * seven users in a group may storm before the others in it notice, and a full group leaves a ninth
 * of the buffer. Who holds little, a part in SMALL of what is free, is admitted although others
 * filled his group, until it holds SMALL_TIMES: so many little ones are a thousand uids, and leave
 * a part in 33 of the buffer to all others. Root is many services and containers, so that its group
 * is ROOT_TIMES as large.
 *
 * An event is admitted whole, before its first record, for the size that it is going to have as far
 * as that is known; the rest is charged when it was written.
 */
#ifndef TETRAPY_SHARE_H
#define TETRAPY_SHARE_H

#include "maps.h"

#define GROUP_TIMES 8
#define ROOT_TIMES 4
#define SMALL 32
#define SMALL_TIMES 32
#define UNACCOUNTED 8 /* a part in so many of the buffer */
#define SUBORDINATE 65536 /* uids from here on are given out in blocks */
#define GOLDEN 0x9E3779B97F4A7C15ULL /* of 2^64 the golden section: it spreads */

enum owner_kind {
	OWNER = 0, /* a real uid in a cgroup; a program that is setuid is charged to who runs it */
	OWNER_UID = 1, /* a uid in all cgroups; of subordinate ones a block */
	OWNER_CGROUP = 2, /* all uids in a cgroup but subordinate ones */
	OWNER_SUBORDINATES = 3, /* all subordinate uids in a cgroup */
};

struct owner {
	__u64 cgroup; /* inode number of its directory in the unified hierarchy */
	__u32 uid;
	__u32 kind; /* enum owner_kind; where each CPU has a buffer, 8 * CPU more */
};

/* Bytes that an owner may have in the buffer: in two generations, of which the older one is gone
 * when the reader has passed the beginning of the younger one.
 */
struct share {
	__u64 mark; /* where the younger generation began */
	__u64 young;
	__u64 old;
};

/* Who is forgotten here begins at 0 again, so that nobody loses by what others do to the map. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct owner);
	__type(value, struct share);
} shares SEC(".maps");

/* Records lost, by owner; user space takes out what it has read. What has no room is only counted
 * by kind.
 */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct owner);
	__type(value, __u64);
} owner_losses SEC(".maps");

SHARED const volatile __u64 buffer_bytes; /* of the ring, or of one CPU's buffer */

#if LINUX_4_19
#define buffer_bytes VALUE_OF(buffer_bytes)
#endif

#if EVENTS_RINGBUF
#define RECORD_OVERHEAD 8 /* bytes of a record's header */
#else
#define RECORD_OVERHEAD 24 /* bytes of a record's header, size and padding */

#if !LINUX_4_19
/* How often user space has emptied the buffers. */
SHARED volatile __u64 drains;
#endif

struct fill {
	__u64 drains;
	__u64 bytes; /* that this CPU has written since */
};

SHARED struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fill);
} fills SEC(".maps");
#endif

/* Notes a record that was written; the ring tells by itself what waits in it. */
static __always_inline void note_written(__attribute__((unused)) __u64 size)
{
#if !EVENTS_RINGBUF
	__u32 zero = 0;
	struct fill *fill = bpf_map_lookup_elem(&fills, &zero);

	if (fill)
		fill->bytes += size + RECORD_OVERHEAD;
#endif
}

static __always_inline struct owner current_owner(void)
{
	struct owner owner = { .uid = bpf_get_current_uid_gid() };

	/* A kernel that is built without CONFIG_CGROUPS lacks the helper, too. */
	if (bpf_core_field_exists(struct task_struct, cgroups))
		owner.cgroup = bpf_get_current_cgroup_id();
	return owner;
}

/* What an owner is a part of: his uid in all cgroups, of subordinate ones their block ... */
static __always_inline struct owner owner_of_uid(struct owner owner)
{
	struct owner group = { .kind = OWNER_UID };

	group.uid = owner.uid < SUBORDINATE ? owner.uid : owner.uid & -SUBORDINATE;
	return group;
}

/* ... and all such uids in his cgroup. */
static __always_inline struct owner owner_of_cgroup(struct owner owner)
{
	struct owner group = { .cgroup = owner.cgroup };

	group.kind = owner.uid < SUBORDINATE ? OWNER_CGROUP : OWNER_SUBORDINATES;
	return group;
}

/* Of an owner among those who share a map: a uid, a block of subordinate ones, or root in his
 * cgroup, who is many services and containers.
 */
static __always_inline __u64 hash_of_owner(void)
{
	struct owner owner = current_owner();

	if (owner.uid)
		owner = owner_of_uid(owner);
	return (owner.cgroup ^ (__u64)owner.uid << 32) * GOLDEN;
}

/* Less than OWNER_SHARES. Owners who have the same one share it. */
static __always_inline __u32 number_of_owner(void)
{
	return hash_of_owner() >> 56;
}

static __always_inline void count_losses(__u32 kind, __u64 records)
{
	__u64 *lost = bpf_map_lookup_elem(&losses, &kind);
	struct owner owner = current_owner();

	if (lost)
		__sync_fetch_and_add(lost, records);
	lost = bpf_map_lookup_elem(&owner_losses, &owner);
	if (lost)
		__sync_fetch_and_add(lost, records);
	else
		bpf_map_update_elem(&owner_losses, &owner, &records, BPF_ANY);
}

/* Where the buffer is read and written: positions of the ring, or the number of emptyings. */
struct place {
	__u64 read;
	__u64 written;
	__u32 kinds; /* added to the kinds of owners: see struct owner */
};

static __always_inline struct share *find_share(const struct owner *owner, struct place place)
{
	struct share *share = bpf_map_lookup_elem(&shares, owner);
	struct share fresh = { .mark = place.written };

	if (!share) {
		bpf_map_update_elem(&shares, owner, &fresh, BPF_ANY);
		return bpf_map_lookup_elem(&shares, owner);
	}
	if (place.read >= share->mark) {
#if EVENTS_RINGBUF
		share->old = share->young;
#endif
		share->young = 0;
		share->mark = place.written;
	}
	return share;
}

/* Takes `bytes` of a share; returns how many it then holds, or 0 when it is used up. What other
 * groups refuse then is taken all the same, which costs who storms a little more.
 */
static __always_inline __u64 take_share(struct owner owner, struct place place, __u64 bytes,
					__u64 limit)
{
	struct share *share = find_share(&owner, place);
	__u64 held = bytes;

	if (!share)
		return held;
	held += share->old + share->young;
	if (held > limit)
		return 0;
	__sync_fetch_and_add(&share->young, bytes);
	return held;
}

static __always_inline int take_shares(struct place place, __u64 bytes, __u64 free)
{
	struct owner owner = current_owner(), group;
	__u64 held, limit;

	bytes += RECORD_OVERHEAD;
	owner.kind = OWNER + place.kinds;
	held = take_share(owner, place, bytes, free);
	if (!held)
		return 0;
	limit = (held <= free / SMALL ? SMALL_TIMES : GROUP_TIMES) * free;
	if (!owner.uid)
		limit *= ROOT_TIMES;
	group = owner_of_uid(owner);
	group.kind += place.kinds;
	if (!take_share(group, place, bytes, limit))
		return 0;
	if (!owner.uid)
		return 1; /* all that is root in a cgroup is one owner */
	/* Apart, since without a service manager a cgroup is everybody's. */
	group = owner_of_cgroup(owner);
	group.kind += place.kinds;
	return take_share(group, place, bytes, limit) != 0;
}

/* Where the buffer is, and in `waiting` how many bytes of it are used. */
static __always_inline struct place find_place(__u64 *waiting)
{
	struct place place = {};

#if EVENTS_RINGBUF
	*waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	if (*waiting < buffer_bytes / UNACCOUNTED)
		return place;
	place.read = bpf_ringbuf_query(&events, BPF_RB_CONS_POS);
	place.written = bpf_ringbuf_query(&events, BPF_RB_PROD_POS);
#else
	__u32 zero = 0;
	struct fill *fill = bpf_map_lookup_elem(&fills, &zero);

	*waiting = 0;
	if (!fill)
		return place;
	if (fill->drains != READ_VARIABLE(drains)) {
		fill->drains = READ_VARIABLE(drains);
		fill->bytes = 0;
	}
	*waiting = fill->bytes;
	place.read = fill->drains;
	place.written = fill->drains + 1;
	place.kinds = 8 * bpf_get_smp_processor_id();
#endif
	return place;
}

/* Whether an event of so many bytes may be sent. One that may not is counted as lost. */
static __always_inline int admit(__u64 bytes, __u32 kind)
{
	__u64 waiting, free;
	struct place place = find_place(&waiting);

	if (waiting < buffer_bytes / UNACCOUNTED)
		return 1;
	free = waiting < buffer_bytes ? buffer_bytes - waiting : 0;
	if (!take_shares(place, bytes, free)) {
		count_losses(kind, 1);
		return 0;
	}
	return 1;
}

/* Charges what an event took beyond the size for which it was admitted. */
static __always_inline void charge(__u64 bytes)
{
	__u64 waiting;
	struct place place = find_place(&waiting);

	if (waiting >= buffer_bytes / UNACCOUNTED)
		take_shares(place, bytes, 1ULL << 32);
}

#endif
