/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which policies that are for some containers only are for the process that calls, by its cgroup.
 *
 * User space says it of the cgroups that it knows: a bit for each filter of workloads. A cgroup
 * that is not among them is what the first one above it is that is among them, wherever a process
 * made it and moves to: in that one's container, or outside of all, if no name in between may be a
 * container's. Of all others user space decides itself, when it has the record.
 */
#ifndef TETRAPY_WORKLOADS_H
#define TETRAPY_WORKLOADS_H

#include "cgroup.h"
#include "hook.h"

#define CONTAINER_ID 64 /* digits */
#define BYTES(a, b, c, d) ((__u32)(a) | (b) << 8 | (c) << 16 | (d) << 24)

struct workload {
	__u64 marks; /* bits of the filters that hold */
	__u32 only_itself; /* 1: it is no container, and says nothing of those below that may be */
	__u32 __pad;
};

struct workload_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WORKLOAD_CGROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(__u64));
	__uint(value_size, sizeof(struct workload));
};

/* By the numbers that cgroup_node() gives. */
LATE_MAP(workloads, workload_map);

#endif
