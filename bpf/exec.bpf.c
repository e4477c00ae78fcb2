// SPDX-License-Identifier: GPL-2.0-only
/*
 * sched_process_exec fires at the end of an execve that succeeded: credentials,
 * arguments and the thread group are those of the new image, and the thread
 * that called execve is the leader.
 */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "exec.h"
#include "suppress.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline void report_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	struct scratch *scratch = get_scratch();
	struct exec_task exec = {
		.task = task,
		.parent = BPF_CORE_READ(task, real_parent, group_leader),
		.start = task_start(task),
		.ktime = event_clock(),
		.pid = BPF_CORE_READ(task, tgid),
	};
	const char *path = BPF_CORE_READ(binprm, filename);
	__u64 fork_parent_start = 0;
	__u32 fork_parent_pid = 0, deferred_children = 0;
	struct area args, env = {};
	struct process *process;

	if (!scratch)
		return;
	if (!want_file || !file_was_checked(scratch)) {
		scratch->walk_calls = 0;
		/* The file first: filters go by it too. That program comes back here. */
		if (want_file)
			go_on_in(ctx, CALL_ON_EXEC_FILE);
	}
	process = find_process(exec.pid, exec.start);
	if ((use_filter_masks || rate_events) && suppress(ctx, scratch, &exec, process, path))
		return;
	if (process)
		deferred_children = process->deferred_children;
	if (process && process->state & PROCESS_FORKED) {
		if (process->state & PROCESS_DEFERRED)
			end_deferral(process);
		fork_parent_start = process->parent_start;
		fork_parent_pid = process->parent_pid;
		process->state &= PROCESS_MASKED;
	}
	args = find_args(task);
	if (want_env)
		env = find_env(task);
	if (!admit(size_of_exec(args, env), EVENT_EXEC))
		return;
	begin_exec(ctx, scratch, &exec, args, env);
	scratch->binprm = binprm;
	scratch->event.deferred_children = deferred_children;
	if (fork_parent_pid) {
		scratch->event.fork_parent_start = fork_parent_start;
		scratch->event.fork_parent_pid = fork_parent_pid;
		scratch->event.flags |= EXEC_CLONED;
	}
	append_path(scratch, path);
	append_args(scratch, args);
	start_cwd(scratch, task);
	walk_and_finish(ctx, scratch, WALK_FIRST_STEPS);
}

SEC("raw_tp/sched_process_exec")
BEHIND_GATE(on_exec, report_exec)

/* Goes on with a deep working directory. */
static __always_inline void report_exec_deep(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();

	if (scratch)
		walk_and_finish(ctx, scratch, WALK_MORE_STEPS);
}

SEC("raw_tp")
BEHIND_GATE(on_exec_deep, report_exec_deep)
