// SPDX-License-Identifier: GPL-2.0-only
/* A process whose image is suppressed forks: user space has to know its child's parent. */
#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "restore.h"

char LICENSE[] SEC("license") = "GPL";

/* Called by on_fork, in the process that forks: its arguments and directory can still be read. */
static __always_inline void report_fork_suppressed(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct scratch *scratch = get_scratch();
	struct exec_task exec = {
		.task = leader,
		.parent = BPF_CORE_READ(leader, real_parent, group_leader),
		.start = task_start(leader),
		.pid = BPF_CORE_READ(leader, tgid),
	};
	struct process *process = find_process(exec.pid, exec.start);
	struct area args = find_args(task);
	struct area env = {};

	if (!scratch || !process)
		return;
	scratch->walk_calls = 0;
	process->state &= ~PROCESS_SUPPRESSED;
	exec.ktime = process->ktime;
	if (want_env)
		env = find_env(task);
	if (!admit(size_of_exec(args, env), EVENT_EXEC))
		return;
	begin_exec(ctx, scratch, &exec, args, env, LOOP_BOUNDED);
	restore_suppressed(scratch, process);
	append_args(scratch, args);
	start_cwd(scratch, task);
	walk_and_finish(ctx, scratch, WALK_FIRST_STEPS);
}

SEC("?raw_tp")
BEHIND_GATE(on_fork_suppressed, report_fork_suppressed)
