/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What filters know of a process beyond its present state: which binaries it, its parent and its
 * ancestors ran, and in which namespaces and with which capabilities its image began.
 *
 * Binaries are identified by marks: each binary filter of a policy (and each pid that is followed)
 * has a bit, which is decided once for each image, when it is executed. Processes that are older
 * than the policies are noted by user space. Only policies that ask for such things have this run.
 */
#ifndef TETRAPY_LINEAGE_H
#define TETRAPY_LINEAGE_H

#include "hook.h"
#include "task.h"

struct image_head {
	__u64 start; /* of the process, with the pid which one this is */
	__u64 marks; /* of the binary that it runs */
	__u64 followed; /* of all that it and its ancestors ran, until they forked the next one */
	__u64 parent_marks; /* of its parent's binary when it was forked, or of its own before this
			     */
	__u64 parent_followed;
	__u32 forked; /* 1: no exec since the fork */
	__u32 share; /* one more than whose it counts as; 0: nobody's, user space noted it */
};

struct image {
	struct image_head head;
	__u64 capabilities[IMAGE_CAPABILITIES]; /* permitted, effective, inheritable */
	__u32 namespaces[IMAGE_NAMESPACES]; /* inode numbers, in the order of enum call_number */
};

struct image_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LINEAGE_PROCESSES);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct image));
};

/* How many there are of each share, and behind them of all. */
struct image_counts_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, OWNER_SHARES + 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u64));
};

LATE_MAP(images, image_map);
LATE_MAP(image_counts, image_counts_map);

static __always_inline void *image_map(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&images, &zero);
}

/* Of a process; 0 where there was no room for it, or it is not noted yet. */
static __always_inline struct image *find_image(__u32 pid, struct task_struct *leader)
{
	void *map = image_map();
	struct image *image = map ? bpf_map_lookup_elem(map, &pid) : 0;
	__u64 start = task_start(leader);

	/* Of processes that it read from procfs user space knows rounded times. */
	if (!image || (image->head.start != start && image->head.start != start - start % TICK_NS))
		return 0;
	return image;
}

/* What a process is in and may do, as of now. */
static __always_inline void note_state(struct image *image, const __u64 *numbers)
{
	__u32 i;

	for (i = 0; i < IMAGE_NAMESPACES; i++)
		image->namespaces[i] = numbers[NUMBER_UTS_NAMESPACE + i];
	for (i = 0; i < IMAGE_CAPABILITIES; i++)
		image->capabilities[i] = numbers[NUMBER_PERMITTED + i];
}

#endif
