// SPDX-License-Identifier: GPL-2.0-only
/*
 * sched_process_fork fires before the new task runs for the first time, so what it notes of a
 * process is there before the process's exec and exit.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "gates.h"
#include "process.h"
#include "settings.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

/* The entry of a process that forks; processes older than the programs get one now. */
static __always_inline struct process *find_creator(__u32 pid, __u64 start)
{
	struct process *creator = find_process(pid, start);
	struct process noted = { .start = start };

	if (creator)
		return creator;
	bpf_map_update_elem(&processes, &pid, &noted, BPF_ANY);
	return find_process(pid, start);
}

/* Whoever forks has to be known. */
static __always_inline void submit_creator(void *ctx, struct process *creator, __u32 pid)
{
	if (!(creator->state & PROCESS_DEFERRED))
		return;
	/* Two threads may fork at the same time; a fork reported twice is harmless, one reported
	 * late is not. */
	submit_fork(ctx, creator, pid);
	creator->state &= ~PROCESS_DEFERRED;
	end_deferral(creator);
}

/* Notes a new process, or reports it at once: while procfs is read, where there is no room, and
 * where the creator is not the parent. Returns 1 when only an exec event can report the creator.
 */
static __always_inline int note_fork(void *ctx, struct task_struct *task, __u32 pid,
				     __u32 creator_pid, __u64 creator_start)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent, group_leader);
	struct process *creator = find_creator(creator_pid, creator_start);
	struct process process = {};

	process.state = PROCESS_FORKED;
	process.ktime = event_clock();
	process.start = task_start(task);
	process.parent_pid = BPF_CORE_READ(parent, tgid);
	process.parent_start = task_start(parent);
	process.creator_pid = creator_pid;
	process.creator_start = creator_start;
	process.inner_pid = task_inner_pid(task);
	if (creator) {
		submit_creator(ctx, creator, creator_pid);
		if (!READ_VARIABLE(eager_forks) &&
		    (process.parent_pid == creator_pid || creator->state & PROCESS_SUPPRESSED))
			process.state |= PROCESS_DEFERRED;
	}
	if (bpf_map_update_elem(&processes, &pid, &process, BPF_ANY)) {
		count(COUNT_PROCESSES_FULL);
		process.state = PROCESS_FORKED;
	}
	if (!(process.state & PROCESS_DEFERRED))
		submit_fork(ctx, &process, pid);
	else if (creator)
		__sync_fetch_and_add(&creator->deferred_children, 1);
	return creator && creator->state & PROCESS_SUPPRESSED;
}

static __always_inline void report_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *creator = (struct task_struct *)ctx->args[0];
	struct task_struct *task = (struct task_struct *)ctx->args[1];
	struct task_struct *leader = BPF_CORE_READ(creator, group_leader);
	__u32 pid = BPF_CORE_READ(task, tgid);

	/* A new thread is not a new process. */
	if (pid != (__u32)BPF_CORE_READ(task, pid))
		return;
	if (note_fork(ctx, task, pid, BPF_CORE_READ(leader, tgid), task_start(leader)) &&
	    (use_filter_masks || rate_events))
		go_on_in(ctx, CALL_ON_FORK_SUPPRESSED);
}

SEC("raw_tp/sched_process_fork")
BEHIND_GATE(on_fork, report_fork)
