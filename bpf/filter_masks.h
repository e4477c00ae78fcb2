/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which processes nobody wants events of, as far as that can be reported here.
 *
 * Each export filter has a bit. User space finds out once for each binary, cgroup and pid which
 * filters agree with it, whatever their expressions are, and puts the answer into a map; what has
 * no answer yet is sent. A process that is suppressed makes no record, until it forks: then user
 * space has to know it as its child's parent.
 */
#ifndef TETRAPY_FILTER_MASKS_H
#define TETRAPY_FILTER_MASKS_H

#include "process.h"

struct filter_masks {
	__u64 own; /* filters whose condition on the binary holds */
	__u64 parent; /* filters whose condition on the parent's binary holds for a child */
};

SHARED const volatile __u64 deny_bits; /* one of these: unwanted */
SHARED const volatile __u64 allow_bits; /* use_allow_bits, and none of these: unwanted */
SHARED const volatile __u32 use_allow_bits;
SHARED const volatile __u32 use_cgroup_masks;
SHARED const volatile __u64 other_pids_mask; /* of a pid that has no mask */
SHARED const volatile __u64 unknown_parent_mask;

#if LINUX_4_19
#define deny_bits VALUE_OF(deny_bits)
#define allow_bits VALUE_OF(allow_bits)
#define use_allow_bits VALUE_OF(use_allow_bits)
#define use_cgroup_masks VALUE_OF(use_cgroup_masks)
#define other_pids_mask VALUE_OF(other_pids_mask)
#define unknown_parent_mask VALUE_OF(unknown_parent_mask)
#endif

/* By path, zero-filled. The sizes of this and the next maps are set before loading; they are 1
 * where no filter asks.
 */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__uint(key_size, MASKS_PATH);
	__type(value, struct filter_masks);
} binary_masks SEC(".maps");

SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} pid_masks SEC(".maps");

/* By the inode number of the cgroup's directory. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
} cgroup_masks SEC(".maps");

/* The paths of processes that are suppressed, for when they are reported after all. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__uint(value_size, MASKS_PATH);
} suppressed_paths SEC(".maps");

#endif
