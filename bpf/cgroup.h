/* SPDX-License-Identifier: GPL-2.0-only */
/* The name of a task's cgroup, out of which user space reads a container's id. */
#ifndef TETRAPY_CGROUP_H
#define TETRAPY_CGROUP_H

/* 0: unified hierarchy; otherwise the controller of a version 1 hierarchy. */
enum cgroup_source {
	CGROUP_UNIFIED = 0,
	CGROUP_MEMORY = 1,
	CGROUP_PIDS = 2,
};

const volatile enum cgroup_source cgroup_source = CGROUP_UNIFIED;

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

#endif
