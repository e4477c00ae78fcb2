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
#include "cgroup.h"
#include "gates.h"
#include "rate.h"
#include "settings.h"
#include "task.h"
#include "filter_masks.h"

char LICENSE[] SEC("license") = "GPL";

#define SIGNAL_GROUP_EXIT 4 /* include/linux/sched/signal.h */

/* The suppressed process that ended last on each CPU, and there by each gate. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u32);
} last_suppressed SEC(".maps");

/* A second thread that finds zero must still see that the process is suppressed, so the entry stays
 * until the next one ends on this CPU.
 */
static __always_inline void forget_later(__u32 pid)
{
	__u32 entry = current_entry();
	__u32 *last = bpf_map_lookup_elem(&last_suppressed, &entry);
	struct process *process;

	if (!last || *last == pid)
		return;
	process = bpf_map_lookup_elem(&processes, last);
	if (process && process->state & PROCESS_EXITED)
		bpf_map_delete_elem(&processes, last);
	*last = pid;
}

/* Returns 1 when nothing is to be reported of the exit. */
static __always_inline int leave(void *ctx, __u32 pid, __u64 start, __u32 *deferred_children)
{
	struct process *process = find_process(pid, start);

	if (!process)
		return 0;
	if ((use_filter_masks || rate_events) && process->state & PROCESS_SUPPRESSED) {
		if (!(process->state & PROCESS_EXITED))
			count(COUNT_EXIT_SUPPRESSED);
		process->state |= PROCESS_EXITED;
		forget_later(pid);
		return 1;
	}
	if (process->state & PROCESS_DEFERRED) {
		submit_fork(ctx, process, pid);
		end_deferral(process);
	}
	*deferred_children = process->deferred_children;
	bpf_map_delete_elem(&processes, &pid);
	return 0;
}

static __always_inline void report_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct exit_event event = {};
	struct task_struct *leader;

	if (BPF_CORE_READ(signal, live.counter))
		return;
	if (rate_events && has_cgroups())
		count_exit_rate(task_cgroup_id(task));
	leader = BPF_CORE_READ(task, group_leader);
	event.start = task_start(leader);
	event.pid = BPF_CORE_READ(task, tgid);
	if (leave(ctx, event.pid, event.start, &event.deferred_children))
		return;
	if (!admit(sizeof(event), EVENT_EXIT))
		return;
	fill_header(&event.header, EVENT_EXIT, event_clock());
	/* The rule of wait_task_zombie(). */
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		event.code = BPF_CORE_READ(signal, group_exit_code);
	else
		event.code = BPF_CORE_READ(leader, exit_code);
	submit(ctx, &event.header, sizeof(event));
}

SEC("raw_tp/sched_process_exit")
BEHIND_GATE(on_exit, report_exit)
