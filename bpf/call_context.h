/* SPDX-License-Identifier: GPL-2.0-only */
/* The numbers of the process that calls. */
#ifndef TETRAPY_CALL_CONTEXT_H
#define TETRAPY_CALL_CONTEXT_H

#include "call.h"
#include "lineage.h"
#include "workloads.h"

/* Of the innermost one in which a task has a pid. */
static __always_inline __u64 task_pid_namespace(struct pid *pid)
{
	unsigned int level = BPF_CORE_READ(pid, level) & 31;
	struct upid *upid = (void *)pid + bpf_core_field_offset(pid->numbers) +
			    level * bpf_core_type_size(struct upid);

	return BPF_CORE_READ(upid, ns, ns.inum);
}

#define NAMESPACE(which, member)                        \
	if (wanted & (1 << NUMBER_##which##_NAMESPACE)) \
	call->numbers[NUMBER_##which##_NAMESPACE] =     \
		bpf_core_field_exists(proxy->member) ? BPF_CORE_READ(proxy, member, ns.inum) : 0

#define CAPABILITIES(which, member)                                          \
	if (wanted & (1 << NUMBER_##which))                                  \
	bpf_probe_read_kernel(&call->numbers[NUMBER_##which], sizeof(__u64), \
			      (void *)cred + bpf_core_field_offset(cred->member))

/* Reads what a task is in and may do. */
static __always_inline void read_state(struct call *call, struct task_struct *task, __u32 wanted)
{
	struct nsproxy *proxy =
		bpf_core_field_exists(task->nsproxy) ? BPF_CORE_READ(task, nsproxy) : 0;
	const struct cred *cred = BPF_CORE_READ(task, cred);

	NAMESPACE(UTS, uts_ns);
	NAMESPACE(IPC, ipc_ns);
	NAMESPACE(MNT, mnt_ns);
	NAMESPACE(PID_FOR_CHILDREN, pid_ns_for_children);
	NAMESPACE(NET, net_ns);
	NAMESPACE(TIME, time_ns);
	NAMESPACE(TIME_FOR_CHILDREN, time_ns_for_children);
	NAMESPACE(CGROUP, cgroup_ns);
	if (wanted & (1 << NUMBER_PID_NAMESPACE) && bpf_core_field_exists(struct upid, ns))
		call->numbers[NUMBER_PID_NAMESPACE] =
			task_pid_namespace(BPF_CORE_READ(task, thread_pid));
	if (wanted & (1 << NUMBER_USER_NAMESPACE) && bpf_core_field_exists(cred->user_ns))
		call->numbers[NUMBER_USER_NAMESPACE] = BPF_CORE_READ(cred, user_ns, ns.inum);
	if (!bpf_core_field_exists(cred->cap_permitted))
		return;
	CAPABILITIES(PERMITTED, cap_permitted);
	CAPABILITIES(EFFECTIVE, cap_effective);
	CAPABILITIES(INHERITABLE, cap_inheritable);
}

/* What is known of the image that the process runs, and what differs from when it began. */
static __always_inline void read_lineage(struct call *call, struct task_struct *task, __u32 wanted)
{
	__u64 *numbers = call->numbers;
	struct image *image = find_image(call->event.pid, BPF_CORE_READ(task, group_leader));
	/* The idle task has none, and is no process. */
	__u64 unknown = call->event.pid ? 1ULL << MARK_UNKNOWN : 0;
	__u64 changed = 0;
	__u32 i;

	numbers[NUMBER_FOLLOWED] = image ? image->head.followed : unknown;
	numbers[NUMBER_PARENT_MARKS] = image ? image->head.parent_marks : unknown;
	numbers[NUMBER_PARENT_FOLLOWED] = image ? image->head.parent_followed : unknown;
	if (!(wanted & CHANGE_NUMBERS))
		return;
	for (i = 0; i < IMAGE_NAMESPACES; i++) {
		__u32 began = image ? image->namespaces[i] : 0;

		changed |= (__u64)(began && began != numbers[NUMBER_UTS_NAMESPACE + i]) << i;
	}
	numbers[NUMBER_NAMESPACE_CHANGES] = changed;
	for (i = 0; i < IMAGE_CAPABILITIES; i++)
		numbers[NUMBER_PERMITTED_CHANGES + i] =
			image ? image->capabilities[i] ^ numbers[NUMBER_PERMITTED + i] : 0;
}

/* Reads the numbers of the process that filters look at. */
static __always_inline void read_context(struct call *call, __u32 wanted)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 inner = task_inner_pid(BPF_CORE_READ(task, group_leader));

	call->numbers[NUMBER_PID] = call->event.pid;
	call->numbers[NUMBER_NAMESPACE_PID] = inner ? inner : call->event.pid;
	if (wanted & CHANGE_NUMBERS)
		wanted |= STATE_NUMBERS;
	read_state(call, task, wanted);
	if (wanted & LINEAGE_NUMBERS)
		read_lineage(call, task, wanted);
}

/* Whether a cgroup may be called as a container's is (agent/tetrapy/containers/cgroup.py): it has
 * room for an id, or begins as those do that have none, or as the ones above these.
 */
static __always_inline int may_name_container(struct call *call, struct kernfs_node *node)
{
	const __u32 *words = (const __u32 *)call->key.data;
	long size = bpf_probe_read_kernel_str(call->key.data, CONTAINER_ID + 1,
					      BPF_CORE_READ(node, name));

	if (size > CONTAINER_ID || (words[0] & 0xffffff) == BYTES('l', 'x', 'c', 0))
		return 1;
	return (words[0] == BYTES('s', 'y', 's', 't') && words[1] == BYTES('e', 'm', 'd', '-')) ||
	       words[0] == BYTES('m', 'a', 'c', 'h') || words[0] == BYTES('g', 'a', 'r', 'd');
}

/* Reads which filters of workloads hold, by the cgroup of the process. Where it is too deep to be
 * read all do: nobody gets away by hiding there.
 */
static __always_inline void read_workloads(struct call *call)
{
	__u32 zero = 0;
	void *map = bpf_map_lookup_elem(&workloads, &zero);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 id;
	struct kernfs_node *node = cgroup_node(task, &id);
	__u64 hierarchy = id & CGROUP_ID_V1;
	int named = 0;
	__u32 level;

	call->unknown_workload = 1;
	call->numbers[NUMBER_WORKLOADS] = ~0ULL;
	for (level = 0; has_cgroups() && level < CGROUP_LEVELS && map && node; level++) {
		struct workload *found;

		id = kernfs_id(node) | hierarchy;
		found = bpf_map_lookup_elem(map, &id);
		if (level || !found)
			named |= may_name_container(call, node);
		if (found && (!level || !found->only_itself || !named)) {
			call->unknown_workload = 0;
			call->numbers[NUMBER_WORKLOADS] = found->marks;
			return;
		}
		node = kernfs_parent(node);
	}
	if (node && level == CGROUP_LEVELS)
		call->unknown_workload = 0;
}

/* Changes that were reported are none any more. */
static __always_inline void note_current_state(struct call *call)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct image *image = find_image(call->event.pid, BPF_CORE_READ(task, group_leader));

	if (image)
		note_state(image, call->numbers);
}

#endif
