/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The processes that were born, or executed, since the programs were attached.
 *
 * Most forks are followed by an exec or an exit at once, so the record of a fork is deferred until
 * it matters: when the process forks itself, or when it ends without an exec. An exec reports its
 * own fork. So whoever forks is known to user space before its child is. What a child runs that is
 * not reported yet is the image of its creator, the process that called fork (with CLONE_PARENT it
 * is not the parent); when that one executes or ends meanwhile, its record says that its image will
 * still be asked for.
 */
#ifndef TETRAPY_PROCESS_H
#define TETRAPY_PROCESS_H

#include "output.h"

#define TICK_NS 10000000 /* procfs tells start times in these */

enum process_state {
	PROCESS_FORKED = 1, /* no exec since the fork */
	PROCESS_DEFERRED = 2, /* user space does not know the fork */
	PROCESS_SUPPRESSED = 4, /* user space does not know the image: nobody wants its events */
	PROCESS_EXITED = 8, /* kept for a moment, see on_exit */
	PROCESS_MASKED = 16, /* parent_mask is set */
	PROCESS_CLONED = 32, /* the image that is suppressed is the first since the fork */
	PROCESS_FILE_DIFFERS = 64, /* its file is not what its path says */
};

struct process {
	__u64 start; /* with the pid, which process this is */
	__u64 ktime; /* of the fork; of the exec when the image is suppressed */
	__u64 parent_start;
	__u64 creator_start;
	__u64 parent_mask; /* mask of its binary as a parent's, see filter_masks.h */
	__u32 parent_pid;
	__u32 creator_pid;
	__u32 inner_pid;
	__u32 state; /* enum process_state */
	__u32 uid; /* of the image that is suppressed */
	__u32 auid;
	__u32 deferred_children; /* user space must still know the images that they run */
	__u32 real_uid; /* of the image that is suppressed */
};

/* Where there is no room a fork is reported at once, and its exec says nothing of it. */
SHARED struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct process);
} processes SEC(".maps");

static __always_inline struct process *find_process(__u32 pid, __u64 start)
{
	struct process *process = bpf_map_lookup_elem(&processes, &pid);

	/* Of processes that it read from procfs user space knows rounded times. */
	if (!process || (process->start != start && process->start != start - start % TICK_NS))
		return 0;
	return process;
}

/* A child executes, ends, or is reported. */
static __always_inline void end_deferral(const struct process *child)
{
	struct process *creator = find_process(child->creator_pid, child->creator_start);

	if (creator && creator->deferred_children)
		__sync_fetch_and_add(&creator->deferred_children, -1);
}

/* Sends what was admitted. */
static __always_inline void send_fork(void *ctx, struct process *process, __u32 pid)
{
	struct fork_event event = {};

	fill_header(&event.header, EVENT_FORK, process->ktime);
	event.start = process->start;
	event.parent_start = process->parent_start;
	event.creator_start = process->creator_start;
	event.pid = pid;
	event.parent_pid = process->parent_pid;
	event.creator_pid = process->creator_pid;
	event.inner_pid = process->inner_pid;
	submit(ctx, &event.header, sizeof(event));
}

static __always_inline void submit_fork(void *ctx, struct process *process, __u32 pid)
{
	if (admit(sizeof(struct fork_event), EVENT_FORK))
		send_fork(ctx, process, pid);
}

#endif
