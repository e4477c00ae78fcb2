/* SPDX-License-Identifier: GPL-2.0-only */
/* The path of a task's cgroup, out of which user space reads a container's id. */
#ifndef TETRAPY_CGROUP_H
#define TETRAPY_CGROUP_H

#include "scratch.h"
#include "settings.h"

#define CGROUP_LEVELS 32 /* that are read; more are nobody's but who wants to hide in them */

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

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->parent))
		return BPF_CORE_READ(node, parent);
	return BPF_CORE_READ((struct kernfs_node___rcu *)node, __parent);
}

/* The inode number of a cgroup's directory. */
static __always_inline __u64 kernfs_id(struct kernfs_node *node)
{
	if (bpf_core_field_exists(node->id))
		return BPF_CORE_READ(node, id);
	return BPF_CORE_READ((struct kernfs_node___v54 *)node, id.id);
}

/* Puts the cgroup's own name into `name`, of CGROUP_NAME bytes; returns its size. */
static __always_inline __u32 read_cgroup_name(struct kernfs_node *node, char *name)
{
	long size = bpf_probe_read_kernel_str(name, CGROUP_NAME, BPF_CORE_READ(node, name));

	return size > 0 ? size - 1 : 0;
}

/* One level: its name, ended by a zero byte, behind those of the levels below. Returns 1 when the
 * walk is over. Progress is kept in the map, where the verifier forgets it (see cwd.h).
 */
static __always_inline int step_cgroup(struct scratch *scratch)
{
	struct kernfs_node *node = *(struct kernfs_node *volatile *)&scratch->cgroup;
	__u64 size = *(volatile __u32 *)&scratch->event.cgroup_size;
	struct kernfs_node *parent = kernfs_parent(node);
	long length;

	if (!parent) /* the root has no name */
		return 1;
	if (size > CGROUP_LIMIT - CGROUP_COMPONENT) {
		scratch->event.flags |= EXEC_CGROUP_PARTIAL;
		return 1;
	}
	length = bpf_probe_read_kernel_str(&scratch->data[(scratch->used + size) & DATA_MASK],
					   CGROUP_COMPONENT, BPF_CORE_READ(node, name));
	if (length <= 0) {
		scratch->event.flags |= EXEC_CGROUP_ERROR;
		return 1;
	}
	scratch->event.cgroup_size = size + length;
	scratch->cgroup = parent;
	return 0;
}

static __always_inline void append_cgroup(struct scratch *scratch, struct task_struct *task)
{
	int level;

	scratch->cgroup = cgroup_node(task);
	scratch->event.cgroup_id = kernfs_id(scratch->cgroup);
	for (level = 0; level < CGROUP_LEVELS; level++)
		if (step_cgroup(scratch))
			break;
	if (level == CGROUP_LEVELS)
		scratch->event.flags |= EXEC_CGROUP_PARTIAL;
	scratch->used += scratch->event.cgroup_size;
}

#endif
