/* SPDX-License-Identifier: GPL-2.0-only */
/* Putting an exec event together: of an image that begins, or of one that was suppressed until now.
 */
#ifndef TETRAPY_EXEC_H
#define TETRAPY_EXEC_H

#include "args.h"
#include "gates.h"
#include "cgroup.h"
#include "cwd.h"
#include "file.h"
#include "process.h"
#include "settings.h"
#include "task.h"

/* What goes ahead of the event, and its fixed part. */
static __always_inline void begin_exec(void *ctx, struct scratch *scratch,
				       const struct exec_task *exec, struct area args,
				       struct area env, enum loop_kind loop)
{
	struct exec_event *event = &scratch->event;
	struct task_struct *parent = exec->parent;
	struct task_struct *task = exec->task;
	__u32 flags = 0, args_size = 0, env_size = 0;

	/* An area that is known to be empty is no code, where there may be little. */
	if (want_env && (!LINUX_4_19 || env.size)) {
		env_size = submit_area(ctx, scratch, env, AREA_ENV, exec, loop);
		if (scratch->area_flags)
			flags |= EXEC_ENV_ERROR;
	}
	if (args.size > ARGS_INLINE_LIMIT) {
		args_size = submit_area(ctx, scratch, args, AREA_ARGS, exec, loop);
		flags |= EXEC_ARGS_APART | scratch->area_flags;
	}
	fill_header(&event->header, EVENT_EXEC, exec->ktime);
	event->start = exec->start;
	event->parent_start = task_start(parent);
	event->fork_parent_start = 0;
	event->cgroup_id = 0;
	event->pid = exec->pid;
	event->parent_pid = BPF_CORE_READ(parent, tgid);
	event->fork_parent_pid = 0;
	event->uid = BPF_CORE_READ(task, cred, euid.val);
	event->real_uid = bpf_get_current_uid_gid();
	event->auid = task_login_uid(task);
	event->inner_pid = task_inner_pid(task);
	event->flags = flags;
	event->path_size = 0;
	event->args_size = args_size;
	event->cwd_size = 0;
	event->cgroup_size = 0;
	event->file_size = 0;
	event->context_size = 0;
	event->env_size = env_size;
	event->deferred_children = 0;
	scratch->used = 0;
}

static __always_inline void append_path(struct scratch *scratch, const char *path)
{
	long size = bpf_probe_read_kernel_str(scratch->data, PATH_LIMIT + 1, path);

	if (size <= 0) {
		scratch->event.flags |= EXEC_PATH_ERROR;
		return;
	}
	scratch->event.path_size = size - 1;
	scratch->used = size - 1;
}

/* What the exec was not admitted for: long paths, and what comes behind them. */
static __always_inline void charge_rest(struct scratch *scratch)
{
	__u64 expected = SHORT_PATHS;

	if (!(scratch->event.flags & EXEC_ARGS_APART))
		expected += scratch->event.args_size;
	if (scratch->used > expected)
		charge(scratch->used - expected);
}

static __always_inline void submit_exec(void *ctx, struct scratch *scratch)
{
	__u64 used;

	if (want_file)
		append_file(scratch);
	charge_rest(scratch);
	used = *(volatile __u64 *)&scratch->used;
	if (used > DATA_SIZE)
		return;
	submit(ctx, &scratch->event.header, sizeof(scratch->event) + used);
}

/* What comes behind the paths. */
static __always_inline void finish_exec(void *ctx, struct scratch *scratch)
{
	if (want_context)
		go_on_in(ctx, CALL_ON_EXEC_CONTEXT);
	submit_exec(ctx, scratch);
}

/* What comes behind the arguments. */
static __always_inline void walk_and_finish(void *ctx, struct scratch *scratch, int steps)
{
	if (!walk_up(&scratch->cwd, steps)) {
		walk_on(ctx, scratch, CALL_ON_EXEC_DEEP);
		scratch->cwd.end = WALK_TOO_LONG;
	}
	append_cwd(scratch);
#if LINUX_4_19
	go_on_in(ctx, CALL_ON_EXEC_END);
#else
	append_cgroup(scratch, (struct task_struct *)bpf_get_current_task());
	finish_exec(ctx, scratch);
#endif
}

#endif
