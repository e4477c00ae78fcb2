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

/* The event up to the arguments; the working directory is next. */
static __always_inline void put_together(void *ctx, struct scratch *scratch, enum loop_kind loop)
{
	struct new_image *image = &scratch->image;

	begin_exec(ctx, scratch, &image->exec, image->args, image->env, loop);
	scratch->event.deferred_children = image->deferred_children;
	if (image->fork_parent_pid) {
		scratch->event.fork_parent_start = image->fork_parent_start;
		scratch->event.fork_parent_pid = image->fork_parent_pid;
		scratch->event.flags |= EXEC_CLONED;
	}
	append_path(scratch, image->path);
	append_args(scratch, image->args);
	start_cwd(scratch, image->exec.task);
}

static __always_inline void report_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	struct scratch *scratch = get_scratch();
	struct new_image *image;
	struct exec_task exec = {
		.task = task,
		.parent = BPF_CORE_READ(task, real_parent, group_leader),
		.start = task_start(task),
		.ktime = event_clock(),
		.pid = BPF_CORE_READ(task, tgid),
	};
	const char *path = BPF_CORE_READ(binprm, filename);
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
	image = &scratch->image;
	image->deferred_children = process ? process->deferred_children : 0;
	image->fork_parent_pid = 0;
	if (process && process->state & PROCESS_FORKED) {
		if (process->state & PROCESS_DEFERRED)
			end_deferral(process);
		image->fork_parent_start = process->parent_start;
		image->fork_parent_pid = process->parent_pid;
		process->state &= PROCESS_MASKED;
	}
	image->exec = exec;
	image->path = path;
	image->args = find_args(task);
	if (want_env)
		image->env = find_env(task);
	if (!admit(size_of_exec(image->args, image->env), EVENT_EXEC))
		return;
	scratch->binprm = binprm;
#if LINUX_4_19
	go_on_in(ctx, CALL_ON_EXEC_REST);
#else
	if (use_loops) {
		go_on_in(ctx, CALL_ON_EXEC_LOOP);
		return;
	}
	put_together(ctx, scratch, LOOP_BOUNDED);
	walk_and_finish(ctx, scratch, WALK_FIRST_STEPS);
#endif
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

SEC("?raw_tp")
BEHIND_GATE(on_exec_deep, report_exec_deep)

#if LINUX_4_19
/* The rest of on_exec, which would be too long with it ... */
static __always_inline void report_exec_rest(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return;
	put_together(ctx, scratch, LOOP_BOUNDED);
	walk_and_finish(ctx, scratch, WALK_FIRST_STEPS);
}

SEC("?raw_tp")
BEHIND_GATE(on_exec_rest, report_exec_rest)

/* ... and what comes behind the working directory, however deep it was. */
static __always_inline void report_exec_end(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return;
	append_cgroup(scratch, (struct task_struct *)bpf_get_current_task());
	finish_exec(ctx, scratch);
}

SEC("?raw_tp")
BEHIND_GATE(on_exec_end, report_exec_end)
#else
static long step_cgroup_in_loop(__attribute__((unused)) __u32 turn, struct scratch **scratch)
{
	return step_cgroup(*scratch);
}

/* The rest of on_exec, where there is bpf_loop(). */
static __always_inline void report_exec_loop(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();
	long levels;

	if (!scratch)
		return;
	put_together(ctx, scratch, LOOP_BY_HELPER);
	walk_in_loop(&scratch->cwd);
	append_cwd(scratch);
	start_cgroup(scratch, (struct task_struct *)bpf_get_current_task());
	levels = bpf_loop(CGROUP_LEVELS, step_cgroup_in_loop, &scratch, 0);
	end_cgroup(scratch, levels);
	finish_exec(ctx, scratch);
}

SEC("?raw_tp/5.17")
BEHIND_GATE(on_exec_loop, report_exec_loop)
#endif
