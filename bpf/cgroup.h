/* SPDX-License-Identifier: GPL-2.0-only */
/* The name of a task's cgroup, out of which user space reads a container's id. */
#ifndef TETRAPY_CGROUP_H
#define TETRAPY_CGROUP_H

#include "settings.h"

static __always_inline struct cgroup *cgroup_of_controller(struct css_set *set, __u32 index)
{
	struct cgroup_subsys_state **subsys = (void *)set + bpf_core_field_offset(set->subsys);
	struct cgroup_subsys_state *state = 0;

	bpf_probe_read_kernel(&state, sizeof(state), subsys + index);
	return BPF_CORE_READ(state, cgroup);
}

static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup *cgroup = 0;

	if (cgroup_source == CGROUP_MEMORY) {
		if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
			cgroup = cgroup_of_controller(
				set, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
	} else if (cgroup_source == CGROUP_PIDS) {
		if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
			cgroup = cgroup_of_controller(
				set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
	}
	if (!cgroup)
		cgroup = BPF_CORE_READ(set, dfl_cgrp);
	return BPF_CORE_READ(cgroup, kn);
}

static __always_inline struct kernfs_node *cgroup_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->parent))
		return BPF_CORE_READ(node, parent);
	return BPF_CORE_READ((struct kernfs_node___rcu *)node, __parent);
}

struct cgroup_name {
	__u64 id; /* inode number of the cgroup's directory */
	__u32 size; /* without the closing zero byte */
	__u32 flags; /* enum exec_flag */
};

/* Podman puts a process into a cgroup named "container" below the one that is
 * named after the container.
 */
static __always_inline int is_container_leaf(const char *name, long size)
{
	return size == 10 && name[0] == 'c' && name[1] == 'o' && name[2] == 'n' && name[3] == 't' &&
	       name[8] == 'r';
}

static __always_inline __u64 cgroup_id(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->id))
		return BPF_CORE_READ(node, id);
	return BPF_CORE_READ((struct kernfs_node___v54 *)node, id.id);
}

/* Puts the name of the task's cgroup into `data`, which has room for CGROUP_LIMIT bytes. */
static __always_inline void read_cgroup_name(struct task_struct *task, char *data,
					     struct cgroup_name *name)
{
	struct kernfs_node *node = cgroup_node(task);
	long size = bpf_probe_read_kernel_str(data, CGROUP_LIMIT, BPF_CORE_READ(node, name));

	name->flags = 0;
	name->size = 0;
	name->id = cgroup_id(node);
	if (is_container_leaf(data, size)) {
		node = cgroup_parent(node);
		size = bpf_probe_read_kernel_str(data, CGROUP_LIMIT, BPF_CORE_READ(node, name));
		name->flags |= EXEC_CGROUP_PARENT;
	}
	if (size <= 0)
		name->flags |= EXEC_CGROUP_ERROR;
	else
		name->size = size - 1;
}

#endif
