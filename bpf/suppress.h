/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether an image that begins is suppressed, and what has to be reported all the same. */
#ifndef TETRAPY_SUPPRESS_H
#define TETRAPY_SUPPRESS_H

#include "restore.h"
#include "rate.h"

static __always_inline __u64 parent_mask(const struct exec_task *exec, struct process *process)
{
	struct task_struct *parent = exec->parent;

	/* Without a fork the image that is replaced is the parent. */
	if (!process || process->state & PROCESS_FORKED)
		process = find_process(BPF_CORE_READ(parent, tgid), task_start(parent));
	if (!process || !(process->state & PROCESS_MASKED))
		return unknown_parent_mask;
	return process->parent_mask;
}

/* Puts the path into scratch->masks_path, zero-filled. Returns 0 if it is too long. */
static __always_inline int read_path(struct scratch *scratch, const char *path)
{
	long size;

	__builtin_memset(scratch->masks_path, 0, MASKS_PATH);
	size = bpf_probe_read_kernel_str(scratch->masks_path, MASKS_PATH, path);
	return size > 0 && size < MASKS_PATH;
}

/* What a relative path means depends on the working directory: it has no masks. */
static __always_inline struct filter_masks *find_masks(struct scratch *scratch, const char *path)
{
	if (!read_path(scratch, path) || scratch->masks_path[0] != '/')
		return 0;
	return bpf_map_lookup_elem(&binary_masks, scratch->masks_path);
}

static __always_inline int is_unwanted(const struct exec_task *exec, struct process *process,
				       const struct filter_masks *masks, __u64 cgroup_id)
{
	__u64 mask = masks->own & parent_mask(exec, process);
	__u64 *found = bpf_map_lookup_elem(&pid_masks, &exec->pid);

	mask &= found ? *found : other_pids_mask;
	if (use_cgroup_masks) {
		found = bpf_map_lookup_elem(&cgroup_masks, &cgroup_id);
		if (!found)
			return 0;
		mask &= *found;
	}
	return (mask & deny_bits) || (use_allow_bits && !(mask & allow_bits));
}

/* Reports that a cgroup is throttled from now on. */
static __always_inline void submit_throttle(void *ctx, struct scratch *scratch,
					    const struct exec_task *exec)
{
	struct throttle_record *record = &scratch->throttle;
	__u64 id;
	struct kernfs_node *node = cgroup_node(exec->task, &id);
	__u32 size = read_cgroup_name(node, record->name);

	fill_header(&record->event.header, EVENT_THROTTLE, exec->ktime);
	record->event.cgroup_id = id;
	record->event.cgroup_size = size;
	record->event.__pad = 0;
	submit(ctx, &record->event.header, sizeof(record->event) + (size & 127));
}

static __always_inline int is_throttled(void *ctx, struct scratch *scratch,
					const struct exec_task *exec, __u64 cgroup_id)
{
	int throttled;

	if (count_rate(cgroup_id, exec->ktime, &throttled))
		submit_throttle(ctx, scratch, exec);
	return throttled;
}

/* The image that is replaced is the new one's parent, and user space does not know it. Its
 * arguments are gone.
 */
static __always_inline void submit_replaced(void *ctx, struct scratch *scratch,
					    const struct exec_task *exec, struct process *process)
{
	struct exec_task former = *exec;
	struct area none = {};

	former.ktime = process->ktime;
	begin_exec(ctx, scratch, &former, none, none, LOOP_BOUNDED);
	scratch->event.flags |= EXEC_ARGS_ERROR | EXEC_CWD_ERROR;
	if (want_env)
		scratch->event.flags |= EXEC_ENV_ERROR;
	restore_suppressed(scratch, process);
	submit_exec(ctx, scratch);
}

/* Returns 1 when nothing is to be reported of this exec. */
static __always_inline int suppress(void *ctx, struct scratch *scratch,
				    const struct exec_task *exec, struct process *process,
				    const char *path)
{
	__u64 cgroup_id = task_cgroup_id(exec->task);
	struct filter_masks *masks = 0;
	struct task_struct *task = exec->task;
	struct process noted = {};
	__u32 state, cloned = 0;
	int unwanted = 0;

	/* What the path says may not be so: user space decides. */
	if (use_filter_masks && !file_differs(scratch))
		masks = find_masks(scratch, path);
	if (masks)
		unwanted = is_unwanted(exec, process, masks, cgroup_id);
	if (rate_events && has_cgroups() && is_throttled(ctx, scratch, exec, cgroup_id))
		unwanted = 1;
	/* Whom user space knows it has to see through to the end. */
	if (!process || !(process->state & (PROCESS_DEFERRED | PROCESS_SUPPRESSED)))
		unwanted = 0;
	if (!process) {
		noted.start = exec->start;
		if (bpf_map_update_elem(&processes, &exec->pid, &noted, BPF_ANY)) {
			count(COUNT_PROCESSES_FULL);
			return 0;
		}
		process = find_process(exec->pid, exec->start);
		if (!process)
			return 0;
	}
	if (!unwanted && process->state & PROCESS_SUPPRESSED)
		submit_replaced(ctx, scratch, exec, process);
	state = process->state & ~(PROCESS_SUPPRESSED | PROCESS_MASKED | PROCESS_FILE_DIFFERS);
	COMPARE_AGAIN(masks);
	if (masks) {
		process->parent_mask = masks->parent;
		state |= PROCESS_MASKED;
	}
	if (unwanted) {
		if (read_path(scratch, path))
			bpf_map_update_elem(&suppressed_paths, &exec->pid, scratch->masks_path,
					    BPF_ANY);
		else
			bpf_map_delete_elem(&suppressed_paths, &exec->pid);
		process->ktime = exec->ktime;
		process->uid = BPF_CORE_READ(task, cred, euid.val);
		process->real_uid = bpf_get_current_uid_gid();
		process->auid = task_login_uid(task);
		if (state & PROCESS_FORKED)
			cloned = PROCESS_CLONED;
		if (state & PROCESS_DEFERRED)
			end_deferral(process);
		state = (state & PROCESS_MASKED) | PROCESS_SUPPRESSED | cloned;
		if (file_differs(scratch))
			state |= PROCESS_FILE_DIFFERS;
		count(COUNT_EXEC_SUPPRESSED);
	}
	process->state = state;
	return unwanted;
}

#endif
