// SPDX-License-Identifier: GPL-2.0-only
/* Threads that an enforcer awaits, and that end before, or go on with another number. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "settings.h"
#include "maps.h"
#include "enforcement.h"

char LICENSE[] SEC("license") = "GPL";

/* Number of the policy whose enforcers await them. */
const volatile __u32 notifying_policy;

/* So that nobody fills the map with threads that are not there any more. */
SEC("?raw_tp/sched_process_exit")
int on_notified_exit(__attribute__((unused)) void *ctx)
{
	drop_enforcement(notifying_policy);
	return 0;
}

/* It may be notified on its way out, too. */
SEC("?raw_tp/sched_process_free")
int on_notified_free(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct enforcement_key key = { BPF_CORE_READ(task, pid), notifying_policy };
	void *map = enforcement_map();
	struct enforcement *found = map ? bpf_map_lookup_elem(map, &key) : 0;

	if (found && found->start == task_start(task))
		forget_enforcement(map, &key);
	return 0;
}

/* A thread that executes a program takes the number and the start of its process's first one. */
SEC("?raw_tp/sched_process_exec")
int on_notified_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct enforcement_key key = { ctx->args[1], notifying_policy };
	struct enforcement *found;
	void *map = enforcement_map();
	__s32 error;
	__u32 signal;

	if (!map || key.tid == (__u32)bpf_get_current_pid_tgid())
		return 0;
	found = bpf_map_lookup_elem(map, &key);
	if (!found)
		return 0;
	error = found->error;
	signal = found->signal;
	forget_enforcement(map, &key);
	leave_enforcement(notifying_policy, error, signal);
	return 0;
}
