/* SPDX-License-Identifier: GPL-2.0-only */
/* How many entries of a map each owner has, so that whoever fills it takes nobody else's. */
#ifndef TETRAPY_SHARE_COUNTS_H
#define TETRAPY_SHARE_COUNTS_H

#include "share.h"

/* How many there are of each share (number_of_owner), and behind them of all; then how many of
 * these user space has taken out.
 */
struct share_counts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * (OWNER_SHARES + 1));
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
};

static __always_inline __s64 count_of_share(void *counts, __u32 share)
{
	__u32 taken = share + OWNER_SHARES + 1;
	__s64 *came = bpf_map_lookup_elem(counts, &share);
	__s64 *gone = bpf_map_lookup_elem(counts, &taken);

	return came && gone ? *came - *gone : 0;
}

static __always_inline void count_in_share(void *counts, __u32 share, __s64 change)
{
	__u32 all = OWNER_SHARES;
	__s64 *count = bpf_map_lookup_elem(counts, &share);

	if (count)
		__sync_fetch_and_add(count, change);
	count = bpf_map_lookup_elem(counts, &all);
	if (count)
		__sync_fetch_and_add(count, change);
}

/* Whether a share may have one more: as many as there is room for more, so that one takes half at
 * most, and however many fill the map, there is room for the next.
 */
static __always_inline int share_has_room(void *counts, __u32 share, __s64 most)
{
	return count_of_share(counts, share) + count_of_share(counts, OWNER_SHARES) < most;
}

#endif
