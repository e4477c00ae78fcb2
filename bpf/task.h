/* SPDX-License-Identifier: GPL-2.0-only */
/* What a task says about itself. */
#ifndef TETRAPY_TASK_H
#define TETRAPY_TASK_H

#define UNSET_ID 0xffffffffU

/* Nanoseconds since boot, suspended time included; with the pid it tells a
 * process from a later one that was given the same pid.
 */
static __always_inline __u64 task_start(struct task_struct *leader)
{
	if (bpf_core_field_exists(leader->start_boottime))
		return BPF_CORE_READ(leader, start_boottime);
	return BPF_CORE_READ((struct task_struct___v54 *)leader, real_start_time);
}

static __always_inline __u32 task_login_uid(struct task_struct *task)
{
	/* Absent without CONFIG_AUDIT. */
	if (bpf_core_field_exists(task->loginuid))
		return BPF_CORE_READ(task, loginuid.val);
	return UNSET_ID;
}

/* The pid that the process has in its own pid namespace, 0 in the initial one. */
static __always_inline __u32 task_inner_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);
	struct upid *numbers;

	/* 32 is the kernel's MAX_PID_NS_LEVEL. */
	if (!level || level > 32)
		return 0;
	numbers = (void *)pid + bpf_core_field_offset(pid->numbers);
	return BPF_CORE_READ(
		(struct upid *)((void *)numbers + level * bpf_core_type_size(struct upid)), nr);
}

#endif
