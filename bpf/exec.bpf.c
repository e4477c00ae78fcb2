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
#include "task.h"
#include "cgroup.h"
#include "args.h"
#include "cwd.h"

char LICENSE[] SEC("license") = "GPL";

int on_exec_deep(struct bpf_raw_tracepoint_args *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct bpf_raw_tracepoint_args *));
} exec_calls SEC(".maps") = {
	.values = { [0] = &on_exec_deep },
};

static __always_inline void append_path(struct scratch *scratch, struct linux_binprm *binprm)
{
	const char *path = BPF_CORE_READ(binprm, filename);
	long size = bpf_probe_read_kernel_str(scratch->data, PATH_LIMIT + 1, path);

	if (size <= 0) {
		scratch->event.flags |= EXEC_PATH_ERROR;
		return;
	}
	scratch->event.path_size = size - 1;
	scratch->used = size - 1;
}

/* Podman puts a process into a cgroup named "container" below the one that is
 * named after the container.
 */
static __always_inline int is_container_leaf(const char *name, long size)
{
	return size == 10 && name[0] == 'c' && name[1] == 'o' && name[2] == 'n' && name[3] == 't' &&
	       name[8] == 'r';
}

static __always_inline void append_cgroup(struct scratch *scratch, struct task_struct *task)
{
	struct kernfs_node *node = cgroup_node(task);
	char *name = &scratch->data[scratch->used & 16383];
	long size = bpf_probe_read_kernel_str(name, CGROUP_LIMIT, BPF_CORE_READ(node, name));

	if (is_container_leaf(name, size)) {
		node = cgroup_parent(node);
		size = bpf_probe_read_kernel_str(name, CGROUP_LIMIT, BPF_CORE_READ(node, name));
		scratch->event.flags |= EXEC_CGROUP_PARENT;
	}
	if (size <= 0) {
		scratch->event.flags |= EXEC_CGROUP_ERROR;
		return;
	}
	scratch->event.cgroup_size = size - 1;
	scratch->used += size - 1;
}

static __always_inline void finish_exec(void *ctx, struct scratch *scratch)
{
	append_cwd(scratch);
	append_cgroup(scratch, (struct task_struct *)bpf_get_current_task());
	submit(ctx, &scratch->event.header, sizeof(scratch->event) + (scratch->used & 16383));
}

SEC("raw_tp/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *binprm = (struct linux_binprm *)ctx->args[2];
	struct args_range args = find_args(task);
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct scratch *scratch = get_scratch();
	__u64 ktime = event_clock();
	struct task_struct *parent;
	struct exec_event *event;

	if (!scratch)
		return 0;
	scratch->args_sent = 0;
	scratch->args_flags = 0;
	if (args.size > ARGS_INLINE_LIMIT)
		submit_args(ctx, scratch, args, pid, ktime);

	event = &scratch->event;
	fill_header(&event->header, EVENT_EXEC, ktime);
	parent = BPF_CORE_READ(task, real_parent, group_leader);
	event->start = task_start(task);
	event->parent_start = task_start(parent);
	event->pid = pid;
	event->parent_pid = BPF_CORE_READ(parent, tgid);
	event->uid = BPF_CORE_READ(task, cred, euid.val);
	event->auid = task_login_uid(task);
	event->inner_pid = task_inner_pid(task);
	event->flags = scratch->args_flags;
	event->path_size = 0;
	event->args_size = scratch->args_sent;
	event->cwd_size = 0;
	event->cgroup_size = 0;
	scratch->used = 0;
	append_path(scratch, binprm);
	append_args(scratch, args);
	start_cwd(&scratch->walk, task);
	if (!walk_cwd(&scratch->walk, &event->flags, CWD_FIRST_STEPS)) {
		bpf_tail_call(ctx, &exec_calls, 0);
		event->flags |= EXEC_CWD_PARTIAL;
	}
	finish_exec(ctx, scratch);
	return 0;
}

/* Goes on with a deep working directory. */
SEC("raw_tp")
int on_exec_deep(struct bpf_raw_tracepoint_args *ctx)
{
	struct scratch *scratch = get_scratch();

	if (!scratch)
		return 0;
	if (!walk_cwd(&scratch->walk, &scratch->event.flags, CWD_MORE_STEPS)) {
		bpf_tail_call(ctx, &exec_calls, 0);
		scratch->event.flags |= EXEC_CWD_PARTIAL;
	}
	finish_exec(ctx, scratch);
	return 0;
}
