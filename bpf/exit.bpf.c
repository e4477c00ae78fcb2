// SPDX-License-Identifier: GPL-2.0-only
/*
 * do_exit() counts signal->live down before sched_process_exit fires, so it is
 * zero for the last thread. Two threads that end at the same moment may both
 * find zero: user space takes the first record of a process and drops the rest.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "output.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

#define SIGNAL_GROUP_EXIT 4 /* include/linux/sched/signal.h */

SEC("raw_tp/sched_process_exit")
int on_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct exit_event event = {};
	struct task_struct *leader;

	if (BPF_CORE_READ(signal, live.counter))
		return 0;
	leader = BPF_CORE_READ(task, group_leader);
	fill_header(&event.header, EVENT_EXIT, event_clock());
	event.start = task_start(leader);
	event.pid = BPF_CORE_READ(task, tgid);
	/* The rule of wait_task_zombie(). */
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		event.code = BPF_CORE_READ(signal, group_exit_code);
	else
		event.code = BPF_CORE_READ(leader, exit_code);
	submit(ctx, &event.header, sizeof(event));
	return 0;
}
