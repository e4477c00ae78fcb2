// SPDX-License-Identifier: GPL-2.0-only
/*
 * sched_process_fork fires before the new task runs for the first time, so its
 * record is always ahead of the new process's exec and exit.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "output.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tp/sched_process_fork")
int on_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *cloner = (struct task_struct *)ctx->args[0];
	struct task_struct *task = (struct task_struct *)ctx->args[1];
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct fork_event event = {};
	struct task_struct *leader;

	/* A new thread is not a new process. */
	if (pid != (__u32)BPF_CORE_READ(task, pid))
		return 0;
	fill_header(&event.header, EVENT_FORK, event_clock());
	event.pid = pid;
	event.start = task_start(task);
	leader = BPF_CORE_READ(task, real_parent, group_leader);
	event.parent_pid = BPF_CORE_READ(leader, tgid);
	event.parent_start = task_start(leader);
	leader = BPF_CORE_READ(cloner, group_leader);
	event.cloner_pid = BPF_CORE_READ(leader, tgid);
	event.cloner_start = task_start(leader);
	event.inner_pid = task_inner_pid(task);
	submit(ctx, &event.header, sizeof(event));
	return 0;
}
