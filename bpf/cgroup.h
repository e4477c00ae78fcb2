/* SPDX-License-Identifier: GPL-2.0-only */
/* The path of a task's cgroup, out of which user space reads a container's id. */
#ifndef TETRAPY_CGROUP_H
#define TETRAPY_CGROUP_H

#include "scratch.h"
#include "settings.h"

#define CGROUP_ID_V1 (1ULL << 63) /* set in the numbers of a hierarchy of version 1 */
#define CGROUP_LEVELS 32 /* that are read; more are nobody's but who wants to hide in them */

/* Not in a kernel that is built without CONFIG_CGROUPS; its BTF may still know some of the types.
 */
static __always_inline int has_cgroups(void)
{
	return bpf_core_field_exists(struct task_struct, cgroups) &&
	       bpf_core_field_exists(struct css_set, dfl_cgrp) &&
	       bpf_core_field_exists(struct css_set, subsys) &&
	       bpf_core_field_exists(struct cgroup, kn) &&
	       bpf_core_field_exists(struct cgroup_subsys_state, cgroup);
}

static __always_inline struct cgroup *cgroup_of_controller(struct css_set *set, __u32 index)
{
	struct cgroup_subsys_state **subsys = (void *)set + bpf_core_field_offset(set->subsys);
	struct cgroup_subsys_state *state = 0;

	bpf_probe_read_kernel(&state, sizeof(state), subsys + index);
	return BPF_CORE_READ(state, cgroup);
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

/* The directory of a task's cgroup in the hierarchy of version 1 that tells of containers; none
 * where none does, or where the task is in its root: hierarchies that nobody uses any more stay
 * until the next boot, with every task in their root.
 */
static __always_inline struct kernfs_node *cgroup_node_v1(struct css_set *set)
{
	struct kernfs_node *node;
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
		return 0;
	node = BPF_CORE_READ(cgroup, kn);
	return kernfs_parent(node) ? node : 0;
}

/* The directory of the cgroup that tells which container a task is in. `id` is its number among
 * those of all hierarchies, which number their directories each for itself. Both are 0 where there
 * are no cgroups.
 */
static __always_inline struct kernfs_node *cgroup_node(struct task_struct *task, __u64 *id)
{
	struct kernfs_node *node;
	struct css_set *set;

	*id = 0;
	if (!has_cgroups())
		return 0;
	set = BPF_CORE_READ(task, cgroups);
	node = cgroup_node_v1(set);
	if (node) {
		*id = kernfs_id(node) | CGROUP_ID_V1;
		return node;
	}
	node = BPF_CORE_READ(set, dfl_cgrp, kn);
	*id = kernfs_id(node);
	return node;
}

static __always_inline __u64 task_cgroup_id(struct task_struct *task)
{
	__u64 id;

	cgroup_node(task, &id);
	return id;
}

/* Puts the cgroup's own name into `name`, of CGROUP_NAME bytes; returns its size. */
static __always_inline __u32 read_cgroup_name(struct kernfs_node *node, char *name)
{
	long size;

	if (!has_cgroups())
		return 0;
	size = bpf_probe_read_kernel_str(name, CGROUP_NAME, BPF_CORE_READ(node, name));
	return size > 0 ? size - 1 : 0;
}

/* One level: its name, ended by a zero byte, behind those of the levels below. Returns 1 when the
 * walk is over. Progress is kept in the map, where the verifier forgets it (see cwd.h).
 */
static __always_inline int step_cgroup(struct scratch *scratch)
{
	struct kernfs_node *node = *(struct kernfs_node *volatile *)&scratch->cgroup;
	__u64 size = *(volatile __u32 *)&scratch->event.cgroup_size;
	struct kernfs_node *parent;
	long length;

	if (!has_cgroups())
		return 1;
	parent = kernfs_parent(node);
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

static __always_inline void start_cgroup(struct scratch *scratch, struct task_struct *task)
{
	__u64 id;

	scratch->cgroup = cgroup_node(task, &id);
	scratch->event.cgroup_id = id;
}

static __always_inline void end_cgroup(struct scratch *scratch, int levels)
{
	if (levels == CGROUP_LEVELS)
		scratch->event.flags |= EXEC_CGROUP_PARTIAL;
	scratch->used += scratch->event.cgroup_size;
}

static __always_inline void append_cgroup(struct scratch *scratch, struct task_struct *task)
{
	int level;

	start_cgroup(scratch, task);
	TURN_BY_TURN
	for (level = 0; level < CGROUP_LEVELS; level++)
		if (step_cgroup(scratch))
			break;
	end_cgroup(scratch, level);
}

#endif
