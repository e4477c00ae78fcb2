/* SPDX-License-Identifier: GPL-2.0-only */
/* What is the host's: what the machine's first process, which never ends, has too. */
#ifndef TETRAPY_HOST_H
#define TETRAPY_HOST_H

#include "walk.h"

/* Generations from a process up to the first one; a deeper process leaves the search to others. */
#define MAX_GENERATIONS 32

#if !LINUX_4_19
/* Found by whoever asks first. */
SHARED struct task_struct *first_process;
#endif

/* 0 where it is too far. */
static __always_inline struct task_struct *find_first_process(struct task_struct *task)
{
	struct task_struct *found = (struct task_struct *)READ_VARIABLE(first_process);
	int i;

	if (found)
		return found;
	TURN_BY_TURN
	for (i = 0; i < MAX_GENERATIONS; i++) {
		task = BPF_CORE_READ(task, group_leader);
		if (BPF_CORE_READ(task, tgid) == 1) {
			WRITE_VARIABLE(first_process, task);
			return task;
		}
		task = BPF_CORE_READ(task, real_parent);
	}
	return 0;
}

/* The root directory of the host; empty where that is not known. */
static __always_inline struct path_end hosts_root(struct task_struct *task)
{
	struct fs_struct *fs = BPF_CORE_READ(find_first_process(task), fs);

	return READ_PATH(fs, root);
}

/* Whether a root directory is the host's. It is one of a mount, and a mount is in one namespace. */
static __always_inline int is_root_of(struct task_struct *task, struct path_end hosts)
{
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct path_end root = READ_PATH(fs, root);

	return hosts.mnt && root.mnt == hosts.mnt && root.dentry == hosts.dentry;
}

#endif
